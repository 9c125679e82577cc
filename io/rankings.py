"""Rankings of firms as CSV files, and the essentiality of inputs that a ranking may need.

A ranking has one row per firm, most important first: rank (firms of one value share it), firm, region, sector,
output, then the columns that were asked for.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from shockmesh.io.inputs.sector_matrices import name_cell, products_are_sectors, read_cells
from shockmesh.kernels.network import FirmNetwork


class RankingError(ValueError):
    """A file that cannot be written or read, or breaks a rule. The message names file, field, value and rule."""


def check_new(path: str | Path) -> Path:
    """The path, if a ranking can be written there.

    Raises:
        RankingError: the path exists.
    """
    path = Path(path)
    if path.exists():
        raise RankingError(f"{path}: exists already; give another path with --out")
    return path


def named_firms(network: FirmNetwork) -> dict[str, np.ndarray]:
    """Columns that name each firm: firm, region, sector."""
    region, sector = np.asarray(network.regions)[network.region], np.asarray(network.sectors)[network.sector]
    return {"firm": network.firm, "region": region, "sector": sector}


def write_ranking(
    path: str | Path, network: FirmNetwork, by: str, columns: Mapping[str, Float[np.ndarray, " firm"]]
) -> pd.DataFrame:
    """Write the firms as CSV, the largest of column `by` first, and return them.

    Raises:
        RankingError: the path exists.
    """
    path = check_new(path)
    rank = pd.Series(columns[by]).rank(method="min", ascending=False).astype(int)
    table = pd.DataFrame({"rank": rank, **named_firms(network), "output": network.output, **columns})
    table = table.sort_values("rank", kind="stable", ignore_index=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False)
    return table


def essential_of(network: FirmNetwork) -> Int[np.ndarray, "product sector"]:
    """How essential inputs are, as the imported links say; essential where no link does.

    Raises:
        RankingError: they do not, or the network's products are not its sectors, of which they say it.
    """
    if "essential" not in network.attrs:
        raise RankingError("essential: imported: the links of this network did not say how essential inputs are")
    if not products_are_sectors(network):
        raise RankingError("essential: imported: said of sectors; this network's products are not its sectors")
    place = {sector: i for i, sector in enumerate(network.sectors)}
    levels = np.full((len(place), len(place)), 2)
    for supplier, buyer, level in network.attrs["essential"]:
        levels[place[supplier], place[buyer]] = level
    return levels


def read_essential(path: str | Path, network: FirmNetwork) -> Int[np.ndarray, "product sector"]:
    """How essential inputs from each sector (rows) are to buyers of each sector (columns): 2, 1 or 0.

    A CSV whose first column and whose header name sectors, with 2 essential, 1 non-essential, 0 negligible, as
    GLcascade's `ess_mat_sec`. It may name more sectors than the network has.

    Raises:
        RankingError: a sector of the network is missing or named twice, a level is not 0, 1 or 2, or the network's
            products are not its sectors.
    """
    levels = read_cells(path, network, RankingError)
    wrong = ~np.isin(levels, ("0", "1", "2"))
    if wrong.any():
        cell = name_cell(network, levels, wrong)
        raise RankingError(f"{path}: {cell}: must be 2 (essential), 1 (non-essential) or 0 (negligible)")
    return levels.astype(int)
