"""FIGARO inter-country input-output tables (Eurostat), of industries or of products: matrix and flat CSV files.

Matrix: labels such as AT_A01 in the first row and column, final demand P3_S13 P3_S14 P3_S15 P51G P5M, value added in
the last rows (W2_…). Flat: one cell a line: refArea, rowIi or rowPi, counterpartArea, colIi or colPi, obsValue (and
icioiRow, icioiCol, which only join these).
"""

import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from shockmesh.io.sources import About
from shockmesh.io.tables.readers.headers import check_file, header_of
from shockmesh.io.tables.readers.labelled import (
    Columns,
    Label,
    LabelledRow,
    columns_of,
    read_matrix_csv,
    rows_by_region,
)
from shockmesh.io.tables.store import Header, Reader, TableError

BUYER = ["counterpartArea", "col"]
LINES = 200_000
AS_TEXT: Any = {"dtype": str, "keep_default_na": False, "encoding": "utf-8-sig"}


def read(path: Path, about: About) -> tuple[Header, Reader]:
    """Open a FIGARO file of either layout.

    Raises:
        TableError: no such file, or labels that are not FIGARO's.
    """
    check_file(path)
    names: list[str] = pd.read_csv(path, header=None, nrows=1, **AS_TEXT).iloc[0].tolist()
    if "obsValue" in names:
        return _read_flat(path, about, names)
    return read_matrix_csv(path, lambda columns: _header(path, about, columns), _is_final)


def _is_final(code: str) -> bool:
    return re.fullmatch(r"P(3_S1[345]|51G|5M|5[23]?)", code) is not None


def _header(path: Path, about: About, columns: Columns, of_products: bool = False) -> Header:
    """The header; a table of products has codes such as CPA_A01, or says so in the names of its columns."""
    of_products = of_products or all(sector.startswith("CPA_") for sector in columns.sectors)
    of = "product by product" if of_products else "industry by industry"
    return header_of(about, path, columns.labels, title=f"{about.title}, {of}")


def _read_flat(file: Path, about: About, names: list[str]) -> tuple[Header, Reader]:
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
    columns = columns_of(file, list(labels), _is_final)
    order = pd.MultiIndex.from_tuples(list(labels))
    header = _header(file, about, columns, of_products=(row, col) == ("rowPi", "colPi"))
    return header, lambda year: rows_by_region(file, columns, _flat_rows(file, used, order))


def _chunks(file: Path, used: dict[str, str]) -> Iterator[pd.DataFrame]:
    """The lines below the header. It is read as a line too: else pandas would shift the cells of longer lines."""
    options: Any = {**AS_TEXT, "header": None, "chunksize": LINES}
    with pd.read_csv(file, **options) as chunks:
        names: Any = None
        for cells in chunks:
            names, below = (cells.iloc[0], cells[1:]) if names is None else (names, cells)
            yield below.set_axis(names, axis=1)[list(used)].rename(columns=used)


def _flat_rows(file: Path, used: dict[str, str], order: pd.MultiIndex) -> Iterator[LabelledRow]:
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


def _refuse(file: Path, cells: pd.DataFrame, bad: Any, rule: str) -> None:
    if bad.any():
        line = int(cells.index[bad][0]) + 1
        raise TableError(f"{file}:{line}: {', '.join(map(str, cells[bad].iloc[0]))}: {rule}")
