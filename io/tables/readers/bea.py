"""The Bureau of Economic Analysis' make and use tables: two workbooks, a sheet a year, in one folder or archive.

    line 6          codes of the columns: industries, then F010 … of final demand (use); products (make)
    column A        codes of the rows: products, then V001 … (use); industries (make)

"..." is none, sums have no code. Imports (F050) are a negative column: products become domestic (`imports.py`), then
uses become flows between industries (`supply_use.py`). Both workbooks must be of one release.
"""

import re
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float
from shockmesh.io.inputs.files import File, Source
from shockmesh.io.inputs.workbooks import Workbook, open_workbook, text_of
from shockmesh.io.sources import About, Said
from shockmesh.io.tables.claims import Of, Raw
from shockmesh.io.tables.forms.headers import Labels, header_of
from shockmesh.io.tables.forms.years import chosen
from shockmesh.io.tables.imports import Uses, without_adjustments, without_imports
from shockmesh.io.tables.store import Header, Rows, TableError
from shockmesh.io.tables.supply_use import MODEL, industry_by_industry

TITLES = {"make": "The Make of Commodities by Industries", "use": "The Use of Commodities by Industries"}
MARK = "IOCode"  # stands where the codes of rows begin
REGION = "USA"
ADJUSTED = "F05A"  # duties and other adjustments that are booked among imports


@dataclass(frozen=True)
class Sheet:
    """A sheet: its codes, with their names, and cells; 0 where there is none."""

    rows: dict[str, str]
    columns: dict[str, str]
    cells: Float[np.ndarray, "row column"]

    def part(self, rows: list[str], columns: list[str]) -> np.ndarray:
        at = [list(of).index(code) for of, codes in ((self.rows, rows), (self.columns, columns)) for code in codes]
        return self.cells[np.ix_(at[: len(rows)], at[len(rows) :])]


def fits(source: Source) -> list[File]:
    """Workbooks named as make or use tables, if there are both."""
    made, used = (source.matching(rf"IO{name}s?_.*\.xlsx") for name in ("Make", "Use"))
    return [*made, *used] if made and used else []


def read(source: Source, about: About, said: Said) -> tuple[Header, Raw]:
    """Open the make and use tables of a year or of several.

    Raises:
        TableError, SourceError: not one workbook of each, or years or codes that they do not share.
    """
    books = {name: _book(source, name) for name in TITLES}
    dated = [{int(sheet) for sheet in book.sheets if re.fullmatch(r"\d{4}", sheet)} for book in books.values()]
    years = chosen(source, sorted(set.intersection(*dated)), said)
    if not years:
        raise TableError(f"{source}: no year of which there are make and use")
    made, used = (_sheet(book, years[0]) for book in books.values())
    industries, products, categories = _codes(books["use"].file, made, used)
    kept = [*(code for code in categories if code != "F050"), ADJUSTED]
    header = header_of(
        about, books["use"].file, Labels([REGION], industries, kept), years=tuple(years), remarks=(MODEL,),
        notes={"sector_names": {code: made.rows[code] for code in industries}},
    )  # fmt: skip
    header = replace(header, source=f"{about.title}, {books['make'].file.name} and {books['use'].file.name}")
    return header, partial(_rows, books, industries, products, categories)


def _book(source: Source, name: str) -> Workbook:
    return open_workbook(source.one(rf"IO{name}s?_.*\.xlsx", f"IO{name.capitalize()}_….xlsx"))


def _sheet(book: Workbook, year: int) -> Sheet:
    lines = list(book.rows(str(year)))
    below = next((at for at, line in enumerate(lines) if line and line[0] == MARK), 0)
    if not below:
        raise TableError(f"{book.file}: sheet {year}: no line that begins with {MARK}")
    codes, names = lines[below - 1], lines[below]
    columns = {text_of(code): at for at, code in enumerate(codes) if at > 1 and code != ""}
    rows = {
        text_of(line[0]): at
        for at, line in enumerate(lines)
        if at > below and len(line) > 1 and line[0] != "" and line[1] != ""
    }
    cells = np.array([[_number(lines[row][column]) for column in columns.values()] for row in rows.values()])
    return Sheet(
        {code: text_of(lines[at][1]) for code, at in rows.items()},
        {code: text_of(names[at]) for code, at in columns.items()}, cells,
    )  # fmt: skip


def _number(cell: Any) -> float:
    return float(cell) if isinstance(cell, int | float) else 0.0


def _codes(file: File, made: Sheet, used: Sheet) -> tuple[list[str], list[str], list[str]]:
    """Industries, products and categories of final demand."""
    industries, products = list(made.rows), list(made.columns)
    categories = [code for code in used.columns if re.fullmatch(r"F\d.*", code) and code not in industries]
    missing = [code for code in industries if code not in used.columns] + [c for c in products if c not in used.rows]
    if missing or not categories:
        raise TableError(f"{file}: codes: of the make table missing {', '.join(missing[:5]) or 'final demand'}")
    return industries, products, categories


def _rows(
    books: dict[str, Workbook], industries: list[str], products: list[str], categories: list[str], year: int
) -> list[Of]:
    made, used = (_sheet(book, year) for book in books.values())
    uses = Uses(products, used.part(products, industries), used.part(products, categories), categories)
    uses, adjusted = without_adjustments(uses, ADJUSTED)
    home, told = without_imports(f"{books['use'].file}, {year}", uses)
    supply = made.part(industries, products)
    flows, final, lost = industry_by_industry(supply, home.flows, home.final, products)
    remarks = [f"{year}: {said}" for said in (*adjusted, *told, lost) if said]
    return [Rows(REGION, flows[:, None], final[:, None], supply.sum(1)), *remarks]
