"""How good a posterior is: errors, scores and coverage of what it predicts, and how far the data moved it.

Draws are the last axis of every array.
"""

from collections.abc import Mapping

import numpy as np
from arviz_stats.base.array import array_stats
from jaxtyping import Bool, Float, Int
from scipy.stats import chi2

LEVELS = (0.5, 0.9)  # of central intervals
FEWEST = 30  # draws: of fewer, the largest fifth does not show the tail of importance weights
EQUAL = 0.1  # weights whose logarithms differ by less count as equal


def rmse(draws: Float[np.ndarray, "*series draw"], truth: Float[np.ndarray, "*series"]) -> float:
    """Root mean square error of the draws' mean."""
    return float(np.sqrt(np.mean((draws.mean(axis=-1) - truth) ** 2)))


def rmse_over(
    predicted: Float[np.ndarray, "period series"],
    seen: Float[np.ndarray, "period series"],
    counted: Bool[np.ndarray, "period series"],
) -> float:
    """Root mean square error over the values that count; NaN if none does."""
    return rmse(predicted[counted][:, None], seen[counted]) if counted.any() else np.nan


def crps(draws: Float[np.ndarray, "*series draw"], truth: Float[np.ndarray, "*series"]) -> float:
    """Mean continuous ranked probability score: E|X − y| − ½ E|X − X′| (Gneiting, Raftery 2007, eq. 21)."""
    n = draws.shape[-1]
    away = np.abs(draws - truth[..., None]).mean(axis=-1)
    weight = 2 * np.arange(1, n + 1) - n - 1  # Σ_i (2i − n − 1) x_(i) = Σ_{i<j} |x_i − x_j|
    between = (np.sort(draws, axis=-1) * weight).sum(axis=-1) / n**2
    return float(np.mean(away - between))


def coverage(draws: Float[np.ndarray, "*series draw"], truth: Float[np.ndarray, "*series"], level: float) -> float:
    """The share of true values within the draws' central interval of a level.

    Its ends are the order statistics p (n + 1) (Hyndman, Fan 1996, type 6). One more draw of the same distribution lies
    between them as often as the level says, also with few draws: n ≥ (1 + level) / (1 − level) are enough.
    """
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=-1, method="weibull")
    return float(np.mean((low <= truth) & (truth <= high)))


def scores(
    draws: Float[np.ndarray, "period series draw"],
    seen: Float[np.ndarray, "period series"],
    counted: Bool[np.ndarray, "period series"],
    noise: float | Float[np.ndarray, "period series"],
    seed: int = 0,
) -> dict[str, float]:
    """Scores of predictions against what was seen, over the values that count; NaN if none does.

    An observation has noise of its own, so coverage and CRPS are those of draws with noise added.
    """
    if not counted.any():
        return dict.fromkeys(("rmse", "crps", *(f"coverage_{level:.0%}".rstrip("%") for level in LEVELS)), np.nan)
    chosen, truth = draws[counted], seen[counted]
    spread = np.broadcast_to(noise, counted.shape)[counted][:, None]
    noisy = chosen + spread * np.random.default_rng(seed).standard_normal(chosen.shape)
    covered = {f"coverage_{level:.0%}".rstrip("%"): coverage(noisy, truth, level) for level in LEVELS}
    return {"rmse": rmse(chosen, truth), "crps": crps(noisy, truth)} | covered


def shrinkage(
    prior: Float[np.ndarray, "firm draw"], posterior: Float[np.ndarray, "firm draw"]
) -> Float[np.ndarray, " firm"]:
    """1 − posterior / prior standard deviation by firm: 0 where data say nothing, NaN where the number is fixed."""
    before, after = prior.std(axis=-1), posterior.std(axis=-1)
    free = before > 1e-6 * np.maximum(np.abs(prior.mean(axis=-1)), 1e-12)
    return np.where(free, 1 - after / np.where(free, before, 1), np.nan)


def moved(
    prior: Mapping[str, Float[np.ndarray, "firm draw"]], posterior: Mapping[str, Float[np.ndarray, "firm draw"]]
) -> dict[str, float]:
    """By field, the share of free firms whose number the data narrowed by a tenth, or shifted by half a width."""
    found: dict[str, float] = {}
    for name, before in prior.items():
        narrowed = shrinkage(before, posterior[name])
        free = np.isfinite(narrowed)
        width = np.where(free, before.std(axis=-1), 1)
        shifted = np.abs(posterior[name].mean(axis=-1) - before.mean(axis=-1)) / width
        found[name] = float(np.mean(((narrowed >= 0.1) | (shifted >= 0.5))[free])) if free.any() else 0.0
    return found


def pareto_k(log_weights: Float[np.ndarray, " draw"]) -> float:
    """Shape of the tail of importance weights (Vehtari et al. 2024): a guide with k̂ > 0.7 is far from the posterior.

    NaN with fewer than `FEWEST` draws, or where a weight is not finite; 0 where the weights have no tail; infinite
    where one weight is so large that the others are 0 beside it.
    """
    if len(log_weights) < FEWEST or not np.isfinite(log_weights).all():
        return np.nan
    weights = np.asarray(log_weights, float)
    if np.ptp(weights) < EQUAL or np.ptp(np.sort(weights)[-5:]) == 0:
        return 0.0
    return float(np.nan_to_num(array_stats.psislw(-weights)[1], nan=np.inf))  # ArviZ wants the negative logarithms


def rank_uniformity(ranks: Int[np.ndarray, " fit"], draws: int, bins: int = 10) -> float:
    """p-value that ranks of truths among `draws` posterior draws are uniform, as they are where posteriors are right.

    Simulation-based calibration (Talts, Betancourt, Simpson, Vehtari, Gelman 2018), by the χ² statistic of a histogram.
    """
    counts, _ = np.histogram(ranks, bins=bins, range=(0, draws + 1))
    expected = len(ranks) / bins
    return float(chi2.sf(((counts - expected) ** 2 / expected).sum(), bins - 1))
