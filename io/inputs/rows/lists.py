"""Sheets from what users hold: text, Parquet, workbooks, data frames (R's, Stata's), with columns recognised.

    read_sheet(open_source("firmen.csv").files[0], FIRMS)      # or a data frame

What was recognised (encoding, header line, names of columns, decimal mark) is in `Sheet.told`, and kept with the store.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv as text_rows
import pyarrow.parquet as parquet
from jaxtyping import Float, Int
from shockmesh.io.inputs.files import File
from shockmesh.io.inputs.frames import FRAMES, PARQUET, read_frame
from shockmesh.io.inputs.rows.columns import Columns, ColumnsError
from shockmesh.io.inputs.rows.dialects import HEAD_ROWS, Dialect, lines_of, ragged_line, sniff, without_header
from shockmesh.io.inputs.rows.numerals import NumeralsError, read_numbers
from shockmesh.io.inputs.rows.sheets import TEXT, Sheet, SheetError, names_of, refuse
from shockmesh.io.inputs.workbooks import WORKBOOKS, open_workbook, text_of

NUMBERS = ("amount", "final_demand", "output")
BLOCK = 2**24  # bytes read at a time
pc: Any = pyarrow.compute  # whose functions are made when it is imported


@dataclass(frozen=True)
class Written:
    """What a user says of how files are written; what is left out is recognised."""

    columns: Mapping[str, str] = field(default_factory=dict[str, str])  # our name → the file's
    decimal: str | None = None
    encoding: str | None = None


AS_FOUND = Written()


@dataclass(frozen=True)
class _Read:
    """Columns as a file has them, by our names, before they are names and numbers."""

    name: str
    columns: Mapping[str, Any]
    word: str
    places: Any
    told: dict[str, Any]
    continental: bool = False


def read_sheet(source: File | pd.DataFrame, kind: Columns, written: Written = AS_FOUND, name: str = "") -> Sheet:
    """Read a file or a data frame.

    Args:
        name: what to call a data frame.

    Raises:
        SheetError, SourceError, DialectError: it cannot be read, has no rows, lacks a column, or has one that two
            names fit; or numbers that can be read in two ways.
    """
    called = name if isinstance(source, pd.DataFrame) else source.name
    try:
        if isinstance(source, pd.DataFrame):
            read = _of_frame(source, kind, written, name)
        elif source.suffix in PARQUET:
            read = _of_parquet(source, kind, written)
        elif source.suffix in FRAMES:
            read = _of_frame(read_frame(source), kind, written, source.name)
        elif source.suffix in WORKBOOKS:
            read = _of_workbook(source, kind, written)
        else:
            read = _of_text(source, kind, written)
    except ColumnsError as error:
        raise SheetError(f"{called}: {error}") from error
    return _sheet(read, written)


def read_blank_separated(file: File, columns: tuple[str, ...]) -> Sheet:
    """Read a file without header whose columns are split by blanks.

    Raises:
        SheetError: it cannot be read, or a row has another number of columns.
    """
    options: dict[str, Any] = {"sep": r"\s+", "header": None, "dtype": str, "keep_default_na": False}
    try:
        with file.text() as lines:
            frame = pd.read_csv(lines, skip_blank_lines=False, **options)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise SheetError(f"{file}: cannot be read as columns split by blanks: {str(error).strip()}") from error
    rule = f"{len(columns)} columns needed: {' '.join(columns)}"
    if frame.shape[1] != len(columns):
        raise SheetError(f"{file.name}: {rule}; it has {frame.shape[1]}")
    there = {name: pa.array(frame.iloc[:, at].fillna("").tolist(), pa.string()) for at, name in enumerate(columns)}
    sheet = _sheet(_Read(file.name, there, "line", _counted, {"split by": "blanks"}), Written(decimal="."))
    refuse(sheet.complain(np.logical_or.reduce([sheet.missing(name) for name in columns]), rule))
    return sheet


def lacking(called: str, kind: Columns, found: Mapping[str, int], names: Sequence[str]) -> None:
    """Refuse a header that lacks a column.

    Raises:
        SheetError: with the columns that are there.
    """
    if absent := kind.lacking(found):
        say = ",".join(f"{name}=…" for name in absent)
        raise SheetError(f"{called}: no column {', '.join(absent)}; it has {', '.join(names)} (--columns {say})")


def _sheet(read: _Read, written: Written) -> Sheet:
    """Names coded and trimmed, numbers read, rows without an entry left out."""
    columns, values, trimmed, marks = dict[str, Any](), dict[str, Any](), dict[str, int](), dict[str, str]()
    for name, entries in read.columns.items():
        entries = entries.combine_chunks() if isinstance(entries, pa.ChunkedArray) else entries
        if name in NUMBERS:
            columns[name], values[name], told = _numbers(read, name, entries, written.decimal)
            marks |= told
        else:
            columns[name], count = names_of(entries)
            trimmed |= {name: count} if count else {}
    places = read.places
    sheet = Sheet(read.name, columns, values, read.word, places)
    empty = np.logical_and.reduce([sheet.missing(name) for name in columns])
    if empty.all():
        raise SheetError(f"{read.name}: rows: 0: must be at least one")
    told = {**read.told, **marks, "rows": int((~empty).sum())} | ({"blanks trimmed": trimmed} if trimmed else {})
    if empty.any():
        kept = np.flatnonzero(~empty)
        columns = {name: entries.take(pa.array(kept)) for name, entries in columns.items()}
        values = {name: of[kept] for name, of in values.items()}
        return Sheet(read.name, columns, values, read.word, lambda rows: places(kept[list(rows)].tolist()), told)
    return Sheet(read.name, columns, values, read.word, places, told)


def _numbers(
    read: _Read, name: str, entries: Any, decimal: str | None
) -> tuple[Any, Float[np.ndarray, " row"], dict[str, str]]:
    """A column as it is written, as numbers, and how it is written."""
    if pa.types.is_dictionary(entries.type):
        entries = entries.dictionary_decode()
    if not _is_text(entries.type):
        return entries, pc.cast(entries, pa.float64(), safe=False).to_numpy(zero_copy_only=False), {}
    text = pc.fill_null(pc.cast(entries, pa.string()), "")
    try:
        values, way = read_numbers(text, decimal, continental=read.continental)
    except NumeralsError as error:
        raise SheetError(f"{read.name}: {name}: {error}") from error
    return text, values, way.told


def _is_text(kind: Any) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _of_text(file: File, kind: Columns, written: Written) -> _Read:
    dialect = _dialect(file, kind, written)
    found = kind.found(dialect.names, written.columns)
    lacking(file.name, kind, found, dialect.names)
    named = {name: dialect.names[at] for name, at in found.items()}
    columns = _parse(file, dialect, found)
    return _Read(
        file.name, columns, "line", partial(lines_of, file, dialect), dialect.told | {"columns": named},
        continental=dialect.delimiter == ";",
    )  # fmt: skip


def _dialect(file: File, kind: Columns, written: Written) -> Dialect:
    dialect = sniff(file, partial(kind.named, said=written.columns), len(kind.needed), written.encoding)
    return without_header(dialect) if _starts_at_once(dialect, kind, written) else dialect


def _starts_at_once(dialect: Dialect, kind: Columns, written: Written) -> bool:
    """Whether columns are said by positions, and the first row has numbers where numbers are due."""
    said = {name: theirs for name, theirs in written.columns.items() if name in (*kind.needed, *kind.others)}
    if not said or not all(theirs.isdigit() and int(theirs) <= len(dialect.names) for theirs in said.values()):
        return False
    numbers = [dialect.names[int(theirs) - 1] for name, theirs in said.items() if name in NUMBERS]
    return all(any(mark.isdigit() for mark in text) for text in numbers)


def _parse(file: File, dialect: Dialect, found: Mapping[str, int]) -> dict[str, Any]:
    """The columns of a text file. Names are coded as they are read."""
    places = [f"{position}" for position in range(len(dialect.names))]
    types = {places[at]: pa.string() if name in NUMBERS else TEXT for name, at in found.items()}
    try:
        with file.open() as data:
            table = text_rows.read_csv(
                data,
                text_rows.ReadOptions(
                    column_names=places, skip_rows=dialect.header_line, encoding=dialect.encoding, block_size=BLOCK
                ),
                text_rows.ParseOptions(delimiter=dialect.delimiter, newlines_in_values=True),
                text_rows.ConvertOptions(
                    column_types=types, include_columns=[*types], strings_can_be_null=False, null_values=[]
                ),
            )
    except (pa.ArrowInvalid, UnicodeError) as error:
        ragged = ragged_line(file, dialect) if isinstance(error, pa.ArrowInvalid) else None
        raise SheetError(f"{file}: {ragged or f'cannot be read as CSV: {str(error).strip()}'}") from error
    table = table.unify_dictionaries()
    return {name: table.column(places[at]) for name, at in found.items()}


def _of_parquet(file: File, kind: Columns, written: Written) -> _Read:
    try:
        with file.open() as data:
            whole = parquet.ParquetFile(data)
            names = whole.schema_arrow.names
            found = kind.found(names, written.columns)
            lacking(file.name, kind, found, names)
            table = whole.read([names[at] for at in found.values()])
    except (pa.ArrowInvalid, OSError) as error:
        raise SheetError(f"{file}: cannot be read as Parquet: {str(error).strip()}") from error
    columns = {name: table.column(names[at]) for name, at in found.items()}
    return _Read(file.name, columns, "row", _counted, {"columns": {name: names[at] for name, at in found.items()}})


def _of_frame(frame: pd.DataFrame, kind: Columns, written: Written, name: str) -> _Read:
    names = [str(column) for column in frame.columns]
    found = kind.found(names, written.columns)
    lacking(name, kind, found, names)
    columns = {mine: _arrow(frame.iloc[:, at]) for mine, at in found.items()}
    return _Read(name, columns, "row", _counted, {"columns": {mine: names[at] for mine, at in found.items()}})


def _arrow(column: pd.Series) -> Any:
    """A column of a data frame; where it mixes texts and numbers, as texts."""
    try:
        return pa.Array.from_pandas(column)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([None if pd.isna(one) else str(one) for one in column.tolist()], pa.string())


def _of_workbook(file: File, kind: Columns, written: Written) -> _Read:
    book = open_workbook(file)
    rows = list(book.rows(_sheet_of(book.sheets, kind)))
    heads = [[text_of(cell) for cell in row] for row in rows[:HEAD_ROWS]]
    if not heads:
        raise SheetError(f"{file}: rows: 0: must be at least one")
    header = max(range(len(heads)), key=lambda at: (kind.named(heads[at], written.columns), -at))
    names = heads[header]
    found = kind.found(names, written.columns)
    lacking(file.name, kind, found, [name for name in names if name])
    cells = {name: [row[at] if at < len(row) else "" for row in rows[header + 1 :]] for name, at in found.items()}
    columns = {name: _cells(of, numbers=name in NUMBERS) for name, of in cells.items()}
    told = {"header row": header + 1, "columns": {name: names[at] for name, at in found.items()}}
    return _Read(file.name, columns, "row", lambda at: [row + header + 2 for row in at], told)


def _sheet_of(sheets: Sequence[str], kind: Columns) -> str | None:
    """The sheet of a workbook that bears the kind's name, in ours: links or firms; None for the only one."""
    named = [sheet for sheet in sheets if sheet.strip().casefold() == kind.title]
    return named[0] if len(sheets) > 1 and named else None


def _cells(cells: Sequence[Any], *, numbers: bool) -> pa.Array:
    if numbers and all(isinstance(cell, float | int) or cell == "" for cell in cells):
        return pa.array([None if cell == "" else float(cell) for cell in cells], pa.float64())
    return pa.array([text_of(cell) for cell in cells], pa.string())


def _counted(rows: Sequence[int] | Int[np.ndarray, " some"]) -> list[int]:
    return [int(row) + 1 for row in rows]
