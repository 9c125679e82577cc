"""What a report says in numbers: losses of a run against its baseline, from the dataset that `open_run` gives.

The loss of a recorded variable over the horizon is 1 − Σ_t value / (T · baseline), a share of what T undisturbed days
would have made; a gain is negative. Variables are read one member at a time, so memory holds one member whole.
"""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float, Int
from shockmesh.io.results import FAILED, drawn_by_member, recordings
from shockmesh.kernels.rollout import MEANS, quantity

MEASURES = {
    "output": "Output",
    "value_added": "Value added",
    "final_consumption": "Final consumption",
    "demand": "Demand",
    "final_demand": "Final demand",
    "capacity": "Capacity",
    "inventory": "Inventory",
    "nominal_output": "Output at today's prices",
    "nominal_value_added": "Value added at today's prices",
}
NO_FLOWS = (*MEANS, "tariff_revenue", "switched", "waiting")  # recorded, and no share of a baseline lost
LOW, HIGH = 0.05, 0.95  # the interval that bands, whiskers and ranges show
REGAINED = 0.1  # recovered: the loss stays below this part of its deepest
SILENCE = 1e-6  # a smaller loss is round-off of float32 sums
DAYS_PER = {"day": 1.0, "week": 7.0, "month": 365 / 12, "quarter": 365 / 4, "year": 365.0}


class ReportError(ValueError):
    """A run that no report can be made of. The message names the run and the rule."""


@dataclass(frozen=True)
class Losses:
    """One recorded variable of the sound members, against its baseline."""

    name: str  # as recorded
    unit: str  # of a flow, such as million USD / day
    member: Int[np.ndarray, " member"]
    time: np.ndarray  # days of the run, or dates, [time]
    total: Float[np.ndarray, "member time"]  # as a multiple of the baseline total
    by_region: xr.DataArray | None  # the same by region, dims member, time, region
    shortfall: xr.DataArray  # T · baseline − Σ_t value [unit · days], dims member and as recorded
    baseline: xr.DataArray  # [unit], dims as recorded
    broken: tuple[int, ...]  # members that failed or hold a value that is not finite; left out of everything else

    @property
    def label(self) -> str:
        return MEASURES.get(quantity(self.name), self.name)

    @property
    def days(self) -> list[Any]:
        """The time axis, ready for JSON."""
        return days_of(self.time)

    @property
    def dims(self) -> tuple[str, ...]:
        """What was recorded besides member and time."""
        return tuple(map(str, self.baseline.dims))

    def share(self, *keep: str) -> xr.DataArray:
        """Loss over the horizon as a share of baseline, dims member and `keep`; NaN where the baseline is 0."""
        baseline = self.baseline.sum([dim for dim in self.dims if dim not in keep]) * len(self.time)
        lost = self.shortfall.sum([dim for dim in self.dims if dim not in keep])
        return lost / baseline.where(baseline > 0)

    def money(self, *keep: str) -> xr.DataArray | None:
        """Loss over the horizon in the unit's currency, dims member and `keep`; None if the unit is not a rate."""
        rate = split_rate(self.unit)
        if rate is None:
            return None
        return self.shortfall.sum([dim for dim in self.dims if dim not in keep]) / rate[1]

    @property
    def currency(self) -> str:
        """The unit of `money`, such as million USD."""
        return (split_rate(self.unit) or (self.unit, 1.0))[0]


def days_of(time: np.ndarray) -> list[Any]:
    """Days of the run, or dates, ready for JSON."""
    dates = np.issubdtype(time.dtype, np.datetime64)
    return np.datetime_as_string(time, unit="D").tolist() if dates else time.tolist()


def measure(ds: xr.Dataset, name: str) -> Losses:
    """Read one recorded variable against `<name>_baseline`.

    Raises:
        ReportError: the baseline is 0, or every member failed or holds values that are not finite.
    """
    values, baseline = ds[name], ds[f"{name}_baseline"].astype(float).load()
    whole, size = float(baseline.sum()), ds.sizes["member"]
    if not whole > 0:
        raise ReportError(f"{name}_baseline: sums to {whole:g}; a loss is a share of a baseline above 0")
    total = np.full((size, ds.sizes["time"]), np.nan)
    regional: list[xr.DataArray] = []
    shortfall: list[xr.DataArray] = []
    for i in range(size):
        one = values.isel(member=i).astype(float).load().reset_coords(drop=True)
        others = [dim for dim in one.dims if dim != "time"]
        total[i] = one.sum(others, skipna=False).values / whole
        if "region" in others:
            regional.append(one.sum([dim for dim in others if dim != "region"]).transpose("time", "region"))
        shortfall.append(baseline * ds.sizes["time"] - one.sum("time", skipna=False))
    sound = np.isfinite(total).all(1) & (status_of(ds) != FAILED)
    if not sound.any():
        raise ReportError(f"{name}: no member is sound: each failed or holds values that are not finite")
    regions = _regional(baseline, [one for one, good in zip(regional, sound, strict=False) if good])
    members = np.asarray(ds["member"].values)
    return Losses(
        name=name,
        unit=str(values.attrs.get("units", "1")),
        member=members[sound],
        time=np.asarray(ds["time"].values),
        total=total[sound],
        by_region=regions,
        shortfall=xr.concat([one for one, good in zip(shortfall, sound, strict=True) if good], "member"),
        baseline=baseline,
        broken=tuple(int(member) for member in members[~sound]),
    )


def status_of(ds: xr.Dataset) -> np.ndarray:
    """The status of each member; 0 where a dataset says none."""
    return ds["status"].values if "status" in ds else np.zeros(ds.sizes["member"], np.int8)


def _regional(baseline: xr.DataArray, members: list[xr.DataArray]) -> xr.DataArray | None:
    if not members:
        return None
    whole = baseline.sum([dim for dim in baseline.dims if dim != "region"])
    return xr.concat(members, "member") / whole.where(whole > 0)


def recorded(ds: xr.Dataset) -> list[str]:
    """Names of the variables that can be lost, those with a baseline, the most telling first, of one the most by place.

    Empty where prices alone were recorded.

    Raises:
        ReportError: nothing at all was recorded.
    """
    known = recordings(ds)
    if not known or not ds.sizes.get("member"):
        raise ReportError("the run holds no finished member yet; finish it with `shockmesh resume`")
    names = [name for name in known if quantity(name) not in NO_FLOWS]
    order = list(MEASURES)
    names.sort(key=lambda name: (_place(quantity(name), order), -len({"region", "sector"} & {*ds[name].dims}), name))
    return names


def _place(name: str, order: list[str]) -> int:
    return order.index(name) if name in order else len(order)


def split_rate(unit: str) -> tuple[str, float] | None:
    """Split the unit of a flow: `million USD / day` → (`million USD`, 1.0), per year 365.0; None if it is no rate."""
    found = re.fullmatch(r"(.+?)\s*(?:/|\bper\b)\s*(day|week|month|quarter|year)s?", unit.strip())
    return (found[1], DAYS_PER[found[2]]) if found else None


def spread(values: Float[np.ndarray, " member"]) -> dict[str, float]:
    """Median, low and high (5 % and 95 %) and greatest over members."""
    low, median, high = np.quantile(values, [LOW, 0.5, HIGH])
    return {"median": float(median), "low": float(low), "high": float(high), "worst": float(values.max())}


def days_to_recover(total: Float[np.ndarray, "member time"]) -> Float[np.ndarray, " member"]:
    """Days from the first to the last on which the loss exceeds a tenth of its deepest; inf if that is the last day.

    0 for a member without a loss. `total` is a multiple of baseline.
    """
    loss = 1 - total
    deep = loss > np.maximum(REGAINED * loss.max(1, keepdims=True), SILENCE)
    first, last = deep.argmax(1), deep.shape[1] - 1 - deep[:, ::-1].argmax(1)
    days = np.where(deep[:, -1], np.inf, last - first + 1.0)
    return np.where(deep.any(1), days, 0.0)


def drawn(ds: xr.Dataset, members: Int[np.ndarray, " member"]) -> dict[str, np.ndarray]:
    """Parameters (named by dotted paths) that differ between the members: name → value of each."""
    values = {path: of.values for path, of in drawn_by_member(ds.sel(member=members)).items()}
    return {path: value for path, value in values.items() if len(set(value.tolist())) > 1}


def rank_correlation(x: Float[np.ndarray, " member"], y: Float[np.ndarray, " member"]) -> float:
    """Spearman's ρ: the correlation of ranks, ties sharing their mean rank; 0 where either is constant."""
    ranks = np.stack([_ranks(x), _ranks(y)])
    centred = ranks - ranks.mean(1, keepdims=True)
    scale = float(np.sqrt((centred[0] ** 2).sum() * (centred[1] ** 2).sum()))
    return float(centred[0] @ centred[1]) / scale if scale > 0 else 0.0


def _ranks(values: np.ndarray) -> np.ndarray:
    _, inverse, count = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[inverse]


def drivers(ds: xr.Dataset, losses: Losses) -> dict[str, float]:
    """Rank correlation of each numeric parameter with the total loss, the strongest first; needs 3 members or more."""
    parameters = {name: x for name, x in drawn(ds, losses.member).items() if np.issubdtype(x.dtype, np.number)}
    if len(losses.member) < 3:
        return {}
    found = {name: rank_correlation(x.astype(float), losses.share().values) for name, x in parameters.items()}
    return dict(sorted(found.items(), key=lambda item: -abs(item[1])))


def notable(losses: Losses) -> dict[str, int]:
    """Positions along member of the worst, the median (the lower of two) and the mildest."""
    order = np.argsort(losses.share().values, kind="stable")
    places = {"worst": order[-1], "median": order[(len(order) - 1) // 2], "mildest": order[0]}
    return {name: int(place) for name, place in places.items()}


def outside(losses: Losses, spec: dict[str, Any]) -> Float[np.ndarray, " member"] | None:
    """Part of each member's net loss that falls on regions where no shock acts; None where that is not known."""
    swept = [name for way in spec.get("sweep", {}).values() if isinstance(way, dict) for name in way]
    places = [shock.get("where", {}).get("region") or () for shock in spec.get("shocks", [])]
    moved = any(name.endswith(".where.region") for name in swept)
    if "region" not in losses.dims or moved or not places or not all(places):
        return None
    hit = {name for place in places for name in ([place] if isinstance(place, str) else place)}
    regional = losses.shortfall.sum([dim for dim in losses.dims if dim != "region"])
    away = regional.sel(region=[name for name in regional["region"].values.tolist() if name not in hit]).sum("region")
    total = regional.sum("region").values
    return np.divide(away.values, total, out=np.zeros_like(total), where=total > 0)
