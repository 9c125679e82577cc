"""Candidates of a network: who else could supply what a buyer buys. Drawn from the network itself, or read from a file.

For each pool (one buyer's links of one product) K more of the firms that sell the product are drawn, one after the
other, none twice and none that supplies it already, by the rule that the generator's own links follow: firms meet in
proportion to what they trade, and regions as the table's flows say. With sales_j of the product, a supplier j of
region r is drawn for a buyer in region R with the weight

    sales_j / Σ_{firms of r} sales · T(r, R)        T: what firms of R buy of the product from firms of r

so that distance counts as trade counts it. A pool whose product too few others sell gets fewer than K.
"""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from shockmesh.io.inputs.files import open_source
from shockmesh.io.inputs.rows.columns import CANDIDATES
from shockmesh.io.inputs.rows.lists import read_sheet
from shockmesh.io.inputs.rows.sheets import Sheet, positions, refuse
from shockmesh.kernels.devices.layout import pools_of
from shockmesh.kernels.network import FirmNetwork, NetworkError, with_candidates

MOST_CANDIDATES = 1000  # a pool
STREAM = 1  # apart from the draws of `generate_network`, which may have the same seed
ROUNDS = 30  # of proposals; a pool that still lacks some wants firms that are hardly ever drawn


def draw_candidates(network: FirmNetwork, per_pool: int, seed: int) -> FirmNetwork:
    """The network with `per_pool` candidates drawn for each pool, the same for the same seed.

    Raises:
        NetworkError: fewer than one for each pool, or more than there can be; a seed below 0.
    """
    if not 1 <= per_pool <= MOST_CANDIDATES:
        raise NetworkError(f"candidates: {per_pool}: must be ≥ 1 and ≤ {MOST_CANDIDATES:,} for each pool")
    if seed < 0:
        raise NetworkError(f"seed: {seed}, must be 0 or more")
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, STREAM))))
    parts = list(_of_products(network, per_pool, rng))
    supplier, buyer, product = (np.concatenate([part[k] for part in parts]) if parts else [] for k in range(3))
    return with_candidates(network, supplier, buyer, product)


def _of_products(
    network: FirmNetwork, per_pool: int, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Suppliers, buyers and product of the candidates of each product in turn."""
    by_product = np.argsort(network.product, kind="stable")  # within a product by buyer
    starts = np.searchsorted(network.product[by_product], np.arange(int(network.product.max(initial=-1)) + 2))
    for product, (start, end) in enumerate(pairwise(starts)):
        links = by_product[start:end]
        if len(links):
            supplier, buyer = _drawn(network, links, per_pool, rng)
            yield supplier, buyer, np.full(len(supplier), product)


def _drawn(
    network: FirmNetwork, links: Int[np.ndarray, " link"], per_pool: int, rng: np.random.Generator
) -> tuple[Int[np.ndarray, " drawn"], Int[np.ndarray, " drawn"]]:
    """Candidates of all pools of one product, whose links are sorted by buyer: proposals that are new, until enough."""
    sellers, at = np.unique(network.supplier[links], return_inverse=True)
    pool, first = pools_of(network.buyer[links], network.product[links])
    buyers, n = network.buyer[links[first]], len(sellers)
    ends = _ends(network, links, sellers)
    own = np.searchsorted(sellers, buyers)
    itself = np.flatnonzero((own < n) & (sellers[np.minimum(own, n - 1)] == buyers))
    taken = np.unique(np.concatenate([pool * n + at, itself * n + own[itself]]))
    found = np.zeros(0, np.int64)  # pool · sellers + seller
    lacking = np.full(len(buyers), per_pool)
    for _ in range(ROUNDS):
        open_pools = np.flatnonzero(lacking)
        if not len(open_pools):
            break
        asks = np.repeat(open_pools, 2 * lacking[open_pools])
        row = network.region[buyers[asks]]
        seller = np.searchsorted(ends, row + rng.random(len(asks)), side="right") - row * n
        proposed = asks * n + np.minimum(seller, n - 1)
        _, once = np.unique(proposed, return_index=True)
        proposed = proposed[np.sort(once)]
        proposed = proposed[~np.isin(proposed, taken)]
        rank = _rank(proposed // n)
        accepted = proposed[rank < lacking[proposed // n]]
        found, taken = np.concatenate([found, accepted]), np.union1d(taken, accepted)
        lacking = lacking - np.bincount(accepted // n, minlength=len(lacking))
    return sellers[found % n], buyers[found // n]


def _rank(group: Int[np.ndarray, " item"]) -> Int[np.ndarray, " item"]:
    """How many items of its group come before each item; groups ascend."""
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    return np.arange(len(group)) - np.repeat(starts, np.diff(np.append(starts, len(group))))


def _ends(
    network: FirmNetwork, links: Int[np.ndarray, " link"], sellers: Int[np.ndarray, " seller"]
) -> Float[np.ndarray, " region_seller"]:
    """For each region that buys, the ends of its sellers' shares on a line of length 1, one region after the other."""
    regions = len(network.regions)
    supplier, amount = network.supplier[links], network.amount[links]
    sales = np.bincount(np.searchsorted(sellers, supplier), amount, len(sellers))
    origin = network.region[sellers]
    trade = np.zeros((regions, regions))
    np.add.at(trade, (network.region[network.buyer[links]], network.region[supplier]), amount)  # buys from
    share = sales / np.bincount(origin, sales, regions)[origin]
    ends = np.cumsum(trade[:, origin] * share, axis=1)
    total = ends[:, -1:]
    ends = np.divide(ends, total, out=np.ones_like(ends), where=total > 0)
    return (ends + np.arange(regions)[:, None]).ravel()


def candidates_of(network: FirmNetwork, said: str) -> FirmNetwork:
    """The network with candidates as an option says them: a number to draw for each pool (seed 0), or a file.

    Raises:
        NetworkError, SheetError: as `draw_candidates` and `read_candidates`.
    """
    return draw_candidates(network, int(said), 0) if said.isdecimal() else read_candidates(network, said)


def read_candidates(network: FirmNetwork, path: str | Path) -> FirmNetwork:
    """The network with the candidates of a file: supplier, buyer[, product], a list as `import_links` reads them.

    Ids are those of the firms, compared as written. Without a product it is what the supplier sells to others, or his
    sector where he sells nothing.

    Raises:
        SheetError, SourceError: no such file, a column that is missing, an id unknown, or a supplier that sells several
            products; with file and rows.
        NetworkError: a candidate breaks a rule of `with_candidates`.
    """
    sheet = read_sheet(open_source(path).one(".*", "of candidates"), CANDIDATES)
    known = pd.Index(network.firm.astype(str))
    supplier, buyer = (positions(known, *sheet.codes(end)) for end in ("supplier", "buyer"))
    refuse(
        [
            *sheet.complain(supplier < 0, "supplier is not a firm of the network", "supplier"),
            *sheet.complain(buyer < 0, "buyer is not a firm of the network", "buyer"),
        ]
    )
    return with_candidates(network, supplier, buyer, _products(network, sheet, supplier))


def _products(network: FirmNetwork, sheet: Sheet, supplier: Int[np.ndarray, " row"]) -> Int[np.ndarray, " row"]:
    if "product" in sheet:
        known = pd.Index(network.attrs.get("products", network.sectors))
        product = positions(known, *sheet.codes("product"))
        refuse(sheet.complain(product < 0, "product is none of the network's", "product"))
        return product
    least, most = np.full(network.n_firms, 2**31 - 1), np.full(network.n_firms, -1)
    np.minimum.at(least, network.supplier, network.product)
    np.maximum.at(most, network.supplier, network.product)
    several = (most > least)[supplier]
    refuse(sheet.complain(several, "supplier sells several products: a column product must say which", "supplier"))
    return np.where(most >= 0, most, network.sector)[supplier]
