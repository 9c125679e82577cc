"""What drives the spread of an answer: shares of variance in a design of all combinations of some factors.

The share of a factor alone is S_f = Var_f(E[y | f]) / Var(y), its first-order index (Sobol 1993; Saltelli et al. 2008,
Global Sensitivity Analysis, section 1.2.7), here over the levels of the design, each as likely as the other. What the
shares leave of 1 is what factors do only together. Levels that were chosen are all there are; levels that were drawn,
such as seeds, might have been others, and the error of each share is its standard deviation over bootstrap samples of
those (Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapter 6).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

SAMPLES = 500  # of the bootstrap
ROUND_OFF = 1e-6  # answers that differ by less are the same


@dataclass(frozen=True)
class Share:
    """The part of the variance that a factor explains alone."""

    share: float  # 0 … 1
    error: float | None  # standard deviation by what was drawn; None where nothing was drawn


def first_order(
    values: Float[np.ndarray, "..."], factors: Sequence[str], drawn: Sequence[str] = (), seed: int = 0
) -> dict[str, Share]:
    """The share of each factor of several levels, the largest first; and `together`, what is left.

    Args:
        values: an answer for each combination of levels, an axis for each factor.
        drawn: the factors whose levels are a random sample. Two levels give a rough error only.

    >>> both = np.add.outer([0.0, 2.0], [0.0, 1.0])
    >>> {name: round(of.share, 3) for name, of in first_order(both, ["rule", "stock"]).items()}
    {'rule': 0.8, 'stock': 0.2, 'together': 0.0}
    """
    found = _shares(values, factors)
    axes = [axis for axis, name in enumerate(factors) if name in drawn and values.shape[axis] > 1]
    errors: Mapping[str, float | None] = dict.fromkeys(found)
    if axes:
        random = np.random.default_rng(seed)
        samples = [_shares(_resampled(values, axes, random), factors) for _ in range(SAMPLES)]
        errors = {name: float(np.std([of[name] for of in samples], ddof=1)) for name in found}
    alone = sorted((name for name in found if name != "together"), key=lambda name: -found[name])
    return {name: Share(found[name], errors[name]) for name in (*alone, "together")}


def _shares(values: Float[np.ndarray, "..."], factors: Sequence[str]) -> dict[str, float]:
    whole = float(np.var(values))
    if whole <= (ROUND_OFF * np.abs(values).max()) ** 2:
        return dict.fromkeys([name for axis, name in enumerate(factors) if values.shape[axis] > 1], 0.0) | {
            "together": 0.0
        }
    shares = {
        name: float(np.var(values.mean(axis=tuple(one for one in range(values.ndim) if one != axis)))) / whole
        for axis, name in enumerate(factors)
        if values.shape[axis] > 1
    }
    return shares | {"together": max(0.0, 1 - sum(shares.values()))}


def _resampled(
    values: Float[np.ndarray, "..."], axes: Sequence[int], random: np.random.Generator
) -> Float[np.ndarray, "..."]:
    """The values with the levels of some axes drawn anew, with replacement."""
    for axis in axes:
        n = values.shape[axis]
        values = np.take(values, random.integers(0, n, n), axis=axis)
    return values
