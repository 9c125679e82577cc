"""The firm network: the one noun that every room shares.

A network is firms (region, sector, baseline output, final demand) and supply links (supplier → buyer, amount,
product). A firm may supply itself, as an industry does. A network is immutable, held on the host as NumPy arrays in
canonical order (links sorted by buyer, product, supplier), and validated when it is made, written or read.

    >>> import numpy as np
    >>> chain = firm_network(supplier=[0, 1], buyer=[1, 2], amount=[1.0, 1.0], final_demand=[0.0, 0.0, 1.0])
    >>> chain.n_firms, chain.n_links, chain.output.tolist()
    (3, 2, [1.0, 1.0, 1.0])
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

BALANCE_TOLERANCE = 1e-6
OF_FIRMS = ("final_demand", "output", "region", "sector", "firm")
OF_LINKS = ("supplier", "buyer", "amount", "product")
CANDIDATE_ENDS = ("supplier", "buyer", "product")


class NetworkError(ValueError):
    """A network that breaks a rule. The message names the field, the first offenders and the rule."""


@dataclass(frozen=True)
class Candidates:
    """Suppliers that buyers might turn to: firms that sell the product of a pool, and nothing to its buyer yet.

    Sorted by buyer, product, supplier, as links are. `with_candidates` gives a network its own.
    """

    supplier: Int[np.ndarray, " candidate"]  # firm index, int32
    buyer: Int[np.ndarray, " candidate"]  # firm index, int32, ascending
    product: Int[np.ndarray, " candidate"]  # of the pool, which the buyer has links of

    def __len__(self) -> int:
        return len(self.supplier)


NONE = Candidates(*(np.zeros(0, np.int32) for _ in range(3)))


@dataclass(frozen=True)
class FirmNetwork:
    """Firms and supply links. Make one with `firm_network`, which sorts and validates.

    Flows are values at base prices per day, in `unit`.
    """

    supplier: Int[np.ndarray, " link"]  # firm index of the seller, int32
    buyer: Int[np.ndarray, " link"]  # firm index of the buyer, int32, ascending
    amount: Float[np.ndarray, " link"]  # baseline flow Z⁰ [unit], > 0
    product: Int[np.ndarray, " link"]  # product code; links of one buyer and one product are substitutes (pooled)
    final_demand: Float[np.ndarray, " firm"]  # C [unit], ≥ 0
    output: Float[np.ndarray, " firm"]  # baseline output x⁰ = sales + C [unit], ≥ 0
    region: Int[np.ndarray, " firm"]  # index into `regions`
    sector: Int[np.ndarray, " firm"]  # index into `sectors`
    firm: np.ndarray  # firm ids as the user knows them, strings or integers, [firm]
    regions: tuple[str, ...]
    sectors: tuple[str, ...]
    unit: str = "million USD / day"
    attrs: dict[str, Any] = field(default_factory=dict)  # title, source, licence, provenance …
    # who buys for final use: the share of each industry's final demand that each region buys; a row sums to what of it
    # has a known buyer, 1 at most. None: unknown
    final_shares: Float[np.ndarray, "industry region"] | None = None
    candidates: Candidates = NONE  # who else could supply; they are no links, and count nowhere among them

    @property
    def n_firms(self) -> int:
        return len(self.output)

    @property
    def n_links(self) -> int:
        return len(self.amount)

    @property
    def sales(self) -> Float[np.ndarray, " firm"]:
        """What each firm sells to other firms [unit]."""
        return self._sum(self.supplier)

    @property
    def inputs(self) -> Float[np.ndarray, " firm"]:
        """What each firm buys from other firms [unit]."""
        return self._sum(self.buyer)

    def _sum(self, firm: Int[np.ndarray, " link"]) -> Float[np.ndarray, " firm"]:
        """Amounts of links by firm. (Without links NumPy counts in integers.)"""
        return np.bincount(firm, self.amount, self.n_firms).astype(np.float64, copy=False)

    @property
    def value_added(self) -> Float[np.ndarray, " firm"]:
        """Output less intermediate inputs [unit]; negative for a firm that buys more than it makes."""
        return self.output - self.inputs

    @property
    def industry(self) -> Int[np.ndarray, " firm"]:
        """Code of (region, sector), sorted: region · n_sectors + sector."""
        return self.region.astype(np.int64) * len(self.sectors) + self.sector


def firm_network(
    supplier: ArrayLike,
    buyer: ArrayLike,
    amount: ArrayLike,
    final_demand: ArrayLike,
    *,
    output: ArrayLike | None = None,
    product: ArrayLike | None = None,
    region: ArrayLike | None = None,
    sector: ArrayLike | None = None,
    firm: ArrayLike | None = None,
    regions: Sequence[str] = ("region",),
    sectors: Sequence[str] = ("sector",),
    unit: str = "million USD / day",
    attrs: dict[str, Any] | None = None,
    final_shares: Float[np.ndarray, "industry region"] | None = None,
) -> FirmNetwork:
    """Sort, complete and validate a network.

    If left out, `output` is sales plus final demand, `product` the supplier's sector, `region` and `sector` 0, and
    `firm` the numbers 0 … N − 1. An `output` that is given must balance to 1e-6 of itself. Links in canonical order
    are not copied: do not write into the arrays that you gave.

    Raises:
        NetworkError: a length, index, sign, duplicate or balance rule is broken; the first offenders are named.
    """
    final_demand = np.asarray(final_demand, np.float64)
    n = len(final_demand)
    supplier, buyer = _codes("supplier", supplier), _codes("buyer", buyer)
    amount = np.asarray(amount, np.float64)
    region = np.zeros(n, np.int32) if region is None else _codes("region", region)
    sector = np.zeros(n, np.int32) if sector is None else _codes("sector", sector)
    firm = np.arange(n) if firm is None else np.asarray(firm)
    _check_lengths(n, len(amount), supplier=supplier, buyer=buyer, sector=sector)
    _require_index("supplier", supplier, n, " firms")
    product = sector[supplier] if product is None else _codes("product", product)
    _check_lengths(n, len(amount), product=product)
    given = final_demand if output is None else np.asarray(output, np.float64)
    network = FirmNetwork(
        supplier, buyer, amount, product, final_demand, given, region, sector, firm,
        tuple(regions), tuple(sectors), unit, dict(attrs or {}), final_shares,
    )  # fmt: skip
    _check_rows(network)  # before they are sorted, so that a row is named by its place in what was given
    network = _sorted(network)
    if output is None:
        network = replace(network, output=network.sales + final_demand)
    _check_sums(network)
    return network


def with_candidates(network: FirmNetwork, supplier: ArrayLike, buyer: ArrayLike, product: ArrayLike) -> FirmNetwork:
    """The network with these candidates in place of its own, sorted and checked.

    Raises:
        NetworkError: an index beyond firms, a firm as its own candidate, a product that the buyer does not buy, a
            supplier that he has already, or one given twice.
    """
    ends = _codes("supplier", supplier), _codes("buyer", buyer), _codes("product", product)
    order = np.lexsort((ends[0], ends[2], ends[1]))
    found = replace(network, candidates=Candidates(*(of[order] for of in ends)))
    _check_candidates(found)
    return found


def with_candidate_links(network: FirmNetwork) -> FirmNetwork:
    """The network with its candidates as links of amount 0: what a model whose suppliers change is laid out from.

    By the rules of `check_network` it is no network: a link of a network carries something.
    """
    candidates = network.candidates
    if not len(candidates):
        return network
    joined = {name: np.concatenate([getattr(network, name), getattr(candidates, name)]) for name in CANDIDATE_ENDS}
    amount = np.concatenate([network.amount, np.zeros(len(candidates))])
    return _sorted(replace(network, **joined, amount=amount, candidates=NONE))


def check_network(network: FirmNetwork) -> None:
    """Check every rule of a network, wherever it comes from: lengths, indices, numbers, names, balance, links.

    Raises:
        NetworkError: the first rule that is broken, with the field, the first rows that break it, and their values.
    """
    _check_rows(network)
    _check_sums(network)
    _check_candidates(network)


def ranks(group: Int[np.ndarray, " item"]) -> Int[np.ndarray, " item"]:
    """How many items of its group come before each item.

    >>> ranks(np.array([0, 2, 0, 2, 2])).tolist()
    [0, 0, 1, 1, 2]
    """
    counts = np.bincount(group)
    rank = np.empty(len(group), np.int64)
    rank[np.argsort(group, kind="stable")] = np.arange(len(group)) - np.repeat(np.cumsum(counts) - counts, counts)
    return rank


def _in_order(*keys: np.ndarray) -> bool:
    """Whether rows are sorted by these keys, the first counting most. Then a large table need not be copied."""
    ascending = np.ones(max(len(keys[0]) - 1, 0), bool)
    for key in reversed(keys):
        ascending = (key[:-1] < key[1:]) | (key[:-1] == key[1:]) & ascending
    return bool(ascending.all())


def _sorted(network: FirmNetwork) -> FirmNetwork:
    """Links in canonical order; arrays that are in order already are not copied."""
    if _in_order(network.buyer, network.product, network.supplier):
        return network
    order = np.lexsort((network.supplier, network.product, network.buyer))
    return replace(network, **{name: getattr(network, name)[order] for name in OF_LINKS})


def _codes(name: str, values: ArrayLike) -> Int[np.ndarray, " item"]:
    """Whole numbers as int32; nothing is rounded or wrapped."""
    given = np.asarray(values)
    with np.errstate(invalid="ignore"):
        codes = given.astype(np.int32)
    _require(codes == given, name, given, "a whole number below 2³¹")
    return codes


def _check_rows(network: FirmNetwork) -> None:
    """The rules that hold whatever the order of links."""
    lengths = {name: getattr(network, name) for name in (*OF_FIRMS, *OF_LINKS)}
    _check_lengths(network.n_firms, network.n_links, **lengths)
    _check_indices(network)
    _check_numbers(network)
    _check_final_shares(network)
    for name in ("firm", "regions", "sectors"):
        _require_distinct(name, np.asarray(getattr(network, name)))


def _check_lengths(n_firms: int, n_links: int, **arrays: np.ndarray) -> None:
    for name, array in arrays.items():
        want = n_links if name in OF_LINKS else n_firms
        if array.shape != (want,):
            raise NetworkError(f"{name}: shape {array.shape}, expected ({want},)")


def _check_indices(network: FirmNetwork) -> None:
    _require_index("supplier", network.supplier, network.n_firms, " firms")
    _require_index("buyer", network.buyer, network.n_firms, " firms")
    _require_index("region", network.region, len(network.regions))
    _require_index("sector", network.sector, len(network.sectors))
    _require(network.product >= 0, "product", network.product, "product ≥ 0")


def _check_numbers(network: FirmNetwork) -> None:
    amount, final = network.amount, network.final_demand
    _require(np.isfinite(amount) & (amount > 0), "amount", amount, "finite and > 0")
    _require(np.isfinite(final) & (final >= 0), "final_demand", final, "finite and ≥ 0")


def _check_final_shares(network: FirmNetwork) -> None:
    shares = network.final_shares
    if shares is None:
        return
    shape = len(network.regions) * len(network.sectors), len(network.regions)
    if shares.shape != shape:
        raise NetworkError(f"final_shares: shape {shares.shape}, expected {shape}, industries × regions")
    known = np.where(np.isfinite(shares) & (shares >= 0), shares, np.inf).sum(axis=1)
    rule = "shares ≥ 0 of the regions that buy, which sum to 1 at most"
    _require(known <= 1 + BALANCE_TOLERANCE, "final_shares", known, rule)


def _check_sums(network: FirmNetwork) -> None:
    """The rules of sorted links and of their sums."""
    _check_order(network)
    output, made = network.output, network.sales + network.final_demand
    balanced = np.abs(output - made) <= BALANCE_TOLERANCE * made
    _require(balanced, "output", output, "output = sales + final demand, to 1e-6")
    idle = (output == 0) & (np.bincount(network.buyer, minlength=network.n_firms) > 0)
    _require(~idle, "output", output, "a firm that buys has sales or final demand")


def _check_order(network: FirmNetwork) -> None:
    """Links in canonical order, none twice."""
    supplier, buyer, product = network.supplier, network.buyer, network.product
    repeated = (supplier[1:] == supplier[:-1]) & (buyer[1:] == buyer[:-1]) & (product[1:] == product[:-1])
    _require(~repeated, "link", supplier[1:], "one link per supplier, buyer and product")
    if not _in_order(buyer, product, supplier):
        raise NetworkError("link: the links break the rule «sorted by buyer, product and supplier»")


def _check_candidates(network: FirmNetwork) -> None:
    """Candidates in canonical order, none twice, none a link, each of a pool that is there."""
    candidates, n = network.candidates, network.n_firms
    if not len(candidates):
        return
    supplier, buyer, product = candidates.supplier, candidates.buyer, candidates.product
    if not len(supplier) == len(buyer) == len(product):
        raise NetworkError(f"candidates: {len(supplier)} suppliers, {len(buyer)} buyers, {len(product)} products")
    _require_index("candidate supplier", supplier, n, " firms")
    _require_index("candidate buyer", buyer, n, " firms")
    _require(supplier != buyer, "candidate supplier", supplier, "no firm supplies itself")
    repeated = (supplier[1:] == supplier[:-1]) & (buyer[1:] == buyer[:-1]) & (product[1:] == product[:-1])
    _require(~repeated, "candidate supplier", supplier[1:], "each supplier is a candidate of a pool once")
    if not _in_order(buyer, product, supplier):
        raise NetworkError("candidates: break the rule «sorted by buyer, product and supplier»")
    products = int(max(product.max(), network.product.max(initial=-1))) + 1
    pool, pools = buyer.astype(np.int64) * products + product, network.buyer.astype(np.int64) * products
    pools = pools + network.product
    bought = np.isin(pool, pools) & (product >= 0)
    _require(bought, "candidate product", product, "the buyer has links of the product")
    links = pools * n + network.supplier
    _require(~np.isin(pool * n + supplier, links), "candidate supplier", supplier, "no supplier of the pool already")


def _require_index(name: str, values: np.ndarray, below: int, what: str = "") -> None:
    _require((values >= 0) & (values < below), name, values, f"0 ≤ {name} < {below}{what}")


def _require_distinct(name: str, values: np.ndarray) -> None:
    if len({*values.tolist()}) < len(values):
        _, first = np.unique(values, return_index=True)
        _require(np.isin(np.arange(len(values)), first), name, values, "none given twice")


def _require(ok: np.ndarray, name: str, values: np.ndarray, rule: str) -> None:
    if ok.all():
        return
    bad = np.flatnonzero(~ok)
    shown = ", ".join(f"{name}[{i}] = {values[i]}" for i in bad[:5])
    raise NetworkError(f"{name}: {len(bad)} break the rule «{rule}»: {shown}")
