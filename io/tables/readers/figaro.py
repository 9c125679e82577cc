"""FIGARO inter-country input-output tables (Eurostat), of industries or products: matrix and flat CSV files, or zips.

Matrix: labels such as AT_A01 in the first row and column, final demand P3_S13 P3_S14 P3_S15 P51G P5M, value added in
the last rows (W2_…). Flat: one cell a line: refArea, rowIi or rowPi, counterpartArea, colIi or colPi, obsValue (and
icioiRow, icioiCol, which only join these). Eurostat's database (naio_10_fcp_ii1 … ii4, TSV or
SDMX-CSV): c_orig and ind_ava sell to c_dest and ind_use, for some years; value added has the origin DOM. Of that, one
year is held at a time.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd
from shockmesh.io.inputs.files import File, Source
from shockmesh.io.sources import About, Said
from shockmesh.io.tables.claims import Raw
from shockmesh.io.tables.forms.eurostat import MONEY, dimensions, lines_of, only, with_dimensions
from shockmesh.io.tables.forms.headers import header_of
from shockmesh.io.tables.forms.labelled import (
    ADDED,
    FINAL,
    INDUSTRY,
    OTHER,
    Columns,
    Label,
    LabelledRow,
    Meaning,
    columns_of,
    read_matrix,
    region_and_code,
    rows_by_region,
)  # fmt: skip
from shockmesh.io.tables.forms.text import cells_of
from shockmesh.io.tables.forms.years import by_year, chosen, found
from shockmesh.io.tables.store import Header, TableError

ENDS, PAIRS = ("c_orig", "c_dest"), (("ind_ava", "ind_use"), ("prd_ava", "prd_use"))
BUYER = ["counterpartArea", "col"]
DOMESTIC = ("W2", "DOM")  # the regions of value added
LINES = 200_000
AS_TEXT: Any = {"dtype": str, "keep_default_na": False, "encoding": "utf-8-sig"}


def fits(source: Source) -> list[File]:
    """CSV files whose first line is FIGARO's: rowLabels and labels, or the columns of a flat file."""
    csv = [file for file in source.matching(r".*\.csv") if re.match(r"rowLabels,|.*\bobsValue\b", file.first_line)]
    return [*csv, *with_dimensions(source, *({*ENDS, *pair} for pair in PAIRS))]


def read(source: Source, about: About, said: Said) -> tuple[Header, Raw]:
    """Open FIGARO files of either layout, of a year or of several; the rows of one region are held at a time.

    Raises:
        TableError, SourceError: no such file, or labels that are not FIGARO's.
    """
    files = found(source, fits(source), "file of FIGARO's layout")
    if dimensions(files[0]):
        return _read_database(source, files, about, said)
    return by_year(source, files, said, partial(_read, about))


def _read(about: About, file: File) -> tuple[Header, Raw]:
    names = cells_of(file.first_line, ",")
    if "obsValue" in names:
        return _read_flat(file, about, names)
    return read_matrix(file, lambda columns: _header(file, about, columns), MEANING, partial(_label, file))


def _label(file: File, label: str) -> Label:
    region, code = region_and_code(label)
    if not region:
        raise TableError(f"{file}: label {label!r}: must be REGION_CODE")
    return region, code


def _column(region: str, code: str) -> str:
    return FINAL if re.fullmatch(r"P(3_S1[345]|51G|5M|5[23]?)", code) else INDUSTRY if region else OTHER


MEANING = Meaning(_column, lambda region, code: ADDED if region in DOMESTIC else INDUSTRY)


def _header(file: File, about: About, columns: Columns, of_products: bool = False) -> Header:
    """The header; a table of products has codes such as CPA_A01, or says so in the names of its columns."""
    of_products = of_products or all(sector.startswith("CPA_") for sector in columns.sectors)
    of = "product by product" if of_products else "industry by industry"
    return header_of(about, file, columns.labels, title=f"{about.title}, {of}")


def _read_flat(file: File, about: About, names: list[str]) -> tuple[Header, Raw]:
    row, col = (next((name for name in names if re.fullmatch(rf"{side}[IP]i", name)), None) for side in ("row", "col"))
    used = {"refArea": "refArea", str(row): "row", "counterpartArea": "counterpartArea", str(col): "col"}
    used["obsValue"] = "obsValue"
    if any(names.count(name) != 1 for name in used):
        rule = "a flat FIGARO file has refArea, rowIi, counterpartArea, colIi, obsValue, each once"
        raise TableError(f"{file}: columns: {rule}; there are {', '.join(names)}")
    labels: dict[Label, None] = {}
    for cells in _chunks(file, used):
        pairs = cells[BUYER].drop_duplicates()
        labels |= dict.fromkeys(pairs.itertuples(index=False, name=None))
    columns = columns_of(file, list(labels), MEANING)
    order = pd.MultiIndex.from_tuples(list(labels))
    header = _header(file, about, columns, of_products=(row, col) == ("rowPi", "colPi"))
    return header, lambda year: rows_by_region(file, columns, _flat_rows(file, used, order), MEANING)


def _chunks(file: File, used: dict[str, str]) -> Iterator[pd.DataFrame]:
    """The lines below the header. It is read as a line too: else pandas would shift the cells of longer lines."""
    options: Any = {**AS_TEXT, "header": None, "chunksize": LINES}
    with file.open() as data, pd.read_csv(data, **options) as chunks:
        names: Any = None
        for cells in chunks:
            names, below = (cells.iloc[0], cells[1:]) if names is None else (names, cells)
            yield below.set_axis(names, axis=1)[list(used)].rename(columns=used)


def _flat_rows(file: File, used: dict[str, str], order: pd.MultiIndex) -> Iterator[LabelledRow]:
    """Rows from a flat file, in which the lines of a supplier region stand together; one region is held at a time."""
    pieces = (piece for cells in _chunks(file, used) for piece in cells.groupby("refArea", sort=False))
    seen = set[Any]()
    for region, of_region in groupby(pieces, key=lambda piece: piece[0]):
        if region in seen:
            raise TableError(f"{file}: refArea: {region}: the lines of a supplier region must stand together")
        seen.add(region)
        cells: Any = pd.concat([lines for _, lines in of_region])
        values: Any = pd.to_numeric(cells["obsValue"], errors="coerce")
        _refuse(file, cells, values.isna(), "obsValue: must be a number")
        _refuse(file, cells, cells.duplicated(["row", *BUYER]), "a cell that an earlier line gave")
        codes, suppliers = pd.factorize(cells["row"])
        block = np.zeros((len(suppliers), len(order)))
        block[codes, order.get_indexer(pd.MultiIndex.from_frame(cells[BUYER]))] = values
        yield from ((str(region), str(code), row) for code, row in zip(suppliers, block, strict=True))


def _refuse(file: File, cells: pd.DataFrame, bad: Any, rule: str) -> None:
    if bad.any():
        line = int(cells.index[bad][0]) + 1
        raise TableError(f"{file}:{line}: {', '.join(map(str, cells[bad].iloc[0]))}: {rule}")


def _read_database(source: Source, files: list[File], about: About, said: Said) -> tuple[Header, Raw]:
    """Eurostat's database: files of some years each."""
    of_year: dict[int, File] = {}
    rows: dict[Label, None] = {}
    columns: dict[Label, None] = {}
    units = set[str]()
    available, use = next(pair for pair in PAIRS if set(pair) <= set(dimensions(files[0])))
    for file in files:
        for lines in lines_of(file):
            of_year[lines.year] = file
            units |= set(lines.keys["unit"]) if "unit" in lines.keys else set()
            for found_labels, ends in ((rows, ["c_orig", available]), (columns, ["c_dest", use])):
                pairs = lines.keys[ends].drop_duplicates()
                found_labels |= dict.fromkeys(pairs.itertuples(index=False, name=None))
    found_columns = columns_of(files[0], list(columns), MEANING)
    unit = only(files[0], units or {"MIO_EUR"}, "unit", ("MIO_EUR",))
    header = _header(files[0], about, found_columns, of_products=available == "prd_ava")
    years = chosen(source, sorted(of_year), said)
    header = replace(header, years=tuple(years), unit=f"{MONEY.get(unit, unit)} / year")
    at = pd.MultiIndex.from_tuples(sorted(rows)), pd.MultiIndex.from_tuples(list(columns))

    def of(year: int) -> Iterator[LabelledRow]:
        block = np.zeros((len(at[0]), len(at[1])))
        for lines in lines_of(of_year[year], year):
            kept = ~np.isnan(lines.values) & (lines.keys["unit"] == unit if "unit" in lines.keys else True)
            row, column = (
                index.get_indexer(pd.MultiIndex.from_frame(lines.keys.loc[kept, ends]))
                for index, ends in zip(at, (["c_orig", available], ["c_dest", use]), strict=True)
            )
            block[row, column] = lines.values[kept]
        yield from ((str(region), str(code), line) for (region, code), line in zip(at[0], block, strict=True))

    return header, lambda year: rows_by_region(of_year[year], found_columns, of(year), MEANING)
