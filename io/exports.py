"""A run as a file of another kind: NetCDF, Excel, Parquet or CSV, by day or as means of weeks, months and more."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from shockmesh.io.results import open_run, recordings
from shockmesh.io.stores.places import Place

type Every = Literal["day", "week", "month", "quarter", "year"]

EVERY: dict[str, str] = {"week": "W", "month": "M", "quarter": "Q", "year": "Y"}  # as pandas has periods
WEEK = 7  # days, of a run without dates
ROWS = 1_048_575  # below the header of a sheet


class ExportError(ValueError):
    """A run that cannot be written so. The message names the file, the variable or the rule."""


def export_run(path: str | Place, file: str | Path, variables: tuple[str, ...] = (), every: Every = "day") -> list[str]:
    """Write what a run recorded to a file whose ending says its kind: .nc, .xlsx, .parquet or .csv.

    NetCDF keeps dims, units and provenance. The others have a row for each member, time and label, with one column a
    variable: a sheet for each variable in Excel, in Parquet and CSV one table of variables of the same dims.

    Args:
        variables: as recorded; empty: all of a run, without the undisturbed day, which only NetCDF has.
        every: `week` and more give means over the days of each, named by its first day there.

    Returns:
        The names of the variables that were written.

    Raises:
        ExportError: the file exists or has another ending; no such variable; several dims in one table; more rows than
            a sheet has; months of a run without dates.
        ResultsError: not a run, or a calibration.
    """
    target = Path(file)
    if target.suffix not in WRITERS:
        raise ExportError(f"{file}: must end with {', '.join(WRITERS)}")
    if target.exists():
        raise ExportError(f"{file}: exists already; name another file")
    with open_run(path) as ds:
        recorded = recordings(ds)
        unknown = [name for name in variables if name not in recorded]
        if unknown:
            raise ExportError(f"{path}: variable: {', '.join(unknown)}: not recorded; there are {', '.join(recorded)}")
        names = list(variables) or recorded
        chosen = ds[[*names, *(f"{name}_baseline" for name in names), *(["status"] if "status" in ds else [])]]
        WRITERS[target.suffix](averaged(chosen, every), names, target)
    return names


def averaged(ds: xr.Dataset, every: Every) -> xr.Dataset:
    """The means of a dataset over weeks, months and more; `time` is then the first day of each that the run has.

    Raises:
        ExportError: months, quarters or years of a run without dates.
    """
    if every == "day":
        return ds
    time = ds["time"].values
    if np.issubdtype(time.dtype, np.datetime64):
        period = pd.PeriodIndex(time, freq=EVERY[every]).asi8
    elif every == "week":
        period = time // WEEK
    else:
        raise ExportError(f"every {every}: needs a run with dates: horizon.start")
    first = time[np.searchsorted(period, period)]
    moving = [name for name in ds.data_vars if "time" in ds[name].dims]
    means = ds[moving].assign_coords(time=first).groupby("time").mean(keep_attrs=True)
    means["time"].attrs = {**ds["time"].attrs, "cell_methods": "time: mean"}
    return ds.drop_dims("time").merge(means.transpose(*ds[moving].dims, missing_dims="ignore"), join="exact")


def _netcdf(ds: xr.Dataset, names: list[str], file: Path) -> None:
    ds.to_netcdf(file)


def _excel(ds: xr.Dataset, names: list[str], file: Path) -> None:
    tables = {name: frame_of(ds, [name]) for name in names}
    for name, table in tables.items():
        if len(table) > ROWS:
            rule = f"a sheet has {ROWS:,} below its header: choose --every month, or write .parquet"
            raise ExportError(f"{file}: {name}: {len(table):,} rows: {rule}")
    about = {name: str(of) for name, of in ds.attrs.items()} | {name: ds[name].attrs.get("units", "") for name in names}
    with pd.ExcelWriter(file, engine="openpyxl") as book:
        for name, table in tables.items():
            table.to_excel(book, sheet_name=name[:31], index=False)
        pd.DataFrame(about.items(), columns=["about", "value"]).to_excel(book, sheet_name="about", index=False)


def _parquet(ds: xr.Dataset, names: list[str], file: Path) -> None:
    _one_table(ds, names, file).to_parquet(file, index=False)


def _csv(ds: xr.Dataset, names: list[str], file: Path) -> None:
    _one_table(ds, names, file).to_csv(file, index=False)


WRITERS: Mapping[str, Callable[[xr.Dataset, list[str], Path], None]] = {
    ".nc": _netcdf, ".xlsx": _excel, ".parquet": _parquet, ".csv": _csv,
}  # fmt: skip


def _one_table(ds: xr.Dataset, names: list[str], file: Path) -> pd.DataFrame:
    dims = {name: ds[name].dims for name in names}
    if len(set(dims.values())) > 1:
        told = ", ".join(f"{name} by {' and '.join(map(str, of[2:])) or 'total'}" for name, of in dims.items())
        raise ExportError(f"{file}: one table has variables of the same dims: choose with --variable: {told}")
    return frame_of(ds, names)


def frame_of(ds: xr.Dataset, names: list[str]) -> pd.DataFrame:
    """Variables of the same dims as a table: member, time, labels, what members drew and what firms are, values."""
    dims = [str(dim) for dim in ds[names[0]].dims]
    table: Any = ds[names].to_dataframe(dim_order=dims).reset_index()
    others = [name for name in table.columns if name not in (*dims, *names)]
    return table[[*dims, *others, *names]]
