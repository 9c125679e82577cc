"""Eurostat's database as it is downloaded, one cell a line: TSV (a key, then a column a period) and SDMX-CSV.

    freq,ind_use,ind_ava,c_dest,unit,c_orig\\TIME_PERIOD <tab> 2021 <tab> 2022      TSV
    DATAFLOW,LAST UPDATE,freq,…,c_orig,TIME_PERIOD,OBS_VALUE,OBS_FLAG               SDMX-CSV

": " is no value, ": c" a secret one. Values may have flags behind them (12.5 p).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from shockmesh.io.inputs.files import File, Source
from shockmesh.io.tables.store import TableError

LINES = 500_000  # read at once
MONEY = {
    "MIO_EUR": "million EUR", "THS_EUR": "thousand EUR", "MIO_NAC": "million national currency",
    "THS_NAC": "thousand national currency",
}  # fmt: skip
TIME, VALUE = "TIME_PERIOD", "OBS_VALUE"
KEY = re.compile(r'"?([a-z_0-9,]+)\\TIME_PERIOD"?([\t,])')  # with commas where another program saved it again


@dataclass(frozen=True)
class Lines:
    """Some lines of one period: their keys by dimension, and their values, NaN where there is none."""

    year: int
    keys: Any  # a pandas DataFrame of texts
    values: Float[np.ndarray, " line"]


def dimensions(file: File) -> list[str]:
    """The names of a file's dimensions; empty if it is none of Eurostat's."""
    if match := KEY.match(file.first_line):
        return match[1].split(",")
    names = file.first_line.split(",")
    return [name for name in names if re.fullmatch(r"[a-z][a-z_0-9]*", name)] if {TIME, VALUE} <= set(names) else []


def with_dimensions(source: Source, *wanted: set[str]) -> list[File]:
    """The files that have every dimension of one of these sets."""
    files = source.matching(r".*\.(tsv|csv)")
    return [file for file in files if any(names <= set(dimensions(file)) for names in wanted)]


def lines_of(file: File, year: int | None = None) -> Iterator[Lines]:
    """The lines of a file, of one year or of all; a few hundred thousand are held at a time.

    Raises:
        TableError: a value that is neither a number nor none.
    """
    names = dimensions(file)
    as_text: Any = {"dtype": str, "keep_default_na": False, "chunksize": LINES}
    if match := KEY.match(file.first_line):
        with file.open() as data, pd.read_csv(data, sep=match[2], **as_text) as chunks:
            for chunk in chunks:
                keys = chunk.iloc[:, 0].str.split(",", expand=True).set_axis(names, axis=1)
                for period in chunk.columns[1:]:
                    if year is None or int(period) == year:
                        yield Lines(int(period), keys, _values(file, chunk[period]))
        return
    with file.open() as data, pd.read_csv(data, **as_text) as chunks:
        for chunk in chunks:
            for period, of in chunk.groupby(TIME, sort=False):
                if year is None or int(str(period)) == year:
                    yield Lines(int(str(period)), of[names].reset_index(drop=True), _values(file, of[VALUE]))


def _values(file: File, texts: Any) -> Float[np.ndarray, " line"]:
    bare = texts.str.strip().str.partition(" ")[0]
    numbers: Any = pd.to_numeric(bare, errors="coerce")
    if (wrong := numbers.isna() & ~bare.isin(["", ":", "NaN"])).any():
        at = int(np.flatnonzero(wrong)[0])
        raise TableError(f"{file}:{texts.index[at] + 2}: {texts.iloc[at]}: must be a number, or : for none")
    return numbers.to_numpy(np.float64)


def only(file: File, found: set[str], what: str, preferred: tuple[str, ...] = ()) -> str:
    """The one value of a dimension, or the first preferred one that is there.

    Raises:
        TableError: several, none of them preferred.
    """
    for value in preferred:
        if value in found:
            return value
    if len(found) != 1:
        raise TableError(f"{file}: {what}: there are {', '.join(sorted(found))}; one is needed")
    return next(iter(found))
