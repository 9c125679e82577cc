"""Tables that pymrio parses: EXIOBASE 3, Eora26, OECD ICIO, WIOD 2013 workbooks, and systems that pymrio saved."""

import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pandas as pd
import pymrio
from shockmesh.io.tables.store import Header, Reader, Rows, TableError


def _parse_eora26(source: Path) -> Any:
    """A zip file names its year; of a folder, pymrio must be told."""
    if source.is_file():
        return pymrio.parse_eora26(source)
    years = sorted(file.name.split("_")[1] for file in source.glob("Eora26_*_bp_T.txt"))
    if len(years) != 1:
        raise TableError(f"{source}: {len(years)} files Eora26_YYYY_bp_T.txt, expected one")
    return pymrio.parse_eora26(source, year=years[0])


PARSERS: dict[str, Callable[[Path], Any]] = {
    "exiobase3": pymrio.parse_exiobase3,
    "eora26": _parse_eora26,
    "icio": pymrio.parse_oecd,
    "wiod2013": pymrio.parse_wiod,
    "pymrio": pymrio.load_all,
}
ABOUT = {
    "exiobase3": ("EXIOBASE 3", "CC BY-SA 4.0", "Stadler et al. (2018), Journal of Industrial Ecology 22:502"),
    "eora26": ("Eora26", "Eora licence", "Lenzen, Moran, Kanemoto, Geschke (2013), Economic Systems Research 25:20"),
    "icio": ("OECD ICIO", "OECD terms: reuse with attribution", "OECD, Inter-Country Input-Output Database"),
    "wiod2013": ("WIOD 2013", "CC BY 4.0", "Timmer et al. (2015), Review of International Economics 23:575"),
    "pymrio": ("pymrio system", "as its source", "Stadler (2021), Journal of Open Research Software 9:8"),
}
UNITS = {
    "m.eur": "million EUR", "m.usd": "million USD", "mill usd": "million USD", "million usd": "million USD",
    "millions of us$": "million USD", "000 usd": "thousand USD",
}  # fmt: skip
WORKBOOK = re.compile(r"wiot(\d\d)_.*\.xlsx")
UNREADABLE = (
    pymrio.ParserError, BadZipFile, ValueError, KeyError, IndexError, TypeError, AttributeError, OSError,
)  # fmt: skip


def read_through_pymrio(kind: str, source: Path) -> tuple[Header, Reader]:
    """Open a table through pymrio, which holds it in memory whole.

    Raises:
        TableError: pymrio cannot read it, units or regions' sectors differ, or nothing says its year.
    """
    if not source.exists():
        raise TableError(f"{source}: no such file or folder")
    system = _parse(kind, source)
    flows, final = _flows(source, system), system.Y
    regions, sectors = (list(dict.fromkeys(map(str, flows.index.get_level_values(level)))) for level in (0, 1))
    categories = list(dict.fromkeys(map(str, final.columns.get_level_values(1))))
    industries, demands = (pd.MultiIndex.from_product([regions, codes]) for codes in (sectors, categories))
    for name, labels, wanted in (
        ("rows of Z", flows.index, industries),
        ("columns of Z", flows.columns, industries),
        ("rows of Y", final.index, industries),
        ("columns of Y", final.columns, demands),
    ):
        _check_complete(source, name, labels, wanted)
    title, licence, references = ABOUT[kind]
    header = Header(
        regions, sectors, categories,
        unit=f"{_unit(source, system)} / year", title=f"{title}, {source.stem}", source=f"{title}, read by pymrio",
        licence=licence, references=references, years=(_year(source, system),),
    )  # fmt: skip
    return header, lambda year: _rows(flows, final, regions, industries, demands)


def _parse(kind: str, source: Path) -> Any:
    with warnings.catch_warnings():  # accounts that are not read here; how pymrio drops a row of Eora
        warnings.filterwarnings("ignore", r".*[Ee]xtension .*not included", pymrio.ParserWarning)
        warnings.filterwarnings("ignore", "dropping on a non-lexsorted multi-index", pd.errors.PerformanceWarning)
        try:
            return PARSERS[kind](source)
        except TableError:
            raise
        except UNREADABLE as error:
            raise TableError(f"{source}: pymrio cannot read it as {kind}: {error}") from error


def _flows(source: Path, system: Any) -> pd.DataFrame:
    """Z, or A · x where only coefficients were saved."""
    if system.Y is None:
        raise TableError(f"{source}: Y: no final demand there")
    if system.Z is None and (system.A is None or system.x is None):
        raise TableError(f"{source}: Z: not there, nor A and x to make it from")
    return pymrio.calc_Z(system.A, system.x) if system.Z is None else system.Z


def _check_complete(source: Path, name: str, labels: Any, wanted: pd.MultiIndex) -> None:
    for said, wrong in (
        ("missing", wanted.difference(labels)),
        ("unknown", labels.difference(wanted)),
        ("there twice", labels[labels.duplicated()]),
    ):
        if len(wrong):
            named = ", ".join(" ".join(map(str, label)) for label in wrong[:5])
            raise TableError(f"{source}: {name}: {said} {named}; every region must have the same labels, each once")


def _rows(
    flows: pd.DataFrame, final: pd.DataFrame, regions: list[str], industries: pd.MultiIndex, demands: pd.MultiIndex
) -> Iterator[Rows]:
    sectors = len(industries) // len(regions)
    for position, region in enumerate(regions):
        lines = industries[position * sectors : (position + 1) * sectors]
        block = flows.reindex(index=lines, columns=industries).to_numpy(np.float64)
        demand = final.reindex(index=lines, columns=demands).to_numpy(np.float64)
        shape = (sectors, len(regions), -1)
        yield Rows(region, block.reshape(shape), demand.reshape(shape))


def _unit(source: Path, system: Any) -> str:
    if system.unit is None:
        raise TableError(f"{source}: unit: not there; every sector needs one and the same")
    units = sorted(set(map(str, system.unit["unit"])))
    if len(units) != 1:
        raise TableError(f"{source}: unit: {', '.join(units)}: all sectors must have one unit")
    return UNITS.get(units[0].lower(), units[0])


def _year(source: Path, system: Any) -> int:
    """The year in the name of the source, or in pymrio's own description."""
    if WORKBOOK.fullmatch(source.name):
        return _year_of_workbook(source)
    for text in (*(file.name for file in source.glob("Eora26_*_bp_T.txt")), source.stem, str(system.meta.name)):
        found = re.findall(r"(?<!\d)(?:19|20)\d\d(?!\d)", text)
        if found:
            return int(found[-1])
    raise TableError(f"{source}: year: none in its name; rename it, such as {source.stem}_2019{source.suffix}")


def _year_of_workbook(file: Path) -> int:
    short = WORKBOOK.fullmatch(file.name)
    if short is None:
        raise TableError(f"{file}: a WIOD 2013 workbook is named wiotYY_….xlsx")
    return int(short[1]) + (1900 if int(short[1]) >= 90 else 2000)


def read_workbooks_2013(folder: Path) -> tuple[Header, Reader]:
    """The official workbooks of the WIOD 2013 release, `wiotYY_….xlsx`, one a year; one is held at a time.

    Raises:
        TableError: two workbooks of one year, or workbooks that differ in their labels or unit.
    """
    files: dict[int, Path] = {}
    for file in sorted(folder.glob("wiot*.xlsx")):
        year = _year_of_workbook(file)
        if year in files:
            raise TableError(f"{file}: year: {year}, as of {files[year].name}; keep one of them")
        files[year] = file
    years = tuple(sorted(files))
    header, _ = read_through_pymrio("wiod2013", files[years[0]])
    header = replace(header, title="World input-output tables, WIOD 2013 release", years=years)

    def read(year: int) -> Iterator[Rows]:
        of_year, rows = read_through_pymrio("wiod2013", files[year])
        for name in ("regions", "sectors", "categories", "unit"):
            if getattr(of_year, name) != getattr(header, name):
                raise TableError(f"{files[year]}: {name}: not those of {files[years[0]].name}")
        return iter(rows(year))

    return header, read
