"""National input-output tables, domestic flows: WIOD's workbooks of 2016, or CSV files with labels such as GBR_A01.

A workbook, XXX_NIOT_nov16.xlsx, holds the years 2000 to 2014 in one sheet: Year, Code, Description, Origin (Domestic,
Imports, TOT), then industries, final demand, EXP, GO. What industries buy from abroad is not a flow of the table: it
stays in value added, and its amount is said.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np
from shockmesh.io.inputs.files import File, Source
from shockmesh.io.inputs.workbooks import WORKBOOKS, Cells, Workbook, numbers_of, open_workbook, text_of
from shockmesh.io.sources import WIOD, About, Said
from shockmesh.io.tables.claims import Of, Raw
from shockmesh.io.tables.forms.headers import Labels, header_of
from shockmesh.io.tables.forms.labelled import (
    ADDED,
    FINAL,
    INDUSTRY,
    OTHER,
    OUTPUT,
    Columns,
    LabelledRow,
    Meaning,
    columns_of,
    read_matrix,
    region_and_code,
    rows_by_region,
)  # fmt: skip
from shockmesh.io.tables.forms.years import by_year, chosen, found
from shockmesh.io.tables.store import Header, TableError

CATEGORIES = ("CONS_h", "CONS_np", "CONS_g", "GFCF", "INVEN", "EXP")
NOT_FLOWS = "imported inputs, taxes less subsidies on products, and transport margins"
LICENCE = "CC BY 4.0"  # of WIOD's workbooks; a CSV file may be anybody's
TOP = ["Year", "Code", "Description", "Origin"]


def fits(source: Source) -> list[File]:
    """Workbooks named as WIOD's, or CSV files of their codes."""
    books = source.matching(r"[A-Z]{3}_NIOT_.*\.xlsx")
    return books or [file for file in source.matching(r".*\.csv") if re.search(r",\"?[A-Z]{3}_CONS_h", file.first_line)]


def read(source: Source, about: About, said: Said) -> tuple[Header, Raw]:
    """Open a national table. Rows that are not an industry's (imports, taxes, value added) are left out.

    Raises:
        TableError, SourceError: no such file, or labels that are not of this form.
    """
    files = found(source, fits(source), "file XXX_NIOT_nov16.xlsx, or CSV with labels such as GBR_A01")
    if files[0].suffix not in WORKBOOKS:
        return by_year(source, files, said, partial(_read_csv, about))
    if len(files) > 1:
        raise TableError(
            f"{source}: {len(files)} workbooks, {files[0].name} the first; a table is of one country, hand in one"
        )
    return _read_workbook(source, files[0], about, said)


def _header(about: About, file: File, labels: Labels) -> Header:
    header = header_of(about, file, labels, title=f"{about.title}, {', '.join(labels.regions)}")
    return replace(header, notes={"value_added_includes": NOT_FLOWS})


def _read_csv(about: About, file: File) -> tuple[Header, Raw]:
    def column(region: str, code: str) -> str:
        return OTHER if not region else FINAL if code in CATEGORIES else INDUSTRY

    meaning = Meaning(column, lambda region, code: INDUSTRY if region else OTHER)
    return read_matrix(file, lambda columns: _header(about, file, columns.labels), meaning, region_and_code)


OF_WORKBOOK = Meaning(
    lambda region, code: OUTPUT if code == "GO" else FINAL if code in CATEGORIES else INDUSTRY,
    lambda origin, code: INDUSTRY if origin == "Domestic" else OTHER,
)


def _read_workbook(source: Source, file: File, about: About, said: Said) -> tuple[Header, Raw]:
    book = open_workbook(file)
    sheet, top, lines = _table(book)
    region = (re.match(r"[A-Z]{3}(?=_NIOT)", file.name) or [file.stem])[0]
    columns = columns_of(file, [(region, text_of(code)) for code in top[len(TOP) :]], OF_WORKBOOK)
    of_year = defaultdict[int, list[tuple[int, Cells]]](list)
    for number, cells in lines:
        if cells[0] != "":
            of_year[int(cells[0])].append((number, cells))
    header = _header(about, file, columns.labels)
    years = chosen(source, sorted(of_year), said)
    money = "million USD" if "millions of us dollars" in _notes(book, sheet).lower() else ""
    header = replace(
        header, years=tuple(years), unit=f"{money} / year" if money else header.unit, licence=LICENCE, references=WIOD,
        source=f"WIOD, release 2016, National IO Tables, {file.name}",
    )  # fmt: skip
    return header, lambda year: _of_year(file, columns, region, of_year[year])


def _table(book: Workbook) -> tuple[str, Cells, Iterator[tuple[int, Cells]]]:
    """The sheet whose first line is WIOD's, that line, and those below with their numbers."""
    for sheet in book.sheets:
        lines = book.rows(sheet)
        top = next(lines, [])
        if top[: len(TOP)] == TOP:
            return sheet, top, ((number, cells) for number, cells in enumerate(lines, start=2))
    raise TableError(f"{book.file}: no sheet begins with {', '.join(TOP)}; there are {', '.join(book.sheets)}")


def _notes(book: Workbook, table: str) -> str:
    return " ".join(
        str(cell) for sheet in book.sheets if sheet != table for cells in book.rows(sheet) for cell in cells
    )


def _of_year(file: File, columns: Columns, region: str, lines: list[tuple[int, Cells]]) -> Iterator[Of]:
    """The domestic rows; what the others add up to is a foot, and imports are said."""
    rows = [
        (text_of(cells[3]), text_of(cells[1]), numbers_of(cells[len(TOP) :], f"{file}: line {number}"))
        for number, cells in lines
    ]
    imports = [row[columns.flow_at].sum() for origin, _, row in rows if origin == "Imports"]
    wanted: list[LabelledRow] = [(region, code, row) for origin, code, row in rows if origin == "Domestic"]
    foot = [
        ("", ADDED, row)
        for origin, code, row in rows
        if origin == "Imports" or (origin == "TOT" and code not in ("II_fob", "GO"))
    ]
    foot += [("", OUTPUT, row) for _, code, row in rows if code == "GO"]
    meaning = Meaning(OF_WORKBOOK.column, lambda of, code: INDUSTRY if of else code)
    yield from rows_by_region(file, columns, iter([*wanted, *foot]), meaning)
    if imports:
        yield f"imported inputs are no flows of the table and stay in value added: {np.sum(imports):.6g}"
