"""What a run says of risk: losses of its members weighted by how often each happens, and how far chance moves that.

A loss is what is missing of a recorded flow over the days of the run. Members that are events of a catalogue have a
frequency λ [1/year]; others are alike, and stand for what may happen once.

    expected annual loss   Σ λ L, error √Σ (λ L)²
    exceedance             λ(x) = Σ λ 1[L ≥ x], error √Σ λ² 1[L ≥ x]; the return period is 1 / λ(x)
    loss of T years        the largest loss with λ(x) ≥ 1 / T
    a year's loss          the sum of as many events as a Poisson law gives, independent of each other
    VaR, ES                at level α: the loss that is exceeded with probability 1 − α, and the mean of what is beyond,
                           of a year, or of a member (Rockafellar & Uryasev 2002, J. Banking & Finance 26, section 4)

Errors hold where events are a sample, such as simulated years: each then stands for a Poisson number of its kind, of
which one was seen. They are exact for the first two; the others' are the spread over resamples, in each of which an
event counts a Poisson number of times, a member as often as it is drawn (Efron & Tibshirani 1993, chapter 6). Where
events list all that can happen, there is no sampling error. Two events of a year are taken to do no more nor less
than both alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Float
from scipy.special import ndtr
from shockmesh.io.reports.losses import recorded, split_rate, status_of
from shockmesh.io.results import FAILED, drawn_by_member
from shockmesh.kernels.rollout import quantity

LEVELS = (0.95, 0.99)
YEARS = (10.0, 50.0, 100.0, 250.0)
RESAMPLES = 200
SEED = 0
GRID = 2**15  # points of the law of a year's loss
BEYOND = 27.6  # −log of the probability that a year's loss leaves the grid: 1e-12
LEFT, RIGHT = float(ndtr(-1.645)), float(ndtr(1.645))  # of the 90 % that are told


class RiskError(ValueError):
    """A run that tells nothing of risk. The message names the run's part and the rule."""


@dataclass(frozen=True)
class Estimate:
    """A number, its standard error, and where 90 % of resamples lie."""

    value: float
    error: float
    low: float
    high: float


@dataclass(frozen=True)
class Risk:
    """The risk of one recorded flow."""

    measure: str
    unit: str
    days: int  # of which a loss is the sum
    members: int
    left_out: int  # members that failed
    frequency: float | None  # of all events [1/year]; None: members are alike
    mean: Estimate  # expected annual loss, or a member's mean loss
    var: dict[float, Estimate]  # by level, of a year's loss, or of a member's
    es: dict[float, Estimate]
    return_levels: dict[float, Estimate]  # by years; empty where members are alike
    curve: pd.DataFrame  # loss, frequency (or probability) with which it is reached, its error, return period

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON, without the curve."""
        named = {"var": self.var, "es": self.es, "return_levels": self.return_levels}
        told = {name: {f"{at:g}": vars(of) for at, of in by.items()} for name, by in named.items()}
        facts = ("measure", "unit", "days", "members", "left_out", "frequency")
        return {name: getattr(self, name) for name in facts} | {"mean": vars(self.mean)} | told


def member_losses(ds: xr.Dataset, name: str, by: Sequence[str] = ()) -> xr.DataArray:
    """What is missing of a recorded flow over the run, by member and the dims of `by`; NaN where a member failed.

    In the currency of the flow's unit, or if that is no rate in its unit × days. Members are read a block at a time.

    Raises:
        RiskError: nothing of that name was recorded, or not by that dim.
    """
    if name not in ds or f"{name}_baseline" not in ds:
        raise RiskError(f"variable: {name}: not recorded; the run has {', '.join(recorded(ds))}")
    values, baseline = ds[name], ds[f"{name}_baseline"].astype(float).load()
    if absent := [dim for dim in by if dim not in baseline.dims]:
        raise RiskError(f"{name}: {', '.join(absent)}: not recorded by it; it has {', '.join(map(str, baseline.dims))}")
    others = [dim for dim in baseline.dims if dim not in by]
    block, days = int(ds.attrs.get("block", 1)), ds.sizes["time"]
    found = [
        (values.isel(member=slice(start, start + block)).astype(float).sum(["time", *others], skipna=False)).load()
        for start in range(0, ds.sizes["member"], block)
    ]
    rate = split_rate(str(values.attrs.get("units", "1")))
    lost = (baseline.sum(others) * days - xr.concat(found, "member")) / (rate[1] if rate else 1.0)
    unit = rate[0] if rate else f"{values.attrs.get('units', '1')} × days"
    return (
        lost.where(xr.DataArray(status_of(ds) != FAILED, dims="member"))
        .transpose("member", ...)
        .assign_attrs(units=unit)
    )


def frequency_of(ds: xr.Dataset) -> Float[np.ndarray, " member"] | None:
    """How often a year each member's event happens; None where members are no events, or have no frequency."""
    found = [of for path, of in drawn_by_member(ds).items() if path.endswith(".frequency")]
    return np.asarray(found[0].values, float) if found else None


def risk_of(
    ds: xr.Dataset,
    name: str | None = None,
    levels: Sequence[float] = LEVELS,
    years: Sequence[float] = YEARS,
    seed: int = SEED,
) -> Risk:
    """The risk of a recorded flow of an open run, by default the first that a report would show.

    Raises:
        RiskError: nothing was recorded that can be lost, or no member is sound.
    """
    name = name or next(iter(recorded(ds)), None)
    if name is None:
        raise RiskError("record: prices alone; a loss needs a flow such as output")
    lost = member_losses(ds, name)
    sound, frequency = np.isfinite(lost.values), frequency_of(ds)
    if not sound.any():
        raise RiskError(f"{name}: no member is sound: each failed or holds values that are not finite")
    losses = lost.values[sound]
    if frequency is None:
        told = members_risk(losses, levels, seed)
    else:
        told = events_risk(losses, frequency[sound], levels, years, seed)
    return Risk(
        measure=quantity(name), unit=str(lost.attrs["units"]), days=ds.sizes["time"], members=int(sound.sum()),
        left_out=int((~sound).sum()), **told,
    )  # fmt: skip


def events_risk(
    losses: Float[np.ndarray, " event"],
    frequency: Float[np.ndarray, " event"],
    levels: Sequence[float] = LEVELS,
    years: Sequence[float] = YEARS,
    seed: int = SEED,
) -> dict[str, Any]:
    """Risk of events that happen so often a year; the fields of `Risk` that hang on losses."""
    drawn = np.random.default_rng(seed).poisson(1.0, (RESAMPLES, len(losses)))

    def of(measure: Callable[[np.ndarray], float]) -> Estimate:
        return _estimate(measure(frequency), [measure(frequency * times) for times in drawn])

    order = np.argsort(-losses, kind="stable")
    ranked, often = losses[order], frequency[order]
    reached, error = np.cumsum(often), np.sqrt(np.cumsum(often**2))
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    curve = pd.DataFrame({"loss": ranked[last], "frequency": reached[last], "error": error[last]})
    expected = float(frequency @ losses)
    spread = float(np.sqrt(((frequency * losses) ** 2).sum()))
    tails = _tails(lambda weights: year_tail(losses, weights, levels), frequency, drawn, levels)
    return {
        "frequency": float(frequency.sum()),
        "mean": _within(expected, spread),
        "var": tails[0],
        "es": tails[1],
        "return_levels": {t: of(lambda weights, t=t: _return_level(ranked, weights[order], t)) for t in years},
        "curve": curve.assign(return_period=1 / curve["frequency"].where(curve["frequency"] > 0)),
    }


def members_risk(
    losses: Float[np.ndarray, " member"], levels: Sequence[float] = LEVELS, seed: int = SEED
) -> dict[str, Any]:
    """Risk of members that are alike; the fields of `Risk` that hang on losses."""
    n = len(losses)
    alike = np.full(n, 1 / n)
    drawn = np.random.default_rng(seed).multinomial(n, alike, RESAMPLES)
    tails = _tails(lambda weights: tail(losses, weights, levels), alike, drawn, levels)
    ranked = np.unique(losses)[::-1]
    share = np.searchsorted(np.sort(-losses), -ranked, side="right") / n
    error = float(losses.std(ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
    return {
        "frequency": None,
        "mean": _within(float(losses.mean()), error),
        "var": tails[0],
        "es": tails[1],
        "return_levels": {},
        "curve": pd.DataFrame({"loss": ranked, "probability": share, "error": np.sqrt(share * (1 - share) / n)}),
    }


def tail(
    losses: Float[np.ndarray, " any"], weights: Float[np.ndarray, " any"], levels: Sequence[float]
) -> Float[np.ndarray, "2 level"]:
    """VaR and ES at each level of losses with weights: of the worst 1 − α of the weight, of the last loss a part."""
    order = np.argsort(-losses, kind="stable")
    ranked, reached = losses[order], np.cumsum(weights[order])
    lost = np.concatenate([[0.0], np.cumsum(weights[order] * ranked)])
    beyond = (1 - np.asarray(levels)) * reached[-1]
    at = np.minimum(np.searchsorted(reached, beyond * (1 - 1e-12)), len(ranked) - 1)
    before = np.concatenate([[0.0], reached])[at]
    return np.stack([ranked[at], (lost[at] + (beyond - before) * ranked[at]) / beyond])


def year_tail(
    losses: Float[np.ndarray, " event"], frequency: Float[np.ndarray, " event"], levels: Sequence[float]
) -> Float[np.ndarray, "2 level"]:
    """VaR and ES at each level of a year's loss, of events that happen so often a year."""
    return tail(*year_law(losses, frequency), levels)


def year_law(
    losses: Float[np.ndarray, " event"], frequency: Float[np.ndarray, " event"]
) -> tuple[Float[np.ndarray, " point"], Float[np.ndarray, " point"]]:
    """The law of a year's loss, a compound Poisson law, on a grid: points and probabilities.

    By the characteristic function exp(Λ (φ − 1)) on a grid (Embrechts & Frei 2009, Math. Methods of Operations
    Research 69). A loss between two points is shared by them, so that the mean is kept; the largest is a point. By
    Bernstein's inequality less than 1e-12 lies beyond the grid.
    """
    happens = frequency > 0
    losses, frequency = losses[happens], frequency[happens]
    most = np.abs(losses).max(initial=0.0)
    if most < np.finfo(float).tiny * GRID:
        return np.zeros(1), np.ones(1)
    wide = sum(_reach(np.maximum(side * losses, 0), frequency) for side in (-1, 1))
    step = most / max(np.floor(most * GRID / (2 * wide)), 1.0)
    at = losses / step
    below = np.floor(at + 1e-9)
    share = np.clip(at - below, 0, 1)
    size = np.bincount(below.astype(int) % GRID, frequency * (1 - share), GRID)
    size += np.bincount((below.astype(int) + 1) % GRID, frequency * share, GRID)
    law = np.fft.irfft(np.exp(np.fft.rfft(size) - frequency.sum()), GRID)
    gained, rare = np.arange(GRID // 2, 0, -1.0), np.maximum(size[GRID // 2 :], 0)
    first = int(np.ceil(_reach(gained * (rare > 0), rare)))
    points = (np.arange(GRID) - first) * step
    law = np.maximum(np.roll(law, first), 0)
    return points, law / law.sum()


def _reach(jumps: Float[np.ndarray, " event"], frequency: Float[np.ndarray, " event"]) -> float:
    """What the sum of a year's jumps, all ≥ 0, exceeds with a probability below exp(−BEYOND), by Bernstein."""
    bound = jumps.max(initial=0.0) * BEYOND / 3
    return float(frequency @ jumps + bound + np.sqrt(bound**2 + 2 * (frequency @ jumps**2) * BEYOND))


def _return_level(ranked: np.ndarray, often: np.ndarray, years: float) -> float:
    """The largest loss that is reached once in so many years; 0 where events are rarer."""
    at = np.searchsorted(np.cumsum(often), (1 - 1e-12) / years)
    return float(ranked[at]) if at < len(ranked) else 0.0


def _tails(
    law: Callable[[np.ndarray], np.ndarray], weights: np.ndarray, drawn: np.ndarray, levels: Sequence[float]
) -> tuple[dict[float, Estimate], dict[float, Estimate]]:
    """VaR and ES by level, each with what resamples make of it."""
    found, again = law(weights), np.stack([law(weights * times) for times in drawn])
    told = [{level: _estimate(float(found[k, i]), again[:, k, i]) for i, level in enumerate(levels)} for k in range(2)]
    return told[0], told[1]


def _estimate(value: float, again: Sequence[float] | np.ndarray) -> Estimate:
    low, high = np.quantile(again, [LEFT, RIGHT])
    return Estimate(value, float(np.std(again, ddof=1)), float(low), float(high))


def _within(value: float, error: float) -> Estimate:
    """A number whose error is known, and close to normal."""
    return Estimate(value, error, value - 1.645 * error, value + 1.645 * error)
