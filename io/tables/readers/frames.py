"""Tables held whole as pandas DataFrames: rows and columns with labels (region, sector or category), in any order."""

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pymrio import ParserWarning
from shockmesh.io.tables.readers.headers import Labels
from shockmesh.io.tables.store import Rows, TableError


def parse(path: Path, parser: Callable[[Path], Any]) -> Any:
    """A system that pymrio parses from published files. Its warnings are about accounts, which are not read here."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r".*[Ee]xtension .*not included", ParserWarning)
        return parser(path)


def labels_of(path: Path, flows: pd.DataFrame, final: pd.DataFrame) -> Labels:
    """The labels of Z and Y.

    Raises:
        TableError: a row or column is missing, unknown or there twice, so that regions differ in their sectors.
    """
    regions, sectors = (list(dict.fromkeys(map(str, flows.index.get_level_values(level)))) for level in (0, 1))
    labels = Labels(regions, sectors, list(dict.fromkeys(map(str, final.columns.get_level_values(1)))))
    industries, demands = _industries(labels), _demands(labels)
    for name, found, wanted in (
        ("rows of Z", flows.index, industries),
        ("columns of Z", flows.columns, industries),
        ("rows of Y", final.index, industries),
        ("columns of Y", final.columns, demands),
    ):
        _check_complete(path, name, found, wanted)
    return labels


def rows_of(labels: Labels, flows: pd.DataFrame, final: pd.DataFrame) -> Iterator[Rows]:
    """The rows of Z and Y, region by region."""
    industries, demands = _industries(labels), _demands(labels)
    for region in labels.regions:
        lines = industries[industries.get_level_values(0) == region]
        block = flows.reindex(index=lines, columns=industries).to_numpy(np.float64)
        demand = final.reindex(index=lines, columns=demands).to_numpy(np.float64)
        shape = (len(labels.sectors), len(labels.regions), -1)
        yield Rows(region, block.reshape(shape), demand.reshape(shape))


def _industries(labels: Labels) -> pd.MultiIndex:
    return pd.MultiIndex.from_product([labels.regions, labels.sectors])


def _demands(labels: Labels) -> pd.MultiIndex:
    return pd.MultiIndex.from_product([labels.regions, labels.categories])


def _check_complete(path: Path, name: str, labels: Any, wanted: pd.MultiIndex) -> None:
    for said, wrong in (
        ("missing", wanted.difference(labels)),
        ("unknown", labels.difference(wanted)),
        ("there twice", labels[labels.duplicated()]),
    ):
        if len(wrong):
            named = ", ".join(" ".join(map(str, label)) for label in wrong[:5])
            raise TableError(f"{path}: {name}: {said} {named}; every region must have the same labels, each once")
