"""WIOD's world tables of the 2016 release: WIOTYYYY_Nov16_ROW.xlsb, WIOTYYYY_October16_ROW.RData, .dta.

The packaged table of 2014 (.npz) is put together again from exact pieces of that release.
"""

from collections.abc import Iterator

import numpy as np
from shockmesh.io.inputs.files import File, Source
from shockmesh.io.inputs.frames import FRAMES
from shockmesh.io.sources import About, Said
from shockmesh.io.tables.claims import Raw
from shockmesh.io.tables.forms.headers import Labels, header_of, years_in
from shockmesh.io.tables.forms.wiod import in_frame, in_sheet
from shockmesh.io.tables.forms.years import by_year, found
from shockmesh.io.tables.store import Header, Rows


def fits(source: Source) -> list[File]:
    """The files that are named as WIOD's."""
    return source.matching(r"WIOT\d{4}_.*ROW\.(xlsb|xlsx|rdata|rds|dta)") or source.matching(
        r"wiod2016_2014_parts\.npz"
    )


def read(source: Source, about: About, said: Said) -> tuple[Header, Raw]:
    """Open the table of a year or of several, one held at a time.

    Raises:
        TableError, SourceError: no such file, or lines that are not WIOD's.
    """
    return by_year(source, found(source, fits(source), "file WIOTYYYY_…_ROW"), said, lambda file: _read(file, about))


def _read(file: File, about: About) -> tuple[Header, Raw]:
    if file.suffix == ".npz":
        return _read_pieces(file, about)
    return (in_frame if file.suffix in FRAMES else in_sheet)(file, about, years_in(file.stem))


def _read_pieces(file: File, about: About) -> tuple[Header, Raw]:
    """The packaged world table of 2014: 44 regions × 56 sectors, reassembled from exact pieces of the 2016 release.

    Domestic flows, final demand and output are WIOD's; which foreign country supplies an imported intermediate is
    estimated: Z[c,i,d,j] = T[c,i,d] / Σ_j M[d,i,j] · M[d,i,j] for c ≠ d (proportionality, as WIOD itself does).
    """
    parts = np.load(file.read())
    labels = Labels(*(parts[name].tolist() for name in ("countries", "sectors", "final")))
    remark = "put together again: the origin of imported intermediates is estimated, all else is WIOD's"
    header = header_of(about, file, labels, title=f"{about.title}, reassembled", years=(2014,), remarks=(remark,))
    return header, lambda year: _rows_of_pieces({name: parts[name] for name in ("Zd", "M", "T", "F", "X")}, labels)


def _rows_of_pieces(parts: dict[str, np.ndarray], labels: Labels) -> Iterator[Rows]:
    imports = parts["M"].astype("f8")  # [buyer country, product, buyer sector]
    totals = imports.sum(2)
    for position, region in enumerate(labels.regions):
        trade = parts["T"][position].astype("f8")  # [product, buyer country]
        share = np.divide(trade, totals.T, out=np.zeros_like(trade), where=totals.T > 0)
        flows = share[:, :, None] * imports.transpose(1, 0, 2)
        flows[:, position] = parts["Zd"][position]
        yield Rows(region, flows, parts["F"][position].astype("f8"), parts["X"][position])
