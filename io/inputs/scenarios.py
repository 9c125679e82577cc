"""Reading what a scenario keeps in files: factors of a shock by firm and day, and numbers by firm.

Factors are read from CSV or Zarr. Firms that a file does not name keep the factor 1.

* long CSV, columns `firm,day,factor`: a factor holds from its day until the firm's next one; before the first, 1.
  Instead of `firm`, the columns `region` and `sector`, or one of them, name whole groups.
* wide CSV, first column `day` and one column per firm, or first column `firm` and one column per day: as long.
* Zarr, in a folder or an object store: a variable `factor(time, firm)` with both coordinates: as wide. Times are days
  as numbers or as durations since the start; dates are refused, for a run has none.

Numbers are read from CSV with the columns `firm,value`, the criticality of inputs from a CSV of sectors by sectors.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
import zarr
from jaxtyping import Float, Int
from shockmesh.io.inputs.csv_text import read_csv_text
from shockmesh.io.inputs.sector_matrices import name_cell, read_cells
from shockmesh.io.stores.clients import PlaceError
from shockmesh.io.stores.damage import reading
from shockmesh.io.stores.places import place, zarr_store
from shockmesh.kernels.network import FirmNetwork

KEYS = ("firm", "region", "sector")
MOST = 100_000_000  # values of a table in Zarr
SHOWN = 5


class ScenarioError(ValueError):
    """A file of a scenario that breaks a rule. The message names file, row, value and rule."""


@dataclass(frozen=True)
class _Rows:
    """Factors as rows: who, which day, how much."""

    path: str
    keys: dict[str, np.ndarray]  # firm, or region and sector → names
    day: Float[np.ndarray, " row"]  # NaN where the text is no number
    factor: Float[np.ndarray, " row"]
    line: Int[np.ndarray, " row"]  # line in the file
    texts: dict[str, np.ndarray]  # the columns as read, for messages

    def require(self, column: str, ok: np.ndarray, rule: str) -> None:
        _require(self.path, column, self.line, self.texts.get(column, self.keys.get(column)), ok, rule)


def read_factors(path: str, network: FirmNetwork, days: int, high: float = 1.0) -> Float[np.ndarray, "time firm"]:
    """Factors by day (0 … days − 1, or as far as the file goes) and firm, in the network's order, 1 where unnamed.

    Raises:
        ScenarioError: an unknown firm, region or sector, a day below 0, a row given twice, no day of the run, a factor
            that is not within 0 ≤ factor ≤ high, or more values in Zarr than suit a table that is read whole.
    """
    rows = _zarr_rows(path) if Path(path).is_dir() or "://" in path else _csv_rows(path)
    rows.require("day", (rows.day >= 0) & (rows.day == np.round(rows.day)) & (rows.day < np.inf), "a whole number ≥ 0")
    rows.require("factor", (rows.factor >= 0) & (rows.factor <= high), f"≥ 0 and ≤ {high:g}")
    repeated = pd.DataFrame({**rows.keys, "day": rows.day}).duplicated().to_numpy()
    rows.require("day", ~repeated, f"one row for each {', '.join(rows.keys)} and day")
    rows.require("day", np.full(len(rows.day), rows.day.min() < days), f"< {days}, the run's days, in one row at least")
    last = int(rows.day[rows.day < days].max())
    factors = np.ones((last + 1, network.n_firms))
    for firms, day, factor in _changes(rows, network, last):
        factors[day:, firms] = factor
    return factors


def read_numbers(path: str, network: FirmNetwork) -> tuple[Int[np.ndarray, " named"], Float[np.ndarray, " named"]]:
    """Firm indices and their values, from a CSV with the column `firm` and one more.

    Raises:
        ScenarioError: another set of columns, an unknown firm, a firm given twice, or a value that is not a number.
    """
    columns = _read_csv(path)
    if "firm" not in columns or len(columns) != 2:
        raise ScenarioError(f"{path}:1: columns: {', '.join(columns)}: must be firm and one column of values")
    (name,) = set(columns) - {"firm"}
    firms, texts = columns["firm"], columns[name]
    values, line = _numbers(texts), np.arange(len(firms)) + 2
    _require(path, name, line, texts, np.isfinite(values), "a finite number")
    _require(path, "firm", line, firms, ~pd.Index(firms).duplicated(), "named once")
    return _codes(path, "firm", line, firms, network.firm.astype(str)), values


def read_criticality(path: str, network: FirmNetwork) -> Float[np.ndarray, "product sector"]:
    """How critical inputs from each sector (rows) are to buyers of each sector (columns), 0 … 1: see `read_cells`.

    Raises:
        ScenarioError: a file that `read_cells` refuses, or a cell beyond 0 … 1.
    """
    cells = read_cells(path, network, ScenarioError)
    values = _numbers(cells.ravel()).reshape(cells.shape)
    wrong = ~((values >= 0) & (values <= 1))
    if wrong.any():
        raise ScenarioError(f"{path}: {name_cell(network, cells, wrong)}: must be ≥ 0 and ≤ 1")
    return values


def _changes(rows: _Rows, network: FirmNetwork, last: int) -> Iterator[tuple[np.ndarray, int, Any]]:
    """(firms, day, factor) in order of days, up to the last: all firms of a day together, groups one by one."""
    names = {"firm": network.firm.astype(str), "region": np.array(network.regions), "sector": np.array(network.sectors)}
    codes = {key: _codes(rows.path, key, rows.line, given, names[key]) for key, given in rows.keys.items()}
    order = np.argsort(rows.day, kind="stable")
    order = order[rows.day[order] <= last]
    days, starts = np.unique(rows.day[order], return_index=True)
    for day, now in zip(days.astype(int), np.split(order, starts[1:]), strict=True):
        if "firm" in codes:
            yield codes["firm"][now], day, rows.factor[now]
        else:
            yield from ((_group(network, codes, row), day, rows.factor[row]) for row in now.tolist())


def _group(network: FirmNetwork, codes: dict[str, np.ndarray], row: int) -> Int[np.ndarray, " firm"]:
    chosen = np.ones(network.n_firms, bool)
    for key, of_firm in (("region", network.region), ("sector", network.sector)):
        if key in codes:
            chosen &= of_firm == codes[key][row]
    return np.flatnonzero(chosen)


def _codes(path: str, key: str, line: np.ndarray, given: np.ndarray, names: np.ndarray) -> Int[np.ndarray, " row"]:
    codes = np.asarray(pd.Index(names).get_indexer(pd.Index(given.astype(str))))
    _require(path, key, line, given, codes >= 0, f"a {key} of the economy")
    return codes


def _csv_rows(path: str) -> _Rows:
    columns = _read_csv(path)
    keys = [key for key in KEYS if key in columns]
    first, count = next(iter(columns)), len(next(iter(columns.values())))
    if set(columns) == {*keys, "day", "factor"} and keys and not ("firm" in keys and len(keys) > 1):
        texts, line = columns, np.arange(count) + 2
    elif first in ("day", "firm") and len(columns) > 1:
        others = [name for name in columns if name != first]
        line = np.tile(np.arange(count) + 2, len(others))
        texts = {
            first: np.tile(columns[first], len(others)),
            "firm" if first == "day" else "day": np.repeat(others, count),
            "factor": np.concatenate([columns[name] for name in others]),
        }
        keys = ["firm"]
    else:
        rule = "must be firm (or region, sector, or both), day and factor, or start with day or firm"
        raise ScenarioError(f"{path}:1: columns: {', '.join(columns)}: {rule}")
    given = {key: texts[key] for key in keys}
    return _Rows(path, given, _numbers(texts["day"]), _numbers(texts["factor"]), line, texts)


def _read_csv(path: str) -> dict[str, np.ndarray]:
    """The columns as texts."""
    table = read_csv_text(path, ScenarioError)
    return {str(name): table[name].to_numpy(str) for name in table.columns}


def _zarr_rows(path: str) -> _Rows:
    try:
        at = place(path)
    except PlaceError as error:
        raise ScenarioError(str(error)) from error
    try:
        with reading(at):
            _refuse_endless(path, zarr.open_group(zarr_store(at, read_only=True), mode="r"))
            store = xr.open_zarr(zarr_store(at, read_only=True), chunks=None, consolidated=False, decode_timedelta=True)
            store = store.load()
    except ScenarioError:
        raise
    except (OSError, ValueError) as error:
        raise ScenarioError(f"{path}: cannot be opened as Zarr: {error}") from error
    if "factor" not in store or set(store["factor"].dims) != {"time", "firm"}:
        raise ScenarioError(f"{path}: variables: {', '.join(map(str, store.data_vars))}: must be factor(time, firm)")
    if not {"time", "firm"} <= set(store.coords):
        raise ScenarioError(f"{path}: coordinates: {', '.join(map(str, store.coords))}: must be time and firm")
    factor = store["factor"].transpose("time", "firm").to_numpy().astype(np.float64)
    days, firms = _days(path, store["time"].to_numpy()), store["firm"].to_numpy().astype(str)
    texts = {"day": np.repeat(days, len(firms)), "firm": np.tile(firms, len(days)), "factor": factor.ravel()}
    line = np.arange(factor.size)
    return _Rows(path, {"firm": texts["firm"]}, _numbers(texts["day"]), factor.ravel(), line, texts)


def _refuse_endless(path: str, group: zarr.Group) -> None:
    """A table is read whole: refuse one that claims more than that suits, before room is made for it."""
    for name, array in group.arrays():
        if array.size > MOST:
            rule = f"must be at most {MOST:,}: leave out firms, and days after the run"
            raise ScenarioError(f"{path}: {name}: {array.size:,} values: {rule}")


def _days(path: str, times: np.ndarray) -> np.ndarray:
    """Times of a Zarr file as days since the start of the run."""
    if times.dtype.kind == "M":
        first = np.datetime_as_string(times[:1], "D")
        raise ScenarioError(f"{path}: time: {', '.join(first)}, …: must be days since the start of the run, not dates")
    return times / np.timedelta64(1, "D") if times.dtype.kind == "m" else times


def _numbers(texts: np.ndarray) -> Float[np.ndarray, " row"]:
    """The texts as numbers, NaN where they are not."""
    return np.asarray(pd.to_numeric(pd.Index(texts), errors="coerce"), np.float64)


def _require(path: str, column: str, line: np.ndarray, given: Any, ok: np.ndarray, rule: str) -> None:
    bad = np.flatnonzero(~ok)
    if len(bad):
        named = ", ".join(f"row {line[i]}: {given[i]}" for i in bad[:SHOWN])
        more = f" and {len(bad) - SHOWN} more" if len(bad) > SHOWN else ""
        raise ScenarioError(f"{path}: {column}: {named}{more}: must be {rule}")
