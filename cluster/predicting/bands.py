"""How sure a prediction is: bands whose width is learned from how far a model missed other countries.

    σ² = s² + c₀² + (c₁ l)²

s is the standard deviation of what such a series does in other years, l the loss that is predicted, c₀ and c₁ the
model's own error, of small and of large losses. They are those that make the errors of other countries most likely,
each country counting alike; then the whole is scaled so that the share `LEVEL` of these errors, countries alike, lies
within. A country's own data are never used for its band. Single industries err more than sums of many: a country seen
by industry (`INDUSTRIES` series or more) learns from others that are, and all others from each other.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.optimize import minimize
from scipy.stats import norm
from shockmesh.cluster.predicting.pack import LEVEL, Paths, Struck, predicted

EDGE = float(norm.ppf((1 + LEVEL) / 2))
START, LEAST = (0.05, 0.3), 1e-4  # of c₀ and c₁
INDUSTRIES = 10


@dataclass(frozen=True)
class Values:
    """What was predicted and observed of one country: each value of each series of each case."""

    predicted: Float[np.ndarray, " value"]
    seen: Float[np.ndarray, " value"]
    noise: Float[np.ndarray, " value"]
    by_industry: bool


@dataclass(frozen=True)
class Width:
    """The error of a model beyond what such series do in other years."""

    small: float  # c₀ [share of output]
    large: float  # c₁ [share of the loss]
    scale: float  # of the whole

    def deviation(self, of: Values) -> Float[np.ndarray, " value"]:
        """σ of each value, scaled."""
        own = self.small**2 + (self.large * np.maximum(1 - of.predicted, 0)) ** 2
        return self.scale * np.sqrt(of.noise**2 + own)


@dataclass(frozen=True)
class Held:
    """How a band did in a country that it was not learned from."""

    country: str
    coverage: float  # share of values within the band
    crps: float  # % points
    point: float  # mean absolute error, the score of the same prediction without a band [% points]


def values(struck: Struck, daily: Paths) -> dict[str, Values]:
    """By country, all that a prediction says of it and what was seen."""
    found: dict[str, list[np.ndarray]] = {}
    for case in struck.cases.values():
        told = predicted(case, struck.network, daily)
        for name, region, _ in case.parts:
            k = case.series.names.index(name)
            of = np.stack([told[:, k], case.series.values[:, k], case.noise[:, k]])
            found.setdefault(region, []).append(of[:, np.isfinite(of[1])])
    joined = {region: np.concatenate(of, axis=1) for region, of in found.items()}
    return {region: Values(of[0], of[1], of[2], len(found[region]) >= INDUSTRIES) for region, of in joined.items()}


def learned(of: Mapping[str, Values]) -> Width:
    """The width that suits the errors of some countries best."""
    weight = np.concatenate([np.full(len(one.seen), 1 / len(one.seen)) for one in of.values()])
    names = ("predicted", "seen", "noise")
    told, seen, noise = (np.concatenate([getattr(one, name) for one in of.values()]) for name in names)
    whole = Values(told, seen, noise, by_industry=False)

    def unlikely(logs: np.ndarray) -> float:
        small, large = np.exp(logs)
        deviation = Width(small, large, 1.0).deviation(whole)
        return float(-weight @ norm.logpdf(whole.seen, whole.predicted, deviation))

    best = minimize(unlikely, np.log(START), method="Nelder-Mead", bounds=[(np.log(LEAST), 0.0)] * 2)
    small, large = np.exp(best.x)
    off = np.abs(whole.seen - whole.predicted) / Width(small, large, 1.0).deviation(whole)
    order = np.argsort(off)
    within = np.cumsum(weight[order]) / weight.sum()
    return Width(float(small), float(large), float(off[order][np.searchsorted(within, LEVEL)]) / EDGE)


def held_out(of: Mapping[str, Values]) -> list[Held]:
    """Each country within the band that others of its kind teach."""
    return [_held(name, one, learned(_others(of, name))) for name, one in of.items()]


def _others(of: Mapping[str, Values], name: str) -> dict[str, Values]:
    kind = of[name].by_industry
    return {other: one for other, one in of.items() if other != name and one.by_industry == kind}


def _held(name: str, of: Values, width: Width) -> Held:
    deviation, off = width.deviation(of), of.seen - of.predicted
    return Held(
        name, float(np.mean(np.abs(off) <= EDGE * deviation)), 100 * float(np.mean(crps_of_normal(off, deviation))),
        100 * float(np.mean(np.abs(off))),
    )  # fmt: skip


def crps_of_normal(off: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """The continuous ranked probability score of a normal distribution (Gneiting, Raftery 2007, eq. 5)."""
    z = off / deviation
    return deviation * (z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - 1 / np.sqrt(np.pi))
