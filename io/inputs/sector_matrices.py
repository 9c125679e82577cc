"""Matrices of sectors by sectors in CSV: rows are the sectors that inputs come from, columns those that buy them."""

from pathlib import Path

import numpy as np
from shockmesh.io.inputs.csv_text import read_csv_text
from shockmesh.kernels.network import FirmNetwork


def read_cells(path: str | Path, network: FirmNetwork, refuse: type[ValueError]) -> np.ndarray:
    """The cells as texts [product, sector], in the network's order of sectors.

    The first column and the header name sectors; the file may name more sectors than the network has.

    Raises:
        refuse: no CSV, a sector of the network is missing or named twice, or its products are not its sectors.
    """
    if not products_are_sectors(network):
        raise refuse(f"{path}: the network's products are not its sectors, which this file is about")
    table = read_csv_text(path, refuse)
    table = table.set_index(table.columns[0])
    for axis, names in (("row", table.index.astype(str)), ("column", table.columns.astype(str))):
        absent = [sector for sector in network.sectors if (names == sector).sum() != 1]
        if absent:
            raise refuse(f"{path}: {axis}: {', '.join(absent[:5])}: each sector must be named once")
    return table.loc[list(network.sectors), list(network.sectors)].to_numpy(str)


def products_are_sectors(network: FirmNetwork) -> bool:
    """Whether every firm sells what its sector is named for."""
    return np.array_equal(network.product, network.sector[network.supplier])


def name_cell(network: FirmNetwork, cells: np.ndarray, wrong: np.ndarray) -> str:
    """The first wrong cell, as `row, column: text`."""
    row, column = np.argwhere(wrong)[0]
    return f"{network.sectors[row]}, {network.sectors[column]}: {cells[row, column]}"
