"""`import_table`: a published table of a known kind becomes a store."""

import zlib
from dataclasses import replace
from gzip import BadGzipFile
from importlib import import_module
from pathlib import Path
from zipfile import BadZipFile

from pymrio import ParserError
from shockmesh.io.sources import SILENT, TABLES, About, Said
from shockmesh.io.stores.places import Place
from shockmesh.io.tables.checks import Finding, check_table
from shockmesh.io.tables.store import Header, TableError, open_table, write_table

EXAMPLES = Path(__file__).parents[1] / "examples"
UNREADABLE = (
    ValueError, LookupError, TypeError, AttributeError, EOFError, BadZipFile, BadGzipFile, zlib.error, ParserError,
)  # fmt: skip


def import_table(kind: str, source: str | Path, store: str | Place, said: Said = SILENT) -> list[Finding]:
    """Turn a table into a store, and say what its checks find.

    Args:
        source: a file or folder of that kind, or "example" for the packaged one.
        said: what the user says of it; it counts more than what its kind and its files say.

    Raises:
        TableError: an unknown kind, a source that is not of it, a unit or a year that nobody says, or a store that
            exists.
    """
    about = _about(kind)
    if str(source) == "example":
        source, said = _example(kind, about), said.over(about.of_example)
    try:
        header, read = import_module(f"shockmesh.io.tables.readers.{about.reader}").read(Path(source), about)
        write_table(store, _complete(Path(source), header, said), read)
    except TableError:
        raise
    except UNREADABLE as error:
        raise TableError(f"{source}: cannot be read as {kind}: {error}") from error
    with open_table(store) as table:
        return check_table(table)


def _about(kind: str) -> About:
    if kind not in TABLES:
        raise TableError(f"{kind}: no such kind of table; there are {', '.join(TABLES)}")
    return TABLES[kind]


def _example(kind: str, about: About) -> Path:
    if not about.example:
        having = ", ".join(name for name, other in TABLES.items() if other.example)
        raise TableError(f"{kind}: no packaged example; there are {having}")
    return EXAMPLES / about.example


def _complete(source: Path, header: Header, said: Said) -> Header:
    """The header, completed by what the user says. Unit and year must be known; a licence may be unknown."""
    if not (said.money or header.unit):
        raise TableError(f"{source}: nothing says what its amounts are counted in; say it (--money 'million USD')")
    if not (said.year or header.years):
        raise TableError(f"{source}: year: none in its name; say it (--year 2019)")
    if said.year and len(header.years) > 1 and said.year not in header.years:
        raise TableError(f"{source}: year: {said.year}: there are {', '.join(map(str, header.years))}")
    return replace(
        header,
        unit=f"{said.money} / year" if said.money else header.unit,
        years=(said.year,) if said.year else header.years,
        source=f"{said.origin}, {source.name}" if said.origin else header.source,
        licence=said.licence or header.licence or "not stated",
    )
