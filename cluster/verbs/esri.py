"""`shockmesh esri`: the Economic Systemic Risk Index of every firm of a store, as a ranking."""

from pathlib import Path

import numpy as np
import pandas as pd
from shockmesh.io.networks.industries import load_economy
from shockmesh.io.rankings import RankingError, check_new, essential_of, read_essential, write_ranking
from shockmesh.kernels.esri import TOLERANCE, Essential, Market, Size, esri
from shockmesh.kernels.network import FirmNetwork


def rank_by_esri(
    store: str | Path,
    out: str | Path,
    *,
    year: int | None = None,
    essential: str | Path = "all",
    market: Market = "sector",
    size: Size = "sales",
    tolerance: float = TOLERANCE,
    batch: int = 32,
) -> pd.DataFrame:
    """Compute the index of every firm of a store and write the ranking to `out`, a CSV with column `esri`.

    Args:
        store: of a network, or of a table, whose industries are then the firms.
        year: of a table of several years.
        essential: which inputs are essential: all, none, as imported with the links, or the CSV of `read_essential`.
        market, size, tolerance, batch: as in `shockmesh.kernels.esri`.

    Raises:
        NetworkStoreError, TableError, GenerateError: no sound network or table there, or another year.
        RankingError: `out` exists, the file of `essential` breaks a rule, or a number is out of its range.
    """
    check_new(out)
    if batch < 1:
        raise RankingError(f"batch: {batch}: must be ≥ 1")
    if not 0 < tolerance <= 1:
        raise RankingError(f"tolerance: {tolerance}: must be > 0 and ≤ 1, a share of a firm's output")
    network = load_economy(store, year)
    if not network.n_links:
        raise RankingError(f"{store}: links: 0: an index needs firms that sell to firms")
    index = esri(
        network,
        _level(essential, network),
        market=market,
        size=size,
        tolerance=tolerance,
        batch=min(batch, network.n_firms),
    )
    return write_ranking(out, network, "esri", {"esri": index.astype(np.float64)})


def _level(essential: str | Path, network: FirmNetwork) -> Essential:
    if isinstance(essential, str) and (essential == "all" or essential == "none"):
        return essential
    return essential_of(network) if essential == "imported" else read_essential(essential, network)
