"""FIGARO inter-country input-output tables (Eurostat), industry by industry: matrix and flat CSV files.

Matrix: labels such as AT_A01 in the first row and column, final demand P3_S13 P3_S14 P3_S15 P51G P5M, value added in
the last rows (W2_…). Flat: one cell a line: refArea, rowIi or rowPi, counterpartArea, colIi or colPi, obsValue.
"""

import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from shockmesh.io.read_labelled import Columns, Label, LabelledRow, columns_of, read_matrix_csv, rows_by_region
from shockmesh.io.tables import Header, Reader, TableError

FLAT = ("refArea", "row", "counterpartArea", "col", "obsValue")
LINES = 500_000


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
        pairs = cells[["counterpartArea", "col"]].drop_duplicates()
        labels |= dict.fromkeys(pairs.itertuples(index=False, name=None))
    order = {label: position for position, label in enumerate(labels)}
    columns = columns_of(file, list(order), _is_final)
    return _header(file, columns), lambda year: rows_by_region(file, columns, _flat_rows(file, used, order))


def _chunks(file: Path, used: dict[str, str]) -> Iterator[pd.DataFrame]:
    text: Any = {name: str for name, role in used.items() if role != "obsValue"}
    for cells in pd.read_csv(file, usecols=list(used), dtype=text, keep_default_na=False, chunksize=LINES):
        yield cells.rename(columns=used)


def _flat_rows(file: Path, used: dict[str, str], order: dict[Label, int]) -> Iterator[LabelledRow]:
    """Rows from lines that are sorted by supplier region; one region's rows are held at a time."""
    lines = (line for cells in _chunks(file, used) for line in cells[list(FLAT)].itertuples(index=False, name=None))
    for region, of_region in groupby(lines, key=lambda line: line[0]):
        rows: dict[str, np.ndarray] = {}
        for _, code, buyer, col, value in of_region:
            rows.setdefault(code, np.zeros(len(order)))[order[buyer, col]] += float(value)
        yield from ((region, code, values) for code, values in rows.items())
