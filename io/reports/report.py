"""The report of a run: one self-contained HTML file that needs no network.

The run is opened lazily and each variable read once, one member at a time. What was not recorded is left out; what
failed or is not finished is named.
"""

from pathlib import Path

from shockmesh.io.posteriors import open_posterior
from shockmesh.io.reports.posterior import render_posterior
from shockmesh.io.reports.robust import short_form
from shockmesh.io.reports.sections import render
from shockmesh.io.results import open_run, read_manifest
from shockmesh.io.stores.damage import reading
from shockmesh.io.stores.places import Place, place, replace


def write_report(run_path: str | Place, html_path: str | Place | None = None) -> Place:
    """Write the report of a finished or partly finished run, by default `RUN/report.html`; an older one is replaced.

    Raises:
        ReportError: no member is there, or none is sound.
        ResultsError: not a run.
    """
    run = place(run_path)
    target = run / "report.html" if html_path is None else place(html_path)
    manifest, name = read_manifest(run), run.resolve().name
    if dict(manifest.get("spec", {})).get("infer") is not None:
        with reading(run_path), open_posterior(run_path) as tree:
            html = render_posterior(tree, manifest, name)
    else:
        with reading(run_path), open_run(run_path) as ds:
            html = render(ds, manifest, name, short_form(run))
    if isinstance(target, Path):
        target.parent.mkdir(parents=True, exist_ok=True)
    replace(target, html.encode())
    return target
