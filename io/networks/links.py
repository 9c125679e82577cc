"""Supply links that carry the industry flows exactly.

Every industry's inputs are a line. It is cut once by the cells (which industries it buys from) and once by its firms
(each in several pieces, shuffled): an overlap is a firm that buys from a cell. Its sales are cut the same way. Then
every cell's value is cut by its sellers and by its buyers: an overlap is a link. Each cut solves a transport problem,
so cell totals, every firm's inputs and every firm's sales are met by construction, without any fitting. Each firm buys
and sells if its industry does, and firms meet in proportion to what they trade. Within a cell large sellers tend to
meet small buyers, as in real networks, which are disassortative. Lines are cut in integers, so that rounding neither
loses nor invents an overlap.

What an industry sells to itself is matched on a circle, buyers half a turn after sellers: no firm holds more than half
of it, hence no firm meets itself.
"""

import numpy as np
from jaxtyping import Float, Int
from shockmesh.io.networks.cells import Cells
from shockmesh.io.networks.firms import Firms, fill_level

DEGREE_EXPONENT = 1 / 1.3  # degree ∝ sales^(1/1.3): Watanabe et al. (2014)
SLIVER = 1e-6  # an overlap below this share of both its items is rounding: their ends coincide
MIXING = 1.0  # noise of the logarithm of size, by which firms of a cell are ordered: large sellers meet small buyers
FITNESS = 0.3  # standard deviation of the logarithm of a firm's attractiveness beside its size

Links = tuple[Int[np.ndarray, " link"], Int[np.ndarray, " link"], Float[np.ndarray, " link"]]
Slots = tuple[Int[np.ndarray, " slot"], Int[np.ndarray, " slot"], Float[np.ndarray, " slot"]]  # cell, firm, amount


def overlay(
    group_a: Int[np.ndarray, " a"], weight_a: Float[np.ndarray, " a"],
    group_b: Int[np.ndarray, " b"], weight_b: Float[np.ndarray, " b"],
    unit: int = 0,
) -> tuple[Int[np.ndarray, " overlap"], Int[np.ndarray, " overlap"], Float[np.ndarray, " overlap"]]:  # fmt: skip
    """Cut the line of each group by items a and by items b; return the overlaps (a, b, share of the group).

    Groups ascend in both and are the same in both. Every item has at least one overlap; overlaps below a millionth of
    both their items are left out. A line is cut into `unit` units, by default as many as 64 bits have room for; with a
    given number its overlaps do not hang on how many other lines there are.
    """
    line_a, line_b = _ranks(group_a), _ranks(group_b)
    unit = unit or 2 ** min(50, 62 - len(group_a).bit_length())
    ends_a, ends_b = _ends(line_a, weight_a, unit), _ends(line_b, weight_b, unit)
    ends = np.concatenate([ends_a, ends_b])
    ends.sort(kind="stable")
    ends = ends[np.flatnonzero(np.diff(ends, append=-1))]
    a, b = np.searchsorted(ends_a, ends), np.searchsorted(ends_b, ends)
    length = np.diff(ends, prepend=0)
    smaller = np.minimum(np.diff(ends_a, prepend=0)[a], np.diff(ends_b, prepend=0)[b])
    real = length > SLIVER * smaller
    return a[real], b[real], length[real] / unit


def draw_links(
    cells: Cells, firms: Firms, sales: Float[np.ndarray, " firm"], inputs: Float[np.ndarray, " firm"],
    pieces: int, rng: np.random.Generator,
) -> Links:  # fmt: skip
    """Links (supplier, buyer, amount) whose cell totals are the cells', and whose firm totals are `sales`, `inputs`.

    `pieces`: how many pieces the purchases of all firms are cut into, and their sales.
    """
    own = cells.supplier == cells.buyer
    chosen = np.flatnonzero(np.isin(firms.industry, cells.supplier[own]))
    within = circle(cells.take(own), firms.industry, chosen, firms.size[chosen])
    rest = cells.take(~own)
    sold = np.maximum(sales - np.bincount(within[0], within[2], len(sales)), 0)
    bought = np.maximum(inputs - np.bincount(within[1], within[2], len(sales)), 0)
    sellers = _slots(rest.supplier, rest.value, firms, sold, pieces, rng, largest_first=True)
    buyers = _slots(rest.buyer, rest.value, firms, bought, pieces, rng, largest_first=False)
    a, b, share = overlay(sellers[0], sellers[2], buyers[0], buyers[2])
    across = sellers[1][a], buyers[1][b], share * rest.value[sellers[0][a]]
    supplier, buyer, amount = (np.concatenate([one, two]) for one, two in zip(within, across, strict=True))
    return _exact(*merged(supplier, buyer, amount, buyer.astype(np.int64) * len(sales) + supplier), cells, firms)


def _ranks(group: np.ndarray) -> np.ndarray:
    return np.cumsum(np.diff(group, prepend=group[:1]) > 0)


def _ends(line: np.ndarray, weight: np.ndarray, unit: int) -> np.ndarray:
    """Where each item ends, in units of 1/unit: line k is (k, k + 1], filled by its items, each at least one unit."""
    share = weight / np.bincount(line, weight)[line]
    ends = np.cumsum(np.floor(share * (unit - np.bincount(line)[line])).astype(np.int64) + 1)
    last = np.flatnonzero(np.diff(line, append=-1))
    ends += line * unit - np.concatenate([[0], ends[last[:-1]]])[line] if len(last) else 0
    ends[last] = (line[last] + 1) * unit
    return ends


def _slots(
    industry: np.ndarray, value: np.ndarray, firms: Firms, margin: np.ndarray, pieces: int, rng: np.random.Generator,
    *, largest_first: bool,
) -> Slots:  # fmt: skip
    """Which firm of the industry takes how much of each cell: by cell, and by size within it."""
    total = np.bincount(industry, value, int(firms.industry[-1]) + 1)
    mean = (total / np.maximum(np.bincount(firms.industry), 1))[firms.industry]
    trading = np.flatnonzero((margin > 1e-9 * mean) & (mean > 0))
    number = _piece_numbers(firms.size[trading], pieces, rng)
    piece = np.repeat(trading, number)
    weight = np.repeat(margin[trading] / number, number)
    shuffled = np.lexsort((rng.random(len(piece)), firms.industry[piece]))
    piece, weight = piece[shuffled], weight[shuffled]
    order = np.argsort(industry, kind="stable")
    at, cell, share = overlay(firms.industry[piece], weight, industry[order], value[order])
    rank = np.log(firms.size[piece[at]]) + MIXING * rng.standard_normal(len(at))
    by_cell = np.lexsort((-rank if largest_first else rank, order[cell]))
    at, cell, share = at[by_cell], order[cell][by_cell], share[by_cell]
    return cell, piece[at], share * total[industry[cell]]


def _piece_numbers(size: np.ndarray, pieces: int, rng: np.random.Generator) -> np.ndarray:
    weight = size**DEGREE_EXPONENT * np.exp(FITNESS * rng.standard_normal(len(size)))
    wanted = np.maximum(1, fill_level(weight, max(pieces, len(size)), 1) * weight) if len(size) else weight
    return np.floor(wanted + rng.random(len(size))).astype(np.int64)


def circle(
    cells: Cells, industry: Int[np.ndarray, " firm"], chosen: Int[np.ndarray, " chosen"],
    size: Float[np.ndarray, " chosen"], unit: int = 0,
) -> Links:  # fmt: skip
    """Links within industries: a firm's share of a diagonal cell, at most half, meets that of the firms opposite.

    Among the `chosen` firms, in proportion to `size`, the largest of an industry first.
    """
    group = industry[chosen]
    share = _halved(size, group)
    start = starts(share, group)
    low = np.where(start >= 0.5, start - 0.5, start + 0.5)  # half a turn on
    over = np.maximum(low + share - 1, 0)  # what goes on at the beginning of the line
    item = np.tile(np.arange(len(group)), 2)
    part, where = np.concatenate([share - over, over]), np.concatenate([low, np.zeros(len(group)) - 1])
    order = np.lexsort((where, group[item]))
    order = order[(part > SLIVER * share[item])[order]]
    a, b, overlap = overlay(group, share, group[item[order]], part[order], unit)
    seller, buyer = chosen[a], chosen[item[order][b]]
    value = np.zeros(int(industry[-1]) + 1)
    value[cells.supplier] = cells.value
    apart = seller != buyer
    return seller[apart], buyer[apart], (overlap * value[industry[seller]])[apart]


def _halved(size: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Shares of size within a group, the first (largest) cut to one half."""
    share = size / np.bincount(group, size)[group]
    first = np.diff(group, prepend=-1) > 0
    top = np.bincount(group[first], share[first], int(group.max(initial=0)) + 1)[group]
    scale = np.where(top > 0.5, 0.5 / np.where(top > 0.5, 1 - top, 1), 1.0)
    return np.where(first, np.minimum(share, 0.5), share * scale)


def starts(share: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Where each item begins on the line of its group; groups ascend."""
    before = np.cumsum(share) - share
    first = np.flatnonzero(np.diff(group, prepend=-1))
    return before - np.repeat(before[first], np.diff(first, append=len(group)))


def merged(supplier: np.ndarray, buyer: np.ndarray, amount: np.ndarray, key: Int[np.ndarray, " link"]) -> Links:
    """One link for each key, in their order; each pair of firms has its own."""
    order = np.argsort(key, kind="stable")
    first = np.flatnonzero(np.diff(key[order], prepend=-1))
    amount = np.add.reduceat(amount[order], first) if len(first) else amount
    kept = order[first]
    return supplier[kept].astype(np.int32), buyer[kept].astype(np.int32), amount


def _exact(supplier: np.ndarray, buyer: np.ndarray, amount: np.ndarray, cells: Cells, firms: Firms) -> Links:
    """Scale the links of each cell to its value, which undoes the rounding of cuts in integers."""
    n = int(firms.industry.max(initial=0)) + 1
    key = cells.supplier.astype(np.int64) * n + cells.buyer
    order = np.argsort(key)
    link = firms.industry[supplier].astype(np.int64) * n + firms.industry[buyer]
    cell = order[np.searchsorted(key[order], link)]
    return supplier, buyer, amount * (cells.value / np.bincount(cell, amount, len(key)))[cell]
