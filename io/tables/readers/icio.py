"""OECD Inter-Country Input-Output tables, every edition since 2016: the OECD's CSV files, or archives of them.

    V1,ARG_A01_02,…,ARG_HFCE,…,OUT      labels REGION_CODE; TLS, VA, OUT are rows, OUT (or TOTAL) is a column

* Final demand of 2016 is written the other way round, HFCE_ARG; its column DISC, like any column of final demand that
  is no region's, is left out, and its sum is said. An empty cell is 0.
* China and Mexico may be given in parts (CN1, CN2, MX1 …), beside the country or in place of it: they are added up.
* Files that programs saved again have labels such as VA_VA_VA.

The packaged extract (.npz) is of 2014, seven countries and the rest of the world.
"""

import re
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from shockmesh.io.inputs.files import File, Source
from shockmesh.io.sources import About, Said
from shockmesh.io.tables.claims import Raw
from shockmesh.io.tables.forms.headers import Labels, header_of
from shockmesh.io.tables.forms.labelled import (
    ADDED,
    FINAL,
    INDUSTRY,
    NOBODY,
    OTHER,
    OUTPUT,
    Label,
    Meaning,
    read_matrix,
    region_and_code,
)  # fmt: skip
from shockmesh.io.tables.forms.years import by_year, found
from shockmesh.io.tables.store import Header, Rows, TableError

CATEGORY = r"HFCE|NPISH|NPS|GGFC|GFCF|INVNT|INV|DIRP|DPABR|FD|P33|CONS_ABR|CONS_NONRES|DISC"
OUTPUTS = ("OUT", "OUTPUT", "TOTAL")
HOUSEHOLDS = re.compile(r",\"?([A-Z0-9]{2,3}_HFCE|HFCE_[A-Z0-9]{2,3})\"?(,|$)")
WHOLE = {"CN": "CHN", "MX": "MEX"}


def fits(source: Source) -> list[File]:
    """CSV files with columns such as AUS_HFCE or HFCE_AUS, or the packaged extract."""
    extract = source.matching(r"icio\d{4}_\d{4}\.npz")
    return extract or [file for file in source.matching(r".*\.csv") if HOUSEHOLDS.search(file.first_line)]


def read(source: Source, about: About, said: Said) -> tuple[Header, Any]:
    """Open the table of a year or of several, or the packaged extract; the rows of one region are held at a time.

    Raises:
        TableError, SourceError: no such file, or one that is not the OECD's.
    """
    return by_year(source, found(source, fits(source), "file of the OECD's layout"), said, partial(_read, about))


def _read(about: About, file: File) -> tuple[Header, Raw]:
    if file.suffix == ".npz":
        return _read_extract(file, about)
    if not HOUSEHOLDS.search(file.first_line):
        raise TableError(f"{file}: cannot be read: no column such as AUS_HFCE or HFCE_AUS, as the OECD's files have")
    return read_matrix(file, lambda columns: header_of(about, file, columns.labels), MEANING, _label)


def _label(label: str) -> Label:
    """Region and code, in this order; total rows and columns have no region, even where they were saved thrice."""
    if match := re.fullmatch(r"([A-Z]+)_\1_\1", label):
        return "", match[1]
    if match := re.fullmatch(rf"({CATEGORY})_([A-Z]{{3}})", label):
        return match[2], match[1]
    return region_and_code(label)


def _column(region: str, code: str) -> str:
    if not region:
        return OUTPUT if code in OUTPUTS else NOBODY if re.fullmatch(CATEGORY, code) else OTHER
    return FINAL if re.fullmatch(CATEGORY, code) else INDUSTRY


def _row(region: str, code: str) -> str:
    if re.fullmatch(r"VA|VALU|TLS|TAXSUB|VA\+TAXSUB", code):
        return ADDED
    return INDUSTRY if region else OUTPUT if code in OUTPUTS else OTHER


def _whole(region: str) -> str:
    return WHOLE.get(region[:2], region) if re.fullmatch(r"(CN|MX)\d", region) else region


MEANING = Meaning(_column, _row, _whole)


def _read_extract(file: File, about: About) -> tuple[Header, Raw]:
    table = np.load(file.read())
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
