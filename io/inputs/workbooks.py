"""Workbooks (.xlsx, .xlsm, .xls, .xlsb, .ods) as grids of cells, through Calamine.

A cell is text, a number (float), a bool, a date, or "" where it is empty; a row starts at column A, the first is row 1.
"""

from array import array
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from shockmesh.io.inputs.files import File, SourceError

if TYPE_CHECKING:
    from python_calamine import CalamineSheet, CalamineWorkbook

WORKBOOKS = (".xlsx", ".xlsm", ".xls", ".xlsb", ".ods")

PANIC = "PanicException"  # Calamine's, at some damaged files: no Exception, and of a class that cannot be imported

type Cells = list[Any]


@dataclass(frozen=True)
class Workbook:
    """An open workbook."""

    file: File
    book: "CalamineWorkbook"
    last: dict[str, "CalamineSheet"] = field(default_factory=dict[str, "CalamineSheet"])  # the sheet that was read last

    @property
    def sheets(self) -> list[str]:
        return list(self.book.sheet_names)

    def rows(self, sheet: str | None = None) -> Iterator[Cells]:
        """The rows of a sheet, by its name; without one, of the only sheet.

        Raises:
            SourceError: no such sheet, or several and none named.
        """
        if sheet is None and len(self.sheets) == 1:
            sheet = self.sheets[0]
        if sheet not in self.sheets:
            said = f"sheet: {sheet}: no such sheet" if sheet else "sheet: none given"
            raise SourceError(f"{self.file}: {said}; there are {', '.join(self.sheets) or 'none'}")
        found = self._sheet(sheet)
        margin: Cells = [""] * (found.start or (0, 0))[1]  # Calamine gives the rows above, but not the columns before
        for cells in found.iter_rows():
            yield [*margin, *cells] if margin else cells

    def _sheet(self, name: str) -> "CalamineSheet":
        """A sheet; it is kept until another one is read, since it takes long."""
        if name not in self.last:
            self.last.clear()
            with _readable(self.file):
                self.last[name] = self.book.get_sheet_by_name(name)
        return self.last[name]


def open_workbook(file: File) -> Workbook:
    """Open a workbook; it is held in memory whole.

    Raises:
        SourceError: it is none.
    """
    from python_calamine import CalamineWorkbook

    with _readable(file):
        if isinstance(file.at, Path):
            return Workbook(file, CalamineWorkbook.from_path(file.at))
        return Workbook(file, CalamineWorkbook.from_filelike(file.read()))


@contextmanager
def _readable(file: File) -> Generator[None]:
    from python_calamine import CalamineError

    try:
        yield
    except BaseException as error:
        if isinstance(error, CalamineError | OSError | EOFError | ValueError) or type(error).__name__ == PANIC:
            raise SourceError(f"{file}: cannot be read as a workbook: {error}") from error
        raise


def text_of(cell: Any) -> str:
    """A cell as text, without blanks at its ends; a whole number as people write it, 19 and not 19.0."""
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell).strip()


def numbers_of(cells: Cells, where: str) -> Float[np.ndarray, " cell"]:
    """Cells as numbers; an empty one is 0.

    Raises:
        SourceError: a cell is no number; it says where.
    """
    try:
        return np.frombuffer(array("d", cells))  # half the time of np.array
    except TypeError:
        pass
    try:
        return np.array([0.0 if cell == "" else float(cell) for cell in cells])
    except (ValueError, TypeError) as error:
        raise SourceError(f"{where}: {error}") from error
