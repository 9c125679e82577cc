"""What is wrong, or only odd, in a table: each check names its worst offenders. Tables are read region by region."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import xarray as xr
from jaxtyping import Float

SHOWN = 5
ROW_TOLERANCE = 1e-6  # of an industry's output; single precision sources are exact to this
INVENTORY_CATEGORIES = ("INVEN", "INVNT", "P52", "P5M", "inventor", "c42")


@dataclass(frozen=True)
class Finding:
    """A check that found something."""

    check: str
    severity: Literal["error", "warning", "note"]
    message: str
    offenders: tuple[str, ...]  # industries or cells, the worst first


@dataclass(frozen=True)
class Sums:
    """What the checks need of a table, gathered in one pass."""

    names: list[str]  # of the industries
    sold: Float[np.ndarray, " industry"]  # to industries and final demand
    output: Float[np.ndarray, " industry"]
    value_added: Float[np.ndarray, " industry"]
    negative_flows: dict[str, float]  # cell → value
    negative_final: dict[str, float]  # cell → value, inventory changes left out
    negative_inventories: int


def check_table(table: xr.Dataset) -> list[Finding]:
    """Every finding in a table; of several years, each year's, named by the year."""
    if "year" in table.dims:
        return [
            Finding(found.check, found.severity, f"{int(year)}: {found.message}", found.offenders)
            for position, year in enumerate(table["year"].values)
            for found in check_table(table.isel(year=position))
        ]
    sums = _gather(table)
    return [found for check in _CHECKS for found in check(sums, str(table.attrs.get("units", "")).partition(" / ")[0])]


def _gather(table: xr.Dataset) -> Sums:
    regions, sectors = (table[name].values for name in ("region", "sector"))
    categories = [str(category) for category in table["category"].values]
    stocks = np.array([any(word in category for word in INVENTORY_CATEGORIES) for category in categories])
    sold, flows_below, final_below, stocks_below = [], dict[str, float](), dict[str, float](), 0
    for position, region in enumerate(regions):
        flows, final = table["Z"][position].values, table["Y"][position].values
        sold.append(flows.sum((1, 2)) + final.sum((1, 2)))
        flows_below |= _negative(flows, region, sectors, regions, sectors)
        final_below |= _negative(np.where(stocks, 0, final), region, sectors, regions, np.asarray(categories))
        stocks_below += int((final[..., stocks] < 0).sum())
    return Sums(
        names=[f"{region} {sector}" for region in regions for sector in sectors],
        sold=np.concatenate(sold), output=table["output"].values.ravel(),
        value_added=table["value_added"].values.ravel(),
        negative_flows=flows_below, negative_final=final_below, negative_inventories=stocks_below,
    )  # fmt: skip


def _negative(
    values: np.ndarray, region: str, sectors: np.ndarray, to: np.ndarray, last: np.ndarray
) -> dict[str, float]:
    cells = np.argwhere(values < 0)
    return {f"{region} {sectors[i]} → {to[j]} {last[k]}": float(values[i, j, k]) for i, j, k in cells}


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


def _cells(
    check: str, severity: Literal["error", "warning"], said: str, cells: dict[str, float], money: str
) -> Iterator[Finding]:
    if cells:
        worst = sorted(cells, key=lambda name: cells[name])[:SHOWN]
        named = tuple(f"{name}: {cells[name]:.4g}" for name in worst)
        total = sum(cells.values())
        yield Finding(check, severity, _with(f"{len(cells)} {said}, {total:.4g} {money} in all", named), named)


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
