"""Tables whose rows and columns carry labels (region, code): FIGARO, the OECD's CSV files, WIOD's 2016 workbook.

A reader of a format gives the labels of its columns and a stream of labelled rows. Here they become the labels of a
header, and rows by region. The reader says which codes are categories of final demand; all others are industries.
"""

import csv
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from shockmesh.io.tables.readers.headers import Labels, check_file
from shockmesh.io.tables.store import Header, Reader, Rows, TableError

type Label = tuple[str, str]  # region, sector or category
type LabelledRow = tuple[str, str, Float[np.ndarray, " column"]]


@dataclass(frozen=True)
class Columns:
    """Where the columns of a table are: industries and final demand, region by region."""

    regions: list[str]
    sectors: list[str]
    categories: list[str]
    flow_at: Int[np.ndarray, "region sector"]
    final_at: Int[np.ndarray, "region category"]

    @property
    def labels(self) -> Labels:
        return Labels(self.regions, self.sectors, self.categories)


def columns_of(file: Path, labels: Sequence[Label], is_final: Callable[[str], bool]) -> Columns:
    """Find the columns of a table.

    Raises:
        TableError: a region lacks a sector or a category that another has, or a column is there twice.
    """
    at = {label: position for position, label in enumerate(labels)}
    if len(at) != len(labels):
        raise TableError(f"{file}: a column is there twice")
    regions = list(dict.fromkeys(region for region, code in labels if not is_final(code)))
    sectors = list(dict.fromkeys(code for _, code in labels if not is_final(code)))
    categories = list(dict.fromkeys(code for _, code in labels if is_final(code)))
    missing = [f"{r} {c}" for r in regions for c in (*sectors, *categories) if (r, c) not in at]
    if missing:
        raise TableError(f"{file}: columns: every region has the same sectors; missing {', '.join(missing[:5])}")
    return Columns(
        regions, sectors, categories,
        np.array([[at[region, sector] for sector in sectors] for region in regions]),
        np.array([[at[region, category] for category in categories] for region in regions]),
    )  # fmt: skip


def rows_by_region(file: Path, columns: Columns, rows: Iterator[LabelledRow]) -> Iterator[Rows]:
    """Gather a stream of labelled rows by region; rows that are not an industry's (value added, totals) are left out.

    Raises:
        TableError: a region's rows are not exactly its sectors'.
    """
    known = set(columns.sectors)
    wanted = (row for row in rows if row[0] in columns.regions and row[1] in known)
    for region, of_region in groupby(wanted, key=lambda row: row[0]):
        values = {sector: row for _, sector, row in of_region}
        missing = [sector for sector in columns.sectors if sector not in values]
        if missing:
            raise TableError(f"{file}: rows of {region}: missing {', '.join(missing[:5])}")
        block = np.stack([values[sector] for sector in columns.sectors])
        yield Rows(region, block[:, columns.flow_at], block[:, columns.final_at])


def read_matrix_csv(
    file: Path, header: Callable[[Columns], Header], is_final: Callable[[str], bool], ignored: Collection[str] = ()
) -> tuple[Header, Reader]:
    """A CSV file with labels `REGION_CODE` in its first row and column, as FIGARO's and the OECD's.

    Args:
        ignored: labels of columns that are neither industries nor final demand, such as totals.

    Raises:
        TableError: no such file, a label without a region, a row of another length, or a cell that is not a number.
    """
    with _open(file) as lines:
        top = next(csv.reader(lines), [])
    used = [position for position, label in enumerate(top) if position and label not in ignored]
    columns = columns_of(file, [_split(file, top[position]) for position in used], is_final)

    def rows() -> Iterator[LabelledRow]:
        with _open(file) as lines:
            for number, cells in enumerate(csv.reader(lines), start=1):
                if number > 1 and "_" in cells[0]:
                    region, code = _split(file, cells[0])
                    yield region, code, _numbers(file, number, cells, len(top))[used]

    return header(columns), lambda year: rows_by_region(file, columns, rows())


def _open(file: Path):
    check_file(file)
    return file.open(encoding="utf-8-sig", newline="")


def _split(file: Path, label: str) -> Label:
    region, underscore, code = label.partition("_")
    if not underscore:
        raise TableError(f"{file}: label {label!r}: must be REGION_CODE")
    return region, code


def _numbers(file: Path, number: int, cells: list[str], length: int) -> Float[np.ndarray, " column"]:
    """The numbers of a line, with a 0 in place of its label."""
    if len(cells) != length:
        raise TableError(f"{file}:{number}: {len(cells)} cells, the first line has {length}")
    try:
        return np.array([0.0, *map(float, cells[1:])])
    except ValueError as error:
        raise TableError(f"{file}:{number}: {error}") from error
