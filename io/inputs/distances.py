"""Reading how many days goods are on the way, by pair of who sells and who buys.

CSV, one row for each pair, with the column `days` and

* `supplier,buyer`: two firms that trade;
* any of `supplier_region,supplier_sector,buyer_region,buyer_sector`, of the supplier and of the buyer one at least:
  all trade between two groups; where the buyer has a region alone, what consumers there buy is of it too.

0 days means there at once, as for pairs that no row names.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from shockmesh.io.inputs.calendar import numbers_in
from shockmesh.io.inputs.scenarios import ScenarioError, codes_of, known, read_columns, require
from shockmesh.kernels.network import FirmNetwork

GROUPS = {"supplier_region": "region", "supplier_sector": "sector", "buyer_region": "region", "buyer_sector": "sector"}


@dataclass(frozen=True)
class Distances:
    """Days on the way."""

    of_links: Int[np.ndarray, " link"]  # 0: none
    of_consumers: Int[np.ndarray, "industry region"] | None  # from firms to a region's consumers; None: of firms alone


def read_distances(path: str, network: FirmNetwork, most: int) -> Distances:
    """Days of each link of a network, and of final goods.

    Raises:
        ScenarioError: other columns, a firm, region or sector that is unknown, firms that do not trade, a pair given
            twice, or days that are not whole or not within 0 … `most`.
    """
    columns = read_columns(path)
    keys = [name for name in columns if name != "days"]
    firms, groups = set(keys) == {"supplier", "buyer"}, set(keys) <= set(GROUPS)
    both = {name.partition("_")[0] for name in keys} == {"supplier", "buyer"}
    if "days" not in columns or not both or not (firms or groups):
        rule = f"must be days and supplier, buyer, or some of {', '.join(GROUPS)}, of both ends"
        raise ScenarioError(f"{path}:1: columns: {', '.join(columns)}: {rule}")
    days, line = numbers_in(columns["days"]), np.arange(len(columns["days"])) + 2
    require(path, "days", line, columns["days"], (days >= 0) & (days <= most) & (days % 1 == 0), f"whole, 0 … {most:,}")
    twice = pd.DataFrame({key: columns[key] for key in keys}).duplicated().to_numpy()
    require(path, keys[0], line, columns[keys[0]], ~twice, f"of one row for each {', '.join(keys)}")
    kinds = {key: GROUPS.get(key, "firm") for key in keys}
    names = {kind: known(network, kind) for kind in set(kinds.values())}
    codes = {key: codes_of(path, key, line, columns[key], names[kind], kind) for key, kind in kinds.items()}
    if firms:
        return Distances(_of_pairs(path, network, columns, codes, days, line), None)
    labels = {"region": network.region, "sector": network.sector}
    ends = {key: getattr(network, key.partition("_")[0]) for key in keys}
    of_links = _matched(codes, {key: labels[GROUPS[key]][ends[key]] for key in keys}, days)
    if "buyer_sector" in keys:
        return Distances(of_links, None)
    cells = np.indices((len(network.regions), len(network.sectors), len(network.regions))).reshape(3, -1)
    of_cells: dict[str, np.ndarray] = dict(
        zip(("supplier_region", "supplier_sector", "buyer_region"), cells, strict=True)
    )
    found = _matched(codes, {key: of_cells[key] for key in keys}, days)
    return Distances(of_links, found.reshape(-1, len(network.regions)))


def _of_pairs(
    path: str,
    network: FirmNetwork,
    columns: dict[str, np.ndarray],
    codes: dict[str, np.ndarray],
    days: Float[np.ndarray, " row"],
    line: np.ndarray,
) -> Int[np.ndarray, " link"]:
    """Days of links between firms; each pair has one at least."""
    trading = pd.MultiIndex.from_arrays([network.supplier, network.buyer])
    given = pd.MultiIndex.from_arrays([codes["supplier"], codes["buyer"]])
    pairs = np.char.add(np.char.add(columns["supplier"], " → "), columns["buyer"])
    require(
        path,
        "supplier, buyer",
        line,
        pairs,
        np.asarray(given.isin(trading)),
        "firms of which the first sells to the other",
    )
    return _matched(codes, {"supplier": network.supplier, "buyer": network.buyer}, days)


def _matched(
    codes: dict[str, np.ndarray], items: dict[str, np.ndarray], days: Float[np.ndarray, " row"]
) -> Int[np.ndarray, " item"]:
    """Days of items by the row that has their codes; 0 where none has."""
    rows = pd.MultiIndex.from_arrays(list(codes.values()))
    at = np.asarray(rows.get_indexer(pd.MultiIndex.from_arrays([items[key] for key in codes])))
    return np.where(at >= 0, days[at], 0).astype(np.int64)
