"""Tables that pymrio parses: EXIOBASE 3, Eora26, OECD ICIO, WIOD 2013 workbooks, and systems that pymrio saved."""

import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pymrio
from shockmesh.io.tables import Header, Reader, Rows, TableError


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
    "M.EUR": "million EUR", "M.USD": "million USD", "Mill USD": "million USD", "Million USD": "million USD",
    "000 USD": "thousand USD",
}  # fmt: skip


def read_through_pymrio(kind: str, source: Path) -> tuple[Header, Reader]:
    """Open a table through pymrio, which holds it in memory whole.

    Raises:
        TableError: pymrio cannot read it, units differ, or regions differ in their sectors.
    """
    if not source.exists():
        raise TableError(f"{source}: no such file or folder")
    system = _parse(kind, source)
    flows, final = system.Z, system.Y
    regions, sectors = (list(dict.fromkeys(map(str, flows.index.get_level_values(level)))) for level in (0, 1))
    categories = list(dict.fromkeys(map(str, final.columns.get_level_values(1))))
    for name, frame, codes in (("Z", flows, sectors), ("Y", final.T, categories)):
        if len(frame) != len(regions) * len(codes):
            raise TableError(f"{source}: {name}: every region must have the same {len(codes)} sectors or categories")
    title, licence, references = ABOUT[kind]
    header = Header(
        regions, sectors, categories,
        unit=f"{_unit(source, system)} / year", title=f"{title}, {source.stem}", source=f"{title}, read by pymrio",
        licence=licence, references=references, years=(_year(source, system),),
    )  # fmt: skip
    order = pd.MultiIndex.from_product([regions, sectors])
    columns = pd.MultiIndex.from_product([regions, categories])
    return header, lambda year: _rows(
        flows.reindex(order, columns=order), final.reindex(order, columns=columns), header
    )


def _parse(kind: str, source: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pymrio warns of what it assumes about files; the checks below do not assume
        try:
            system: Any = PARSERS[kind](source)
            return system if system.Z is not None else system.calc_all()
        except (pymrio.ParserError, pymrio.ParserWarning, ValueError, KeyError, IndexError, OSError) as error:
            raise TableError(f"{source}: pymrio cannot read it as {kind}: {error}") from error


def _rows(flows: pd.DataFrame, final: pd.DataFrame, header: Header) -> Iterator[Rows]:
    sectors, regions = len(header.sectors), len(header.regions)
    for position, region in enumerate(header.regions):
        lines = slice(position * sectors, (position + 1) * sectors)
        yield Rows(
            region,
            flows.iloc[lines].to_numpy(np.float64).reshape(sectors, regions, sectors),
            final.iloc[lines].to_numpy(np.float64).reshape(sectors, regions, -1),
        )


def _unit(source: Path, system: Any) -> str:
    units = sorted(set(map(str, system.unit["unit"]))) if system.unit is not None else ["million USD"]
    if len(units) != 1:
        raise TableError(f"{source}: unit: {', '.join(units)}: all sectors must have one unit")
    return UNITS.get(units[0], units[0])


def _year(source: Path, system: Any) -> int:
    """The year in the name of the source, or in pymrio's own description; 0 if nobody says."""
    for text in (source.stem, str(system.meta.name), str(system.meta.version)):
        found = re.findall(r"(?<!\d)(?:19|20)\d\d(?!\d)", text)
        if found:
            return int(found[-1])
    return 0
