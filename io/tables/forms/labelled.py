"""Tables whose rows and columns carry labels (region, code): FIGARO, the OECD's files, WIOD, the ADB's workbooks.

A reader of a format gives the labels of its columns and a stream of labelled rows. Here they become the labels of a
header, and rows by region. The reader says what each label means (`Meaning`).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
from jaxtyping import Float, Int
from shockmesh.io.inputs.files import File
from shockmesh.io.tables.claims import Foot, Of, Raw
from shockmesh.io.tables.forms.headers import Labels
from shockmesh.io.tables.forms.text import cells_of, lines_of
from shockmesh.io.tables.store import Header, Rows, TableError

type Label = tuple[str, str]  # region, sector or category
type LabelledRow = tuple[str, str, Float[np.ndarray, " column"]]
INDUSTRY, FINAL, NOBODY, OUTPUT, ADDED, OTHER = "industry", "final", "nobody", "output", "added", "other"


@dataclass(frozen=True)
class Meaning:
    """What the labels of a format mean."""

    column: Callable[
        [str, str], str
    ]  # region, code → INDUSTRY, FINAL, NOBODY (final demand of no region), OUTPUT, OTHER
    row: Callable[[str, str], str]  # region, code → INDUSTRY, ADDED (a part of value added or taxes), OUTPUT, OTHER
    whole: Callable[[str], str] = str  # the region that a region is a part of: itself, mostly


@dataclass(frozen=True)
class Columns:
    """Where the columns of a table are: industries and final demand, region by region."""

    regions: list[str]
    sectors: list[str]
    categories: list[str]
    flow_at: Int[np.ndarray, "region sector"]
    final_at: Int[np.ndarray, "region category"]
    output_at: int | None = None  # the file's own output
    into: Int[np.ndarray, " part"] = field(default_factory=lambda: np.empty(0, int))
    parts: Int[np.ndarray, " part"] = field(default_factory=lambda: np.empty(0, int))  # added into those columns
    split: frozenset[str] = frozenset()  # regions that are given in parts
    nobodys: dict[str, int] = field(default_factory=dict[str, int])  # left out: final demand of no region

    @property
    def labels(self) -> Labels:
        return Labels(self.regions, self.sectors, self.categories)


def columns_of(file: File, labels: Sequence[Label], meaning: Meaning) -> Columns:
    """Find the columns of a table.

    Raises:
        TableError: a region lacks a sector or a category that another has, or a column is there twice.
    """
    if len(set(labels)) != len(labels):
        raise TableError(f"{file}: a column is there twice")
    kinds = [meaning.column(*label) for label in labels]
    at: dict[Label, int] = {}
    into, parts = list[int](), list[int]()
    for position, (region, code) in enumerate(labels):
        if kinds[position] in (INDUSTRY, FINAL) and at.setdefault((meaning.whole(region), code), position) != position:
            into.append(at[meaning.whole(region), code])
            parts.append(position)
    flows, finals = ([label for label, first in at.items() if kinds[first] == kind] for kind in (INDUSTRY, FINAL))
    regions = list(dict.fromkeys(region for region, _ in flows))
    sectors, categories = (list(dict.fromkeys(code for _, code in found)) for found in (flows, finals))
    missing = [f"{r} {c}" for r in regions for c in (*sectors, *categories) if (r, c) not in at]
    if missing:
        raise TableError(f"{file}: columns: every region has the same sectors; missing {', '.join(missing[:5])}")
    if strange := [f"{r} {c}" for r, c in finals if r not in regions]:
        raise TableError(f"{file}: columns: final demand of a region without industries: {', '.join(strange[:5])}")
    return Columns(
        regions, sectors, categories,
        np.array([[at[region, sector] for sector in sectors] for region in regions]),
        np.array([[at[region, category] for category in categories] for region in regions]),
        kinds.index(OUTPUT) if OUTPUT in kinds else None, np.array(into, int), np.array(parts, int),
        frozenset(whole for region, _ in labels if (whole := meaning.whole(region)) != region),
        {code: position for position, (_, code) in enumerate(labels) if kinds[position] == NOBODY},
    )  # fmt: skip


def rows_by_region(file: File, columns: Columns, rows: Iterator[LabelledRow], meaning: Meaning) -> Iterator[Of]:
    """Gather a stream of labelled rows by region; then, what the file says of its own sums, and what was left out.

    Regions that are given in parts come last; until then the sums of their parts are held.

    Raises:
        TableError: a region's rows are not exactly its sectors'.
    """
    held: dict[str, Rows] = {}
    foot: dict[str, Float[np.ndarray, " column"]] = {}
    nobodys = np.zeros(len(columns.nobodys))
    for part, of_part in groupby(rows, key=lambda row: row[0]):
        values: dict[str, Float[np.ndarray, " column"]] = {}
        for _, code, row in of_part:
            kind = meaning.row(part, code)
            if kind in (ADDED, OUTPUT):
                foot[kind] = foot[kind] + row if kind in foot else row
            elif kind == INDUSTRY and code in values:
                raise TableError(f"{file}: rows of {part}: {code} is there twice")
            elif kind == INDUSTRY:
                values[code] = row
                nobodys += row[list(columns.nobodys.values())]
        region = meaning.whole(part)
        if values and region in columns.regions:
            block = _rows(file, columns, part, values, region)
            if region not in columns.split:
                yield block
            else:
                held[region] = _sum(held[region], block) if region in held else block
    yield from held.values()
    yield Foot(
        *(_merged(columns, foot[kind][None])[0, columns.flow_at] if kind in foot else None for kind in (ADDED, OUTPUT))
    )
    for code, amount in zip(columns.nobodys, nobodys, strict=True):
        yield f"column {code} is no region's final demand and is left out: {amount:.6g} in all"


def _rows(file: File, columns: Columns, part: str, values: dict[str, np.ndarray], region: str) -> Rows:
    wanted = columns.sectors if part == region else [code for code in columns.sectors if code in values]
    if missing := [code for code in wanted if code not in values]:
        raise TableError(f"{file}: rows of {part}: missing {', '.join(missing[:5])}")
    if unknown := [code for code in values if code not in set(columns.sectors)]:
        raise TableError(f"{file}: rows of {part}: {', '.join(unknown[:5])}: no column of that name")
    nothing = np.zeros(len(next(iter(values.values()))))
    block = _merged(columns, np.stack([values.get(code, nothing) for code in columns.sectors]))
    output = None if columns.output_at is None else block[:, columns.output_at]
    return Rows(region, block[:, columns.flow_at], block[:, columns.final_at], output)


def _merged(columns: Columns, block: Float[np.ndarray, "row column"]) -> Float[np.ndarray, "row column"]:
    """With the columns of a region's parts added to the region's own."""
    if not len(columns.parts):
        return block
    whole, at = block.copy(), slice(None)
    np.add.at(whole, (at, columns.into), block[:, columns.parts])  # pyright: ignore
    return whole


def _sum(one: Rows, other: Rows) -> Rows:
    output = None if one.output is None or other.output is None else one.output + other.output
    return Rows(one.region, one.flows + other.flows, one.final + other.final, output)


def read_matrix(
    file: File, header: Callable[[Columns], Header], meaning: Meaning, split: Callable[[str], Label]
) -> tuple[Header, Raw]:
    """A CSV file with labels in its first row and column, as FIGARO's and the OECD's.

    Args:
        split: a label as region and code; the region is "" where it has none.

    Raises:
        TableError: a row of another length, or a cell that is not a number.
    """
    top = cells_of(file.first_line, ",")
    labels = [split(label) for label in top[1:]]
    columns = columns_of(file, labels, meaning)

    def rows() -> Iterator[LabelledRow]:
        for (label,), numbers in lines_of(file, ",", 1, 1, len(top)):
            yield *split(label), numbers

    return header(columns), lambda year: rows_by_region(file, columns, rows(), meaning)


def region_and_code(label: str) -> Label:
    """A label such as AUS_A01 as its two parts; of a label without region, such as OUT, the region is empty."""
    region, underscore, code = label.partition("_")
    return (region, code) if underscore else ("", label)
