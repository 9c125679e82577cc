"""GLORIA multi-region tables (Lenzen et al. 2022, Economic Systems Research 34:1): CSV files without labels.

A folder as downloaded: `*_T-Results_YYYY_*_Markup001(full).csv`, `*_Y-Results_*`, and the ReadMe workbook with labels.
T has, for each region, the rows and columns of its industries, then of its products. Its supply part is diagonal (each
product is made by the industry of its name), so the rows of products × columns of industries are an industry table.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from shockmesh.io.sources import About
from shockmesh.io.tables.readers.headers import Labels, header_of
from shockmesh.io.tables.store import Header, Reader, Rows, TableError

FILES = ("*T-Results*001(full).csv", "*Y-Results*001(full).csv", "*ReadMe*.xlsx")
LABELS = {
    "Regions": "Region_acronyms", "Sectors": "Sector_names", "Value added and final demand": "Final_demand_names",
}  # fmt: skip


def read(path: Path, about: About) -> tuple[Header, Reader]:
    """Open a folder of GLORIA files, at basic prices.

    Raises:
        TableError: a file is missing, or a file's shape is not that of the labels.
    """
    flows, final, readme = (_only(path, pattern) for pattern in FILES)
    sheets = pd.read_excel(readme, sheet_name=list(LABELS), dtype=str, keep_default_na=False)
    labels = Labels(*([one for one in sheets[sheet][column] if one] for sheet, column in LABELS.items()))
    header = header_of(about, flows, labels)
    return header, lambda year: _rows(flows, final, labels)


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.rglob(pattern))
    if len(found) != 1:
        raise TableError(f"{folder}: {len(found)} files {pattern}, expected one")
    return found[0]


def _rows(flows: Path, final: Path, labels: Labels) -> Iterator[Rows]:
    """Region by region: 2 · sectors lines of each file, of which the second half are its products."""
    regions, sectors = len(labels.regions), len(labels.sectors)
    from_flows, from_final = (
        pd.read_csv(file, header=None, chunksize=2 * sectors, dtype=np.float64) for file in (flows, final)
    )
    with from_flows, from_final:
        for region in labels.regions:
            block, demand = _next(flows, from_flows, region), _next(final, from_final, region)
            _check(flows, block, (2 * sectors, 2 * sectors * regions))
            _check(final, demand, (2 * sectors, len(labels.categories) * regions))
            products = block[sectors:].reshape(sectors, regions, 2, sectors)
            yield Rows(region, products[:, :, 0], demand[sectors:].reshape(sectors, regions, -1))
        for file, rest in ((flows, from_flows), (final, from_final)):
            if next(rest, None) is not None:
                raise TableError(f"{file}: goes on after the rows of {labels.regions[-1]}")


def _next(file: Path, parts: Iterator[pd.DataFrame], region: str) -> np.ndarray:
    try:
        return next(parts).to_numpy()
    except StopIteration as error:
        raise TableError(f"{file}: ends before the rows of {region}") from error


def _check(file: Path, block: np.ndarray, shape: tuple[int, int]) -> None:
    if block.shape != shape:
        raise TableError(f"{file}: {block.shape[0]} lines of {block.shape[1]} cells a region, the labels say {shape}")
