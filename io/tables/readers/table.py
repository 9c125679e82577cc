"""Any national table: a sheet whose parts are told by its labels and sums (`structure.py`), or by the user.

Unit, year, region, source and licence are the user's. Sheets named by years are years.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from shockmesh.io.inputs.files import File, Source
from shockmesh.io.inputs.frames import FRAMES
from shockmesh.io.inputs.grids import grids_of
from shockmesh.io.inputs.workbooks import WORKBOOKS
from shockmesh.io.sources import About, Said
from shockmesh.io.tables.claims import Foot, Of, Raw
from shockmesh.io.tables.corrections import NOTHING, Corrections, read_corrections
from shockmesh.io.tables.forms.headers import Labels, header_of, years_in
from shockmesh.io.tables.forms.years import chosen
from shockmesh.io.tables.pivot import pivoted
from shockmesh.io.tables.store import Header, Rows, TableError
from shockmesh.io.tables.structure import Structure, recognise

UNDATED = 0  # the year of a sheet that says none
READABLE = (*WORKBOOKS, *FRAMES, ".csv", ".txt", ".tsv")


def fits(source: Source) -> list[File]:
    """None: a sheet is only known once it is read. `import table` is what to try where no kind fits."""
    return []


def read(source: Source, about: About, said: Said) -> tuple[Header, Raw]:
    """Open the one sheet that is a table, or those named by years.

    Raises:
        TableError, SourceError: no region is said, no sheet or several that can be recognised, or one that is not sure.
    """
    if said.region is None:
        raise TableError(f"{source}: region: nothing says whose table it is; say it (--region DEU)")
    corrections = read_corrections(said.corrections) if said.corrections else NOTHING
    files = [file for file in source.files if file.suffix in READABLE]
    if len(files) != 1:
        raise TableError(f"{source}: {len(files)} files that may be a table ({', '.join(READABLE)}), expected one")
    found = _sheets(files[0], said.sheet or corrections.sheet, said, corrections)
    first = next(iter(found.values()))
    labels = _labels(first, said.region)
    years = tuple(found) if UNDATED not in found else years_in(files[0].stem)
    header = header_of(
        about, files[0], labels, title=f"{about.title}, {said.region}", notes={"sector_names": first.names},
        years=years, remarks=tuple(first.account()),
    )  # fmt: skip
    header = replace(header, source=files[0].name)

    def rows(year: int) -> Iterator[Of]:
        of = found.get(year, first)
        if _labels(of, str(said.region)) != labels:
            raise TableError(f"{of.grid}: its sectors or final demand are not those of {first.grid.sheet}")
        yield from _rows(of, str(said.region))

    return header, rows


def _sheets(file: File, sheet: str | None, said: Said, corrections: Corrections) -> dict[int, Structure]:
    """The tables of a file by year."""
    grids = [pivoted(grid, said.region) for grid in grids_of(file, sheet)]
    years = [years_in(grid.sheet) for grid in grids]
    dated = {year[0]: grid for year, grid in zip(years, grids, strict=True) if year}
    if sheet is None and len(dated) > 1 and len(dated) == sum(map(bool, years)):
        return {year: recognise(dated[year], corrections) for year in chosen(file, sorted(dated), said)}
    if len(grids) == 1:
        year = years_in(grids[0].sheet)
        return {year[0] if year else UNDATED: recognise(grids[0], corrections)}
    sure, told = dict[str, Structure](), list[str]()
    for grid in grids:
        try:
            sure[grid.sheet] = recognise(grid, corrections)
        except TableError as error:
            told.append(f"  {grid.sheet}: {str(error).removeprefix(f'{grid}: ').splitlines()[0]}")
    if len(sure) == 1:
        return {UNDATED: next(iter(sure.values()))}
    which = f"{', '.join(sure)} look like tables" if sure else "none is sure to be a table"
    raise TableError("\n".join([f"{file}: sheet: none given; of {len(grids)}, {which}; say which (--sheet)", *told]))


def _labels(of: Structure, region: str) -> Labels:
    return Labels([region], of.sectors, of.categories)


def _rows(of: Structure, region: str) -> Iterator[Of]:
    flows, demand, grid = of.flows, of.demand, of.grid
    yield Rows(region, flows[:, None], demand[:, None])
    if of.output_row is not None:
        output = [float(grid.cells[of.output_row][at] or 0) for at in of.columns]
        yield Foot(output=np.array([output]))
