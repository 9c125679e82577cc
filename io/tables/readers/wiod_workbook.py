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
from jaxtyping import Float
from pyxlsb import open_workbook
from shockmesh.io.tables.readers.figaro import year_of
from shockmesh.io.tables.readers.labelled import LabelledRow, columns_of, rows_by_region
from shockmesh.io.tables.readers.wiod import REFERENCE
from shockmesh.io.tables.store import Header, Reader, TableError

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
    top = list(islice(_lines(file), COUNTRIES_LINE + 1))
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
