"""Sheets as grids of cells, whatever file they are in: workbooks, text of any separator, data frames."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from typing import Any

from shockmesh.io.inputs.files import File, SourceError
from shockmesh.io.inputs.frames import FRAMES, R_DATA, read_frame, read_r
from shockmesh.io.inputs.workbooks import WORKBOOKS, Cells, open_workbook

ENCODINGS = ("utf-8-sig", "utf-16", "big5", "cp1252")  # tried in this order; the last reads anything
MARKS = (",", ";", "\t", "|")
LOOKED_AT = 30  # lines, to tell what splits them


@dataclass(frozen=True)
class Grid:
    """The cells of a sheet, all rows of one width; "" where a cell is empty."""

    file: File
    sheet: str  # "" of a file that has no sheets
    cells: list[Cells]

    def __str__(self) -> str:
        return f"{self.file}, sheet {self.sheet}" if self.sheet else str(self.file)


def grids_of(file: File, sheet: str | None = None) -> Iterator[Grid]:
    """Every sheet of a file, or the one that is named.

    Raises:
        SourceError: it cannot be read, or there is no such sheet.
    """
    if file.suffix in WORKBOOKS:
        book = open_workbook(file)
        for name in [sheet] if sheet else book.sheets:
            yield _grid(file, name, list(book.rows(name)))
    elif file.suffix in R_DATA and _lists(file):
        found = _lists(file)
        if sheet and sheet not in found:
            raise SourceError(f"{file}: sheet: {sheet}: no such data frame; there are {', '.join(found)}")
        yield from (_of_frame(file, name, of) for name, of in found.items() if name == (sheet or name))
    elif file.suffix in FRAMES:
        yield _of_frame(file, "", read_frame(file))
    else:
        yield _grid(file, "", _text(file))


def _grid(file: File, sheet: str, rows: list[Cells]) -> Grid:
    width = max(map(len, rows), default=0)
    return Grid(file, sheet, [[*row, *[""] * (width - len(row))] for row in rows])


def _lists(file: File) -> dict[str, Any]:
    """The data frames in lists that R saved, by their names."""
    lists = [value for value in read_r(file).values() if isinstance(value, dict)]
    return {str(name): of for value in lists for name, of in value.items() if hasattr(of, "columns")}


def _of_frame(file: File, sheet: str, frame: Any) -> Grid:
    """Names of columns become the first line; names of rows the first column, where they are not numbers."""
    named = frame if not frame.index.map(lambda name: isinstance(name, str)).all() else frame.reset_index()
    rows = named.astype(object).where(named.notna(), "").to_numpy().tolist()
    return _grid(file, sheet, [[str(name) for name in named.columns], *rows])


def _text(file: File) -> list[Cells]:
    text = _decoded(file)
    head = text.splitlines()[:LOOKED_AT]
    mark = max(MARKS, key=lambda mark: sum(line.count(mark) for line in head) if head else 0)
    decimal_comma = mark != "," and not any(
        "." in cell and _number(cell) is not None for line in head for cell in line.split(mark)
    )
    rows = csv.reader(StringIO(text), delimiter=mark)
    return [[_cell(cell, decimal_comma) for cell in row] for row in rows]


def _decoded(file: File) -> str:
    content = file.read().getvalue()
    for encoding in ENCODINGS:
        if encoding == "utf-16" and content[:2] not in (b"\xff\xfe", b"\xfe\xff"):
            continue
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return content.decode(ENCODINGS[-1], "replace")


def _cell(text: str, decimal_comma: bool) -> Any:
    """A cell of text as a number, unless it is written as a code is: 01."""
    text = text.strip()
    plain = text.replace(".", "").replace(",", ".") if decimal_comma else text.replace(",", "")
    if len(text) > 1 and text.isdigit() and text[0] == "0":
        return text
    number = _number(plain)
    return text if number is None else number


def _number(text: str) -> float | None:
    try:
        return float(text) if text and text[-1] not in "nfNFyY" else None
    except ValueError:
        return None
