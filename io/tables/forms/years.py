"""Several years of one kind of table: a file each, of which one is open at a time."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from shockmesh.io.inputs.files import File, Source
from shockmesh.io.sources import Said
from shockmesh.io.tables.claims import Raw
from shockmesh.io.tables.forms.headers import years_in
from shockmesh.io.tables.store import Header, TableError

SAME = ("regions", "sectors", "categories", "unit")


def found(source: Source, fitting: list[File], what: str) -> list[File]:
    """The files of a kind in a source. A single file is taken at the user's word, whatever its name.

    Raises:
        TableError: none.
    """
    files = fitting or (list(source.files) if len(source.files) == 1 else [])
    if not files:
        raise TableError(f"{source}: no {what} among its {len(source.files)} files")
    return files


def by_year(
    source: Source, files: Sequence[File], said: Said, read_one: Callable[[File], tuple[Header, Raw]],
    year_of: Callable[[File], tuple[int, ...]] = lambda file: years_in(file.stem),
) -> tuple[Header, Raw]:  # fmt: skip
    """One file as it is; of several, those of the years that the user says, or all.

    Raises:
        TableError: a file without a year, two of one year, a year that is not there, or files of other labels or units.
    """
    if len(files) == 1:
        return read_one(files[0])
    of_year: dict[int, File] = {}
    for file in files:
        years = year_of(file)
        if not years:
            raise TableError(f"{file}: year: none in its name, and there are {len(files)} files; hand in one")
        if years[0] in of_year:
            raise TableError(f"{file}: year: {years[0]}, as of {of_year[years[0]].name}; keep one of them")
        of_year[years[0]] = file
    wanted = chosen(source, sorted(of_year), said)
    first = of_year[wanted[0]]
    opened = {wanted[0]: read_one(first)}
    header = opened[wanted[0]][0]

    def rows(year: int):
        of, read = opened.pop(year) if year in opened else read_one(of_year[year])
        for name in SAME:
            if getattr(of, name) != getattr(header, name):
                raise TableError(f"{of_year[year]}: {name}: not those of {first.name}")
        return read(year)

    return replace(header, years=tuple(wanted), source=f"{header.source.rpartition(', ')[0]}, {source.path.name}"), rows


def chosen(source: object, years: list[int], said: Said) -> list[int]:
    """Of the years that are there those that the user says, or all.

    Raises:
        TableError: one that is said is not there.
    """
    if missing := [year for year in said.years if year not in years]:
        raise TableError(f"{source}: year: {missing[0]}: there are {', '.join(map(str, years))}")
    return [year for year in years if year in said.years] if said.years else years
