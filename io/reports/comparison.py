"""A comparison for people: lines for a terminal, and one self-contained HTML file."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import xarray as xr
from plotly.offline import get_plotlyjs
from shockmesh.io.inputs import names
from shockmesh.io.reports import charts as plot
from shockmesh.io.reports.comparing import PLACES, largest
from shockmesh.io.reports.figures import Panel
from shockmesh.io.reports.headline import percent, ranged, rise
from shockmesh.io.reports.losses import MEASURES, days_of, spread
from shockmesh.io.reports.page import Block, Card, Notice, Section, Table, page
from shockmesh.io.stores.places import Place, place, replace

MOST, ROWS = 5, 60  # places that a terminal and a page name


def as_lines(found: xr.Dataset) -> Iterator[str]:
    """A comparison as a few lines to print."""
    yield f"{found.measure.replace('_', ' ')} lost over {found.days} days; members are {_how(found)}"
    for run in found["run"].values:
        yield f"{run}: {ranged(_spread(found, run))}{_against(found, str(run))}"
    for at in PLACES:
        if f"mean_by_{at}" not in found:
            continue
        for run in found["run"].values[1:]:
            said = [f"{label} {_change(mean, error)}" for label, mean, error in largest(found, at, str(run), MOST)]
            if said:
                yield f"{at}s that differ most, {run}: {', '.join(said)}"


def write_comparison(found: xr.Dataset, path: str | Place) -> Place:
    """Write a comparison as HTML; an older one is replaced."""
    target = place(path)
    if isinstance(target, Path):
        target.parent.mkdir(parents=True, exist_ok=True)
    replace(target, render(found).encode())
    return target


def render(found: xr.Dataset) -> str:
    """The page of a comparison."""
    runs = [str(run) for run in found["run"].values]
    cards = [
        Card(run, percent(_spread(found, run)["median"]), _against(found, run).strip(" ;") or "the first")
        for run in runs
    ]
    sections = [
        Section("runs", "Runs", [Notice(f"Members are {_how(found)}."), _table(found, runs), *_points(found, runs)]),
        Section("time", "Over time", [_path(found, runs)]),
        Section("where", "Where they differ", list(_where(found, runs))),
    ]
    label = MEASURES.get(str(found.measure), str(found.measure)).lower()
    subtitle = f"{label} lost over {found.days} days, each run against {found.first}"
    return page(f"Comparison: {', '.join(runs)}", subtitle, cards, [of for of in sections if of.blocks], get_plotlyjs())


def _how(found: xr.Dataset) -> str:
    if found.sizes["member"] == 1:
        return "single, so that nothing is known of chance"
    return "pairs that drew the same" if found.members == "pairs" else "independent: they drew other numbers"


def _spread(found: xr.Dataset, run: str) -> dict[str, float]:
    values = found["loss"].sel(run=run).values
    return spread(values[np.isfinite(values)])


def _against(found: xr.Dataset, run: str) -> str:
    """How a run differs from the first."""
    if run == found.first:
        return ""
    one = found.sel(run=run)
    often = (
        ""
        if "more_often" not in found or found.sizes["member"] == 1
        else f", more in {percent(float(one.more_often))} of pairs"
    )
    return f"; {_change(float(one['mean']), float(one['error']))} of baseline against {found.first}{often}"


def _change(mean: float, error: float) -> str:
    """A difference of shares, with its standard error, as in +1.2 ± 0.1 %."""
    return rise(mean) if not np.isfinite(error) else f"{rise(mean).removesuffix(' %')} ± {100 * error:.2g} %"


def _table(found: xr.Dataset, runs: list[str]) -> Table:
    header = ["run", "loss", f"less {found.first}", "90 % interval of the mean", "pairs that lose more"]
    return Table("Loss over the horizon, % of baseline", header, [_row(found, run) for run in runs])


def _row(found: xr.Dataset, run: str) -> list[str]:
    one = found.sel(run=run)
    loss = ranged(_spread(found, run))
    if run == found.first:
        return [run, loss, "–", "–", "–"]
    known = bool(np.isfinite(one["low"]))
    between = f"{rise(float(one['low'])).removesuffix(' %')} to {rise(float(one['high']))}" if known else "–"
    often = percent(float(one["more_often"])) if "more_often" in found else "–"
    return [run, loss, _change(float(one["mean"]), float(one["error"])), between, often]


def _points(found: xr.Dataset, runs: list[str]) -> Iterator[Block]:
    """Each pair: what one run loses against what the first does."""
    if "difference" not in found or found.sizes["member"] < 2:
        return
    first = 100 * found["loss"].sel(run=found.first).values
    labels = [f"member {member}" for member in found["member"].values]
    choices = {
        run: plot.points(
            first, 100 * found["loss"].sel(run=run).values, labels, f"{found.first}, % lost", f"{run}, % lost"
        )
        for run in runs[1:]
    }
    alt = f"Scatter of each member's loss in {', '.join(runs[1:])} against {found.first}."
    yield Panel("pairs", "Pair by pair", "Each point is a member in both runs.", alt, choices, "Run")


def _path(found: xr.Dataset, runs: list[str]) -> Panel:
    days = days_of(found["time"].values)
    looks = [plot.BLUE, "#c2410c", "#15803d", "#7e22ce", "#a16207"]
    traces = [
        plot.line(days, 100 * found["path"].sel(run=run).values, run, color=looks[i % len(looks)], width=2.0)
        for i, run in enumerate(runs[1:])
    ]
    figure = plot.figure(traces, "day of the run", f"less {found.first}, % of baseline", showlegend=len(runs) > 2)
    worst = float(100 * found["path"].min())
    alt = f"Mean difference by day; the lowest is {worst:.3g} % of the baseline."
    return Panel("path", "Difference by day", f"Above 0: more is made than in {found.first}.", alt, {"": figure})


def _where(found: xr.Dataset, runs: list[str]) -> Iterator[Block]:
    for at in PLACES:
        if f"mean_by_{at}" in found:
            codes = [str(code) for code in found[at].values]
            rows = [
                [names.label(at, label, codes), run, _change(mean, error)]
                for run in runs[1:]
                for label, mean, error in largest(found, at, run, ROWS)
            ]
            yield Table(f"Loss by {at}, less {found.first}", [at, "run", "difference, % of its baseline"], rows)
