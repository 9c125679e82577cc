"""The official workbook of a WIOD 2016 table, WIOTYYYY_Nov16_ROW.xlsb, streamed row by row.

Line 3 of the sheet names the codes of the columns, line 5 their countries; four columns of labels come first (code,
description, country, number). Final demand is CONS_h CONS_np CONS_g GFCF INVEN; the last column is TOT.
"""

from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from pyxlsb import open_workbook
from shockmesh.io.read_figaro import year_of
from shockmesh.io.read_labelled import LabelledRow, columns_of, rows_by_region
from shockmesh.io.read_wiod import REFERENCE
from shockmesh.io.tables import Header, Reader, TableError

CODES_LINE, COUNTRIES_LINE, LABELS = 2, 4, 4
FINAL = ("CONS_h", "CONS_np", "CONS_g", "GFCF", "INVEN")

type Cells = list[Any]


def read_workbook(file: Path) -> tuple[Header, Reader]:
    """Open the workbook of one year.

    Raises:
        TableError: no such file, no year in its name, or lines that are not WIOD's.
    """
    if not file.is_file():
        raise TableError(f"{file}: no such file")
    return read_lines(file, lambda: _lines(file))


def read_lines(file: Path, lines: Any) -> tuple[Header, Reader]:
    """The table in a sheet's lines; `lines` gives a fresh iterator over them."""
    top = list(islice(lines(), COUNTRIES_LINE + 1))
    if len(top) <= COUNTRIES_LINE:
        raise TableError(f"{file}: {len(top)} lines, a WIOD sheet has codes in line 3 and countries in line 5")
    labels = [
        (str(country), str(code))
        for code, country in zip(top[CODES_LINE][LABELS:], top[COUNTRIES_LINE][LABELS:], strict=True)
    ]
    used = [position for position, (country, _) in enumerate(labels) if country not in ("TOT", "None", "")]
    columns = columns_of(file, [labels[position] for position in used], lambda code: code in FINAL)
    header = Header(
        regions=columns.regions,
        sectors=columns.sectors,
        categories=columns.categories,
        unit="million USD / year",
        title="World input-output table, WIOD 2016 release",
        source=f"WIOD 2016 release, {file.name}",
        licence="CC BY 4.0",
        references=f"{REFERENCE}; doi:10.34894/PJ2M1C",
        years=(year_of(file),),
    )
    return header, lambda year: rows_by_region(file, columns, _rows(lines(), np.asarray(used)))


def _rows(lines: Iterator[Cells], used: np.ndarray) -> Iterator[LabelledRow]:
    for cells in islice(lines, COUNTRIES_LINE + 1, None):
        if cells[2] not in (None, "", "TOT"):
            numbers = np.array([0.0 if cell is None else float(cell) for cell in cells[LABELS:]])
            yield str(cells[2]), str(cells[0]), numbers[used]


def _lines(file: Path) -> Iterator[Cells]:
    with closing(open_workbook(str(file))) as book, book.get_sheet(1) as sheet:
        for row in sheet.rows():
            yield [cell.v for cell in row]
