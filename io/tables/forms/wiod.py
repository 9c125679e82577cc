"""Workbooks of WIOD's layout: WIOD's world tables of 2016 and 2013, the ADB's; and what R and Stata users hold of 2016.

A sheet has four columns of labels (code, description, country, number), then the columns of the table. The lines just
above the cells have, for each column, its code (the ADB has none), description, country and number (c1, c2, …). The
last column is output (country TOT); rows of country TOT are sums, taxes and margins, value added (VA), output (GO).

Frames of R and Stata (release 2016) have a row an industry: IndustryCode, IndustryDescription, Country, RNr, Year,
then AUS1 … ROW61 (v before it in Stata), TOT: numbers up to 56 are industries in the order of the rows, 57 to 61 the
categories of final demand.
"""

import re
from collections.abc import Iterator
from itertools import islice

import numpy as np
from shockmesh.io.inputs.files import File
from shockmesh.io.inputs.frames import read_frame
from shockmesh.io.inputs.workbooks import numbers_of, open_workbook, text_of
from shockmesh.io.sources import About
from shockmesh.io.tables.claims import Raw
from shockmesh.io.tables.forms.headers import header_of
from shockmesh.io.tables.forms.labelled import (
    ADDED,
    FINAL,
    INDUSTRY,
    OTHER,
    OUTPUT,
    LabelledRow,
    Meaning,
    columns_of,
    rows_by_region,
)  # fmt: skip
from shockmesh.io.tables.store import Header, TableError

LABELS, TOP = 4, 12  # columns of labels; lines among which those of the labels are
CATEGORIES = ("CONS_h", "CONS_np", "CONS_g", "GFCF", "INVEN")
NUMBERED = ("c37", "c38", "c39", "c41", "c42", "F1", "F2", "F3", "F4", "F5")  # those of WIOD 2013 and of the ADB
SUM, OUTPUTS = ("II_fob", "r60"), ("GO", "r69")  # the other rows of TOT are taxes, margins and value added
INDUSTRIES = 56  # of a frame: numbers above are categories
RENAMED = {"ROM": "ROU"}  # in some workbooks of 2013


def _column(country: str, code: str) -> str:
    if country.upper() == "TOT":
        return OUTPUT
    return FINAL if code in (*CATEGORIES, *NUMBERED) else INDUSTRY if country else OTHER


def _row(country: str, code: str) -> str:
    if country.upper() == "TOT":
        return OTHER if code in SUM else OUTPUT if code in OUTPUTS else ADDED
    return INDUSTRY if country else OTHER


MEANING = Meaning(_column, _row)


def in_sheet(file: File, about: About, years: tuple[int, ...], coded: bool = True) -> tuple[Header, Raw]:
    """Open a workbook, which is of one year; its first sheet is read, a legend apart.

    Args:
        coded: columns have codes, three lines above their numbers.

    Raises:
        TableError, SourceError: no workbook, or lines that are not WIOD's.
    """
    book = open_workbook(file)
    if not book.sheets:
        raise TableError(f"{file}: no sheet there")
    sheet = next((name for name in book.sheets if name.lower() != "legend"), book.sheets[0])
    lines = list(islice(book.rows(sheet), TOP))
    last = next((at for at, line in enumerate(lines) if "c1" in line[LABELS:]), 0)
    if last < 2:
        rule = "the number of every column (c1, c2, …) must stand in one line, its country in the line above"
        raise TableError(f"{file}: sheet {sheet}: {rule}")
    names, countries, numbers = ([text_of(cell) for cell in lines[last - back][LABELS:]] for back in (2, 1, 0))
    codes = [text_of(cell) for cell in lines[last - 3][LABELS:]] if coded else numbers
    labels = [_label(*label) for label in zip(codes, countries, numbers, strict=True)]
    columns = columns_of(file, labels, MEANING)
    notes = {
        "sector_names": {code: name for (_, code), name in zip(labels, names, strict=True) if code in columns.sectors}
    }

    def rows() -> Iterator[LabelledRow]:
        for number, cells in enumerate(book.rows(sheet), start=1):
            if number > last + 1 and any(cells[:LABELS]):
                code, _, country, name = map(text_of, cells[:LABELS])
                yield *_label(code, country, name), numbers_of(cells[LABELS:], f"{file}: line {number}")

    header = header_of(about, file, columns.labels, years=years, notes=notes)
    return header, lambda year: rows_by_region(file, columns, rows(), MEANING)


def in_frame(file: File, about: About, years: tuple[int, ...]) -> tuple[Header, Raw]:
    """Open a frame of R or Stata, release 2016.

    Raises:
        TableError, SourceError: no such frame.
    """
    frame = read_frame(file)
    if missing := {"IndustryCode", "Country", "RNr", "TOT"} - set(frame.columns):
        raise TableError(f"{file}: columns: {', '.join(sorted(missing))}: missing; a WIOD frame has them")
    code_of = dict(zip(frame["RNr"].astype(int), frame["IndustryCode"].astype(str), strict=True))
    used = [name for name in frame.columns if name == "TOT" or re.fullmatch(r"v?[A-Z]{3}\d+", name)]
    columns = columns_of(file, [_label_of_frame(name, code_of) for name in used], MEANING)

    def rows() -> Iterator[LabelledRow]:
        block = frame[used].to_numpy(np.float64)
        for country, code, numbers in zip(frame["Country"], frame["IndustryCode"], block, strict=True):
            yield str(country).strip(), str(code).strip(), numbers

    header = header_of(about, file, columns.labels, years=years)
    return header, lambda year: rows_by_region(file, columns, rows(), MEANING)


def _label(code: str, country: str, number: str) -> tuple[str, str]:
    """Country and code; categories of 2013, and sums, have a number alone."""
    return RENAMED.get(country, country), code or number


def _label_of_frame(name: str, code_of: dict[int, str]) -> tuple[str, str]:
    if name == "TOT":
        return "TOT", "GO"
    label = name.removeprefix("v")
    country, number = label[:3], int(label[3:])
    return country, code_of[number] if number <= INDUSTRIES else CATEGORIES[number - INDUSTRIES - 1]
