"""What a firm network looks like, beside what has been published about real ones.

Published values are single numbers; a network counts as inside when it is within 15 % of one, or of the range where
there are several. They come from national registers of up to a million firms. How each is measured: tails by Hill's
estimator over the largest twentieth (`tail_exponent`), exponents by a line through medians of doubling bins
(`scaling`), the core and its half-shells as in `walnut`.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from shockmesh.io.networks.store import read_network
from shockmesh.io.stores.places import Place
from shockmesh.kernels.network import FirmNetwork

SHELLS = ("share of firms in the core", "share of firms that lead into it", "share of firms that it leads to")
TAIL = 0.05  # the share of largest firms from which a tail exponent is estimated
LINKS = (
    "Chakraborty et al., arXiv:1808.10090, Japan (partners capped by the survey); "
    "Reisch et al., arXiv:2503.20594, Hungary (all links ever seen)"
)
JAPAN_SALES = "Watanabe, Takayasu, Takayasu, PLoS ONE 9:e91704 (2014), Japan"
AXTELL = "Axtell, Science 293:1818 (2001), United States, employees; number not checked against the paper"
JAPAN_DEGREES = "Fujiwara and Aoyama, EPJ B 77:565 (2010), Japan; number not checked against the paper"
WALNUT = "Chakraborty et al., arXiv:1808.10090, Japan; numbers not checked against the paper"
WORLD = "Chakraborty and Ikeda, arXiv:2003.02343, firms of the world in S&P's Capital IQ"
HUNGARY = "Diem et al., arXiv:2302.11451, Hungary: a register of links holds firms with links only"


@dataclass(frozen=True)
class Fact:
    """A published quantity and the range that counts as agreement."""

    published: str
    low: float
    high: float
    source: str


FACTS = {
    "links per firm": Fact("5 to 54", 5.0, 54.0, LINKS),
    "in-degree tail exponent": Fact("1.35", 1.15, 1.55, JAPAN_DEGREES),
    "out-degree tail exponent": Fact("1.26", 1.07, 1.45, JAPAN_DEGREES),
    "output tail exponent": Fact("1.06", 0.90, 1.22, AXTELL),
    "sales vs degree exponent": Fact("1.3", 1.10, 1.50, JAPAN_SALES),
    "neighbours' degree vs degree exponent": Fact("-0.7", -0.81, -0.59, JAPAN_SALES),
    "degree correlation over links": Fact("below 0", -1.0, 0.0, "Chakraborty et al., arXiv:1706.00203, Japan"),
    "share of firms in the core": Fact("0.164 to 0.50", 0.14, 0.575, f"0.164: {WORLD}; 0.50: {WALNUT}"),
    "share of firms that lead into it": Fact("0.21", 0.175, 0.24, WALNUT),
    "share of firms that it leads to": Fact("0.26 to 0.411", 0.22, 0.47, f"0.411: {WORLD}; 0.26: {WALNUT}"),
    "share of firms without links": Fact("0", 0.0, 0.01, HUNGARY),
}  # fmt: skip


@dataclass(frozen=True)
class Statistic:
    """A quantity of this network, beside the published one."""

    quantity: str
    value: float
    fact: Fact | None = None

    @property
    def inside(self) -> bool | None:
        return None if self.fact is None else bool(self.fact.low <= self.value <= self.fact.high)

    def __str__(self) -> str:
        if self.fact is None:
            return f"{self.value:.4g}"
        return f"{self.value:.3g} {'✓' if self.inside else '✗'} published {self.fact.published} ({self.fact.source})"


def describe_network(path: str | Place) -> dict[str, Any]:
    """Describe a stored network: sizes, statistics beside published facts, the generator's errors and repairs.

    Raises:
        NetworkStoreError: no sound network there.
    """
    network = read_network(path)
    attrs = network.attrs
    return {
        "firms": network.n_firms,
        "links": network.n_links,
        **({"candidates": len(network.candidates)} if len(network.candidates) else {}),
        "regions": len(network.regions),
        "sectors": len(network.sectors),
        "unit": network.unit,
        "statistics": [_record(statistic) for statistic in statistics(network)],
        "aggregate_error": attrs.get("aggregate_error", {}),
        "repairs": attrs.get("repairs", []),
        "cleaning": attrs.get("cleaning", {}),
        "findings": findings(network),
    }


def statistics(network: FirmNetwork) -> list[Statistic]:
    """Degrees, tails, scaling and connection of a network, in the order of FACTS, then those without a fact."""
    n = network.n_firms
    bought, sold = np.bincount(network.buyer, minlength=n), np.bincount(network.supplier, minlength=n)
    degree = bought + sold
    values = {
        "links per firm": network.n_links / n,
        "in-degree tail exponent": tail_exponent(bought),
        "out-degree tail exponent": tail_exponent(sold),
        "output tail exponent": tail_exponent(network.output),
        "sales vs degree exponent": scaling(degree, network.output),
        "neighbours' degree vs degree exponent": scaling(degree, _neighbour_degree(network, degree)),
        "degree correlation over links": _correlation(degree[network.supplier], degree[network.buyer]),
        **dict(zip(SHELLS, walnut(network), strict=True)),
        "share of firms without links": float((degree == 0).mean()),
        "share of firms in the largest component": largest_component(network),
        "largest inputs per output": float(_inputs_per_output(network).max(initial=0)),
    }
    return [Statistic(name, float(value), FACTS.get(name)) for name, value in values.items()]


def findings(network: FirmNetwork) -> list[str]:
    """What a user should know before running: firms below zero value added, and what was told at import."""
    told = [str(text) for text in network.attrs.get("findings", [])]
    below = np.flatnonzero(network.value_added < 0)
    if len(below):
        named = ", ".join(str(network.firm[i]) for i in below[np.argsort(network.value_added[below])][:5])
        told.append(f"value added is below zero for {len(below)} of {network.n_firms} firms, lowest first: {named}")
    return told


def tail_exponent(values: Float[np.ndarray, " firm"] | Int[np.ndarray, " firm"]) -> float:
    """Exponent of the cumulative distribution in its upper tail (Hill, Ann. Statist. 3:1163, 1975).

    NaN where fewer than 20 values are positive, or the tail has no spread.
    """
    ordered = np.sort(values[values > 0])[::-1]
    top = int(TAIL * len(ordered))
    if len(ordered) < 20 or top < 1:
        return float("nan")
    logs = np.log(ordered[: top + 1])
    return float(1 / mean) if (mean := (logs[:-1] - logs[-1]).mean()) > 0 else float("nan")


def scaling(x: Int[np.ndarray, " firm"], y: Float[np.ndarray, " firm"]) -> float:
    """Exponent b of y ∝ x^b: slope through medians of y in doubling bins of x, as Watanabe et al. take percentiles.

    Bins of fewer than ten firms are left out; NaN where fewer than two remain.
    """
    x, y = x[(x > 0) & (y > 0)], np.log(y[(x > 0) & (y > 0)])
    bins = np.floor(np.log2(x)).astype(int)
    full = np.flatnonzero(np.bincount(bins) >= 10)
    middle = np.array([np.log(x[bins == k]).mean() for k in full])
    median = np.array([np.median(y[bins == k]) for k in full])
    return float(np.polyfit(middle, median, 1)[0]) if len(full) > 1 else float("nan")


def largest_component(network: FirmNetwork) -> float:
    """Share of firms in the largest weakly connected component."""
    return float(_largest(network, "weak").mean())


def walnut(network: FirmNetwork) -> tuple[float, float, float]:
    """Shares of firms in the core, in the shell that sells into it, and in the shell that buys from it.

    The core is the largest strongly connected component: each of its firms supplies each other one, through others.
    The two half-shells are those of Chakraborty et al. (2018), who named the whole a walnut.
    """
    core = _largest(network, "strong")
    into = _reached(core, network.buyer, network.supplier) & ~core
    out_of = _reached(core, network.supplier, network.buyer) & ~core
    return float(core.mean()), float(into.mean()), float(out_of.mean())


def _largest(network: FirmNetwork, connection: str) -> np.ndarray:
    """The firms of the largest component."""
    n = network.n_firms
    links = csr_array((np.ones(network.n_links, np.int8), (network.supplier, network.buyer)), shape=(n, n))
    label = connected_components(links, directed=True, connection=connection)[1]
    return label == np.bincount(label).argmax()


def _reached(start: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The firms that links from source to target lead to, step by step, from those of the start."""
    reached, before = start.copy(), -1
    while before < (before := int(reached.sum())):
        reached[target[reached[source]]] = True
    return reached


def _record(statistic: Statistic) -> dict[str, Any]:
    return {**asdict(statistic), "inside": statistic.inside, "text": str(statistic)}


def _neighbour_degree(network: FirmNetwork, degree: np.ndarray) -> np.ndarray:
    n = network.n_firms
    total = np.bincount(network.supplier, degree[network.buyer], n) + np.bincount(
        network.buyer, degree[network.supplier], n
    )
    return np.divide(total, degree, out=np.zeros(n), where=degree > 0)


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    if len(one) < 2 or one.std() == 0 or other.std() == 0:
        return float("nan")
    return float(np.corrcoef(one, other)[0, 1])


def _inputs_per_output(network: FirmNetwork) -> np.ndarray:
    return np.divide(network.inputs, network.output, out=np.zeros(network.n_firms), where=network.output > 0)
