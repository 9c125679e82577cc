"""GLORIA multi-region tables (Lenzen et al. 2022, Economic Systems Research 34:1): CSV files without labels.

A folder as downloaded: `*_T-Results_YYYY_*_Markup001(full).csv`, `*_Y-Results_*`, and the ReadMe workbook with labels.
T has, for each region, the rows and columns of its industries, then of its products. Its supply part is diagonal (each
product is made by the industry of its name), so the rows of products × columns of industries are an industry table.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from shockmesh.io.tables.store import Header, Reader, Rows, TableError

FILES = ("*T-Results*001(full).csv", "*Y-Results*001(full).csv", "*ReadMe*.xlsx")


def read_gloria(folder: Path) -> tuple[Header, Reader]:
    """Open a folder of GLORIA files, at basic prices.

    Raises:
        TableError: a file is missing, or a file's shape is not that of the labels.
    """
    flows, final, labels = (_only(folder, pattern) for pattern in FILES)
    sheets = pd.read_excel(labels, sheet_name=["Regions", "Sectors", "Value added and final demand"])
    regions = sheets["Regions"]["Region_acronyms"].dropna().astype(str).tolist()
    sectors = sheets["Sectors"]["Sector_names"].dropna().astype(str).tolist()
    categories = sheets["Value added and final demand"]["Final_demand_names"].dropna().astype(str).tolist()
    years = re.findall(r"Results_(\d{4})_", flows.name)
    if not years:
        raise TableError(f"{flows}: year: none in the file's name")
    header = Header(
        regions=regions,
        sectors=sectors,
        categories=categories,
        unit="thousand USD / year",
        title="GLORIA global environmentally-extended multi-region input-output table",
        source=f"GLORIA, {flows.name}",
        licence="GLORIA: for academic use; commercial use needs a licence of the IELab",
        references="Lenzen et al. (2022), Implementing the material footprint, Economic Systems Research 34:1",
        years=(int(years[0]),),
    )
    return header, lambda year: _rows(flows, final, header)


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.rglob(pattern))
    if len(found) != 1:
        raise TableError(f"{folder}: {len(found)} files {pattern}, expected one")
    return found[0]


def _rows(flows: Path, final: Path, header: Header) -> Iterator[Rows]:
    """Region by region: 2 · sectors lines of each file, of which the second half are its products."""
    regions, sectors = len(header.regions), len(header.sectors)
    from_flows, from_final = (
        pd.read_csv(file, header=None, chunksize=2 * sectors, dtype=np.float64) for file in (flows, final)
    )
    with from_flows, from_final:
        for region in header.regions:
            block, demand = _next(flows, from_flows, region), _next(final, from_final, region)
            _check(flows, block, (2 * sectors, 2 * sectors * regions))
            _check(final, demand, (2 * sectors, len(header.categories) * regions))
            products = block[sectors:].reshape(sectors, regions, 2, sectors)
            yield Rows(region, products[:, :, 0], demand[sectors:].reshape(sectors, regions, -1))
        for file, rest in ((flows, from_flows), (final, from_final)):
            if next(rest, None) is not None:
                raise TableError(f"{file}: goes on after the rows of {header.regions[-1]}")


def _next(file: Path, parts: Iterator[pd.DataFrame], region: str) -> np.ndarray:
    try:
        return next(parts).to_numpy()
    except StopIteration as error:
        raise TableError(f"{file}: ends before the rows of {region}") from error


def _check(file: Path, block: np.ndarray, shape: tuple[int, int]) -> None:
    if block.shape != shape:
        raise TableError(f"{file}: {block.shape[0]} lines of {block.shape[1]} cells a region, the labels say {shape}")
