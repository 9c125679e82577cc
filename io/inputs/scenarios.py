"""Reading what a scenario keeps in files: factors of a shock by firm and day, and numbers by firm.

Factors are read from CSV or Zarr. Firms that a file does not name keep the factor 1.

* long CSV, columns `firm,day,factor`: a factor holds from its day until the firm's next one; before the first, 1.
  Instead of `firm`, the columns `region` and `sector`, or one of them, name whole groups.
* wide CSV, first column `day` and one column per firm, or first column `firm` and one column per day: as long.
* Zarr, in a folder or an object store: a variable `factor(time, firm)` with both coordinates: as wide. Times are days
  as numbers, as durations since the start or as dates.

Where a run has dates (`horizon.start`), a day may be one. The column `week`, `month` or `quarter` (2020-W12, 2020-03,
2020-Q1) in place of `day` says the first day of each; of the one on which the run starts, day 0. A factor may be
written in per cent. Regions and sectors go by code, name or group; of several rows of one day on one firm the last
counts.

Numbers are read from CSV with the columns `firm,value`, the criticality of inputs from a CSV of sectors by sectors.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
import zarr
from jaxtyping import Bool, Float, Int
from shockmesh.io.inputs.calendar import PERIODS, Written, days_of_periods, numbers_in, rule_of
from shockmesh.io.inputs.csv_text import read_csv_text
from shockmesh.io.inputs.names import Kind, NamesError, meant
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
        require(self.path, column, self.line, self.texts.get(column, self.keys.get(column)), ok, rule)


def read_factors(
    path: str, network: FirmNetwork, days: int, high: float = 1.0, start: date | None = None
) -> Float[np.ndarray, "time firm"]:
    """Factors by day (0 … days − 1, or as far as the file goes) and firm, in the network's order, 1 where unnamed.

    Raises:
        ScenarioError: an unknown firm, region or sector, a day below 0, a row given twice, no day of the run, a factor
            that is not within 0 ≤ factor ≤ high, or more values in Zarr than suit a table that is read whole.
    """
    rows = _zarr_rows(path, start) if Path(path).is_dir() or "://" in path else _csv_rows(path, start)
    from_start = "a whole number ≥ 0" + (f", or a date from {start} on" if start else "")
    rows.require("day", (rows.day >= 0) & (rows.day == np.round(rows.day)) & (rows.day < np.inf), from_start)
    rows.require("factor", (rows.factor >= 0) & (rows.factor <= high), f"≥ 0 and ≤ {high:g}")
    repeated = pd.DataFrame({**rows.keys, "day": rows.day}).duplicated().to_numpy()
    rows.require("day", ~repeated, f"one row for each {', '.join(rows.keys)} and day")
    rows.require("day", np.full(len(rows.day), rows.day.min() < days), f"< {days}, the run's days, in one row at least")
    last = int(rows.day[rows.day < days].max())
    factors = np.ones((last + 1, network.n_firms))
    for firms, day, factor in _changes(rows, network, last):
        factors[day:, firms] = factor
    return factors


def read_numbers(
    path: str, network: FirmNetwork, written: Written = "number", start: date | None = None
) -> tuple[Int[np.ndarray, " named"], Float[np.ndarray, " named"]]:
    """Firm indices and their values, from a CSV with the column `firm` and one more; `written`: as words, too.

    Raises:
        ScenarioError: another set of columns, an unknown firm, a firm given twice, or a value that is not a number.
    """
    columns = read_columns(path)
    if "firm" not in columns or len(columns) != 2:
        raise ScenarioError(f"{path}:1: columns: {', '.join(columns)}: must be firm and one column of values")
    (name,) = set(columns) - {"firm"}
    firms, texts = columns["firm"], columns[name]
    values, line = numbers_in(texts, written, start), np.arange(len(firms)) + 2
    require(path, name, line, texts, np.isfinite(values), f"a finite number{rule_of(written)}")
    require(path, "firm", line, firms, ~pd.Index(firms).duplicated(), "named once")
    return codes_of(path, "firm", line, firms, known(network, "firm")), values


def read_criticality(path: str, network: FirmNetwork) -> Float[np.ndarray, "product sector"]:
    """How critical inputs from each sector (rows) are to buyers of each sector (columns), 0 … 1: see `read_cells`.

    Raises:
        ScenarioError: a file that `read_cells` refuses, or a cell beyond 0 … 1.
    """
    cells = read_cells(path, network, ScenarioError)
    values = numbers_in(cells.ravel()).reshape(cells.shape)
    wrong = ~((values >= 0) & (values <= 1))
    if wrong.any():
        raise ScenarioError(f"{path}: {name_cell(network, cells, wrong)}: must be ≥ 0 and ≤ 1")
    return values


def _changes(rows: _Rows, network: FirmNetwork, last: int) -> Iterator[tuple[np.ndarray, int, Any]]:
    """(firms, day, factor) in order of days, up to the last: all firms of a day together, groups one by one."""
    firms = None
    if "firm" in rows.keys:
        firms = codes_of(rows.path, "firm", rows.line, rows.keys["firm"], known(network, "firm"))
    groups = {key: _members(rows, key, network) for key in rows.keys if key != "firm"}
    order = np.argsort(rows.day, kind="stable")
    order = order[rows.day[order] <= last]
    days, starts = np.unique(rows.day[order], return_index=True)
    for day, now in zip(days.astype(int), np.split(order, starts[1:]), strict=True):
        if firms is not None:
            yield firms[now], day, rows.factor[now]
        else:
            yield from ((_group(groups, row), day, rows.factor[row]) for row in now.tolist())


def _group(groups: dict[str, list[Bool[np.ndarray, " firm"]]], row: int) -> Int[np.ndarray, " firm"]:
    return np.flatnonzero(np.all([of_rows[row] for of_rows in groups.values()], axis=0))


def _members(rows: _Rows, key: str, network: FirmNetwork) -> list[Bool[np.ndarray, " firm"]]:
    """The firms of the region or sector, or of the group of them, that each row names."""
    kind: Kind = "region" if key == "region" else "sector"
    codes, of_firm = (network.regions, network.region) if key == "region" else (network.sectors, network.sector)
    own, given = network.attrs.get("sector_names", {}), rows.keys[key].astype(str)
    try:
        named = {word: meant(kind, word, codes, own) for word in dict.fromkeys(given.tolist())}
    except NamesError as error:
        raise ScenarioError(f"{rows.path}: {key}: {error}") from error
    require(
        rows.path, key, rows.line, given, np.array([bool(named[word]) for word in given]), f"a {key} of the economy"
    )
    firms = {word: np.isin(of_firm, [codes.index(code) for code in found]) for word, found in named.items()}
    return [firms[word] for word in given.tolist()]


def names_of(network: FirmNetwork, kind: str) -> Any:
    """The names of the firms, the regions or the sectors of a network."""
    return {"firm": network.firm, "region": network.regions, "sector": network.sectors}[kind]


def known(network: FirmNetwork, kind: str) -> pd.Index:
    """These names as texts, to look for some among them."""
    return pd.Index(np.asarray(names_of(network, kind)).astype(str))


def codes_of(
    path: str, key: str, line: np.ndarray, given: np.ndarray, names: pd.Index, kind: str = ""
) -> Int[np.ndarray, " row"]:
    """Where each text of a column is among the names."""
    codes = np.asarray(names.get_indexer(pd.Index(given.astype(str))))
    require(path, key, line, given, codes >= 0, f"a {kind or key} of the economy")
    return codes


def _csv_rows(path: str, start: date | None) -> _Rows:
    columns = _with_days(path, read_columns(path), start)
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
    day = days_of_periods("day", texts["day"], start)[0]
    return _Rows(path, given, day, numbers_in(texts["factor"], "share"), line, texts)


def _with_days(path: str, columns: dict[str, np.ndarray], start: date | None) -> dict[str, np.ndarray]:
    """The columns with days in place of weeks, months or quarters."""
    kind = next((name for name in columns if name in PERIODS and name != "day"), None)
    if kind is None or "day" in columns:
        return columns
    texts = columns[kind]
    if start is None:
        raise ScenarioError(f"{path}:1: {kind}: needs horizon.start, the date of day 0")
    first, last = days_of_periods(kind, texts, start)
    require(path, kind, np.arange(len(texts)) + 2, texts, last >= 0, f"{PERIODS[kind]}, not before {start}, the start")
    days = np.maximum(first, 0).astype(int).astype(str)
    return {"day" if name == kind else name: days if name == kind else of for name, of in columns.items()}


def read_columns(path: str) -> dict[str, np.ndarray]:
    """The columns as texts."""
    table = read_csv_text(path, ScenarioError)
    return {str(name): table[name].to_numpy(str) for name in table.columns}


def _zarr_rows(path: str, start: date | None) -> _Rows:
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
    days, firms = _days(path, store["time"].to_numpy(), start), store["firm"].to_numpy().astype(str)
    texts = {"day": np.repeat(days, len(firms)), "firm": np.tile(firms, len(days)), "factor": factor.ravel()}
    line = np.arange(factor.size)
    return _Rows(path, {"firm": texts["firm"]}, numbers_in(texts["day"]), factor.ravel(), line, texts)


def _refuse_endless(path: str, group: zarr.Group) -> None:
    """A table is read whole: refuse one that claims more than that suits, before room is made for it."""
    for name, array in group.arrays():
        if array.size > MOST:
            rule = f"must be at most {MOST:,}: leave out firms, and days after the run"
            raise ScenarioError(f"{path}: {name}: {array.size:,} values: {rule}")


def _days(path: str, times: np.ndarray, start: date | None) -> np.ndarray:
    """Times of a Zarr file as days since the start of the run."""
    if times.dtype.kind == "M" and start is None:
        first = np.datetime_as_string(times[:1], "D")
        rule = "must be days since the start of the run; dates need horizon.start"
        raise ScenarioError(f"{path}: time: {', '.join(first)}, …: {rule}")
    times = times - np.datetime64(start, "ns") if times.dtype.kind == "M" else times
    return times / np.timedelta64(1, "D") if times.dtype.kind == "m" else times


def require(
    path: str, column: str, line: np.ndarray, given: Any, ok: np.ndarray, rule: str,
    error: type[ValueError] = ScenarioError,
) -> None:  # fmt: skip
    """Refuse a column of which some rows break a rule."""
    bad = np.flatnonzero(~ok)
    refuse(path, column, [f"row {line[i]}: {given[i]}" for i in bad[:SHOWN]], len(bad), rule, error)


def refuse(
    path: str, column: str, told: list[str], count: int, rule: str, error: type[ValueError] = ScenarioError
) -> None:
    """Refuse a column if the count of what breaks a rule is not 0; `told` are the first `SHOWN`."""
    if count:
        more = f" and {count - SHOWN} more" if count > SHOWN else ""
        raise error(f"{path}: {column}: {', '.join(told)}{more}: must be {rule}")
