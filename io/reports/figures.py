"""The panels of a report, made from losses alone: each is a figure, or several to choose from, with its words."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from shockmesh.io.inputs.names import named
from shockmesh.io.reports import charts as plot
from shockmesh.io.reports.headline import deepest_day, gain_most, hit_most, names_hit_most, percent
from shockmesh.io.reports.losses import HIGH, LOW, Losses, days_of, notable

BARS, ROWS, CURVES = 15, 45, 100  # the most that one figure shows
LONGEST = 32  # characters of a label
CHANCE = 1.96  # standard deviations: 95 of 100 rank correlations of unrelated numbers lie within CHANCE / √(n − 1)


@dataclass(frozen=True)
class Panel:
    """One place on the page."""

    id: str
    title: str
    note: str  # how to read it
    alt: str  # what it shows, for readers who cannot see it
    choices: Mapping[str, plot.Figure]  # name → figure; the first is shown
    pick: str = ""  # what the choice is of
    height: int = 400  # pixels
    least_width: int = 0  # pixels; on a narrower screen the figure scrolls


def over_time(losses: Losses, events: Mapping[str, float]) -> Panel:
    """Bands of the members' path against baseline: the total, then each region, the hardest hit first.

    `events` are marked: name → day.
    """
    choices = {"Total": _path(losses, losses.total, events)}
    if losses.by_region is not None:
        names = names_hit_most(losses, "region")
        choices |= {name: _path(losses, losses.by_region.sel(region=name).values, events) for name in names}
    loss = 1 - np.median(losses.total, axis=0)
    day = int(deepest_day(loss))
    bands = "Bands hold 90 % and 50 % of the members on each day." if len(losses.member) > 1 else ""
    return Panel(
        id="over-time",
        title=f"{losses.label} over time",
        note=f"Per day, as a percentage of the undisturbed baseline. {bands}",
        alt=f"{losses.label} per day as a percentage of baseline. The median is lowest on {_day_words(losses, day)}, "
        f"{percent(loss[day])} below baseline, and ends {percent(loss[-1])} below it.",
        choices=choices,
        pick="Region",
    )


def ranking(losses: Losses, dim: str) -> Panel:
    """Bars of the loss by one dim with the members' spread: as a share, and in money where the unit allows it."""
    rows, labels = hit_most(losses, dim, BARS), losses.baseline.sizes[dim]
    choices = {"share of its baseline": bars(rows, dim, "loss", 100, "loss, % of its baseline")}
    if losses.money() is not None:
        choices["amount"] = bars(hit_most(losses, dim, BARS, "money"), dim, "money", 1, f"loss, {losses.currency}")
    if gains := gain_most(losses, dim, BARS):
        choices["gain"] = bars(gains, dim, "loss", -100, "gain, % of its baseline")
    first = ", ".join(f"{row['label']} {percent(row['loss']['median'])}" for row in rows[:3])
    more = f" The {BARS} hit most of {labels}." if labels > BARS else ""
    spread = "Bar: median; line: 90 % of members." if len(losses.member) > 1 else ""
    return Panel(
        id=f"by-{dim}",
        title=f"{losses.label} lost, by {dim}",
        note=spread + more,
        alt=f"Bars of the loss of {losses.label.lower()} by {dim}, the hardest hit first: {first}.",
        choices=choices,
        pick="Measured as",
        height=100 + 24 * len(rows),
    )


def spreading(losses: Losses) -> Panel:
    """When each region loses: median loss by region and day."""
    assert losses.by_region is not None
    names = names_hit_most(losses, "region")[:ROWS]
    loss = 100 * (1 - losses.by_region.sel(region=names).median("member").transpose("region", "time").values)
    peak = np.nanmax(loss[0])
    return Panel(
        id="spreading",
        title="How the loss travels",
        note="Median loss on each day, % of the region's baseline; the region hit most on top.",
        alt=f"Heat map of the loss by region and day. {names[0]} is hit most; its loss peaks at {peak:.1f} %.",
        choices={"": plot.heat(losses.days, names, loss, (_time_title(losses.time), "region"))},
        height=130 + 15 * len(names),
    )


def world(losses: Losses) -> Panel | None:
    """Median loss by country, of the regions that are countries or groups of some; None if fewer than two are."""
    rows = hit_most(losses, "region", len(losses.baseline["region"]))
    covers = {code: of.covers for code, of in named("region", [row["region"] for row in rows]).items()}
    shown = [row for row in rows if covers.get(row["region"])]
    if len(shown) < 2:
        return None
    loss = {iso: 100 * row["loss"]["median"] for row in shown for iso in sorted(covers[row["region"]])}
    label = {iso: row["label"] for row in shown for iso in covers[row["region"]]}
    most = shown[0]
    return Panel(
        id="world",
        title=f"{losses.label} lost, on the map",
        note="Median loss over the horizon, % of the region's baseline. Grey: no region of the economy by itself. "
        "Outlines: Natural Earth.",
        alt=f"World map of the loss by country. {most['label']} loses most, {percent(most['loss']['median'])}.",
        choices={"": plot.world(loss, label)},
        height=440,
    )


def industries(losses: Losses) -> Panel:
    """Median loss by region and sector."""
    names = names_hit_most(losses, "region")[:ROWS]
    share = losses.share("region", "sector").median("member").transpose("region", "sector").sel(region=names)
    sectors = [str(name) for name in share["sector"].values]
    xaxis = {"tickangle": -90, "tickmode": "linear", "tickfont": {"size": 10}, "type": "category"}
    row, column = np.unravel_index(np.nanargmax(share.values), share.shape)
    most = percent(float(share.values[row, column]))
    return Panel(
        id="industries",
        title=f"{losses.label} lost, by region and sector",
        note="Median over members, % of the industry's own baseline over the horizon. Grey: no such industry.",
        alt=f"Heat map of the loss by region and sector. Hit most: {sectors[column]} in {names[row]}, {most}.",
        choices={"": plot.heat(sectors, names, 100 * share.values, ("sector", "region"), **xaxis)},
        height=190 + 15 * len(names),
        least_width=160 + 14 * len(sectors),
    )


def member_curves(losses: Losses) -> Panel:
    """The path of every member; the worst, the median and the mildest in colour."""
    places, share = notable(losses), losses.share().values
    step = -(-len(losses.member) // CURVES)
    thin = [plot.faint(losses.days, 100 * losses.total[i], "") for i in range(0, len(losses.member), step)]
    looks = {"mildest": (plot.GREEN, "dot"), "median": (plot.BLUE, "solid"), "worst": (plot.VERMILLION, "dash")}
    thick = [
        plot.line(losses.days, 100 * losses.total[places[name]], name, color=colour, width=2.5, dash=dash)
        for name, (colour, dash) in looks.items()
    ]
    said = [f"{name}: member {losses.member[at]} loses {percent(share[at])}" for name, at in places.items()]
    return Panel(
        id="member-curves",
        title="The worst, the median and the mildest member",
        note="Each thin line is one member" + (f"; every {step}th is drawn." if step > 1 else "."),
        alt=f"Curves of total {losses.label.lower()} by member. {'; '.join(said)}.",
        choices={"": plot.against_baseline([*thin, *thick], _path_titles(losses), {})},
    )


def driver_bars(found: Mapping[str, float], members: int) -> Panel:
    """Rank correlation of each drawn parameter with the loss."""
    said = ", ".join(f"{name} {value:.2f}" for name, value in found.items())
    figure = plot.signed_bars(found, CHANCE / np.sqrt(members - 1), "rank correlation (Spearman's ρ)")
    return Panel(
        id="driver-bars",
        title="Which parameter drives the loss",
        note="Right: the more of it, the more loss; left: the less. Grey: what chance gives in 95 of 100 sweeps.",
        alt=f"Rank correlation of each drawn parameter with the total loss: {said}.",
        choices={"": figure},
        height=360,
    )


def driver_points(found: Mapping[str, float], values: Mapping[str, np.ndarray], losses: Losses) -> Panel:
    """The loss of each member against each drawn parameter, the strongest first."""
    names = [f"member {member}" for member in losses.member]
    share, up = 100 * losses.share().values, f"{losses.label.lower()} lost, % of baseline"
    return Panel(
        id="driver-points",
        title="Loss against one parameter",
        note="Each point is one member.",
        alt=f"Scatter of each member's loss against {next(iter(found))}, whose rank correlation is the strongest.",
        choices={name: plot.points(values[name].astype(float), share, names, name, up) for name in found},
        pick="Parameter",
        height=360,
    )


def _path(losses: Losses, paths: Float[np.ndarray, "member time"], events: Mapping[str, float]) -> plot.Figure:
    return path(losses.time, paths, losses.label, events)


def path(
    time: np.ndarray, paths: Float[np.ndarray, "member time"], label: str, events: Mapping[str, float]
) -> plot.Figure:
    """The members' paths as multiples of the baseline: bands, or the line of the only one."""
    days = days_of(time)
    if len(paths) == 1:
        traces = [plot.line(days, 100 * paths[0], label, color=plot.BLUE, width=2.5)]
    else:
        traces = plot.bands(days, 100 * np.quantile(paths, [LOW, 0.25, 0.5, 0.75, HIGH], axis=0))
    start = days[0] if isinstance(days[0], str) else None
    return plot.against_baseline(traces, (_time_title(time), f"{label.lower()}, % of baseline"), events, start)


def bars(rows: list[dict[str, Any]], dim: str, what: str, factor: float, title: str) -> plot.Figure:
    """Bars of the spreads `what` of rows that `dim` names, times a factor."""
    scaled = [{end: factor * row[what][end] for end in ("median", "low", "high")} for row in rows]
    return plot.bars([shortened(row.get("label", row[dim])) for row in rows], scaled, title)


def shortened(label: str) -> str:
    """A label that leaves room for a bar."""
    return label if len(label) <= LONGEST else label[: LONGEST - 1].rstrip(" ,") + "…"


def _path_titles(losses: Losses) -> tuple[str, str]:
    return _time_title(losses.time), f"{losses.label.lower()}, % of baseline"


def _day_words(losses: Losses, day: int) -> str:
    at = losses.days[day]
    return at if isinstance(at, str) else f"day {at}"


def _time_title(time: np.ndarray) -> str:
    return "date" if np.issubdtype(time.dtype, np.datetime64) else "day of the run"
