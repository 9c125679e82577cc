"""WIOD's world tables of the 2016 release: the official workbook, WIOTYYYY_Nov16_ROW.xlsb, streamed row by row.

Line 3 of the sheet names the codes of the columns, line 5 their countries; four columns of labels come first (code,
description, country, number). Final demand is CONS_h CONS_np CONS_g GFCF INVEN; the last column is TOT.

The packaged table of 2014 (.npz) is put together again from exact pieces of that release.
"""

from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from pyxlsb import open_workbook
from shockmesh.io.sources import About
from shockmesh.io.tables.readers.headers import Labels, check_file, header_of
from shockmesh.io.tables.readers.labelled import LabelledRow, columns_of, rows_by_region
from shockmesh.io.tables.store import Header, Reader, Rows, TableError

CODES_LINE, COUNTRIES_LINE, LABELS = 2, 4, 4
FINAL = ("CONS_h", "CONS_np", "CONS_g", "GFCF", "INVEN")

type Cells = list[Any]


def read(path: Path, about: About) -> tuple[Header, Reader]:
    """Open the workbook of one year, or the packaged table.

    Raises:
        TableError: no such file, or lines that are not WIOD's.
    """
    check_file(path)
    return _read_pieces(path, about) if path.suffix == ".npz" else _read_workbook(path, about)


def _read_workbook(file: Path, about: About) -> tuple[Header, Reader]:
    top = list(islice(_lines(file), COUNTRIES_LINE + 1))
    if len(top) <= COUNTRIES_LINE:
        raise TableError(f"{file}: {len(top)} lines, a WIOD sheet has codes in line 3 and countries in line 5")
    labels = [
        (str(country), str(code))
        for code, country in zip(top[CODES_LINE][LABELS:], top[COUNTRIES_LINE][LABELS:], strict=True)
    ]
    used = [position for position, (country, _) in enumerate(labels) if country not in ("TOT", "None", "")]
    columns = columns_of(file, [labels[position] for position in used], lambda code: code in FINAL)
    header = header_of(about, file, columns.labels)
    return header, lambda year: rows_by_region(file, columns, _rows(file, _lines(file), np.asarray(used)))


def _rows(file: Path, lines: Iterator[Cells], used: np.ndarray) -> Iterator[LabelledRow]:
    for number, cells in enumerate(lines, start=1):
        if number > COUNTRIES_LINE + 1 and cells[2] not in (None, "", "TOT"):
            yield str(cells[2]), str(cells[0]), _numbers(file, number, cells[LABELS:])[used]


def _numbers(file: Path, number: int, cells: Cells) -> Float[np.ndarray, " column"]:
    """The numbers of a line; an empty cell is 0."""
    try:
        return np.array([0.0 if cell is None else float(cell) for cell in cells])
    except ValueError as error:
        raise TableError(f"{file}: line {number}: {error}") from error


def _lines(file: Path) -> Iterator[Cells]:
    with closing(open_workbook(str(file))) as book:
        if not book.sheets:
            raise TableError(f"{file}: no sheet there")
        with book.get_sheet(1) as sheet:
            for row in sheet.rows():
                yield [cell.v for cell in row]


def _read_pieces(file: Path, about: About) -> tuple[Header, Reader]:
    """The packaged world table of 2014: 44 regions × 56 sectors, reassembled from exact pieces of the 2016 release.

    Domestic flows, final demand and output are WIOD's; which foreign country supplies an imported intermediate is
    estimated: Z[c,i,d,j] = T[c,i,d] / Σ_j M[d,i,j] · M[d,i,j] for c ≠ d (proportionality, as WIOD itself does).
    """
    parts = np.load(file)
    labels = Labels(*(parts[name].tolist() for name in ("countries", "sectors", "final")))
    remark = "put together again: the origin of imported intermediates is estimated, all else is WIOD's"
    header = header_of(about, file, labels, title=f"{about.title}, reassembled", years=(2014,), remarks=(remark,))
    return header, lambda year: _rows_of_pieces({name: parts[name] for name in ("Zd", "M", "T", "F", "X")}, labels)


def _rows_of_pieces(parts: dict[str, np.ndarray], labels: Labels) -> Iterator[Rows]:
    imports = parts["M"].astype("f8")  # [buyer country, product, buyer sector]
    totals = imports.sum(2)
    for position, region in enumerate(labels.regions):
        trade = parts["T"][position].astype("f8")  # [product, buyer country]
        share = np.divide(trade, totals.T, out=np.zeros_like(trade), where=totals.T > 0)
        flows = share[:, :, None] * imports.transpose(1, 0, 2)
        flows[:, position] = parts["Zd"][position]
        yield Rows(region, flows, parts["F"][position].astype("f8"), parts["X"][position])
