"""What stands under Prices: consumer prices, the prices that moved most, tariff revenue, money beside quantities."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from shockmesh.io.reports.figures import BARS, Panel, bars, path
from shockmesh.io.reports.headline import money_text, names_hit_most, ranged_money, rise
from shockmesh.io.reports.losses import Losses
from shockmesh.io.reports.page import Block, Card, Pair, Table
from shockmesh.io.reports.prices import Rises, last_day, most_moved, revenue_in_all
from shockmesh.kernels.rollout import quantity

ON_LAST_DAY = "rise on the last day, % of the undisturbed price"
CURVES = 45  # regions to choose from
BESIDE = {"output": "nominal_output", "value_added": "nominal_value_added"}


def cards(rises: Rises) -> Iterator[Card]:
    """The region whose consumer prices moved most, and the revenue of tariffs."""
    moved = most_moved(last_day(rises), 3)
    if moved:
        said = [f"{row['name']} {rise(row['rise']['median'])}" for row in moved]
        more = f", then {', '.join(said[1:])}" if len(said) > 1 else ""
        yield Card("Consumer prices", said[0], f"on the last day{more}")
    revenue = revenue_in_all(rises)
    if revenue is not None:
        median = money_text(float(np.median(revenue)), rises.currency)
        yield Card("Tariff revenue", median, f"over {len(rises.time)} days")


def blocks(rises: Rises, read: Mapping[str, Losses], events: Mapping[str, float]) -> Iterator[Block]:
    """The section of a run that recorded prices; `read`: its other variables, by name."""
    if rises.consumer is not None:
        yield _over_time(rises, events)
    panels = list(_bars(rises))
    yield from [Pair(*panels[:2]), *panels[2:]] if len(panels) > 1 else panels
    yield from _money_beside_quantities(read)


def _over_time(rises: Rises, events: Mapping[str, float]) -> Panel:
    assert rises.consumer is not None
    level, moved = 1 + rises.consumer, most_moved(last_day(rises), CURVES)
    if "region" in level.dims:
        names = [row["name"] for row in moved] or [str(level["region"].values[0])]
        paths = {name: level.sel(region=name).transpose("member", "time").values for name in names}
    else:
        paths = {"all": level.transpose("member", "time").values}
    choices = {name: path(rises.time, of, "Consumer prices", events) for name, of in paths.items()}
    most = ", ".join(f"{row['name']} {rise(row['rise']['median'])}" for row in moved[:3]) or "none"
    return Panel(
        id="consumer-prices",
        title="Consumer prices over time",
        note="What consumers pay at firms of the region, % of the undisturbed price; the region that moved most first.",
        alt=f"Consumer prices per day. Those that moved most by the last day: {most}.",
        choices=choices,
        pick="Region",
    )


def _bars(rises: Rises) -> Iterator[Panel]:
    consumer, moved = most_moved(last_day(rises), BARS), most_moved(rises.last, BARS)
    if len(consumer) > 1:
        yield _ranked("consumer-prices-by-region", "Consumer prices, by region", consumer)
    if moved:
        dims = [str(dim) for dim in rises.last.dims if dim != "member"] if rises.last is not None else []
        by = f", by {' and '.join(dims)}" if dims else ""
        yield _ranked("prices-moved-most", f"{rises.label} that moved most{by}", moved)
    yield from _revenue(rises)


def _ranked(name: str, title: str, rows: list[dict[str, Any]]) -> Panel:
    first = ", ".join(f"{row['name']} {rise(row['rise']['median'])}" for row in rows[:3])
    return Panel(
        id=name,
        title=title,
        note=f"On the last day; the {len(rows)} that moved most, up or down.",
        alt=f"Bars of the rise of {title.lower()}, the largest first: {first}.",
        choices={"": bars(rows, "name", "rise", 100, ON_LAST_DAY)},
        height=100 + 24 * len(rows),
    )


def _revenue(rises: Rises) -> Iterator[Panel]:
    """Where it was recorded by something, and anything was paid."""
    rows = most_moved(rises.revenue, BARS) if rises.revenue is not None and rises.revenue.ndim > 1 else []
    if rows:
        first = ", ".join(f"{row['name']} {ranged_money({**row['rise'], 'unit': rises.currency})}" for row in rows[:3])
        yield Panel(
            id="tariff-revenue",
            title="Tariff revenue, by who pays",
            note=f"Over {len(rises.time)} days. Firms pay on what they buy; a levy on energy counts too.",
            alt=f"Bars of the tariff revenue over the horizon, the largest first: {first}.",
            choices={"": bars(rows, "name", "rise", 1, f"revenue, {rises.currency}")},
            height=100 + 24 * len(rows),
        )


def _money_beside_quantities(read: Mapping[str, Losses]) -> Iterator[Table]:
    """Real and nominal change of what was recorded both ways: in all, and of the regions that change most."""
    by_quantity = {quantity(name): losses for name, losses in reversed([*read.items()])}
    pairs = [(by_quantity[of], by_quantity[money]) for of, money in BESIDE.items() if {of, money} <= {*by_quantity}]
    for real, nominal in pairs:
        rows = [["total", _change(real), _change(nominal)]]
        if "region" in real.dims and "region" in nominal.dims:
            names = names_hit_most(real, "region")
            ends = [*names[: BARS // 2], *names[max(BARS // 2, len(names) - BARS // 2) :]]
            rows += [[name, _change(real, name), _change(nominal, name)] for name in ends]
        caption = f"{real.label}: change over the horizon, % of baseline, median of members; most lost first"
        yield Table(caption, ["", "real", "at today's prices"], rows)


def _change(losses: Losses, region: str | None = None) -> str:
    share = losses.share() if region is None else losses.share("region").sel(region=region)
    return rise(-float(np.median(share.values)))
