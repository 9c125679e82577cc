"""FIGARO inter-country input-output tables (Eurostat), of industries or products: matrix and flat CSV files, or zips.

Matrix: labels such as AT_A01 in the first row and column, final demand P3_S13 P3_S14 P3_S15 P51G P5M, value added in
the last rows (W2_…). Flat: one cell a line: refArea, rowIi or rowPi, counterpartArea, colIi or colPi, obsValue (and
icioiRow, icioiCol, which only join these).
"""

import re
from collections.abc import Iterator
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd
from shockmesh.io.inputs.files import File, Source
from shockmesh.io.sources import About, Said
from shockmesh.io.tables.claims import Raw
from shockmesh.io.tables.readers.headers import header_of
from shockmesh.io.tables.readers.labelled import (
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
from shockmesh.io.tables.readers.text import cells_of
from shockmesh.io.tables.readers.years import by_year, found
from shockmesh.io.tables.store import Header, TableError

BUYER = ["counterpartArea", "col"]
DOMESTIC = "W2"  # the region of value added
LINES = 200_000
AS_TEXT: Any = {"dtype": str, "keep_default_na": False, "encoding": "utf-8-sig"}


def fits(source: Source) -> list[File]:
    """CSV files whose first line is FIGARO's: rowLabels and labels, or the columns of a flat file."""
    return [file for file in source.matching(r".*\.csv") if re.match(r"rowLabels,|.*\bobsValue\b", file.first_line())]


def read(source: Source, about: About, said: Said) -> tuple[Header, Raw]:
    """Open FIGARO files of either layout, of a year or of several; the rows of one region are held at a time.

    Raises:
        TableError, SourceError: no such file, or labels that are not FIGARO's.
    """
    return by_year(source, found(source, fits(source), "CSV file of FIGARO's layout"), said, partial(_read, about))


def _read(about: About, file: File) -> tuple[Header, Raw]:
    names = cells_of(file.first_line(), ",")
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


MEANING = Meaning(_column, lambda region, code: ADDED if region == DOMESTIC else INDUSTRY)


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
