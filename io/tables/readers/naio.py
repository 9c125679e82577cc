"""Eurostat's national input-output tables (naio_10_cp1700 and its kin), TSV or SDMX-CSV, of countries and years.

Domestic flows (stk_flow DOM) are read; where there are total flows alone, imports (row P7) are taken off
(`imports.py`). Codes lose their CPA_. Of final demand the finest codes are taken: households, non-profits, government,
fixed capital, stocks, valuables, exports.

A supply table (naio_10_cp15) and a use table at basic prices (naio_10_cp1610) make flows between industries together
(`supply_use.py`). A use table at purchasers' prices (naio_10_cp16) has what trade earns in the rows of all products;
its rows do not sum to what is supplied at basic prices, and it is refused.
"""

import re
from dataclasses import dataclass, replace
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
from shockmesh.io.tables.imports import Uses, without_imports
from shockmesh.io.tables.store import Header, Rows, TableError
from shockmesh.io.tables.supply_use import MODEL, industry_by_industry

SQUARE = (("ind_use", "ind_ava"), ("prd_use", "prd_ava"), ("induse", "prod_na"))  # who uses, what is available
USED, SUPPLIED = ("ind_use", "prd_ava"), ("ind_impv", "prd_amo")  # of tables of products by industries
FINAL = (  # of each kind of final demand the finest codes first
    (("P3_S14", "P3_S15", "P3_S13"), ("P3",)), (("P51G",), ("P51",)), (("P52", "P53"), ("P5M",)), (("P6",),),
)  # fmt: skip
OUTPUT, IMPORTS, TOTAL = "P1", "P7", "TOTAL"
PRODUCT = "CPA_"
UNEQUAL = 0.01  # of all supply; supply and use of published tables agree to the last digit


def fits(source: Source) -> list[File]:
    """Files whose dimensions are a use, what is available, a country and the kind of flow."""
    return with_dimensions(source, *({"stk_flow", "geo", *pair} for pair in (*SQUARE, USED, SUPPLIED)))


def read(source: Source, about: About, said: Said) -> tuple[Header, Raw]:
    """Open the tables of one country, of a year or of several.

    Raises:
        TableError, SourceError: no such file, several countries and none said, or codes that are not ESA's.
    """
    files = fits(source)
    if any(set(pair) <= set(dimensions(file)) for pair in (USED, SUPPLIED) for file in files):
        return _read_supply_use(source, about, said)
    if len(files) != 1:
        rule = "with the dimensions stk_flow, geo, a use and what is available"
        raise TableError(f"{source}: {len(files)} files {rule}, expected one")
    file = files[0]
    names = dimensions(file)
    cells, region, unit = _of_country(file, next(pair for pair in SQUARE if set(pair) <= set(names)), said)
    flow, cells = _of_flow(file, cells)
    years = chosen(source, sorted({int(year) for year in cells["year"]}), said)
    labels = _labels(file, region, cells[cells["year"] == years[0]], flow)
    header = header_of(
        about, file, labels, title=f"{about.title}, {region}", money=MONEY.get(unit, unit), years=tuple(years),
        remarks=(f"flows of kind {flow}",),
    )  # fmt: skip
    return header, partial(_rows, file, labels, cells)


def _of_country(file: File, pair: tuple[str, str], said: Said) -> tuple[Any, str, str]:
    """The cells of a country in one unit: use, available, product, stk_flow, year, value; the country and the unit."""
    cells = _cells(file, pair, said.region)
    unit = only(file, set(cells["unit"]), "unit", ("MIO_EUR", "MIO_NAC"))
    region = only(file, set(cells["geo"]), "geo; say which (--region)")
    return cells[cells["unit"] == unit], region, unit


def _of_flow(file: File, cells: Any) -> tuple[str, Any]:
    """Domestic flows, or total ones where there are no others."""
    flow = only(file, set(cells["stk_flow"]) - {"IMP"}, "stk_flow", ("DOM", TOTAL))
    return flow, cells[cells["stk_flow"] == flow]


def _cells(file: File, pair: tuple[str, str], region: str | None) -> Any:
    """The cells of a country, or of all where none is said; `product` where what is available is one."""
    found: list[Any] = []
    for lines in lines_of(file):
        keys = lines.keys.rename(columns=dict(zip(pair, ("use", "available"), strict=True)))
        kept = keys["geo"] == region if region else keys["geo"].notna()
        found.append(keys.assign(year=lines.year, value=lines.values)[kept])
    cells = pd.concat(found)
    if cells.empty:
        raise TableError(f"{file}: geo: {region}: not there")
    cells["product"] = cells["available"].str.startswith(PRODUCT)
    for name in ("use", "available"):
        cells[name] = cells[name].str.removeprefix(PRODUCT)
    return cells[cells["value"].notna()]


def _labels(file: File, region: str, cells: Any, flow: str) -> Labels:
    uses, available = set(cells["use"]), set(cells["available"])
    sectors, categories = _finest(uses & available - {TOTAL}), _final(uses)
    if not sectors or not categories:
        raise TableError(f"{file}: {region}: no sector or no final demand by ESA's codes among its {len(uses)} uses")
    return Labels([region], sectors, [*categories, *(["imports"] if flow == TOTAL and IMPORTS in available else [])])


def _finest(codes: set[str]) -> list[str]:
    """Codes that are neither sums nor parts of others, sorted.

    Where divisions stand beside a range of them (C10, C11, C12 and C10-12), they are taken if they are all there.
    """
    ordered = sorted(codes)
    divisions = {code: _divisions(code) for code in ordered}
    single = {code for code, of in divisions.items() if len(of) == 1}
    dropped: set[str] = set()
    for wide in ordered:
        if len(divisions[wide]) > 1 and (parts := {code for code in single if divisions[code] < divisions[wide]}):
            whole = frozenset[int]().union(*(divisions[code] for code in parts)) == divisions[wide]
            dropped |= {wide} if whole else parts
    rest = [code for code in ordered if code not in dropped]
    return [code for code in rest if not _is_sum(code, rest) and not _is_part(code, rest)]


def _divisions(code: str) -> frozenset[int]:
    """Those that a code names: C10-12, C10-C12 and C31_32 name several; a section none."""
    match = re.fullmatch(r"[A-Z](\d\d)(?:[-_][A-Z]?(\d\d))?", code)
    return frozenset(range(int(match[1]), int(match[2] or match[1]) + 1)) if match else frozenset()


def _final(uses: set[str]) -> list[str]:
    """The finest codes of each kind of final demand."""
    found: list[str] = []
    for options in FINAL:
        found += next(([code for code in codes if code in uses] for codes in options if uses & set(codes)), [])
    return found


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


@dataclass(frozen=True)
class Codes:
    """The codes of a supply and a use table."""

    region: str
    industries: list[str]
    products: list[str]
    categories: list[str]


def _read_supply_use(source: Source, about: About, said: Said) -> tuple[Header, Raw]:
    """Both tables of one country, of the years that both have."""
    supplied, used = (with_dimensions(source, {"stk_flow", "geo", *pair}) for pair in (SUPPLIED, USED))
    if len(supplied) != 1 or len(used) != 1:
        rule = "one supply table (naio_10_cp15) and one use table at basic prices (naio_10_cp1610) are needed"
        there = f"{len(supplied)} with {', '.join(SUPPLIED)}, {len(used)} with {', '.join(USED)}"
        raise TableError(f"{source}: {rule}; there are {there}")
    supply, region, unit = _of_country(supplied[0], SUPPLIED, said)
    use, _, _ = _of_country(used[0], USED, replace(said, region=region))
    if set(use["unit"]) != {unit}:
        raise TableError(f"{used[0]}: unit: {', '.join(set(use['unit']))}, the supply table has {unit}")
    flow, use = _of_flow(used[0], use)
    years = chosen(source, sorted({int(year) for year in supply["year"]} & {int(year) for year in use["year"]}), said)
    if not years:
        raise TableError(f"{source}: no year of which there are supply and use")
    first = [cells[cells["year"] == years[0]] for cells in (supply, use)]
    industries, products = (
        _finest(set.intersection(*(set(of[name]) for of in parts)) - {TOTAL})
        for name, parts in (("use", first), ("available", [of[of["product"]] for of in first]))
    )
    codes = Codes(region, industries, products, _final(set(first[1]["use"])))
    if not (industries and products and codes.categories):
        raise TableError(f"{source}: {region}: no industry, product or final demand by ESA's codes in both tables")
    header = header_of(
        about, used[0], Labels([region], industries, codes.categories), title=f"{about.title}, {region}",
        money=MONEY.get(unit, unit), years=tuple(years), remarks=(MODEL, f"uses of kind {flow}"),
    )  # fmt: skip
    header = replace(header, source=f"{about.title}, {supplied[0].name} and {used[0].name}")
    return header, lambda year: _of_products(
        used[0], codes, flow, supply[supply["year"] == year], use[use["year"] == year]
    )


def _of_products(file: File, codes: Codes, flow: str, supply: Any, use: Any) -> list[Of]:
    made = _block(_of_flow(file, supply)[1], codes.products, codes.industries)
    uses = _block(use, codes.products, [*codes.industries, *codes.categories])
    imports = np.zeros(len(codes.products))
    if flow == TOTAL:
        kind = only(file, set(supply["stk_flow"]) - {"DOM"}, "stk_flow of supply", (TOTAL,))
        imports = np.nan_to_num(_block(supply[supply["stk_flow"] == kind], codes.products, [IMPORTS])[:, 0])
    missing, uses = int(np.isnan(uses).sum()), np.nan_to_num(uses)
    made, year = np.nan_to_num(made), int(use["year"].iloc[0])
    _refuse_other_prices(file, year, codes.products, made.sum(1) + imports, uses.sum(1))
    n = len(codes.industries)
    home, told = Uses(codes.products, uses[:, :n], uses[:, n:], codes.categories), list[str]()
    if flow == TOTAL:
        all_uses = Uses(
            codes.products, home.flows, np.column_stack([home.final, -imports]), [*codes.categories, "imports"]
        )
        home, told = without_imports(f"{file}, {year}", all_uses)
    flows, final, lost = industry_by_industry(made.T, home.flows, home.final, codes.products)
    secret = f"{missing} uses have no value, or a secret one, and are 0" if missing else ""
    remarks = [f"{year}: {of}" for of in (*told, lost, secret) if of]
    return [Rows(codes.region, flows[:, None], final[:, None], made.sum(0)), *remarks]


def _block(cells: Any, products: list[str], columns: list[str]) -> np.ndarray:
    """Cells of products by columns, NaN where there is none."""
    table = cells[cells["product"]].pivot(index="available", columns="use", values="value")
    return table.reindex(index=products, columns=columns).to_numpy(np.float64)


def _refuse_other_prices(file: File, year: int, products: list[str], supply: np.ndarray, uses: np.ndarray) -> None:
    off = np.abs(supply - uses)
    if off.sum() > UNEQUAL * supply.sum():
        at = int(off.argmax())
        rule = "a use table at basic prices is needed (naio_10_cp1610), not one at purchasers' prices (naio_10_cp16)"
        raise TableError(
            f"{file}, {year}: {products[at]}: supply {supply[at]:.6g} at basic prices, uses {uses[at]:.6g}: {rule}"
        )
