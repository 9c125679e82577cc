"""Eurostat's national input-output tables (naio_10_cp1700 and its kin), TSV or SDMX-CSV, of countries and years.

Domestic flows (stk_flow DOM) are read; where there are total flows alone, imports (row P7) are taken off
(`imports.py`). Codes lose their CPA_. Of final demand the finest codes are taken: households, non-profits, government,
fixed capital, stocks, valuables, exports.
"""

import re
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from shockmesh.io.inputs.files import File, Source
from shockmesh.io.sources import About, Said
from shockmesh.io.tables.claims import Foot, Of, Raw
from shockmesh.io.tables.forms.eurostat import MONEY, dimensions, lines_of, only, with_dimensions
from shockmesh.io.tables.forms.headers import Labels, header_of
from shockmesh.io.tables.forms.years import chosen
from shockmesh.io.tables.store import Header, Rows, TableError

USE, AVAILABLE = ("ind_use", "prd_use", "induse"), ("ind_ava", "prd_ava", "prod_na")
FINAL = (  # of each kind of final demand the finest codes first
    (("P3_S14", "P3_S15", "P3_S13"), ("P3",)), (("P51G",), ("P51",)), (("P52", "P53"), ("P5M",)), (("P6",),),
)  # fmt: skip
OUTPUT, IMPORTS, TOTAL = "P1", "P7", "TOTAL"


def fits(source: Source) -> list[File]:
    """Files whose dimensions are a use, what is available, a country and the kind of flow."""
    pairs = ((use, available) for use in USE for available in AVAILABLE)
    return with_dimensions(source, *({"stk_flow", "geo", *pair} for pair in pairs))


def read(source: Source, about: About, said: Said) -> tuple[Header, Raw]:
    """Open the tables of one country, of a year or of several.

    Raises:
        TableError, SourceError: no such file, several countries and none said, or codes that are not ESA's.
    """
    files = fits(source)
    if len(files) != 1:
        rule = "with the dimensions stk_flow, geo, a use and what is available"
        raise TableError(f"{source}: {len(files)} files {rule}, expected one")
    file = files[0]
    cells = _cells(file, said.region)
    unit = only(file, set(cells["unit"]), "unit", ("MIO_EUR", "MIO_NAC"))
    region = only(file, set(cells["geo"]), "geo; say which (--region)")
    flow = only(file, set(cells["stk_flow"]) - {"IMP"}, "stk_flow", ("DOM", TOTAL))
    cells = cells[(cells["unit"] == unit) & (cells["stk_flow"] == flow)]
    years = chosen(source, sorted({int(year) for year in cells["year"]}), said)
    labels = _labels(file, region, cells[cells["year"] == years[0]], flow)
    header = header_of(
        about, file, labels, title=f"{about.title}, {region}", money=MONEY.get(unit, unit), years=tuple(years),
        remarks=(f"flows of kind {flow}",),
    )  # fmt: skip
    return header, partial(_rows, file, labels, cells)


def _cells(file: File, region: str | None) -> Any:
    """The cells of a country, or of all where none is said: use, available, geo, unit, stk_flow, year, value."""
    names = dimensions(file)
    use, available = (next(name for name in options if name in names) for options in (USE, AVAILABLE))
    found: list[Any] = []
    for lines in lines_of(file):
        keys = lines.keys.rename(columns={use: "use", available: "available"})
        kept = keys["geo"] == region if region else keys["geo"].notna()
        found.append(keys.assign(year=lines.year, value=lines.values)[kept])
    cells = pd.concat(found)
    if cells.empty:
        raise TableError(f"{file}: geo: {region}: not there")
    for name in ("use", "available"):
        cells[name] = cells[name].str.removeprefix("CPA_")
    return cells[cells["value"].notna()]


def _labels(file: File, region: str, cells: Any, flow: str) -> Labels:
    uses, available = set(cells["use"]), set(cells["available"])
    both = sorted(uses & available - {TOTAL})
    sectors = [code for code in both if not _is_sum(code, both) and not _is_part(code, both)]
    categories: list[str] = []
    for options in FINAL:
        categories += next(([code for code in codes if code in uses] for codes in options if uses & set(codes)), [])
    if not sectors or not categories:
        raise TableError(f"{file}: {region}: no sector or no final demand by ESA's codes among its {len(uses)} uses")
    return Labels([region], sectors, [*categories, *(["imports"] if flow == TOTAL and IMPORTS in available else [])])


def _is_sum(code: str, codes: list[str]) -> bool:
    """Whether a code, such as A or C, is the sum of others, such as A01 or C10-C12."""
    return any(re.fullmatch(rf"{re.escape(code)}\d.*", other) for other in codes)


def _is_part(code: str, codes: list[str]) -> bool:
    """Whether a code, such as L68A, is a part of another, L68."""
    return code[-1] in "AB" and code[:-1] in codes


def _rows(file: File, labels: Labels, cells: Any, year: int) -> list[Of]:
    of_year = cells[cells["year"] == year]
    if of_year.duplicated(["use", "available"]).any():
        raise TableError(f"{file}: {year}: a cell is there twice")
    table = of_year.pivot(index="available", columns="use", values="value")
    finals = [code for code in labels.categories if code != "imports"]
    block = table.reindex(index=labels.sectors, columns=[*labels.sectors, *finals]).to_numpy(np.float64)
    missing, block = int(np.isnan(block).sum()), np.nan_to_num(block)
    n = len(labels.sectors)
    flows, final = block[:, :n], block[:, n:]
    below: Any = table.reindex(index=[OUTPUT, IMPORTS], columns=labels.sectors).to_numpy(np.float64)
    if "imports" in labels.categories:
        final = np.column_stack([final, -np.nan_to_num(below[1])])
    told: list[Of] = [f"{year}: {missing} cells have no value, or a secret one, and are 0"] if missing else []
    output = None if np.isnan(below[0]).any() else below[:1]
    return [Rows(labels.regions[0], flows[:, None], final[:, None]), Foot(output=output), *told]
