"""Reading what a scenario keeps in files: factors of a shock by firm and day, and numbers by firm.

Factors are read from CSV or Zarr. Firms that a file does not name keep the factor 1.

* long CSV, columns `firm,day,factor`: a factor holds from its day until the firm's next one; before the first, 1.
  Instead of `firm`, the columns `region` and `sector`, or one of them, name whole groups.
* wide CSV, first column `day` and one column per firm, or first column `firm` and one column per day: as long.
* Zarr (or anything `xarray.open_zarr` opens): a variable `factor(time, firm)` with both coordinates: as wide.

Numbers are read from CSV with the columns `firm,value`.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Bool, Float, Int
from shockmesh.kernels.network import FirmNetwork

KEYS = ("firm", "region", "sector")
SHOWN = 5


class ScenarioError(ValueError):
    """A file of a scenario that breaks a rule. The message names file, row, value and rule."""


def read_factors(path: str, network: FirmNetwork, days: int, high: float = 1.0) -> Float[np.ndarray, "time firm"]:
    """Factors by day (0 … days − 1, or as far as the file goes) and firm, in the network's order, 1 where unnamed.

    Raises:
        ScenarioError: an unknown firm, region or sector, a day below 0, a (firm, day) given twice, or a factor that
            is not within 0 ≤ factor ≤ high.
    """
    table = _zarr_rows(path) if Path(path).is_dir() or "://" in path else _csv_rows(path)
    keys = [key for key in KEYS if key in table]
    _require(path, table, "day", _whole(table["day"]) & (table["day"] >= 0), "a whole number ≥ 0")
    within = table["factor"].notna() & (table["factor"] >= 0) & (table["factor"] <= high)
    _require(path, table, "factor", within, f"≥ 0 and ≤ {high:g}")
    _require(path, table, "day", ~table.duplicated([*keys, "day"]), f"one row for each {', '.join(keys)} and day")
    table = table[table["day"] < days].sort_values("day", kind="stable")
    rows = int(table["day"].max()) + 1 if len(table) else 1
    factors = np.ones((rows, network.n_firms))
    for firms, start, factor in _changes(path, table, keys, network):
        factors[start:, firms] = factor
    return factors


def read_numbers(path: str, network: FirmNetwork) -> tuple[Int[np.ndarray, " named"], Float[np.ndarray, " named"]]:
    """Firm indices and their values, from a CSV with columns `firm,value`.

    Raises:
        ScenarioError: a missing column, an unknown firm, a firm given twice, or a value that is not a number.
    """
    table = _read_csv(path)
    if "firm" not in table or len(table.columns) != 2:
        raise ScenarioError(f"{path}:1: columns: {', '.join(table.columns)}: must be firm and one column of values")
    (column,) = [name for name in table.columns if name != "firm"]
    values = pd.to_numeric(table[column], errors="coerce")
    _require(path, table, column, np.isfinite(values), "a finite number")
    _require(path, table, "firm", ~table["firm"].duplicated(), "each firm once")
    return _codes(path, table, "firm", np.asarray(network.firm).astype(str)), values.to_numpy(np.float64)


def _changes(path: str, table: pd.DataFrame, keys: Sequence[str], network: FirmNetwork):
    """(firms, day, factor) of each row in order of days; rows of one day and factor together."""
    codes = {key: _codes(path, table, key, names) for key, names in _names(network).items() if key in keys}
    days, factors = table["day"].to_numpy(np.int64), table["factor"].to_numpy(np.float64)
    if "firm" in codes:
        for day in np.unique(days):
            now = days == day
            yield codes["firm"][now], day, factors[now]
        return
    for row in range(len(table)):
        yield _group(network, {key: int(code[row]) for key, code in codes.items()}), days[row], factors[row]


def _group(network: FirmNetwork, code: dict[str, int]) -> Bool[np.ndarray, " firm"]:
    chosen = np.ones(network.n_firms, bool)
    if "region" in code:
        chosen &= network.region == code["region"]
    return chosen & (network.sector == code["sector"]) if "sector" in code else chosen


def _names(network: FirmNetwork) -> dict[str, np.ndarray]:
    return {
        "firm": np.asarray(network.firm).astype(str),
        "region": np.array(network.regions),
        "sector": np.array(network.sectors),
    }


def _codes(path: str, table: pd.DataFrame, key: str, names: np.ndarray) -> Int[np.ndarray, " row"]:
    codes = pd.Index(names).get_indexer(pd.Index(table[key].astype(str)))
    _require(path, table, key, codes >= 0, f"a {key} of the economy")
    return codes


def _csv_rows(path: str) -> pd.DataFrame:
    """A CSV of factors, wide or long, as long rows; the index is the line in the file."""
    table = _read_csv(path)
    columns = list(table.columns)
    keys = [key for key in KEYS if key in columns]
    if {"day", "factor"} <= set(columns) and keys and set(columns) == {*keys, "day", "factor"}:
        if keys[0] == "firm" and len(keys) > 1:
            raise ScenarioError(
                f"{path}:1: columns: {', '.join(columns)}: name firms, or regions and sectors, not both"
            )
    elif columns[0] in ("day", "firm") and len(columns) > 1:
        other = "firm" if columns[0] == "day" else "day"
        table = table.melt(columns[0], var_name=other, value_name="factor", ignore_index=False)
    else:
        raise ScenarioError(
            f"{path}:1: columns: {', '.join(columns)}: must be firm, day and factor (see shockmesh.io.scenarios)"
        )
    return table.assign(
        day=pd.to_numeric(table["day"], errors="coerce"), factor=pd.to_numeric(table["factor"], errors="coerce")
    )


def _read_csv(path: str) -> pd.DataFrame:
    """All columns as texts, indexed by the line in the file."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, skipinitialspace=True)
    except (OSError, ValueError) as error:
        raise ScenarioError(f"{path}: cannot be read as CSV: {error}") from error
    table.index = table.index + 2
    return table


def _zarr_rows(path: str) -> pd.DataFrame:
    """A Zarr `factor(time, firm)` as long rows; the index counts them."""
    try:
        store = xr.open_zarr(path, consolidated=False)
    except (OSError, ValueError) as error:
        raise ScenarioError(f"{path}: cannot be opened as Zarr: {error}") from error
    if "factor" not in store or set(store["factor"].dims) != {"time", "firm"}:
        raise ScenarioError(f"{path}: variables: {', '.join(map(str, store.data_vars))}: must be factor(time, firm)")
    if not {"time", "firm"} <= set(store.coords):
        raise ScenarioError(f"{path}: coordinates: {', '.join(map(str, store.coords))}: must be time and firm")
    rows = store["factor"].transpose("time", "firm").to_series().rename("factor").reset_index()
    return rows.rename(columns={"time": "day"})


def _whole(values: pd.Series) -> pd.Series:
    return values.notna() & (values % 1 == 0)


def _require(path: str, table: pd.DataFrame, column: str, ok: pd.Series | np.ndarray, rule: str) -> None:
    bad = np.flatnonzero(~np.asarray(ok))
    if len(bad):
        named = ", ".join(f"row {table.index[i]}: {table[column].iloc[i]}" for i in bad[:SHOWN])
        more = f" and {len(bad) - SHOWN} more" if len(bad) > SHOWN else ""
        raise ScenarioError(f"{path}: {column}: {named}{more}: must be {rule}")
