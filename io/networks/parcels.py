"""From flows between industries to links between firms, of which a few are hubs and most are small.

Each cell is cut into parcels; a parcel becomes a link, or a few. An industry's sales are a line, its firms along it,
the largest first, its parcels along it too: where they overlap, a firm sells (part of) a parcel. Its purchases are
another line. So sales, inputs and cells are met exactly, as in `links.py`; what differs is the order of parcels:

* A parcel is led by its supplier's or its buyer's side, that of the industry with more partners. It lies at the large
  firms' end of the side that leads, at the small firms' end of the other; the smaller it is, the further out on both.
  So hubs deal with small firms.
* A cell of many parcels has a trunk: most of its value in one parcel, at the large firms' end of both lines. So links
  between large firms carry much, and sales grow faster than degree.

What an industry sells to itself goes round a circle among its largest firms, as in `links.py`.
Chunks are runs of industries. Every industry's lines, and every parcel, are cut by themselves: chunks change nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from shockmesh.io.networks.cells import Cells
from shockmesh.io.networks.firms import Firms, fill_level
from shockmesh.io.networks.links import DEGREE_EXPONENT, Links, circle, merged, overlay, starts
from shockmesh.io.networks.walnut import Trade, uniform

LEAD = 20.0  # how surely the industry with more partners leads: odds are the ratio of partners to this power
MIXING = 1.0  # noise of the logarithm of a parcel's value, by which parcels lie along a line
MANY = 0.027  # parcels, per √(all parcels), from which a cell has a trunk
TRUNK, TRUNK_BEHIND = 0.75, 0.3  # its share of the cell's value; how far inside it lies, as a logarithm of value
WITHIN = 0.5  # firms that deal within their industry, per parcel of its cell
CHUNK = 2**21  # parcels in a chunk, or one industry's
LINE, PARCEL = 2**46, 2**36  # into how many units a line, and a parcel, are cut: chunks × units < 2⁶³


@dataclass(frozen=True)
class Parcels:
    """How the cells are cut: parcels of a cell have consecutive numbers. Cells ascend by supplier."""

    cells: Cells
    number: Int[np.ndarray, " cell"]
    first: Int[np.ndarray, " cell"]
    partners: Int[np.ndarray, " industry"]
    seed: int

    def along(self, cells: Int[np.ndarray, " some"], *, sold: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Number, value and place on the line of the parcels of some cells."""
        number = self.number[cells]
        of = np.repeat(np.arange(len(cells)), number)
        rank = np.arange(len(of)) - np.repeat(np.cumsum(number) - number, number)
        parcel = np.repeat(self.first[cells], number) + rank
        many = (number > 1) & (number >= MANY * (self.first[-1] + self.number[-1]) ** 0.5)
        small = self.cells.value[cells] * np.where(
            many, (1 - TRUNK) / np.maximum(number - 1, 1), 1 / np.maximum(number, 1)
        )
        trunk = many[of] & (rank == 0)
        value = np.where(trunk, TRUNK * self.cells.value[cells][of], small[of])
        inward = np.log(small)[of] - MIXING * np.log(uniform(self.seed, 3, parcel)) - 1e3  # below 0: 0 is the middle
        odds = LEAD * np.log(self.partners[self.cells.supplier[cells]] / self.partners[self.cells.buyer[cells]])
        one = uniform(self.seed, 4, parcel)
        led = (np.log(one / (1 - one)) < odds[of]) == sold
        return parcel, value, np.where(trunk, inward + TRUNK_BEHIND, np.where(led, inward, -inward))


@dataclass(frozen=True)
class Slots:
    """Which firms take how much of each parcel: those of parcel p are [start[p], start[p + 1])."""

    start: Int[np.ndarray, " parcels_and_1"]
    firm: Int[np.ndarray, " slot"]
    amount: Float[np.ndarray, " slot"]

    def of(self, parcel: Int[np.ndarray, " some"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Position of the parcel among those asked for, firm, and amount, of each slot."""
        number = self.start[parcel + 1] - self.start[parcel]
        at = np.repeat(np.arange(len(parcel)), number)
        slot = np.arange(len(at)) + np.repeat(self.start[parcel] - np.cumsum(number) + number, number)
        return at, self.firm[slot], self.amount[slot]


def draw_links(
    cells: Cells, firms: Firms, trade: Trade, partners: Int[np.ndarray, " industry"], links: int, seed: int,
    sectors: int, chunk: int = CHUNK,
) -> tuple[Links, Float[np.ndarray, " cell"]]:  # fmt: skip
    """Links sorted by buyer, sector of the supplier, and supplier; and what the links of each cell carry.

    `cells` ascend by supplier, `firms` by industry, the largest first; `links` is the number to aim at. `chunk` bounds
    memory: what is held beside the links is 30 bytes or so a link, and some 300 a parcel of the chunk.
    """
    ends = int(np.count_nonzero(trade.sales) + np.count_nonzero(trade.inputs))  # each firm's end cuts one parcel more
    number = _numbers(cells.value, links - ends, seed)
    own = np.flatnonzero(cells.supplier == cells.buyer)
    within = _own_links(cells.take(own), firms, trade, np.ceil(WITHIN * number[own]).astype(np.int64))
    number[own] = 0
    parcels = Parcels(cells, number, np.cumsum(number) - number, partners, seed)
    sellers = _sellers(parcels, firms, _rest(trade.sales, within[0], within[2]), chunk)
    bought = _rest(trade.inputs, within[1], within[2])
    by_buyer = np.argsort(cells.buyer, kind="stable")
    carried, made = np.zeros(len(number)), list[Links]()
    for low, high in _chunks(np.bincount(cells.buyer, number, len(partners)), chunk):
        chosen = by_buyer[slice(*np.searchsorted(cells.buyer[by_buyer], (low, high)))]
        inside = slice(*np.searchsorted(firms.industry[within[1]], (low, high)))
        across, cell = _across(parcels, chosen, sellers, firms, bought)
        own_cell = own[np.searchsorted(cells.supplier[own], firms.industry[within[0][inside]])]
        supplier, buyer, amount = (np.concatenate([a, b[inside]]) for a, b in zip(across, within, strict=True))
        cell = np.concatenate([cell, own_cell])
        some, at = np.unique(cell, return_inverse=True)
        amount = amount * (cells.value[some] / np.bincount(at, amount))[at]
        carried[some] = np.bincount(at, amount)
        key = (buyer.astype(np.int64) * sectors + firms.industry[supplier] % sectors) * len(firms.industry) + supplier
        made.append(merged(supplier, buyer, amount, key))
    supplier, buyer, amount = (np.concatenate(parts) for parts in zip(*made, strict=True))
    return (supplier, buyer, amount), carried


def _numbers(value: Float[np.ndarray, " cell"], parcels: int, seed: int) -> Int[np.ndarray, " cell"]:
    """Into how many parcels each cell is cut: one at least, more as value^(1/1.3), `parcels` in all."""
    if parcels <= len(value):
        return np.ones(len(value), np.int64)
    weight = value**DEGREE_EXPONENT
    wanted = np.maximum(1, fill_level(weight, parcels, 1) * weight)
    return np.floor(wanted + (wanted > 1) * uniform(seed, 2, np.arange(len(value)))).astype(np.int64)


def _own_links(cells: Cells, firms: Firms, trade: Trade, least: Int[np.ndarray, " cell"]) -> Links:
    """What industries sell to themselves: round a circle of their largest firms, `least` of them or as many as it takes
    for all to hold the cell, and for all but the first to hold half of it. Sorted by buyer."""
    n = int(firms.industry[-1]) + 1
    value, number = np.zeros(n), np.zeros(n, np.int64)
    value[cells.supplier], number[cells.supplier] = cells.value, least
    size = np.minimum(trade.sales, trade.inputs)
    first = np.searchsorted(firms.industry, np.arange(n))[firms.industry]
    before, rank = starts(size, firms.industry), np.arange(len(size)) - first
    needed = np.maximum(value[firms.industry] / 2 + size[first], value[firms.industry]) * (1 + 1e-9)
    taken = (size > 0) & (value[firms.industry] > 0) & ((rank < number[firms.industry]) | (before < needed))
    chosen = np.flatnonzero(taken)
    if not len(chosen):
        return chosen, chosen, np.zeros(0)
    supplier, buyer, amount = circle(cells, firms.industry, chosen, size[chosen], LINE)
    order = np.argsort(buyer, kind="stable")
    return supplier[order], buyer[order], amount[order]


def _rest(total: np.ndarray, firm: np.ndarray, amount: np.ndarray) -> np.ndarray:
    """What is left to trade with other industries; a trace of it at least, so that no industry is without a line."""
    return np.maximum(total - np.bincount(firm, amount, len(total)), 1e-12 * total)


def _chunks(parcels: Float[np.ndarray, " industry"], chunk: int) -> Iterator[tuple[int, int]]:
    """Runs of industries [low, high) of about so many parcels."""
    ends = np.flatnonzero(np.diff(np.cumsum(parcels) // chunk, append=-1)) + 1
    yield from zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True)


def _sellers(parcels: Parcels, firms: Firms, sold: np.ndarray, chunk: int) -> Slots:
    """The sellers of every parcel."""
    cells = parcels.cells
    number, firm, amount = list[np.ndarray](), list[np.ndarray](), list[np.ndarray]()
    for low, high in _chunks(np.bincount(cells.supplier, parcels.number, len(parcels.partners)), chunk):
        chosen = np.arange(*np.searchsorted(cells.supplier, (low, high)))
        parcel, value, place = parcels.along(chosen, sold=True)
        industry = np.repeat(cells.supplier[chosen], parcels.number[chosen])
        at, who, what = _laid(industry, value, place, firms, sold)
        number.append(np.bincount(at, minlength=len(parcel)))
        firm.append(who.astype(np.int32))
        amount.append(what)
    start = np.concatenate([[0], np.cumsum(np.concatenate(number))])
    return Slots(start, np.concatenate(firm), np.concatenate(amount))


def _across(
    parcels: Parcels, chosen: np.ndarray, sellers: Slots, firms: Firms, bought: np.ndarray
) -> tuple[Links, np.ndarray]:
    """Links of some cells, by buyer and supplier, and the cell of each."""
    parcel, value, place = parcels.along(chosen, sold=False)
    of = np.repeat(chosen, parcels.number[chosen])
    if not len(parcel):
        return (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)), np.zeros(0, np.int64)
    to, buyer, paid = _laid(parcels.cells.buyer[of], value, place, firms, bought)
    number = np.bincount(to, minlength=len(parcel))
    last = np.cumsum(number) - 1
    turned = (2 * last - number + 1)[to] - np.arange(len(to))  # the largest seller of a parcel meets its smallest buyer
    buyer, paid = buyer[turned], paid[turned]
    at, seller, sold = sellers.of(parcel)
    a, b, share = overlay(at, sold, to, paid, PARCEL)
    return (seller[a], buyer[b], share * value[at[a]]), of[at[a]]


def _laid(
    industry: np.ndarray, value: np.ndarray, place: np.ndarray, firms: Firms, margin: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Parcels and firms along the lines of industries: (parcel, firm, amount), by parcel, the largest firm first.

    Parcels come by industry, in ascending order.
    """
    if not len(value):
        return np.zeros(0, np.int64), np.zeros(0, np.int64), value
    low, high = np.searchsorted(firms.industry, (industry[0], industry[-1] + 1))
    total = np.bincount(industry, value)
    top = np.zeros(len(total))
    np.maximum.at(top, firms.industry[low:high], margin[low:high])
    some = margin[low:high]
    trading = low + np.flatnonzero(
        (some > 1e-9 * top[firms.industry[low:high]]) & (total[firms.industry[low:high]] > 0)
    )
    order = np.argsort(place, kind="stable")
    order = order[np.argsort((industry[order] - industry[0]).astype(np.uint16), kind="stable")]  # LINE: fewer than 2¹⁶
    a, b, share = overlay(industry[order], value[order], firms.industry[trading], margin[trading], LINE)
    parcel, firm = order[a], trading[b]
    to = _positions(parcel, a)
    laid = np.empty_like(parcel), np.empty_like(firm), np.empty_like(share)
    for target, values in zip(laid, (parcel, firm, share * total[industry[parcel]]), strict=True):
        target[to] = values
    return laid


def _positions(group: np.ndarray, run: np.ndarray) -> np.ndarray:
    """Where items come to lie when sorted by group; those of a group are a run, and keep their order."""
    runs, groups = np.bincount(run), np.bincount(group)
    rank = np.arange(len(run)) - (np.cumsum(runs) - runs)[run]
    return (np.cumsum(groups) - groups)[group] + rank
