"""What is wrong, or only odd, in a table: each check names its worst offenders. Tables are read region by region."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import xarray as xr
from jaxtyping import Float

SHOWN = 5
ROW_TOLERANCE = 1e-6  # of an industry's output: the round-off of sources in single precision
INVENTORY_CATEGORIES = ("INVEN", "INVNT", "P52", "P5M", "inventor", "c42")


@dataclass(frozen=True)
class Finding:
    """A check that found something."""

    check: str
    severity: Literal["error", "warning", "note"]
    message: str
    offenders: tuple[str, ...]  # industries or cells, the worst first


@dataclass(frozen=True)
class Cells:
    """Cells below zero: how many, their sum, and the worst, as (value, name)."""

    count: int = 0
    total: float = 0.0
    worst: tuple[tuple[float, str], ...] = ()


@dataclass(frozen=True)
class Sums:
    """What the checks need of a table, gathered in one pass."""

    names: list[str]  # of the industries
    sold: Float[np.ndarray, " industry"]  # to industries and final demand
    output: Float[np.ndarray, " industry"]
    value_added: Float[np.ndarray, " industry"]
    negative_flows: Cells
    negative_final: Cells  # inventory changes left out
    negative_inventories: int


def check_table(table: xr.Dataset) -> list[Finding]:
    """What was left out or changed when a table was read, and every finding in it; of several years, each year's."""
    remarks = [Finding("source", "note", remark, ()) for remark in table.attrs.get("remarks", [])]
    if "year" not in table.dims:
        return [*remarks, *_findings(table)]
    of_years = [
        Finding(found.check, found.severity, f"{int(year)}: {found.message}", found.offenders)
        for position, year in enumerate(table["year"].values)
        for found in _findings(table.isel(year=position))
    ]
    return [*remarks, *of_years]


def _findings(table: xr.Dataset) -> list[Finding]:
    sums, money = _gather(table), str(table.attrs.get("units", "")).partition(" / ")[0]
    return [found for check in _CHECKS for found in check(sums, money)]


def _gather(table: xr.Dataset) -> Sums:
    regions, sectors, categories = (
        [str(one) for one in table[name].values] for name in ("region", "sector", "category")
    )
    stocks = np.array([any(word in category for word in INVENTORY_CATEGORIES) for category in categories])
    sold, flows_below, final_below, stocks_below = [], Cells(), Cells(), 0
    for position, region in enumerate(regions):
        flows, final = table["Z"][position].values, table["Y"][position].values
        sold.append(flows.sum((1, 2)) + final.sum((1, 2)))
        flows_below = _with_negative(flows_below, flows, region, (sectors, regions, sectors))
        consumed = np.where(stocks, 0, final)
        final_below = _with_negative(final_below, consumed, region, (sectors, regions, categories))
        stocks_below += int((final[..., stocks] < 0).sum())
    return Sums(
        names=[f"{region} {sector}" for region in regions for sector in sectors],
        sold=np.concatenate(sold), output=table["output"].values.ravel(),
        value_added=table["value_added"].values.ravel(),
        negative_flows=flows_below, negative_final=final_below, negative_inventories=stocks_below,
    )  # fmt: skip


def _with_negative(cells: Cells, values: np.ndarray, region: str, labels: Sequence[Sequence[str]]) -> Cells:
    """The cells below zero so far, with those of one more region; only the worst keep their names."""
    below = np.argwhere(values < 0)
    amounts = values[tuple(below.T)]
    worst = [(float(amounts[i]), below[i]) for i in np.argsort(amounts)[:SHOWN]]
    sectors, to, last = labels
    named = [(value, f"{region} {sectors[i]} → {to[j]} {last[k]}") for value, (i, j, k) in worst]
    kept = tuple(sorted((*cells.worst, *named))[:SHOWN])
    return Cells(cells.count + len(below), cells.total + float(amounts.sum()), kept)


def _unbalanced(sums: Sums, money: str) -> Iterator[Finding]:
    gap = sums.sold - sums.output
    bad = np.flatnonzero(np.abs(gap) > ROW_TOLERANCE * np.maximum(sums.output, 1))
    worst = bad[np.argsort(-np.abs(gap[bad]))]
    named = tuple(f"{sums.names[i]} by {gap[i]:.4g}" for i in worst[:SHOWN])
    if len(bad):
        share = np.abs(gap).sum() / sums.output.sum()
        said = f"{len(bad)} industries sell more or less than their output; in all {share:.1e} of output [{money}]"
        yield Finding("row balance", "warning" if share < 1e-3 else "error", _with(said, named), named)


def _negative_flows(sums: Sums, money: str) -> Iterator[Finding]:
    yield from _cells("negative flows", "error", "cells of Z below zero", sums.negative_flows, money)


def _negative_final(sums: Sums, money: str) -> Iterator[Finding]:
    said = "cells of final demand below zero (inventory changes apart)"
    yield from _cells("negative final demand", "warning", said, sums.negative_final, money)
    if sums.negative_inventories:
        said = f"{sums.negative_inventories} cells of inventory changes are below zero: stocks drawn down"
        yield Finding("inventory changes", "note", said, ())


def _cells(check: str, severity: Literal["error", "warning"], said: str, cells: Cells, money: str) -> Iterator[Finding]:
    if cells.count:
        named = tuple(f"{name}: {value:.4g}" for value, name in cells.worst)
        yield Finding(check, severity, _with(f"{cells.count} {said}, {cells.total:.4g} {money} in all", named), named)


def _idle(sums: Sums, money: str) -> Iterator[Finding]:
    idle = np.flatnonzero(sums.output == 0)
    if len(idle):
        named = tuple(sums.names[i] for i in idle[:SHOWN])
        yield Finding("zero output", "note", _with(f"{len(idle)} industries have no output", named), named)


def _value_added(sums: Sums, money: str) -> Iterator[Finding]:
    below = np.flatnonzero(sums.value_added < -ROW_TOLERANCE * np.maximum(sums.output, 1))
    if len(below):
        worst = below[np.argsort(sums.value_added[below])][:SHOWN]
        named = tuple(f"{sums.names[i]}: {sums.value_added[i]:.4g}" for i in worst)
        said = f"{len(below)} industries buy more than they make [{money}]"
        yield Finding("value added", "warning", _with(said, named), named)


def _with(said: str, named: tuple[str, ...]) -> str:
    return f"{said}: {', '.join(named)}" if named else said


_CHECKS = (_unbalanced, _negative_flows, _negative_final, _idle, _value_added)
