"""What can be asked of a spec in Python: the verbs of the command line, with objects in and objects out."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from shutil import rmtree
from typing import Any, Literal

import pandas as pd
import xarray as xr
from shockmesh.cluster.python.code import as_yaml
from shockmesh.cluster.python.economy import Economy, scratch
from shockmesh.cluster.python.objects import plain
from shockmesh.cluster.running import run as running
from shockmesh.cluster.spec.allocate import Allocate
from shockmesh.cluster.spec.load import load_spec, parse_spec
from shockmesh.cluster.spec.models import Horizon, Infer, Model, Observe, Resources, Shock, Spec, Sweep
from shockmesh.cluster.trust import robustness as trust
from shockmesh.cluster.verbs.esri import rank_by_esri
from shockmesh.cluster.verbs.prices import Found, solve_prices
from shockmesh.cluster.verbs.sensitivity import rank_by_sensitivity
from shockmesh.io.posteriors import open_posterior
from shockmesh.io.reports.comparing import compare as compare_runs
from shockmesh.io.reports.headline import headline as headline_of
from shockmesh.io.reports.losses import measure, recorded
from shockmesh.io.reports.report import write_report
from shockmesh.io.reports.robust import UNKNOWN
from shockmesh.io.reports.sections import render
from shockmesh.io.results import open_run, read_manifest
from shockmesh.kernels.esri import TOLERANCE, Market, Size
from shockmesh.kernels.sensitivity import Flow

MANIFEST = "manifest"  # attribute of a run in memory: what RUN.json says

type Anything = Mapping[str, Any]  # a part of a spec as a mapping
type AnySpec = Spec | str | Path  # a spec, or its file
type AnyRun = xr.Dataset | str | Path  # a run in memory, or its folder


class StudyError(ValueError):
    """What cannot be done as asked, or a run that did not end. The message says why."""


def spec(
    economy: Economy | str | Path,
    *,
    horizon: Horizon | Anything | int,
    shocks: Sequence[Shock | Anything] = (),
    model: Model | Anything | None = None,
    sweep: Sweep | Anything | None = None,
    record: Mapping[str, Sequence[str]] | None = None,
    year: int | None = None,
    resources: Resources | Anything | None = None,
    observe: Sequence[Observe | Anything] = (),
    infer: Infer | Anything | None = None,
    allocate: Allocate | Anything | None = None,
    precision: Literal["float32", "float64"] = "float32",
    engine: Literal["zarr", "icechunk"] = "zarr",
) -> Spec:
    """A spec: the same keys as the YAML, with parts as objects of this module or as mappings.

    Args:
        horizon: how long to simulate; a number is days.
        shocks: what happens; those on one firm multiply.
        record: variable → what is kept of it by day: firm, or region and sector, or nothing for the sum.

    Raises:
        SpecError: with every problem found.
    """
    given = {
        "economy": economy.path if isinstance(economy, Economy) else str(economy),
        "year": economy.year if isinstance(economy, Economy) and year is None else year,
        "model": model, "horizon": {"days": horizon} if isinstance(horizon, int) else horizon, "shocks": shocks or None,
        "sweep": sweep, "record": record, "resources": resources, "observe": observe or None, "infer": infer,
        "allocate": allocate, "precision": precision, "engine": engine,
    }  # fmt: skip
    data = {name: plain(value) for name, value in given.items() if value is not None}
    return parse_spec(data, folder=Path.cwd())


def load(path: str | Path, overrides: Sequence[str] = ()) -> Spec:
    """Read a spec from YAML; `overrides` are `key.path=value`. Raises SpecError, with every problem found."""
    return load_spec(path, overrides)


def run(
    what: AnySpec, out: str | Path | None = None, *, address: str | None = "local", progress: bool | None = None
) -> xr.Dataset:
    """Simulate every member of a spec.

    Args:
        out: a new folder that keeps the run; left out, it is held in memory.
        address: `local`: this process; None: a Ray cluster of this machine for the time of the run; or a cluster.
        progress: show how far it is; left out, where somebody watches: a terminal or a notebook.

    Returns:
        Recorded variables (member, time, …) [`units`], `<name>_baseline`, and what each member drew as coordinates; of
        a run in a folder lazily.

    Raises:
        SpecError, PlanError, NetworkStoreError, ScenarioError, ResultsError: before anything is computed.
        StudyError: a calibration, or a run that did not end; one in a folder goes on by `shockmesh resume`.
    """
    if _fits(what):
        raise StudyError("run: a calibration; call calibrate")
    folder = _ran(what, out, address, progress)
    if out is not None:
        return open_run(folder)
    with open_run(folder) as opened:
        found = opened.load()
    manifest = json.dumps(read_manifest(folder))
    rmtree(folder)
    return found.assign_attrs({MANIFEST: manifest})


def calibrate(
    what: AnySpec, out: str | Path | None = None, *, address: str | None = "local", progress: bool | None = None
) -> xr.DataTree:
    """Learn what a spec's `infer` says is unknown from what its `observe` says was seen.

    Returns:
        Groups of ArviZ's names: posterior, prior, predictions, what was observed, scores.

    Raises:
        As `run`; StudyError: a spec without `infer`.
    """
    if not _fits(what):
        raise StudyError("calibrate: a spec without infer; call run")
    tree = open_posterior(_ran(what, out, address, progress))
    return tree if out is not None else tree.load()


def losses(of: AnyRun, *by: Literal["region", "sector"], variable: str | None = None) -> xr.DataArray:
    """What is lost over the horizon, a share of the baseline, by member and, if asked, region and sector.

    Raises:
        ReportError: no member is sound, or nothing that can be lost was recorded.
    """
    with _opened(of) as ds:
        return measure(ds, variable or recorded(ds)[0]).share(*by).assign_coords(member=ds["member"])


def headline(of: AnyRun) -> dict[str, Any]:
    """The numbers that come first: see `shockmesh.io.reports.headline`. Raises ReportError as `losses`."""
    with _opened(of) as ds:
        return headline_of(ds, _manifest(of).get("spec"))


def compare(runs: Mapping[str, AnyRun], variable: str | None = None) -> xr.Dataset:
    """Say how runs differ from the first, pair by pair where members drew the same: see `reports/comparing.py`.

    Raises:
        CompareError: runs that are not of the same kind; the message names both.
    """
    return compare_runs(
        {name: of if isinstance(of, xr.Dataset) else open_run(of) for name, of in runs.items()}, variable
    )


def report(of: AnyRun, path: str | Path | None = None) -> Path:
    """Write the report of a run as one HTML file, by default in its folder. Raises ReportError as `losses`.

    A run in memory needs a path.
    """
    if not isinstance(of, xr.Dataset):
        return Path(str(write_report(of if isinstance(of, Path) else str(of), path)))
    if path is None:
        raise StudyError("report: path: missing: a run in memory has no folder to write it to")
    Path(path).write_text(render(of, _manifest(of), Path(path).stem, UNKNOWN), "utf-8")
    return Path(path)


def robustness(what: AnySpec, out: str | Path | None = None, **levels: Any) -> trust.Robustness:
    """Run a spec under other presets, inputs, stocks and networks: see `shockmesh.cluster.trust.robustness`.

    Args:
        out: a folder that keeps all runs, so that an interrupted study goes on; left out, until Python ends.
        levels: presets, days, table, seeds, draws, address, as there.
    """
    return trust.robustness(_file(what), scratch("robustness") / "study" if out is None else out, **levels)


def esri(
    of: Economy | str | Path,
    *,
    essential: str | Path = "all",
    market: Market = "sector",
    size: Size = "sales",
    tolerance: float = TOLERANCE,
    batch: int = 32,
) -> pd.DataFrame:
    """Rank firms by the Economic Systemic Risk Index, the share of the economy that stops when one does [share].

    Args:
        essential: which inputs are essential: all, none, imported, or a CSV of levels.
        market: who can replace a firm. size: what firms count by.
        tolerance: a cascade ends when no firm moves by more. batch: failures at a time.

    Raises:
        RankingError, NetworkStoreError, TableError.
    """
    path, year = (of.path, of.year) if isinstance(of, Economy) else (of, None)
    return rank_by_esri(
        path, scratch("esri") / "esri.csv", year=year, essential=essential, market=market, size=size,
        tolerance=tolerance, batch=batch,
    )  # fmt: skip


def sensitivity(what: AnySpec, *, loss: Flow = "output") -> pd.DataFrame:
    """Rank firms by what they add to the loss of a spec, by one backward pass [the economy's unit × days].

    The columns are those of `rank_by_sensitivity`. Raises SpecError, NetworkStoreError, RankingError.
    """
    return rank_by_sensitivity(_file(what), scratch("sensitivity") / "sensitivity.csv", loss=loss)


def prices(what: AnySpec, *, member: int = 0) -> Found:
    """The prices at which tariffs and costs come to rest, relative to the baseline's, without simulating a day.

    Raises:
        SpecError: as `run`, or prices are fixed.
        PriceError: there are none at rest.
    """
    return solve_prices(_file(what), member=member)


def _file(what: AnySpec) -> str | Path:
    """The file of a spec; one in memory is written to one."""
    if not isinstance(what, Spec):
        return what
    file = scratch("spec") / "spec.yaml"
    file.write_text(as_yaml(what), "utf-8")
    return file


def _fits(what: AnySpec) -> bool:
    """Whether a spec is a calibration."""
    return (what if isinstance(what, Spec) else load_spec(what)).infer is not None


def _ran(what: AnySpec, out: str | Path | None, address: str | None, progress: bool | None) -> Path:
    """The folder of a run that ended, one that was interrupted or stopped being refused."""
    folder = scratch("run") / "run" if out is None else Path(out)
    watched = (sys.stderr.isatty() or "ipykernel" in sys.modules) if progress is None else progress
    summary = running.run(_file(what), folder, address=address, quiet=not watched)
    if not summary.complete:
        raise StudyError(summary.text())
    return folder


def _opened(of: AnyRun) -> xr.Dataset:
    return of if isinstance(of, xr.Dataset) else open_run(of)


def _manifest(of: AnyRun) -> dict[str, Any]:
    return json.loads(of.attrs.get(MANIFEST, "{}")) if isinstance(of, xr.Dataset) else read_manifest(of)
