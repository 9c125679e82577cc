"""Named distributions of a sweep: each is a quantile function, so a member's value is that of one uniform number.

>>> parse_distribution({"uniform": [0.2, 0.8]}).quantile(np.array([0.5])).tolist()
[0.5]
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import special

type Scalar = float | int | str


@dataclass(frozen=True)
class Family:
    """One kind of distribution."""

    parameters: tuple[str, ...]  # names, in the order of the short form [a, b]
    rule: str  # what the parameters must satisfy, in words
    holds: Callable[..., bool]
    quantile: Callable[..., Any]  # (u, *parameters) → values
    bounds: tuple[str, str] | None = None  # parameters that bound the support; None: unbounded, or (0, 1)


@dataclass(frozen=True)
class Distribution:
    """A family with its parameters; `choice` has its values instead."""

    family: str
    parameters: tuple[Scalar, ...]

    @property
    def support(self) -> tuple[float, float] | None:
        """Both ends of the support, where both are finite."""
        if self.family == "beta":
            return 0.0, 1.0
        bounds = FAMILIES[self.family].bounds
        if bounds is None:
            return None
        low, high = (self.parameters[FAMILIES[self.family].parameters.index(name)] for name in bounds)
        return float(low), float(high)

    @property
    def choices(self) -> tuple[Scalar, ...]:
        """The values of a `choice`; empty for every other family."""
        return self.parameters if self.family == CHOICE else ()

    def quantile(self, u: Float[np.ndarray, " member"]) -> np.ndarray:
        """Values at probabilities u, 0 < u < 1."""
        if self.family == CHOICE:
            values = np.array(self.parameters)
            return values[(u * len(values)).astype(int)]
        return FAMILIES[self.family].quantile(u, *self.parameters)

    def as_dict(self) -> dict[str, Any]:
        """The distribution as a spec writes it."""
        if self.family == CHOICE:
            return {CHOICE: list(self.parameters)}
        return {self.family: dict(zip(FAMILIES[self.family].parameters, self.parameters, strict=True))}


CHOICE = "choice"
LARGEST = sys.float_info.max


def _truncated_normal(u: np.ndarray, mean: float, sd: float, low: float, high: float) -> np.ndarray:
    """From the nearer tail and in logarithms, for far from the mean probabilities round to 0 or 1."""
    if low > mean:
        return -_truncated_normal(1 - u, -mean, sd, -high, -low)
    ends = special.log_ndtr([[(low - mean) / sd], [(high - mean) / sd]])
    below = special.logsumexp(ends, axis=0, b=[1 - u, u])
    return np.clip(mean + sd * special.ndtri_exp(below), low, high)


def _triangular(u: np.ndarray, low: float, mode: float, high: float) -> np.ndarray:
    left = low + np.sqrt(u * (high - low) * (mode - low))
    right = high - np.sqrt((1 - u) * (high - low) * (high - mode))
    return np.where(u * (high - low) < mode - low, left, right)


FAMILIES: dict[str, Family] = {
    "uniform": Family(
        ("low", "high"), "low < high", lambda a, b: a < b, lambda u, a, b: a + u * (b - a), ("low", "high")
    ),
    "loguniform": Family(
        ("low", "high"), "0 < low < high", lambda a, b: 0 < a < b, lambda u, a, b: a * (b / a) ** u, ("low", "high")
    ),
    "normal": Family(("mean", "sd"), "sd > 0", lambda m, s: s > 0, lambda u, m, s: m + s * special.ndtri(u)),
    "truncated_normal": Family(
        ("mean", "sd", "low", "high"),
        "sd > 0 and low < high",
        lambda m, s, a, b: s > 0 and a < b,
        _truncated_normal,
        ("low", "high"),
    ),
    "lognormal": Family(
        ("median", "sigma"),
        "median > 0 and sigma > 0",
        lambda m, s: m > 0 and s > 0,
        lambda u, m, s: m * np.exp(s * special.ndtri(u)),
    ),
    "triangular": Family(
        ("low", "mode", "high"),
        "low ≤ mode ≤ high and low < high",
        lambda a, m, b: a <= m <= b and a < b,
        _triangular,
        ("low", "high"),
    ),
    "beta": Family(
        ("a", "b"), "a > 0 and b > 0", lambda a, b: a > 0 and b > 0, lambda u, a, b: special.betaincinv(a, b, u)
    ),
}


def parse_distribution(raw: object) -> Distribution:
    """Read `{uniform: [0.2, 0.8]}`, `{lognormal: {median: 10, sigma: 0.3}}` or `{choice: [GBR, FRA]}`.

    Raises:
        ValueError: not one known family with its parameters; the message is the rule that is broken.
    """
    if isinstance(raw, Distribution):
        return raw
    if not isinstance(raw, Mapping) or len(raw) != 1:
        raise ValueError(f"must be one distribution, such as {{uniform: [0, 1]}}; families: {_names()}")
    ((family, arguments),) = raw.items()
    if family == CHOICE:
        return Distribution(CHOICE, same_kind(arguments))
    if family not in FAMILIES:
        close = get_close_matches(str(family), [*FAMILIES, CHOICE], 1)
        raise ValueError(
            f"no distribution «{family}»{f', did you mean {close[0]}?' if close else ''}; there are {_names()}"
        )
    numbers = _numbers(family, arguments)
    if not FAMILIES[family].holds(*numbers):
        raise ValueError(f"{family} needs {FAMILIES[family].rule}")
    return Distribution(family, numbers)


def _numbers(family: str, arguments: object) -> tuple[float, ...]:
    names = FAMILIES[family].parameters
    if isinstance(arguments, Mapping):
        if set(arguments) != set(names):
            raise ValueError(f"{family} takes {', '.join(names)}; given {', '.join(map(str, arguments))}")
        arguments = [arguments[name] for name in names]
    if not isinstance(arguments, Sequence) or isinstance(arguments, str) or len(arguments) != len(names):
        raise ValueError(f"{family} takes [{', '.join(names)}]")
    if not all(_is_number(value) and abs(value) <= LARGEST for value in arguments):  # false for NaN
        raise ValueError(f"the parameters of {family} must be finite numbers")
    return tuple(float(value) for value in arguments)


def same_kind(values: object) -> tuple[Scalar, ...]:
    """The values of a list, if there are any, and all are numbers or all are texts. Raises ValueError if not."""
    if not isinstance(values, Sequence) or isinstance(values, str) or not values:
        raise ValueError("must be a list of values, at least one")
    if not (all(map(_is_number, values)) or all(isinstance(value, str) for value in values)):
        raise ValueError("must be all numbers or all texts")
    return tuple(values)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _names() -> str:
    return ", ".join([*FAMILIES, CHOICE])
