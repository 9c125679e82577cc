"""FIGARO inter-country input-output tables (Eurostat), industry by industry: matrix and flat CSV files.

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


def read_figaro(file: Path) -> tuple[Header, Reader]:
    """Open a FIGARO file of either layout.

    Raises:
        TableError: no such file, no year in its name, or labels that are not FIGARO's.
    """
    if not file.is_file():
        raise TableError(f"{file}: no such file")
    names = pd.read_csv(file, nrows=0).columns
    if "obsValue" in names:
        return _read_flat(file, names)
    return read_matrix_csv(file, lambda columns: _header(file, columns), _is_final)


def _is_final(code: str) -> bool:
    return re.fullmatch(r"P(3_S1[345]|51G|5M|5[23]?)", code) is not None


def _header(file: Path, columns: Columns) -> Header:
    return Header(
        regions=columns.regions,
        sectors=columns.sectors,
        categories=columns.categories,
        unit="million EUR / year",
        title="FIGARO inter-country input-output table, industry by industry",
        source=f"Eurostat FIGARO, {file.name}",
        licence="Eurostat: reuse with acknowledgement (CC BY 4.0)",
        references="Remond-Tiedrez, Rueda-Cantuche (eds, 2019), EU inter-country supply, use and input-output tables",
        years=(year_of(file),),
    )


def year_of(file: Path) -> int:
    """The last year in a file's name. Raises TableError if there is none."""
    years = re.findall(r"(?<!\d)(?:19|20)\d\d(?!\d)", file.name)
    if not years:
        raise TableError(f"{file}: year: none in the file's name; rename it, such as figaro_2019.csv")
    return int(years[-1])


def _read_flat(file: Path, names: pd.Index) -> tuple[Header, Reader]:
    row, col = (next((name for name in names if re.fullmatch(rf"{side}[IP]i", name)), None) for side in ("row", "col"))
    missing = [name for name in ("refArea", "counterpartArea") if name not in names]
    if row is None or col is None or missing:
        raise TableError(f"{file}: columns: a flat FIGARO file has refArea, rowIi, counterpartArea, colIi, obsValue")
    used = {"refArea": "refArea", str(row): "row", "counterpartArea": "counterpartArea", str(col): "col"}
    used["obsValue"] = "obsValue"
    labels: dict[Label, None] = {}
    for cells in _chunks(file, used):
        pairs = cells[BUYER].drop_duplicates()
        labels |= dict.fromkeys(pairs.itertuples(index=False, name=None))
    columns = columns_of(file, list(labels), _is_final)
    order = pd.MultiIndex.from_tuples(list(labels))
    return _header(file, columns), lambda year: rows_by_region(file, columns, _flat_rows(file, used, order))


def _chunks(file: Path, used: dict[str, str]) -> Iterator[pd.DataFrame]:
    options: Any = {"usecols": list(used), "dtype": str, "keep_default_na": False, "chunksize": LINES}
    with pd.read_csv(file, **options) as chunks:
        for cells in chunks:
            yield cells.rename(columns=used)


def _flat_rows(file: Path, used: dict[str, str], order: pd.MultiIndex) -> Iterator[LabelledRow]:
    """Rows from lines of which those of a supplier region stand together; one region's lines are held at a time."""
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
        line = int(cells.index[bad][0]) + 2
        raise TableError(f"{file}:{line}: {', '.join(map(str, cells[bad].iloc[0]))}: {rule}")
