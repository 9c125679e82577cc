"""Firms and links like those of national registers: a core with two half-shells, hubs, and small firms that seek them.

Named after Chakraborty et al., PLoS ONE 13:e0202739 (2018), who found Japan's network to be a walnut: a strongly
connected core between a half-shell that sells into it and one that buys from it. How it is drawn, and what is known of
that, is told in docs/choosing/networks.md.

1. Sizes are Pareto within industries, with the exponent that gives all firms together `SIZE_TAIL`; no firm has more
   than `LARGEST` of an industry of three firms or more. Numbers of firms grow with an industry's partners.
2. Some of the smaller firms buy from none, some sell to none, as far as value added and final demand allow.
3. The flows between industries are cut into parcels, laid along lines of firms, and matched: see `parcels.py`.

Nothing is drawn in sequence: each number is a hash of the seed and of what it is for. So the network is the same, bit
for bit, however its making is cut into chunks.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from shockmesh.io.networks.cells import MAX_INPUT_SHARE, Economy, thin
from shockmesh.io.networks.facts import tail_exponent
from shockmesh.io.networks.firms import Firms, allot, cap, fewest_firms, largest_share
from shockmesh.io.networks.links import DEGREE_EXPONENT

SIZE_TAIL = 1.04  # of all firms: Axtell (2001) found 1.06
LARGEST = 0.65  # of an industry's output, at most, that one firm of three or more makes
PARTNERS_EXPONENT = 1.3  # numbers of firms ∝ partners^1.3, which is output^0.97 in the world table of 2014
NO_SUPPLIERS, NO_CUSTOMERS = 0.4, 0.6  # of the smallest firms
SMALL = 1.1  # times the median of size^(1/1.3): up to there firms are likely to lack one side
CARRIED = 0.981  # of the value of all flows, at least, is given links, if they suffice for so many cells
CELL_SHARE, CELLS_AT_MOST = 0.1, 0.92  # of the links: as many cells at least; and at most, where they do not suffice


@dataclass(frozen=True)
class Trade:
    """What firms have to sell to firms and to buy from them [unit of the table]."""

    sales: Float[np.ndarray, " firm"]
    inputs: Float[np.ndarray, " firm"]


def uniform(seed: int, purpose: int, index: Int[np.ndarray, " item"]) -> Float[np.ndarray, " item"]:
    """Numbers in (0, 1), each a hash of seed, purpose and index (SplitMix64: Steele et al., OOPSLA 2014)."""
    start = ((seed * 16 + purpose) * 0x9E3779B97F4A7C15) % 2**64
    x = (index.astype(np.uint64) + np.uint64(1)) * np.uint64(0xD1342543DE82EF95) + np.uint64(start)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        x ^= x >> np.uint64(shift)
        x *= np.uint64(factor)
    x ^= x >> np.uint64(31)
    return ((x >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52


def kept_cells(economy: Economy, links: int) -> tuple[Economy, Int[np.ndarray, " industry"]]:
    """The cells that links are given to, in balance; and how many partners each industry has among the largest cells.

    An industry whose trade the kept cells cannot carry keeps all of its cells.
    """
    value = np.sort(economy.cells.value)[::-1]
    carry = int(np.searchsorted(np.cumsum(value), CARRIED * value.sum())) + 1
    large = economy.cells.take(economy.cells.value >= value[min(carry, len(value)) - 1])
    partners = sum(np.bincount(side, minlength=economy.n) for side in (large.supplier, large.buyer))
    budget = max(min(carry, int(CELLS_AT_MOST * links)), int(CELL_SHARE * links))
    return thin(economy, budget, exact=True), np.maximum(partners, 1)


def draw_sized(economy: Economy, count: int, partners: Int[np.ndarray, " industry"], seed: int) -> Firms:
    """Draw `count` firms whose sizes have the tail `SIZE_TAIL`, by bisection on the exponent within industries.

    Raises:
        GenerateError: `count` is less than one per industry, or two where it supplies itself.
    """
    weight = np.where(economy.output > 0, partners.astype(np.float64) ** PARTNERS_EXPONENT, 0)
    numbers = allot(weight, count, fewest_firms(economy, count))
    industry = np.repeat(np.arange(economy.n, dtype=np.int32), numbers)
    least = 0.1 / numbers[industry]  # truncation: none is rarer than one firm in ten times as many
    draw = np.log(least + (1 - least) * uniform(seed, 0, np.arange(count)))
    draw = draw[np.lexsort((draw, industry))]
    limit = np.minimum(largest_share(economy), np.where(numbers > 2, LARGEST, 1))
    low, high = 0.4, 1.5
    for _ in range(12):
        middle = (low + high) / 2
        light = tail_exponent(_sizes(draw, middle, industry, limit, economy)) >= SIZE_TAIL
        low, high = (low, middle) if light else (middle, high)
    return Firms(industry, _sizes(draw, low, industry, limit, economy))


def trade_of(economy: Economy, firms: Firms, seed: int) -> Trade:
    """What each firm sells to firms, and buys: its industry's per unit of output, but for those that do without."""
    scale = firms.size**DEGREE_EXPONENT
    likely = np.exp(-((scale / (SMALL * np.median(scale))) ** 4))
    likely[np.diff(firms.industry, prepend=-1) != 0] = 0  # the largest of an industry
    one = uniform(seed, 1, np.arange(len(scale)))
    sales, inputs = economy.cells.sales(economy.n), economy.cells.inputs(economy.n)
    room = _spare(economy, firms)
    no_customers = _within(one < NO_CUSTOMERS * likely, firms, np.minimum(economy.final_demand, room) / 2)
    spare = economy.output - inputs / MAX_INPUT_SHARE
    no_suppliers = _within(one > 1 - NO_SUPPLIERS * likely, firms, np.minimum(spare, room) / 2)
    return Trade(_shared(sales, firms, no_customers), _shared(inputs, firms, no_suppliers))


def _sizes(draw: np.ndarray, exponent: float, industry: np.ndarray, limit: np.ndarray, economy: Economy) -> np.ndarray:
    size = np.exp(draw / -exponent)
    return cap(size / np.bincount(industry, size, economy.n)[industry], industry, limit) * economy.output[industry]


def _spare(economy: Economy, firms: Firms) -> np.ndarray:
    """Output of firms that may keep out of trade, so that the others can supply their own industry without self-links:
    all but the first must hold half of that cell, all together the whole of it."""
    cells, first = economy.cells, np.flatnonzero(np.diff(firms.industry, prepend=-1))
    top = np.bincount(firms.industry[first], firms.size[first], economy.n)
    own = cells.take(cells.supplier == cells.buyer).sales(economy.n)
    traded = np.minimum(cells.sales(economy.n), cells.inputs(economy.n))
    needed = economy.output * np.divide(own, traded, out=np.zeros(economy.n), where=traded > 0)
    return np.maximum(np.minimum(economy.output - top - needed / 2, economy.output - needed), 0)


def _within(chosen: np.ndarray, firms: Firms, room: np.ndarray) -> np.ndarray:
    """Those chosen, the smallest of an industry first, as long as their sizes find room."""
    size, industry = np.where(chosen, firms.size, 0)[::-1], firms.industry[::-1]
    first = np.flatnonzero(np.diff(industry, prepend=-1))
    so_far = np.cumsum(size)
    before = np.repeat(so_far[first] - size[first], np.diff(first, append=len(size)))
    return chosen & (so_far - before <= room[industry])[::-1]


def _shared(total: np.ndarray, firms: Firms, without: np.ndarray) -> np.ndarray:
    size = np.where(without, 0, firms.size)
    whole = np.bincount(firms.industry, size, len(total))
    return size * np.divide(total, whole, out=np.zeros(len(total)), where=whole > 0)[firms.industry]
