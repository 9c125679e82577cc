"""GLORIA multi-region tables (Lenzen et al. 2022, Economic Systems Research 34:1): CSV files without labels.

As downloaded, a folder or an archive: `*_T-Results_YYYY_*_Markup001(full).csv` (basic prices), `*_Y-Results_*`; the
labels are in the ReadMe workbook, a download of its own, there or beside it. T has, for each region, the rows and
columns of its industries, then of its products. Its supply part is diagonal (each product is made by the industry of
its name), so the rows of products × columns of industries are an industry table, whichever of the four constructions
(Eurostat, 2008, ch. 11) is asked for. What supply is off the diagonal is said.
"""

import re
from collections.abc import Iterator
from functools import partial
from itertools import islice

import numpy as np
from shockmesh.io.inputs.files import File, Source, open_source
from shockmesh.io.inputs.workbooks import open_workbook, text_of
from shockmesh.io.sources import About, Said
from shockmesh.io.tables.claims import Of, Raw
from shockmesh.io.tables.forms.headers import Labels, header_of
from shockmesh.io.tables.forms.text import lines_of
from shockmesh.io.tables.forms.years import by_year
from shockmesh.io.tables.store import Header, Rows, TableError

LABELS = {
    "Regions": "Region_acronyms", "Sectors": "Sector_names", "Value added and final demand": "Final_demand_names",
}  # fmt: skip
README = r".*ReadMe.*\.xlsx"


def fits(source: Source) -> list[File]:
    """The flows at basic prices, one file a year."""
    return source.matching(r".*_T-Results_\d{4}_.*Markup001\(full\)\.csv")


def read(source: Source, about: About, said: Said) -> tuple[Header, Raw]:
    """Open GLORIA's files of a year or of several, at basic prices; the rows of one region are held at a time.

    Raises:
        TableError, SourceError: a file is missing, or a file's shape is not that of the labels.
    """
    files = fits(source)
    if not files:
        raise TableError(f"{source}: 0 files *T-Results*Markup001(full).csv among its {len(source.files)}")
    labels = _labels(_readme(source))
    return by_year(source, files, said, partial(_read, source, about, labels))


def _readme(source: Source) -> File:
    found = source.matching(README)
    if not found and source.path.is_file():
        found = [
            file
            for path in source.path.parent.iterdir()
            if re.fullmatch(README, path.name, re.I)
            for file in open_source(path).files
        ]
    if len(found) != 1:
        rule = "the labels are in GLORIA_ReadMe_….xlsx, a download of its own; put it there, or beside the archive"
        raise TableError(f"{source}: {len(found)} ReadMe workbooks: {rule}")
    return found[0]


def _labels(readme: File) -> Labels:
    book = open_workbook(readme)
    found: list[list[str]] = []
    for sheet, column in LABELS.items():
        lines = book.rows(sheet)
        top = [text_of(cell) for cell in next(lines, [])]
        if column not in top:
            raise TableError(f"{readme}: sheet {sheet}: no column {column}; it has {', '.join(top)}")
        cells = (text_of(line[top.index(column)]) for line in lines)
        found.append([cell for cell in cells if cell])
    return Labels(*found)


def _read(source: Source, about: About, labels: Labels, flows: File) -> tuple[Header, Raw]:
    ending = "_Y-Results" + flows.name.partition("_T-Results")[2]
    final = next((file for file in source.files if file.name.endswith(ending)), None)
    if final is None:
        raise TableError(f"{source}: no file …{ending} beside {flows.name}")
    return header_of(about, flows, labels), lambda year: _rows(flows, final, labels)


def _rows(flows: File, final: File, labels: Labels) -> Iterator[Of]:
    """Region by region: 2 · sectors lines of each file, of which the second half are its products."""
    regions, sectors = len(labels.regions), len(labels.sectors)
    widths = 2 * sectors * regions, len(labels.categories) * regions
    of_flows, of_final = (lines_of(file, ",", 0, 0, width) for file, width in zip((flows, final), widths, strict=True))
    supply, apart = 0.0, 0.0
    for position, region in enumerate(labels.regions):
        block, demand = (_next(file, of, 2 * sectors, region) for file, of in ((flows, of_flows), (final, of_final)))
        made = block[:sectors].reshape(sectors, regions, 2, sectors)[:, :, 1]
        supply += float(made.sum())
        apart += float(np.abs(made).sum() - np.abs(made[:, position].diagonal()).sum())
        products = block[sectors:].reshape(sectors, regions, 2, sectors)
        yield Rows(region, products[:, :, 0], demand[sectors:].reshape(sectors, regions, -1))
    for file, rest in ((flows, of_flows), (final, of_final)):
        if next(rest, None) is not None:
            raise TableError(f"{file}: goes on after the rows of {labels.regions[-1]}")
    if apart > 1e-6 * abs(supply):
        yield f"industries also make products of other names, which is left out: {apart:.6g} of {supply:.6g}"


def _next(file: File, lines: Iterator[tuple[list[str], np.ndarray]], count: int, region: str) -> np.ndarray:
    rows = [row for _, row in islice(lines, count)]
    if len(rows) < count:
        raise TableError(f"{file}: ends before the last rows of {region}: {len(rows)} of {count}")
    return np.stack(rows)
