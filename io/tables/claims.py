"""What a file says of its own sums, held against its cells: output in a column of its own, value added in rows below.

A file that lost decimal points, lines or columns is noticed here: its cells no longer add up to what it says.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from shockmesh.io.tables.store import Header, Reader, Rows, TableError

DAMAGED = 0.01  # of all output; published tables stay far below
ROUNDED = 1e-6
SHOWN = 3


@dataclass(frozen=True)
class Foot:
    """What stands below the industries of a file: its own value added, taxes and margins, in all."""

    value_added: Float[np.ndarray, "region sector"] | None = None
    output: Float[np.ndarray, "region sector"] | None = None


type Of = Rows | Foot | str
"""What a reader of a format gives for a year: rows by region, then a foot if the file has one, and remarks."""

type Raw = Callable[[int], Iterable[Of]]


def checked(header: Header, read: Raw) -> Reader:
    """The same rows; at the end of a year, a remark on how far the file's cells are from its own sums.

    Raises:
        TableError: they differ by more than 1 % of all output, so that the file is damaged or misread.
    """
    return lambda year: _checked(header, year, read(year))


def _checked(header: Header, year: int, rows: Iterable[Of]) -> Iterator[Rows | str]:
    sizes = len(header.regions), len(header.sectors)
    sold, said, inputs = np.zeros(sizes), np.full(sizes, np.nan), np.zeros(sizes)
    foot = Foot()
    for of in rows:
        if isinstance(of, Foot):
            foot = of
            continue
        if isinstance(of, Rows) and of.region in header.regions:
            at = list(header.regions).index(of.region)
            sold[at] = of.flows.sum((1, 2)) + of.final.sum((1, 2))
            said[at] = np.nan if of.output is None else of.output
            inputs += of.flows.sum(0)
        yield of
    in_column = not np.isnan(said).any()  # then the store keeps it, and its checks tell of small differences
    said = foot.output if foot.output is not None and not in_column else said
    of_sales = list(_compare(header, year, "sales", sold, said))
    yield from [] if in_column else of_sales
    if foot.value_added is not None:
        made = np.where(np.isnan(said), sold, said)
        yield from _compare(header, year, "inputs and value added", inputs + foot.value_added, made)


def _compare(
    header: Header, year: int, what: str, sums: Float[np.ndarray, "region sector"], said: Float[np.ndarray, "..."]
) -> Iterator[str]:
    gap, total = np.nan_to_num(sums - said), float(np.nansum(np.abs(said)))
    share = float(np.abs(gap).sum()) / total if total else 0.0
    wrong = np.abs(gap) > ROUNDED * np.maximum(np.abs(np.nan_to_num(said)), 1)
    if share <= ROUNDED:
        return
    worst = np.argsort(-np.abs(gap), axis=None)[: min(SHOWN, wrong.sum())]
    named = (np.unravel_index(at, gap.shape) for at in worst)
    shown = ", ".join(
        f"{header.regions[r]} {header.sectors[s]} {sums[r, s]:.6g} against {said[r, s]:.6g}" for r, s in named
    )
    told = f"{year}: {what} add up to another output than the file has for {wrong.sum()} industries"
    told += f", in all by {share:.1e} of it: {shown}"
    if share > DAMAGED:
        raise TableError(f"{header.source}, {told}; more than 1 %: it is damaged, or of another form")
    yield told
