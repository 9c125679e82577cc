"""`import_table`: a published table becomes a store, whose kind is known or found."""

from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType

from shockmesh.io.inputs.files import Source, SourceError, open_source
from shockmesh.io.sources import KINDS, SILENT, TABLES, About, Said
from shockmesh.io.stores.places import Place
from shockmesh.io.tables.checks import Finding, check_table
from shockmesh.io.tables.claims import checked
from shockmesh.io.tables.imports import domestic
from shockmesh.io.tables.store import Header, TableError, Tell, open_table, untold, write_table

EXAMPLES = Path(__file__).parents[1] / "examples"
UNREADABLE = (ValueError, LookupError, TypeError, AttributeError)  # what files raise that are not what they seem


def import_table(
    kind: str, source: str | Path, store: str | Place, said: Said = SILENT, tell: Tell = untold
) -> list[Finding]:
    """Turn a table into a store, and say what its checks find.

    Args:
        source: a file, folder or archive of that kind, or "example" for the packaged one.
        said: what the user says of it; it counts more than what its kind and its files say.
        tell: told what is done now, and the part that is done.

    Raises:
        TableError: an unknown kind, a source that is not of it, a unit or a year that nobody says, or a store that
            exists.
    """
    about = _about(kind)
    if str(source) == "example":
        source, said = _example(kind, about), said.over(about.of_example)
    try:
        opened = open_source(source)
        tell(f"reading {opened.path.name} as {kind}", 0.0)
        header, read = _reader(about).read(opened, about, said)
        header = _complete(opened.path, header, said)
        header, read = domestic(header, checked(header, read))
        write_table(store, header, read, tell)
    except TableError:
        raise
    except SourceError as error:
        raise TableError(f"{error} (as {kind})") from error
    except UNREADABLE as error:
        raise TableError(f"{source}: cannot be read as {kind}: {error}") from error
    with open_table(store) as table:
        return check_table(table)


def kind_of(source: str | Path) -> str:
    """The kind that a source looks like.

    Raises:
        TableError: nothing there, no kind that it looks like, or several.
    """
    try:
        looks = fitting(open_source(source))
    except SourceError as error:
        raise TableError(str(error)) from error
    if not looks:
        rule = f"name its kind: {', '.join(KINDS)}; `table` takes any national table, `links` a list of links"
        raise TableError(f"{source}: looks like no kind of table that is known here; {rule}")
    if len(looks) > 1:
        told = "; ".join(f"{kind} ({file})" for kind, file in looks.items())
        raise TableError(f"{source}: looks like {told}; name its kind")
    return next(iter(looks))


def fitting(source: Source) -> Mapping[str, str]:
    """Every kind that a source looks like, and the first of its files that does."""
    found: dict[str, str] = {}
    for kind, about in TABLES.items():
        files = _reader(about).fits(source)
        if files:
            found[kind] = files[0].name
    return found


def _reader(about: About) -> ModuleType:
    return import_module(f"shockmesh.io.tables.readers.{about.reader}")


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
        raise TableError(f"{source}: nothing says what its amounts are counted in; say it (--unit 'million USD')")
    if not (said.years or header.years):
        raise TableError(f"{source}: year: none in its name; say it (--year 2019)")
    if len(said.years) > 1 and len(header.years) <= 1:
        raise TableError(f"{source}: year: {', '.join(map(str, said.years))}: it has one, {header.years or 'unnamed'}")
    if len(header.years) > 1 and (missing := [year for year in said.years if year not in header.years]):
        raise TableError(f"{source}: year: {missing[0]}: there are {', '.join(map(str, header.years))}")
    return replace(
        header,
        unit=f"{said.money} / year" if said.money else header.unit,
        years=tuple(sorted(said.years)) or header.years,
        source=f"{said.origin}, {source.name}" if said.origin else header.source,
        licence=said.licence or header.licence or "not stated",
    )
