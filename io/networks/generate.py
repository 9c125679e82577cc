"""`generate_network`: a firm network consistent with an input–output table.

    clean the table → keep as many cells as the links can carry → draw firms → link them → close each firm's balance

The network's flows add up to the kept cells, its firms balance exactly, each industry's final demand and output are the
table's, and no firm's inputs exceed 0.98 of its output. What was repaired or left out is in `network.attrs`.
"""

from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float
from shockmesh.io.networks.candidates import draw_candidates
from shockmesh.io.networks.cells import Cells, Economy, GenerateError, clean, read_economy, thin
from shockmesh.io.networks.firms import Firms, draw_firms
from shockmesh.io.networks.links import Links, draw_links
from shockmesh.io.networks.parcels import draw_links as lay_links
from shockmesh.io.networks.repairs import as_records
from shockmesh.io.networks.walnut import draw_sized, kept_cells, trade_of
from shockmesh.kernels.network import FirmNetwork, firm_network

DAYS_PER_YEAR = 365
CELL_SHARE = 0.3  # of the link budget goes to covering cells, the rest to more partners per firm
MOST_FIRMS, MOST_LINKS = 100_000_000, 1000  # as many as the world has, about; per firm
CITED = ("title", "source", "license", "references", "year")


STRUCTURES = {
    "proportional": "every firm buys and sells as its industry does, in proportion to its size; degree grows with size",
    "walnut": "degrees, sizes and links as in national registers: a core, two half-shells, hubs that small firms seek",
}


def generate_network(
    table: xr.Dataset, firms: int, seed: int, mean_degree: float = 10.0, candidates: int = 0,
    structure: str = "proportional",
) -> FirmNetwork:  # fmt: skip
    """Draw a firm network from a table.

    Args:
        table: `Z`, `Y` and `output` of one year [million per year]; see io/DESIGN.md.
        firms: number of firms, at least one per industry with output, two where it supplies itself.
        seed: the same table, numbers and seed give the same network, bit for bit.
        mean_degree: links per firm to aim at; it also sets how many of the table's cells can be kept.
        candidates: suppliers more that each buyer could turn to for each product: see `draw_candidates`.
        structure: one of STRUCTURES: which firms deal with which; see `links.py` and `walnut.py`.

    Raises:
        GenerateError: the table lacks a variable or a yearly unit, has values that are not finite, or needs more firms;
            or more firms or links than there can be; or the seed or the mean degree is too small; or no such structure.
        NetworkError: candidates as in `draw_candidates`.
    """
    if seed < 0:
        raise GenerateError(f"seed: {seed}, must be 0 or more")
    if not 4 <= mean_degree <= MOST_LINKS:
        rule = f"at least 4 links per firm are needed to carry a table, and {MOST_LINKS:,} are the most"
        raise GenerateError(f"mean_degree: {mean_degree:g}: {rule}")
    if firms > MOST_FIRMS:
        raise GenerateError(f"firms: {firms:,} asked for: at most {MOST_FIRMS:,}")
    if structure not in STRUCTURES:
        raise GenerateError(f"structure: {structure!r}: one of {', '.join(STRUCTURES)}")
    unit = unit_per_day(table)
    told = read_economy(table)
    whole = clean(told)
    draw = _proportional if structure == "proportional" else _walnut
    economy, drawn, (supplier, buyer, amount), made = draw(whole, firms, int(mean_degree * firms), seed)
    final = _final_demand(economy, drawn, np.bincount(supplier, amount, firms))
    error = aggregate_error(told, economy, made, np.bincount(drawn.industry, final, told.n))
    region, sector = np.divmod(drawn.industry, len(told.sectors))
    settings = {"firms": firms, "seed": seed, "mean_degree": mean_degree, "structure": structure}
    network = firm_network(
        supplier, buyer, amount / DAYS_PER_YEAR, final / DAYS_PER_YEAR, region=region, sector=sector,
        regions=told.regions, sectors=told.sectors, unit=unit, final_shares=told.final_shares,
        attrs=_attributes(table, settings) | {"repairs": as_records(whole.repairs), "aggregate_error": error},
    )  # fmt: skip
    return draw_candidates(network, candidates, seed) if candidates else network


def _proportional(whole: Economy, firms: int, links: int, seed: int) -> tuple[Economy, Firms, Links, Cells]:
    """The cells kept, firms, links, and the links as cells."""
    rng = np.random.Generator(np.random.Philox(seed))
    economy = thin(whole, int(CELL_SHARE * links))
    drawn = draw_firms(economy, firms, rng)
    pieces = (links - len(economy.cells.value) - 2 * _within(economy, drawn)) // 2
    sales, inputs = _margins(economy, drawn)
    supplier, buyer, amount = draw_links(economy.cells, drawn, sales, inputs, max(pieces, firms), rng)
    return economy, drawn, (supplier, buyer, amount), Cells(drawn.industry[supplier], drawn.industry[buyer], amount)


def _walnut(whole: Economy, firms: int, links: int, seed: int) -> tuple[Economy, Firms, Links, Cells]:
    """The cells kept, firms, links, and what they carry of the cells."""
    economy, partners = kept_cells(whole, links)
    drawn = draw_sized(economy, firms, partners, seed)
    trade = trade_of(economy, drawn, seed)
    made, carried = lay_links(economy.cells, drawn, trade, partners, links, seed, len(whole.sectors))
    return economy, drawn, made, Cells(economy.cells.supplier, economy.cells.buyer, carried)


def aggregate_error(
    told: Economy, economy: Economy, made: Cells, final: Float[np.ndarray, " industry"]
) -> dict[str, float]:
    """How far a network's sums by industry, `made` and `final`, are from the table's.

    `z_dropped_cells`, `z_dropped_value`: share of positive cells, and of their value, without a link. `z_kept`: largest
    relative difference between a kept cell and its links (numerical). `z`: Σ|difference| / ΣZ against the table as
    given. `output`, `value_added`, `final_demand`: Σ|difference| / Σ against the table as given, by industry.
    """
    key, value = _by_cell(made, told.n)
    kept_key, kept_value = _by_cell(economy.cells, told.n)
    given_key, given_value = _by_cell(told.cells.take(told.cells.value > 0), told.n)
    carried = np.isin(given_key, key)
    position = np.minimum(np.searchsorted(key, given_key), len(key) - 1)
    network_value = np.where(carried, value[position], 0)
    output, told_output = final + made.sales(told.n), np.maximum(told.output, 0)
    return {
        "z_dropped_cells": float(1 - carried.mean()),
        "z_dropped_value": float(given_value[~carried].sum() / given_value.sum()),
        "z_kept": float(np.abs(value / kept_value - 1).max()) if np.array_equal(key, kept_key) else float("inf"),
        "z": _distance(network_value, given_value),
        "output": _distance(output, told_output),
        "value_added": _distance(output - made.inputs(told.n), told_output - told.cells.inputs(told.n)),
        "final_demand": _distance(final, told.final_demand),
    }


def _attributes(table: xr.Dataset, settings: dict[str, Any]) -> dict[str, Any]:
    told = about(table)
    title = f"{settings['firms']} firms generated from: {told.get('title', 'an input–output table')}"
    cited = {key: told[key] for key in ("source", "license") if key in told}
    return cited | {"title": title, "generator": settings | {"table": told}} | names_of(table)


def about(table: xr.Dataset) -> dict[str, Any]:
    """What a table says of its origin."""
    return {key: table.attrs[key] for key in CITED if key in table.attrs}


def names_of(table: xr.Dataset) -> dict[str, Any]:
    """The names of sectors that a table brings, as an attribute of a network."""
    return {"sector_names": dict(table.attrs["sector_names"])} if "sector_names" in table.attrs else {}


def _distance(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one - other).sum() / np.abs(other).sum())


def _by_cell(cells: Cells, n: int) -> tuple[np.ndarray, np.ndarray]:
    key, at = np.unique(cells.supplier.astype(np.int64) * n + cells.buyer, return_inverse=True)
    return key, np.bincount(at, cells.value)


def _within(economy: Economy, firms: Firms) -> int:
    cells = economy.cells
    return int(np.isin(firms.industry, cells.supplier[cells.supplier == cells.buyer]).sum())


def _margins(economy: Economy, firms: Firms) -> tuple[np.ndarray, np.ndarray]:
    """Each firm's sales to firms and its inputs: the industry's per unit of output."""
    share = firms.size / economy.output[firms.industry]
    sales, inputs = economy.cells.sales(economy.n), economy.cells.inputs(economy.n)
    return share * sales[firms.industry], share * inputs[firms.industry]


def _final_demand(economy: Economy, firms: Firms, sales: np.ndarray) -> np.ndarray:
    """Close each firm's balance: size less sales, scaled to the industry's final demand."""
    rest = np.maximum(firms.size - sales, 0)
    total = np.bincount(firms.industry, rest, economy.n)
    return rest * np.divide(economy.final_demand, total, out=np.zeros(economy.n), where=total > 0)[firms.industry]


def unit_per_day(table: xr.Dataset) -> str:
    """Its money per day. Raises GenerateError if its flows are not money per year."""
    unit = str(table["Z"].attrs.get("units", table.attrs.get("units", ""))) if "Z" in table else ""
    money, _, period = unit.partition("/")
    if period.strip() != "year":
        raise GenerateError(f"table: units of Z: {unit!r}, expected money per year, such as 'million USD / year'")
    return f"{money.strip()} / day"
