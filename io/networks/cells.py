"""From a table to the industry flows that a firm network shall carry: cleaned, thinned to a budget, rebalanced.

Everything is sparse: a table of 20,000 industries is read one supplier region at a time, and only its positive cells
are kept. Nothing is repaired silently: each `Repair` counts what was changed and names the largest cases.
"""

from dataclasses import dataclass

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float, Int
from shockmesh.io.networks.repairs import Repair

MAX_INPUT_SHARE = 0.98  # an industry's inputs per unit of output, at most
ROUNDS, TOLERANCE = 100, 1e-10
NEGLIGIBLE = 1e-12  # a cell below this share of both its industries' outputs is rounding noise of the table
UNMET, SMALL_PART = 1e-4, 0.02  # of what an industry sells or buys
FADED = 1e-3  # a cell that RAS scales below this share of itself is dropped
Z_DIMS = ("region_from", "sector_from", "region_to", "sector_to")


class GenerateError(ValueError):
    """A table, or a number of firms, from which no network can be made. The message names the field and the rule."""


@dataclass(frozen=True)
class Cells:
    """Positive flows between industries, sparse; industry = region · n_sectors + sector."""

    supplier: Int[np.ndarray, " cell"]
    buyer: Int[np.ndarray, " cell"]
    value: Float[np.ndarray, " cell"]  # [unit of the table]

    def take(self, keep: Bool[np.ndarray, " cell"] | Int[np.ndarray, " some"]) -> "Cells":
        return Cells(self.supplier[keep], self.buyer[keep], self.value[keep])

    def sales(self, n: int) -> Float[np.ndarray, " industry"]:
        return np.bincount(self.supplier, self.value, n)

    def inputs(self, n: int) -> Float[np.ndarray, " industry"]:
        return np.bincount(self.buyer, self.value, n)


@dataclass(frozen=True)
class Economy:
    """The industries of a table: flows, final demand and output in balance, output = sales + final demand."""

    cells: Cells
    final_demand: Float[np.ndarray, " industry"]
    output: Float[np.ndarray, " industry"]  # 0 for an industry that was dropped
    regions: tuple[str, ...]
    sectors: tuple[str, ...]
    repairs: tuple[Repair, ...] = ()
    final_shares: Float[np.ndarray, "industry region"] | None = None  # of final demand, by region that buys

    @property
    def n(self) -> int:
        return len(self.output)

    def names(self, industries: Int[np.ndarray, " some"]) -> tuple[str, ...]:
        size = len(self.sectors)
        return tuple(f"{self.regions[i // size]} {self.sectors[i % size]}" for i in industries)


def read_economy(table: xr.Dataset) -> Economy:
    """Read a table's cells, final demand and output as they are, negative ones included.

    Raises:
        GenerateError: a variable or dimension is missing, labels disagree, or a value is not finite.
    """
    _check_shape(table)
    regions, sectors = (tuple(map(str, table[name].values)) for name in ("region", "sector"))
    final = table["Y"].transpose("region_from", "sector_from", ...).values
    final = final.reshape(len(regions) * len(sectors), -1).sum(1, dtype=np.float64)
    output = table["output"].transpose("region", "sector").values.astype(np.float64).ravel()
    for name, values in (("Y", final), ("output", output)):
        _check_finite(name, values, np.arange(len(values)), sectors, regions)
    cells = _read_cells(table["Z"].transpose(*Z_DIMS), sectors, regions)
    return Economy(cells, final, output, regions, sectors, final_shares=_final_shares(table))


def _final_shares(table: xr.Dataset) -> Float[np.ndarray, "industry region"] | None:
    """The share of each industry's final demand that each region buys; None if the table does not say.

    What a region takes out of inventories on balance is not bought.
    """
    if "region_to" not in table["Y"].dims:
        return None
    bought = table["Y"].transpose("region_from", "sector_from", "region_to", ...).values.astype(np.float64)
    bought = np.maximum(bought.reshape(*bought.shape[:3], -1).sum(axis=3), 0).reshape(-1, bought.shape[2])
    total = bought.sum(axis=1, keepdims=True)
    return np.divide(bought, total, out=np.zeros_like(bought), where=total > 0)


def clean(economy: Economy) -> Economy:
    """Make a table fit for firms, and say what was changed.

    1. Negative cells, and cells that are rounding noise, are dropped. 2. Industries without output, or without any
    sales, are dropped with their cells. 3. Final demand below zero (inventories drawn down) is raised to zero.
    4. Output is restated as sales plus final demand. 5. Where inputs exceed 0.98 of output they are scaled down to
    it; the suppliers keep their output, and what they no longer sell to industries becomes final demand.
    """
    cells = economy.cells.take(_matters(economy))
    kept = _living(cells, economy)
    cells = cells.take(kept[cells.supplier] & kept[cells.buyer])
    sales, final = cells.sales(economy.n), np.where(kept, np.maximum(economy.final_demand, 0), 0)
    output = sales + final
    inputs = cells.inputs(economy.n)
    ceiling = MAX_INPUT_SHARE * output
    scale = np.divide(ceiling, inputs, out=np.ones(economy.n), where=inputs > ceiling)
    scaled = Cells(cells.supplier, cells.buyer, cells.value * scale[cells.buyer])
    final = np.maximum(output - scaled.sales(economy.n), 0) if (scale < 1).any() else final
    repairs = _repairs(economy, kept, output, np.maximum(inputs - ceiling, 0))
    return Economy(scaled, final, output, economy.regions, economy.sectors, repairs)


def thin(economy: Economy, budget: int, *, exact: bool = False) -> Economy:
    """Keep the largest cell of every column and row and the largest overall, and rebalance by RAS.

    With a budget that covers all cells nothing changes. Otherwise the kept cells are scaled (iterative proportional
    fitting on the kept cells) so that each industry sells and buys what it did. What the kept cells cannot carry goes
    to final demand and value added; `exact` keeps more cells of the industries where that is more than `UNMET`.
    """
    cells = economy.cells
    if len(cells.value) <= budget:
        return economy
    kept = np.zeros(len(cells.value), bool)
    kept[np.argpartition(-cells.value, budget)[:budget]] = True
    kept |= _is_largest(cells.supplier, cells.value, economy.n) | _is_largest(cells.buyer, cells.value, economy.n)
    sales, inputs = cells.sales(economy.n), cells.inputs(economy.n)
    fitted = rebalance(cells.take(kept), sales, inputs)
    while exact and (more := _unmet(cells, sales, inputs, fitted) & ~kept).any():
        kept |= more
        fitted = rebalance(cells.take(kept), sales, inputs)
    final = np.maximum(economy.output - fitted.sales(economy.n), 0)
    return Economy(fitted, final, economy.output, economy.regions, economy.sectors, economy.repairs)


def _unmet(cells: Cells, sales: np.ndarray, inputs: np.ndarray, fitted: Cells) -> np.ndarray:
    """Cells that are no small part of an industry's sales or inputs which the fitted cells do not meet."""
    n, found = len(sales), np.zeros(len(cells.value), bool)
    sides = (cells.supplier, sales, fitted.sales(n)), (cells.buyer, inputs, fitted.inputs(n))
    for side, whole, met in sides:
        short = np.abs(met - whole) > UNMET * whole
        found |= short[side] & (cells.value > SMALL_PART * whole[side])
    return found


def rebalance(cells: Cells, sales: Float[np.ndarray, " industry"], inputs: Float[np.ndarray, " industry"]) -> Cells:
    """Scale rows and columns of sparse cells towards given sums (RAS); no sum ends above its target."""
    value, n = cells.value.copy(), len(sales)
    for _ in range(ROUNDS):
        value *= _ratio(sales, np.bincount(cells.supplier, value, n))[cells.supplier]
        bought = np.bincount(cells.buyer, value, n)
        value *= _ratio(inputs, bought)[cells.buyer]
        if np.abs(bought - inputs).sum() <= TOLERANCE * inputs.sum():
            break
    sold = np.bincount(cells.supplier, value, n)
    value *= np.minimum(_ratio(sales, sold), 1)[cells.supplier]
    return Cells(cells.supplier, cells.buyer, value).take(value > FADED * cells.value)


def _ratio(target: np.ndarray, actual: np.ndarray) -> np.ndarray:
    return np.divide(target, actual, out=np.ones_like(actual), where=actual > 0)


def _is_largest(group: np.ndarray, value: np.ndarray, n: int) -> np.ndarray:
    largest = np.zeros(n)
    np.maximum.at(largest, group, value)
    return value == largest[group]


def _matters(economy: Economy) -> np.ndarray:
    cells, output = economy.cells, economy.output
    return cells.value > NEGLIGIBLE * np.maximum(np.minimum(output[cells.supplier], output[cells.buyer]), 0)


def _living(cells: Cells, economy: Economy) -> np.ndarray:
    """Industries with output and with sales. A loop, since dropping one may leave another without customers."""
    final = np.maximum(economy.final_demand, 0)
    kept = economy.output > 0
    while True:
        within = kept[cells.supplier] & kept[cells.buyer]
        still = kept & (cells.take(within).sales(economy.n) + final > 0)
        if (still == kept).all():
            return kept
        kept = still


def _repairs(economy: Economy, kept: np.ndarray, output: np.ndarray, excess: np.ndarray) -> tuple[Repair, ...]:
    cells, final, n = economy.cells, economy.final_demand, economy.n
    negative = cells.take(cells.value < 0)
    noise = cells.take((cells.value > 0) & ~_matters(economy))
    dropped = cells.take(_matters(economy) & ~(kept[cells.supplier] & kept[cells.buyer]))
    lost = dropped.sales(n) + dropped.inputs(n) + np.where(kept, 0, np.abs(final))
    below = np.where(kept, np.maximum(-final, 0), 0)
    restated = np.where(kept, np.abs(output - economy.output), 0)
    gone = np.flatnonzero(~kept)
    largest = gone[np.argsort(-lost[gone], kind="stable")][:3]
    made = (
        _repair(economy, "negative cells set to zero", len(negative.value), -negative.sales(n)),
        _repair(economy, f"cells below {NEGLIGIBLE} of both outputs dropped", len(noise.value), noise.sales(n)),
        Repair("industries without output or sales dropped with their cells", len(gone),
               float(dropped.value.sum() + np.abs(final[gone]).sum()), economy.names(largest)),
        _repair(economy, "final demand below zero raised to zero", int((below > 0).sum()), below),
        _repair(economy, "output restated as sales plus final demand", int((restated > 1e-9 * output).sum()), restated),
        _repair(economy, f"inputs above {MAX_INPUT_SHARE} of output scaled down", int((excess > 0).sum()), excess),
    )  # fmt: skip
    return tuple(repair for repair in made if repair.count)


def _repair(economy: Economy, text: str, count: int, amounts: np.ndarray) -> Repair:
    return Repair(text, count, float(amounts.sum()), economy.names(_top(amounts)))


def _top(amounts: np.ndarray, count: int = 3) -> np.ndarray:
    order = np.argsort(-amounts, kind="stable")[:count]
    return order[amounts[order] > 0]


def _check_shape(table: xr.Dataset) -> None:
    want = {"Z": Z_DIMS, "Y": Z_DIMS[:2], "output": ("region", "sector")}
    for name, dims in want.items():
        if name not in table:
            raise GenerateError(f"table: no variable {name!r}; a table has Z, Y and output")
        have = tuple(map(str, table[name].dims))
        if not set(dims) <= set(have) or (name != "Y" and set(dims) != set(have)) or "year" in have:
            raise GenerateError(f"table: {name} has dimensions {have}, expected {dims}; choose one year")
    for role in ("region", "sector"):
        for side in ("from", "to"):
            if list(table[f"{role}_{side}"].values) != list(table[role].values):
                raise GenerateError(f"table: the labels of {role}_{side} are not those of {role}, in its order")


def _read_cells(flows: xr.DataArray, sectors: tuple[str, ...], regions: tuple[str, ...]) -> Cells:
    size, parts = len(sectors), list[Cells]()
    for region in range(len(regions)):
        block = flows.isel(region_from=region).values.reshape(size, -1)
        supplier, buyer = np.nonzero(block)
        value = block[supplier, buyer].astype(np.float64)
        supplier = (supplier + region * size).astype(np.int32)
        _check_finite("Z", value, supplier, sectors, regions)
        parts.append(Cells(supplier, buyer.astype(np.int32), value))
    return Cells(
        np.concatenate([part.supplier for part in parts]),
        np.concatenate([part.buyer for part in parts]),
        np.concatenate([part.value for part in parts]),
    )


def _check_finite(
    name: str, values: np.ndarray, industry: np.ndarray, sectors: tuple[str, ...], regions: tuple[str, ...]
) -> None:
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        at = int(industry[bad[0]])
        where = f"{regions[at // len(sectors)]} {sectors[at % len(sectors)]}"
        raise GenerateError(f"table: {name}: {len(bad)} values are not finite, the first in the row of {where}")
