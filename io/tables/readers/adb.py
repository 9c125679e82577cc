"""The Asian Development Bank's multi-regional tables: a workbook a year, of WIOD's layout without codes.

Sectors are c1 … c35 and categories F1 … F5, with their names in `sector_names`; 62 to 75 economies.
"""

from functools import partial

from shockmesh.io.inputs.files import File, Source
from shockmesh.io.sources import About, Said
from shockmesh.io.tables.claims import Raw
from shockmesh.io.tables.forms.headers import years_in
from shockmesh.io.tables.forms.wiod import in_sheet
from shockmesh.io.tables.forms.years import by_year, found
from shockmesh.io.tables.store import Header


def fits(source: Source) -> list[File]:
    """The files that are named as the ADB's, such as ADB-MRIO62-2022_Mar2023.xlsx."""
    return source.matching(r"ADB[- _]MRIO.*\.xls[xb]")


def read(source: Source, about: About, said: Said) -> tuple[Header, Raw]:
    """Open the table of a year or of several, one held at a time.

    Raises:
        TableError, SourceError: no such file, or lines that are not the ADB's.
    """
    files = found(source, fits(source), "file ADB-MRIO….xlsx")
    return by_year(source, files, said, partial(_read, about), _year)


def _read(about: About, file: File) -> tuple[Header, Raw]:
    return in_sheet(file, about, _year(file), coded=False)


def _year(file: File) -> tuple[int, ...]:
    """The year of the table; the second one of a name is that of its edition."""
    return years_in(file.stem, first=True)
