"""The firm network: the one noun that every room shares.

A network is firms (region, sector, baseline output, final demand) and supply links (supplier → buyer, amount,
product). It is immutable, held on the host as NumPy arrays in canonical order (links sorted by buyer, product,
supplier), and validated once, when it is made.

    >>> import numpy as np
    >>> chain = firm_network(supplier=[0, 1], buyer=[1, 2], amount=[1.0, 1.0], final_demand=[0.0, 0.0, 1.0])
    >>> chain.n_firms, chain.n_links, chain.output.tolist()
    (3, 2, [1.0, 1.0, 1.0])
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

BALANCE_TOLERANCE = 1e-6


class NetworkError(ValueError):
    """A network that breaks a rule. The message names the field, the first offenders and the rule."""


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

    @property
    def n_firms(self) -> int:
        return len(self.output)

    @property
    def n_links(self) -> int:
        return len(self.amount)

    @property
    def sales(self) -> Float[np.ndarray, " firm"]:
        """What each firm sells to other firms [unit]."""
        return np.bincount(self.supplier, self.amount, self.n_firms)

    @property
    def inputs(self) -> Float[np.ndarray, " firm"]:
        """What each firm buys from other firms [unit]."""
        return np.bincount(self.buyer, self.amount, self.n_firms)

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
) -> FirmNetwork:
    """Sort, complete and validate a network.

    Left out, `output` is sales plus final demand, `product` the supplier's sector, `region` and `sector` 0, and
    `firm` the numbers 0 … N − 1. Given, `output` must balance to 1e-6 of itself. Links in canonical order are not
    copied: do not write into what was given.

    Raises:
        NetworkError: a length, index, sign, duplicate or balance rule is broken; the first offenders are named.
    """
    final_demand = np.asarray(final_demand, np.float64)
    n = len(final_demand)
    supplier, buyer = np.asarray(supplier, np.int32), np.asarray(buyer, np.int32)
    amount = np.asarray(amount, np.float64)
    region = np.zeros(n, np.int32) if region is None else np.asarray(region, np.int32)
    sector = np.zeros(n, np.int32) if sector is None else np.asarray(sector, np.int32)
    firm = np.arange(n) if firm is None else np.asarray(firm)
    _check_lengths(n, len(amount), supplier=supplier, buyer=buyer, firm=firm, region=region, sector=sector)
    _require((supplier >= 0) & (supplier < n), "supplier", supplier, f"0 ≤ supplier < {n} firms")
    _require((buyer >= 0) & (buyer < n), "buyer", buyer, f"0 ≤ buyer < {n} firms")
    product = sector[supplier] if product is None else np.asarray(product, np.int32)
    _check_lengths(n, len(amount), product=product)
    _require(np.isfinite(amount) & (amount > 0), "amount", amount, "finite and > 0")
    _require(np.isfinite(final_demand) & (final_demand >= 0), "final_demand", final_demand, "finite and ≥ 0")
    _require((region >= 0) & (region < len(regions)), "region", region, f"0 ≤ region < {len(regions)}")
    _require((sector >= 0) & (sector < len(sectors)), "sector", sector, f"0 ≤ sector < {len(sectors)}")
    if not _in_order(buyer, product, supplier):
        order = np.lexsort((supplier, product, buyer))
        supplier, buyer, amount, product = supplier[order], buyer[order], amount[order], product[order]
    _require(supplier != buyer, "supplier", supplier, "no firm supplies itself")
    repeated = (supplier[1:] == supplier[:-1]) & (buyer[1:] == buyer[:-1]) & (product[1:] == product[:-1])
    _require(~repeated, "link", supplier[1:], "one link per supplier, buyer and product")
    made = np.bincount(supplier, amount, n) + final_demand
    output = made if output is None else np.asarray(output, np.float64)
    _check_lengths(n, len(amount), output=output)
    gap = np.abs(output - made)
    _require(gap <= BALANCE_TOLERANCE * made, "output", output, "output = sales + final demand, to 1e-6")
    return FirmNetwork(
        supplier, buyer, amount, product, final_demand, output, region, sector, firm,
        tuple(regions), tuple(sectors), unit, dict(attrs or {}),
    )  # fmt: skip


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
    """Whether rows are sorted by these keys, the first counting most; a large table need not be copied then."""
    ascending = np.ones(max(len(keys[0]) - 1, 0), bool)
    for key in reversed(keys):
        ascending = (key[:-1] < key[1:]) | (key[:-1] == key[1:]) & ascending
    return bool(ascending.all())


def _check_lengths(n_firms: int, n_links: int, **arrays: np.ndarray) -> None:
    for name, array in arrays.items():
        want = n_links if name in ("supplier", "buyer", "product") else n_firms
        if array.shape != (want,):
            raise NetworkError(f"{name}: shape {array.shape}, expected ({want},)")


def _require(ok: np.ndarray, name: str, values: np.ndarray, rule: str) -> None:
    if ok.all():
        return
    bad = np.flatnonzero(~ok)
    shown = ", ".join(f"{name}[{i}] = {values[i]}" for i in bad[:5])
    raise NetworkError(f"{name}: {len(bad)} break the rule «{rule}»: {shown}")
