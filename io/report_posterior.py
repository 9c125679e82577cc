"""The report of a calibration: how well it fits, how far to trust it, what it learned of which sector, how it went."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import xarray as xr
from plotly.offline import get_plotlyjs
from shockmesh.io import report_plotly as plot
from shockmesh.io.report_figures import Panel
from shockmesh.io.report_page import Block, Card, Notice, Section, Table, page
from shockmesh.io.report_sections import made

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
SERIES, SECTORS = 60, 40  # the most that one figure shows
FINE = 0.7  # Pareto k̂ up to which a guide's draws stand for the posterior (Vehtari et al. 2024)
PARTS = {"fitted": "fitted", "held_out": "held out"}

type Manifest = Mapping[str, Any]
type Tree = Any  # an xr.DataTree, whose items the type checker takes for either of two kinds


def render_posterior(tree: Tree, manifest: Manifest, name: str) -> str:
    """The page of a posterior, as HTML."""
    sections = [
        Section("fit", "What it says of the data", [_scores(tree), _simpler(tree), *trust(tree), *_predictions(tree)]),
        Section("learned", "What was learned", list(_learned(tree))),
        Section("course", "How it went", [_course(tree)]),
        Section("made", "How it was made", made(dict(manifest.get("spec", {})), manifest)),
    ]
    spec = manifest.get("spec", {})
    infer = spec.get("infer", {})
    draws = tree["posterior"].sizes["draw"]
    subtitle = f"run “{name}” · {infer.get('method', '')} · {draws} draws · {tree['posterior'].sizes['firm']:,} firms"
    return page(f"Calibration report: {name}", subtitle, list(_cards(tree)), sections, get_plotlyjs())


def _cards(tree: Tree) -> Iterator[Card]:
    for variable in tree["observed_data"].data_vars:
        for part, words in PARTS.items():
            score = tree["scores"][f"{variable}_{part}"]
            if np.isfinite(score.sel(score="rmse")):
                error, covered = float(score.sel(score="rmse")), float(score.sel(score="coverage_90"))
                note = f"of the undisturbed day; 90 % intervals hold {100 * covered:.0f} % of the values"
                yield Card(f"Error of {variable}, {words}", f"{100 * error:.2f} %", note)
    if (k := _pareto_k(tree)) is not None:
        yield Card("Pareto k̂ of the guide", f"{k:.2f}" if np.isfinite(k) else "–", f"below {FINE} is fine")


def _scores(tree: Tree) -> Table:
    rows = [
        [f"{variable}, {words}", *(_score(tree, variable, part, name) for name in tree["scores"]["score"].values)]
        for variable in tree["observed_data"].data_vars
        for part, words in PARTS.items()
    ]
    header = ["", "RMSE", "CRPS", "in 50 % intervals", "in 90 % intervals"]
    return Table("Scores of the posterior predictive; errors in % of the undisturbed day", header, rows)


def _simpler(tree: Tree) -> Table:
    """The calibration beside what it must beat."""
    names = [str(name) for name in tree["scores"]["baseline"].values]
    rows: list[list[str]] = []
    for variable in tree["observed_data"].data_vars:
        for part, words in PARTS.items():
            errors = 100 * tree["scores"][f"{variable}_{part}_baselines"].values
            told = [f"{error:.3g}" if np.isfinite(error) else "–" for error in errors]
            rows.append([f"{variable}, {words}", _score(tree, variable, part, "rmse"), *told])
    return Table("RMSE beside that of simpler models; in % of the undisturbed day", ["", "calibrated", *names], rows)


def _score(tree: Tree, variable: Any, part: str, name: str) -> str:
    value = 100 * float(tree["scores"][f"{variable}_{part}"].sel(score=name))
    if not np.isfinite(value):
        return "–"
    return f"{value:.0f} %" if name.startswith("coverage") else f"{value:.3g}"


def _pareto_k(tree: Tree) -> float | None:
    """None of an ensemble, whose members come from no density."""
    stats = tree["sample_stats"].data_vars
    return float(stats["pareto_k"]) if "pareto_k" in stats else None


def trust(tree: Tree) -> Iterator[Notice]:
    """What k̂ of the importance weights says of the guide."""
    k, draws = _pareto_k(tree), tree["posterior"].sizes["draw"]
    if k is None:
        return
    if not np.isfinite(k):
        said = "cannot be told: it takes 30 draws or more, all with a finite loss"
    elif k < FINE:
        said = f"= {k:.2f}, below {FINE}: fine, no sign that the guide is far from the posterior that it stands for"
    else:
        said = f"= {k:.2f}, not below {FINE}: the guide is far from the posterior; do not trust its intervals, "
        said += "fit longer, or take guide: structured, or method: rml"
    yield Notice(f"Pareto k̂ of the importance weights of the {draws} draws {said}.")


def _predictions(tree: Tree) -> Iterator[Panel]:
    for variable in tree["observed_data"].data_vars:
        seen = tree["observed_data"][variable]
        predicted = tree["posterior_predictive"][variable].isel(chain=0)
        first, last = (tree["constant_data"][f"{variable}_{end}_day"].values for end in ("first", "last"))
        day = (first + last) / 2
        bands = 100 * np.quantile(predicted.values, QUANTILES, axis=0)
        off = np.nanmean((bands[2] / 100 - seen.values) ** 2, axis=0)
        order = np.argsort(-np.nan_to_num(off))[:SERIES]
        names = seen[f"{variable}_series"].values
        held = tree["constant_data"][f"{variable}_held_out"].values
        starts = {"held out": float(first[held.any(axis=1)].min())} if held.any() else {}
        choices = {
            str(names[k]): plot.against_baseline(
                [*plot.bands(day.tolist(), bands[:, :, k]), _dots(day, 100 * seen.values[:, k])],
                ("Day", f"{variable} (% of the undisturbed day)"),
                starts,
            )
            for k in order
        }
        yield Panel(
            id=f"predicted-{variable}",
            title=f"{variable}: seen and predicted",
            note="Dots were seen; bands hold 90 % and 50 % of the draws, without the noise of a single observation.",
            alt=f"Posterior predictive bands of {variable} against what was seen, the worst fitted series first.",
            choices=choices,
            pick="Series",
        )


def _dots(x: np.ndarray, y: np.ndarray) -> plot.Trace:
    marker = {"color": plot.VERMILLION, "size": 5}
    return {
        "type": "scatter", "mode": "markers", "x": x.tolist(), "y": plot.numbers(y), "name": "seen", "marker": marker,
        "hovertemplate": "%{y:.2f} %",
    }  # fmt: skip


def _learned(tree: Tree) -> Iterator[Block]:
    rows: list[list[str]] = []
    for name in tree["posterior"].data_vars:
        share = float(tree["scores"].attrs.get(f"moved {name}", np.nan))
        rows.append([str(name), *_width(tree["prior"][name]), *_width(tree["posterior"][name]), f"{100 * share:.0f} %"])
        if share == 0:
            yield Notice(f"{name}: the data say nothing about it; its posterior is the prior")
    header = ["", "prior median", "prior 90 %", "posterior median", "posterior 90 %", "firms that the data moved"]
    yield Table("All firms' numbers, before and after; firms whose number is fixed left out", header, rows)
    yield _by_sector(tree)


def _width(values: xr.DataArray) -> list[str]:
    draws = values.isel(chain=0).values
    free = draws[:, draws.std(axis=0) > 0]
    if free.size == 0:
        return ["–", "–"]
    low, middle, high = np.quantile(free, [0.05, 0.5, 0.95])
    return [f"{middle:.3g}", f"{low:.3g} to {high:.3g}"]


def _by_sector(tree: Tree) -> Panel:
    """Median and 90 % interval of each sector's mean, posterior over prior."""
    sector = tree["posterior"]["sector"].values
    choices = {str(name): _intervals(tree, name, sector) for name in tree["posterior"].data_vars}
    return Panel(
        id="by-sector",
        title="By sector, before and after",
        note="Mean over a sector's firms: grey is the prior's 90 %, blue the posterior's.",
        alt="Prior and posterior intervals of each sector's mean.",
        choices=choices,
        pick="Number",
        height=700,
    )


def _intervals(tree: Tree, name: Any, sector: np.ndarray) -> plot.Figure:
    names = [str(one) for one in np.unique(sector)][:SECTORS]
    traces: list[plot.Trace] = []
    for group, colour, width in (("prior", plot.FAINT, 9), ("posterior", plot.BLUE, 4)):
        draws = tree[group][name].isel(chain=0).values
        means = np.stack([draws[:, sector == one].mean(axis=1) for one in names])
        low, middle, high = np.quantile(means, [0.05, 0.5, 0.95], axis=1)
        error = {"type": "data", "symmetric": False, "array": plot.numbers(high - middle), "width": 0}
        error |= {"arrayminus": plot.numbers(middle - low), "thickness": width, "color": colour}
        traces.append({
            "type": "scatter", "mode": "markers", "y": names, "x": plot.numbers(middle), "name": group,
            "marker": {"color": colour, "size": width + 2}, "error_x": error,
        })  # fmt: skip
    return plot.figure(traces, str(name), "", yaxis={"autorange": "reversed"})


def _course(tree: Tree) -> Panel:
    objective = tree["history"]["objective"].values
    shown = plot.line(list(range(1, len(objective) + 1)), objective, "objective", color=plot.BLUE)
    shown["hovertemplate"] = "%{y:.5g}"
    start, end = (float(np.mean(part)) for part in (objective[:10], objective[-10:]))
    return Panel(
        id="course",
        title="The objective",
        note="Of each step; noisy where it is estimated from few draws.",
        alt=f"The objective fell from {start:.4g} to {end:.4g} in {len(objective)} steps.",
        choices={"objective": plot.figure([shown], "Step", "Objective")},
    )
