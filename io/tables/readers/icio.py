"""OECD Inter-Country Input-Output tables: the packaged extract of the 2021 edition."""

from collections.abc import Iterator

import numpy as np
from shockmesh.io.examples import EXAMPLES
from shockmesh.io.tables.store import Header, Reader, Rows

PACKAGED = EXAMPLES / "tables" / "icio2021_2014.npz"


def read_icio_extract() -> tuple[Header, Reader]:
    """The packaged extract: 2014, seven countries and the rest of the world, 45 sectors."""
    table = np.load(PACKAGED)
    header = Header(
        regions=table["regions"].tolist(),
        sectors=table["sectors"].tolist(),
        categories=table["final"].tolist(),
        unit="million USD / year",
        title="OECD Inter-Country Input-Output table 2014, edition 2021, cut to 7 countries and the rest of the world",
        source="OECD ICIO 2021, aggregated in INET-Complexity/macro-main (Apache-2.0)",
        licence="OECD terms: reuse with attribution (CC BY 4.0 unless marked otherwise)",
        references="OECD (2021), OECD Inter-Country Input-Output Database, http://oe.cd/icio",
        years=(2014,),
    )
    return header, lambda year: _rows(table["Z"], table["F"], table["X"], header)


def _rows(flows: np.ndarray, final: np.ndarray, output: np.ndarray, header: Header) -> Iterator[Rows]:
    sizes = (len(header.regions), len(header.sectors))
    by_flow, by_final = flows.reshape(*sizes, *sizes), final.reshape(*sizes, sizes[0], -1)
    for position, region in enumerate(header.regions):
        yield Rows(region, by_flow[position], by_final[position], output.reshape(sizes)[position])
