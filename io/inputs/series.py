"""Reading observed series: a row per day or period, a column per series, values as ratios to the undisturbed economy.

    first_day,last_day,C,F,G
    0,30,0.99,0.97,1.01
    31,60,0.72,,0.8

Days count from the start of the run; a period is averaged over its days, last one included. The column `day` alone says
periods of one day. Where the run has dates (`horizon.start`), a day may be one, and the column `week`, `month` or
`quarter` (2020-W12, 2020-03, 2020-Q1) says whole ones. An empty cell was not seen. Series are named as the regions or
sectors they sum, or as the groups that a second CSV (columns `sector,series` or `region,series`) gathers them in.
"""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from shockmesh.io.inputs.calendar import PERIODS, days_of_periods, numbers_in
from shockmesh.io.inputs.csv_text import read_csv_text
from shockmesh.kernels.network import FirmNetwork

LARGEST = 1e4  # times the undisturbed day: a larger value is an amount, not a ratio
LAST_DAY = 10_000_000


class SeriesError(ValueError):
    """A file of observations that breaks a rule. The message names file, row, column, value and rule."""


@dataclass(frozen=True)
class Series:
    """What was seen."""

    names: tuple[str, ...]
    first_day: Int[np.ndarray, " period"]
    last_day: Int[np.ndarray, " period"]
    values: Float[np.ndarray, "period series"]  # ratio to the undisturbed day; NaN where not seen
    start: date | None = None  # of the run

    def period_of_day(self, days: int) -> Int[np.ndarray, " day"]:
        """Each day's period, −1 for days of none."""
        period = np.full(days, -1)
        for k, (first, last) in enumerate(zip(self.first_day, self.last_day, strict=True)):
            period[first : last + 1] = k
        return period


def read_series(path: str | Path, days: int, start: date | None = None) -> Series:
    """Series of a CSV; periods must end within the `days` of the run.

    Raises:
        SeriesError: no CSV, no day, periods that overlap or leave the run, a value that is not a number from 0 to
            10,000, or nothing seen at all.
    """
    table = read_csv_text(path, SeriesError)
    ends = _ends(path, table)
    first, last = _days(path, table, ends, start)
    names = tuple(str(name) for name in table.columns if name not in ends)
    values = np.stack([_numbers(path, name, table[name].to_numpy(str)) for name in names], axis=1) if names else None
    if values is None or not np.isfinite(values).any():
        raise SeriesError(f"{path}: no series: every column but the days is one, and something must be seen")
    _check_periods(path, first, last, days)
    return Series(names, first, last, values, start)


def read_noise(path: str | Path, series: Series, low: float, high: float) -> Float[np.ndarray, "period series"]:
    """The standard deviation of each value of some series: a CSV with the same rows and columns.

    Raises:
        SeriesError: no such CSV, other periods or series, a value that is not a number from `low` to `high`.
    """
    table = read_csv_text(path, SeriesError)
    ends = _ends(path, table)
    days = _days(path, table, ends, series.start)
    if not all(map(np.array_equal, days, (series.first_day, series.last_day))):
        raise SeriesError(f"{path}: {' and '.join(dict.fromkeys(ends))}: must be those of the series")
    missing = [name for name in series.names if name not in table]
    if missing:
        raise SeriesError(f"{path}:1: columns: no {missing[0]}: each series needs one")
    noise = np.stack([_numbers(path, name, table[name].to_numpy(str)) for name in series.names], axis=1)
    bad = np.argwhere(~((noise >= low) & (noise <= high)))
    if len(bad):
        row, column = bad[0]
        rule = f"must be ≥ {low:g} and ≤ {high:g}"
        raise SeriesError(f"{path}:{row + 2}: {series.names[column]}: {noise[row, column]:g}: {rule}")
    return noise


def _ends(path: str | Path, table: pd.DataFrame) -> tuple[str, str]:
    """The columns that say a period's first and last day."""
    whole = next((name for name in PERIODS if name in table), None)
    ends = (whole, whole) if whole else ("first_day", "last_day")
    missing = [name for name in ends if name not in table]
    if missing:
        columns = f"{', '.join(PERIODS)}, or first_day and last_day"
        raise SeriesError(f"{path}:1: columns: no {missing[0]}: a row needs {columns}")
    return ends


def _days(
    path: str | Path, table: pd.DataFrame, ends: tuple[str, str], start: date | None
) -> tuple[Int[np.ndarray, " row"], Int[np.ndarray, " row"]]:
    """The first and the last day of each row's period."""
    first, last = (_end(path, name, table[name].to_numpy(str), start)[of] for of, name in enumerate(ends))
    return first, last


def _end(path: str | Path, name: str, texts: np.ndarray, start: date | None) -> list[Int[np.ndarray, " row"]]:
    kind = name if name in PERIODS else "day"
    if kind != "day" and start is None:
        raise SeriesError(f"{path}:1: {name}: needs horizon.start, the date of day 0")
    first, last = days_of_periods(kind, texts, start)
    bad = np.flatnonzero(~((first == np.round(first)) & (np.abs(first) <= LAST_DAY)))
    if len(bad):
        rule = PERIODS[kind] if start else "a whole number of days"
        raise SeriesError(f"{path}:{bad[0] + 2}: {name}: {texts[bad[0]]}: must be {rule}")
    return [first.astype(int), last.astype(int)]


def _check_periods(path: str | Path, first: np.ndarray, last: np.ndarray, days: int) -> None:
    for row, (start, end) in enumerate(zip(first, last, strict=True)):
        if not 0 <= start <= end < days:
            raise SeriesError(f"{path}:{row + 2}: days {start} … {end}: must lie within 0 … {days - 1}, the run's days")
    order = np.argsort(first)
    overlap = np.flatnonzero(first[order][1:] <= last[order][:-1])
    if len(overlap):
        row = order[overlap[0] + 1]
        raise SeriesError(f"{path}:{row + 2}: day {first[row]}: is in another period too")


def _numbers(path: str | Path, name: str, texts: np.ndarray) -> Float[np.ndarray, " row"]:
    seen, numbers = texts != "", numbers_in(texts, "share")
    bad = np.flatnonzero(seen & ~((numbers >= 0) & (numbers <= LARGEST)))
    if len(bad):
        rule = f"must be a number ≥ 0 and ≤ {LARGEST:,.0f}, a ratio to the undisturbed day, or empty"
        raise SeriesError(f"{path}:{bad[0] + 2}: {name}: {texts[bad[0]]}: {rule}")
    return np.where(seen, numbers, np.nan)


def firms_of_series(
    series: Series, by: str, groups: str | None, network: FirmNetwork, path: str
) -> Int[np.ndarray, " firm"]:
    """Each firm's series; firms of none have a number of their own, after the last.

    Raises:
        SeriesError: a series, region or sector that the economy or the groups do not have.
    """
    if by == "total":
        if len(series.names) != 1:
            raise SeriesError(f"{path}:1: columns: {', '.join(series.names)}: by total there is one series")
        return np.zeros(network.n_firms, int)
    names, code = (network.regions, network.region) if by == "region" else (network.sectors, network.sector)
    group_of = dict(zip(names, names, strict=True)) if groups is None else _read_groups(groups, by, names)
    unknown = [name for name in series.names if name not in group_of.values()]
    if unknown:
        raise SeriesError(f"{path}:1: column: {unknown[0]}: no such {by if groups is None else 'series in ' + groups}")
    position = {name: k for k, name in enumerate(series.names)}
    of_group = np.array([position.get(group_of.get(name, ""), len(series.names)) for name in names])
    return of_group[code]


def _read_groups(path: str, by: str, names: tuple[str, ...]) -> dict[str, str]:
    table = read_csv_text(path, SeriesError)
    if list(table.columns) != [by, "series"]:
        raise SeriesError(f"{path}:1: columns: {', '.join(table.columns)}: must be {by},series")
    for row, name in enumerate(table[by]):
        if name not in names:
            raise SeriesError(f"{path}:{row + 2}: {by}: {name}: no such {by} in the economy")
        if name in set(table[by][:row]):
            raise SeriesError(f"{path}:{row + 2}: {by}: {name}: named once")
    return dict(zip(table[by], table["series"], strict=True))
