"""What a report says of prices: how far they rose and what tariffs brought in, from the dataset of `open_run`.

Prices are relative to those of the undisturbed day; a rise is p − 1. Of a group they are means: see
`shockmesh.kernels.rollout.MEANS`. They are no flows, so no loss is made of them.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float, Int
from shockmesh.io.reports.losses import ReportError, split_rate, spread, status_of
from shockmesh.io.results import FAILED, recordings
from shockmesh.kernels.rollout import quantity

RISES = {"price": "Prices", "unit_cost": "Unit costs"}  # what is told by label, the first that was recorded
LEAST = 5e-7  # a smaller rise is round-off of float32


@dataclass(frozen=True)
class Rises:
    """What was recorded of prices, of the sound members; None what was not. NaN of a label without firms."""

    member: Int[np.ndarray, " member"]
    time: np.ndarray  # days of the run, or dates, [time]
    consumer: xr.DataArray | None  # of consumer prices, dims member, time and region if recorded by it
    label: str  # what `last` is of
    last: xr.DataArray | None  # of prices on the last day, dims member and as recorded
    revenue: xr.DataArray | None  # of tariffs over the horizon [currency], dims member and as recorded
    currency: str  # such as million USD
    broken: tuple[int, ...]  # members that failed or hold a value that is not finite; left out


def rises_of(ds: xr.Dataset) -> Rises | None:
    """Read what a run recorded of prices; None where that is nothing.

    Raises:
        ReportError: every member failed or holds values that are not finite.
    """
    consumer, revenue = _named(ds, "consumer_price_index"), _named(ds, "tariff_revenue")
    label, price = next(((word, name) for of, word in RISES.items() if (name := _named(ds, of))), ("", None))
    if not (consumer or revenue or price):
        return None
    of_time = None if consumer is None else _read(ds[consumer])
    of_last = None if price is None else _read(ds[price].isel(time=-1))
    of_tariffs = None if revenue is None else _added(ds[revenue])
    sound = status_of(ds) != FAILED
    for values in (of_time, of_last, of_tariffs):
        if values is not None:
            sound &= np.isfinite(values.values).reshape(len(sound), -1).all(1)
    if not sound.any():
        raise ReportError("prices: no member is sound: each failed or holds values that are not finite")
    members = np.asarray(ds["member"].values)
    unit = "" if revenue is None else str(ds[revenue].attrs.get("units", "1"))
    currency, days = split_rate(unit) or (unit, 1.0)
    return Rises(
        member=members[sound],
        time=np.asarray(ds["time"].values),
        consumer=None if of_time is None else _rise(ds, str(consumer), of_time[sound]),
        label=label,
        last=None if of_last is None else _rise(ds, str(price), of_last[sound]),
        revenue=None if of_tariffs is None else of_tariffs[sound] / days,
        currency=currency,
        broken=tuple(int(member) for member in members[~sound]),
    )


def _named(ds: xr.Dataset, of: str) -> str | None:
    """The recording of a quantity with the most of region and sector, then with the most dims."""
    names = [name for name in recordings(ds) if quantity(name) == of]
    return max(names, key=lambda name: (len({"region", "sector"} & {*ds[name].dims}), ds[name].ndim), default=None)


def _rise(ds: xr.Dataset, name: str, values: xr.DataArray) -> xr.DataArray:
    """Of labels that have firms; NaN of others, whose mean price is 0."""
    return values.where(ds[f"{name}_baseline"].load() > 0) - 1


def _read(values: xr.DataArray) -> xr.DataArray:
    return values.astype(float).load().reset_coords(drop=True).transpose("member", ...)


def _added(values: xr.DataArray) -> xr.DataArray:
    """Σ_t, one member at a time."""
    members = range(values.sizes["member"])
    return xr.concat([_read(values.isel(member=[i])).sum("time", skipna=False) for i in members], "member")


def last_day(rises: Rises) -> xr.DataArray | None:
    """The rise of consumer prices on the last day, dims member and region."""
    return None if rises.consumer is None else rises.consumer.isel(time=-1)


def most_moved(values: xr.DataArray | None, most: int) -> list[dict[str, Any]]:
    """The labels that moved most, up or down, each with its name and the spread of its rise; none that did not move."""
    if values is None:
        return []
    dims = [dim for dim in values.dims if dim != "member"]
    flat = values.transpose("member", *dims).values.reshape(values.sizes["member"], -1)
    middle = np.median(flat, axis=0)
    order = [int(i) for i in np.argsort(-np.abs(middle), kind="stable") if np.abs(flat[:, i]).max() > LEAST]
    names = _names(values, [str(dim) for dim in dims])
    return [{"name": names[i], "rise": spread(flat[:, i])} for i in order[:most]]


def _names(values: xr.DataArray, dims: list[str]) -> list[str]:
    """The labels of an array as words, in order: USA C29."""
    parts = np.meshgrid(*(values[dim].values for dim in dims), indexing="ij")
    return [" ".join(map(str, label)) for label in zip(*(part.ravel() for part in parts), strict=True)] or ["all"]


def revenue_in_all(rises: Rises) -> Float[np.ndarray, " member"] | None:
    """Tariff revenue over the horizon, of all firms [currency]."""
    revenue = rises.revenue
    return None if revenue is None else revenue.sum([dim for dim in revenue.dims if dim != "member"]).values


def told(rises: Rises | None, most: int) -> dict[str, Any] | None:
    """The numbers that come first, ready for JSON; None where nothing was recorded."""
    if rises is None:
        return None
    revenue = revenue_in_all(rises)
    return {
        "consumer": most_moved(last_day(rises), most),
        "price": most_moved(rises.last, most),
        "tariff_revenue": None if revenue is None else {**spread(revenue), "unit": rises.currency},
    }
