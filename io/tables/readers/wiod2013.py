"""WIOD's world tables of the 2013 release: the official workbooks, which pymrio parses, and compact files of ours.

A workbook, `wiotYY_….xlsx`, is of one year, a folder of them of several, of which one is held in memory at a time.
Compact files, `wiot13_YYYY.npz`, have the arrays Z, F, X, countries, sectors, final.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pymrio
from shockmesh.io.sources import About
from shockmesh.io.tables.readers.frames import labels_of, parse, rows_of
from shockmesh.io.tables.readers.headers import Labels, header_of
from shockmesh.io.tables.readers.saved import money_of
from shockmesh.io.tables.store import Header, Reader, Rows, TableError

WORKBOOK = re.compile(r"wiot(\d\d)_.*\.xlsx")


def read(path: Path, about: About) -> tuple[Header, Reader]:
    """Open a workbook, a folder of workbooks, or a folder of compact files.

    Raises:
        TableError: no such file, two files of one year, or files that differ in their labels or unit.
    """
    if not path.exists():
        raise TableError(f"{path}: no such file or folder")
    if not path.is_dir():
        return _read_workbook(path, about)
    return _read_workbooks(path, about) if any(path.glob("wiot*.xlsx")) else _read_compact(path, about)


def _read_workbook(file: Path, about: About) -> tuple[Header, Reader]:
    years = (_year_of_workbook(file),)
    system = parse(file, pymrio.parse_wiod)
    labels = labels_of(file, system.Z, system.Y)
    money = money_of(file, system.unit)
    header = header_of(about, file, labels, money=money, years=years)
    return header, lambda year: rows_of(labels, system.Z, system.Y)


def _year_of_workbook(file: Path) -> int:
    short = WORKBOOK.fullmatch(file.name)
    if short is None:
        raise TableError(f"{file}: a WIOD 2013 workbook is named wiotYY_….xlsx")
    return int(short[1]) + (1900 if int(short[1]) >= 90 else 2000)


def _read_workbooks(folder: Path, about: About) -> tuple[Header, Reader]:
    files: dict[int, Path] = {}
    for file in sorted(folder.glob("wiot*.xlsx")):
        year = _year_of_workbook(file)
        if year in files:
            raise TableError(f"{file}: year: {year}, as of {files[year].name}; keep one of them")
        files[year] = file
    first = files[min(files)]
    header, _ = _read_workbook(first, about)

    def rows(year: int) -> Iterator[Rows]:
        of_year, read_year = _read_workbook(files[year], about)
        for name in ("regions", "sectors", "categories", "unit"):
            if getattr(of_year, name) != getattr(header, name):
                raise TableError(f"{files[year]}: {name}: not those of {first.name}")
        return iter(read_year(year))

    return replace(header, years=tuple(sorted(files))), rows


def _read_compact(folder: Path, about: About) -> tuple[Header, Reader]:
    files = {int(file.stem.removeprefix("wiot13_")): file for file in sorted(folder.glob("wiot13_*.npz"))}
    if not files:
        raise TableError(f"{folder}: no file wiot13_YYYY.npz or wiotYY_*.xlsx there")
    found = {year: [np.load(file)[name].tolist() for name in _LABELS] for year, file in files.items()}
    first = next(iter(found))
    for year, of_year in found.items():
        if of_year != found[first]:
            raise TableError(f"{files[year]}: its regions, sectors or categories are not those of {files[first]}")
    labels = Labels(*found[first])
    header = header_of(about, folder, labels, years=tuple(files), remarks=("cells are rounded to whole millions",))
    return header, lambda year: _compact_rows(files[year], labels)


_LABELS = ("countries", "sectors", "final")


def _compact_rows(file: Path, labels: Labels) -> Iterator[Rows]:
    table = np.load(file)
    sizes = (len(labels.regions), len(labels.sectors))
    flows, final = table["Z"].reshape(*sizes, *sizes), table["F"].reshape(*sizes, sizes[0], -1)
    output = table["X"].reshape(sizes)
    for position, region in enumerate(labels.regions):
        yield Rows(region, flows[position].astype("f8"), final[position].astype("f8"), output[position].astype("f8"))
