"""WIOD tables: the packaged 2014 table (reassembled), and the compact files of the 2013 release."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from shockmesh.io.examples import EXAMPLES
from shockmesh.io.tables.store import Header, Reader, Rows, TableError

PACKAGED = EXAMPLES / "tables"
REFERENCE = (
    "Timmer, Dietzenbacher, Los, Stehrer, de Vries (2015), An illustrated user guide to the World Input-Output "
    "Database, Review of International Economics 23:575-605"
)


def read_reassembled_2014() -> tuple[Header, Reader]:
    """The packaged world table of 2014: 44 regions × 56 sectors, reassembled from exact pieces of the 2016 release.

    Domestic flows, final demand and output are WIOD's; which foreign country supplies an imported intermediate is
    estimated: Z[c,i,d,j] = T[c,i,d] / Σ_j M[d,i,j] · M[d,i,j] for c ≠ d (proportionality, as WIOD itself does).
    """
    parts = np.load(PACKAGED / "wiod2016_2014_parts.npz")
    header = Header(
        regions=parts["countries"].tolist(),
        sectors=parts["sectors"].tolist(),
        categories=parts["final"].tolist(),
        unit="million USD / year",
        title="World input-output table 2014, WIOD 2016 release, reassembled",
        source="WIOD 2016: national tables and final demand exact, origin of imported intermediates estimated",
        licence="CC BY 4.0",
        references=f"{REFERENCE}; doi:10.34894/PJ2M1C",
        years=(2014,),
    )
    return header, lambda year: _reassembled_rows({name: parts[name] for name in ("Zd", "M", "T", "F", "X")}, header)


def _reassembled_rows(parts: dict[str, np.ndarray], header: Header) -> Iterator[Rows]:
    imports = parts["M"].astype("f8")  # [buyer country, product, buyer sector]
    totals = imports.sum(2)
    for position, region in enumerate(header.regions):
        trade = parts["T"][position].astype("f8")  # [product, buyer country]
        share = np.divide(trade, totals.T, out=np.zeros_like(trade), where=totals.T > 0)
        flows = share[:, :, None] * imports.transpose(1, 0, 2)
        flows[:, position] = parts["Zd"][position]
        yield Rows(region, flows, parts["F"][position].astype("f8"), parts["X"][position])


def read_compact_2013(folder: Path) -> tuple[Header, Reader]:
    """Tables of the WIOD 2013 release, one `wiot13_YYYY.npz` a year (arrays Z, F, X, countries, sectors, final).

    Raises:
        TableError: no such file, or files that differ in their labels.
    """
    files = {int(file.stem.removeprefix("wiot13_")): file for file in sorted(folder.glob("wiot13_*.npz"))}
    if not files:
        raise TableError(f"{folder}: no file wiot13_YYYY.npz or wiotYY_*.xlsx there")
    labels = {year: [np.load(file)[name].tolist() for name in _LABELS] for year, file in files.items()}
    first = next(iter(labels))
    for year, of_year in labels.items():
        if of_year != labels[first]:
            raise TableError(f"{files[year]}: its regions, sectors or categories are not those of {files[first]}")
    header = Header(
        *labels[first],
        unit="million USD / year",
        title="World input-output tables, WIOD 2013 release",
        source="WIOD, release 2013, cells rounded to whole million USD",
        licence="CC BY 4.0 (stated for the 2016 release; believed of this one)",
        references=REFERENCE,
        years=tuple(files),
    )
    return header, lambda year: _compact_rows(files[year], header)


_LABELS = ("countries", "sectors", "final")


def _compact_rows(file: Path, header: Header) -> Iterator[Rows]:
    table = np.load(file)
    sizes = (len(header.regions), len(header.sectors))
    flows, final = table["Z"].reshape(*sizes, *sizes), table["F"].reshape(*sizes, sizes[0], -1)
    output = table["X"].reshape(sizes)
    for position, region in enumerate(header.regions):
        yield Rows(region, flows[position].astype("f8"), final[position].astype("f8"), output[position].astype("f8"))
