"""WIOD's world tables of the 2013 release: the official workbooks, R's copies of them, and compact files of ours.

A workbook, `wiotYY_….xlsx`, is of one year. In R (the package `wiod`), `wiot_YYYY` is a list of year, countries,
industries, inter, final and output, whole millions. Compact files, `wiot13_YYYY.npz`, have the arrays Z, F, X,
countries, sectors, final.
"""

import re
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from shockmesh.io.inputs.files import File, Source
from shockmesh.io.inputs.frames import R_DATA, read_r
from shockmesh.io.sources import About, Said
from shockmesh.io.tables.claims import Raw
from shockmesh.io.tables.forms.headers import Labels, header_of, years_in
from shockmesh.io.tables.forms.wiod import CATEGORIES, in_sheet
from shockmesh.io.tables.forms.years import by_year, found
from shockmesh.io.tables.store import Header, Rows, TableError

WORKBOOK = re.compile(r"wiot(\d\d)_.*\.xls[xb]", re.IGNORECASE)
IN_R = {"countries", "industries", "inter", "final", "output", "year"}
ROUNDED = ("cells are rounded to whole millions",)


def fits(source: Source) -> list[File]:
    """The files that are named as WIOD's, as R's copies, or as ours."""
    names = (WORKBOOK.pattern, r"wiot_\d{4}\.(rdata|rda)", r"wiot13_\d{4}\.npz")
    return next((files for name in names if (files := source.matching(name))), [])


def read(source: Source, about: About, said: Said) -> tuple[Header, Raw]:
    """Open the table of a year or of several, one held at a time.

    Raises:
        TableError, SourceError: no such file, or lines that are not WIOD's.
    """
    files = found(source, fits(source), "file wiotYY_….xlsx, wiot_YYYY.RData or wiot13_YYYY.npz")
    return by_year(source, files, said, partial(_read, about), _year)


def _read(about: About, file: File) -> tuple[Header, Raw]:
    if file.suffix in R_DATA:
        return _read_list(file, about)
    return _read_compact(file, about) if file.suffix == ".npz" else in_sheet(file, about, _year(file))


def _year(file: File) -> tuple[int, ...]:
    """WIOD names its workbooks by the last two digits of the year."""
    if short := WORKBOOK.fullmatch(file.name):
        return (int(short[1]) + (1900 if int(short[1]) >= 90 else 2000),)
    return years_in(file.stem)


def _read_compact(file: File, about: About) -> tuple[Header, Raw]:
    table = np.load(file.read())
    labels = Labels(*(table[name].tolist() for name in ("countries", "sectors", "final")))
    header = header_of(about, file, labels, remarks=ROUNDED)
    return header, lambda year: _rows(table["Z"], table["F"], table["X"], labels)


def _read_list(file: File, about: About) -> tuple[Header, Raw]:
    tables: list[Any] = [value for value in read_r(file).values() if isinstance(value, dict) and set(value) >= IN_R]
    if len(tables) != 1:
        raise TableError(f"{file}: {len(tables)} lists of {', '.join(sorted(IN_R))}, expected one")
    table = tables[0]
    labels = Labels(table["countries"].tolist(), table["industries"].tolist(), CATEGORIES)
    header = header_of(about, file, labels, years=(int(table["year"][0]),), remarks=ROUNDED)
    flows, final, output = (np.asarray(table[name]) for name in ("inter", "final", "output"))
    return header, lambda year: _rows(flows, final, output, labels)


def _rows(flows: np.ndarray, final: np.ndarray, output: np.ndarray, labels: Labels) -> Iterator[Rows]:
    sizes = (len(labels.regions), len(labels.sectors))
    blocks = flows.reshape(*sizes, *sizes), final.reshape(*sizes, sizes[0], -1), output.reshape(sizes)
    for position, region in enumerate(labels.regions):
        yield Rows(region, *(block[position].astype("f8") for block in blocks))
