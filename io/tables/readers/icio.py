"""OECD Inter-Country Input-Output tables: the OECD's files, which pymrio parses, and the packaged extract (.npz)."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pymrio
from shockmesh.io.sources import About
from shockmesh.io.tables.readers.frames import labels_of, parse, rows_of
from shockmesh.io.tables.readers.headers import Labels, header_of
from shockmesh.io.tables.readers.saved import money_of
from shockmesh.io.tables.store import Header, Reader, Rows, TableError


def read(path: Path, about: About) -> tuple[Header, Reader]:
    """Open the OECD's file of one year, which is held in memory whole, or the packaged extract.

    Raises:
        TableError: no such file, or one that pymrio cannot read.
    """
    if not path.exists():
        raise TableError(f"{path}: no such file or folder")
    if path.suffix == ".npz":
        return _read_extract(path, about)
    system = parse(path, pymrio.parse_oecd)
    labels = labels_of(path, system.Z, system.Y)
    header = header_of(about, path, labels, money=money_of(path, system.unit))
    return header, lambda year: rows_of(labels, system.Z, system.Y)


def _read_extract(file: Path, about: About) -> tuple[Header, Reader]:
    """2014, seven countries and the rest of the world, 45 sectors."""
    table = np.load(file)
    labels = Labels(*(table[name].tolist() for name in ("regions", "sectors", "final")))
    header = header_of(
        about, file, labels, title=f"{about.title} 2014, edition 2021, cut to 7 countries and the rest of the world",
        years=(2014,), remarks=("aggregated in INET-Complexity/macro-main (Apache-2.0)",),
    )  # fmt: skip
    return header, lambda year: _rows(table["Z"], table["F"], table["X"], labels)


def _rows(flows: np.ndarray, final: np.ndarray, output: np.ndarray, labels: Labels) -> Iterator[Rows]:
    sizes = (len(labels.regions), len(labels.sectors))
    by_flow, by_final = flows.reshape(*sizes, *sizes), final.reshape(*sizes, sizes[0], -1)
    for position, region in enumerate(labels.regions):
        yield Rows(region, by_flow[position], by_final[position], output.reshape(sizes)[position])
