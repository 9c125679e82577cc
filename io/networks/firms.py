"""Firms of each industry: how many, and how large.

Numbers grow with output to the power 0.85: across 15 activities of five countries (OECD SSIS enterprises 2014–15
against WIOD output) the elasticity is 1.01 ± 0.14 pooled and 0.69 ± 0.10 across countries within an activity. Sizes
are Pareto with exponent 1.06 (Axtell, Science 293:1818, 2001), truncated; UK enterprises by employment give 1.03 to
1.28 between 10 and 250 employees.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from shockmesh.io.networks.cells import Economy, GenerateError

FIRM_EXPONENT = 0.85
SIZE_EXPONENT = 1.06


@dataclass(frozen=True)
class Firms:
    """Firms sorted by industry, the largest first within each; sizes sum to the industry's output."""

    industry: Int[np.ndarray, " firm"]
    size: Float[np.ndarray, " firm"]  # output [unit of the table]


def draw_firms(economy: Economy, count: int, rng: np.random.Generator) -> Firms:
    """Draw `count` firms: at least one per industry, two where the industry sells to itself.

    Raises:
        GenerateError: `count` is less than that.
    """
    numbers = _numbers(economy, count)
    industry = np.repeat(np.arange(economy.n, dtype=np.int32), numbers)
    least = 0.1 / numbers[industry]  # truncation: none is rarer than one firm in ten times as many
    draw = (least + (1 - least) * rng.random(count)) ** (-1 / SIZE_EXPONENT)
    order = np.lexsort((-draw, industry))
    share = draw[order] / np.bincount(industry, draw, economy.n)[industry]
    return Firms(industry, cap(share, industry, largest_share(economy)) * economy.output[industry])


def _numbers(economy: Economy, count: int) -> np.ndarray:
    return allot(economy.output**FIRM_EXPONENT, count, fewest_firms(economy, count))


def fewest_firms(economy: Economy, count: int) -> Int[np.ndarray, " industry"]:
    """How many firms an industry needs: one, two where it supplies itself.

    Raises:
        GenerateError: these are more than `count`.
    """
    self_supply = np.zeros(economy.n, bool)
    self_supply[economy.cells.supplier[economy.cells.supplier == economy.cells.buyer]] = True
    least = (economy.output > 0).astype(np.int64) + (self_supply & (economy.output > 0))
    if count < least.sum():
        raise GenerateError(
            f"firms: {count} asked for, this table needs at least {least.sum()}: "
            "one per industry with output, two where an industry supplies itself"
        )
    return least


def allot(weight: Float[np.ndarray, " n"], total: int, least: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """Integers near λ·weight, none below `least`, that sum to `total`; ties go to the largest remainder."""
    level = fill_level(weight, total, least)
    wanted = np.maximum(least, level * weight)
    numbers = np.maximum(least, np.floor(wanted).astype(np.int64))
    order = np.argsort(-(wanted - numbers), kind="stable")
    numbers[order[: total - numbers.sum()]] += 1
    return numbers


def fill_level(weight: Float[np.ndarray, " n"], total: float, least: Int[np.ndarray, " n"] | int) -> float:
    """λ such that Σ max(least, λ·weight) = total (bisection; total ≥ Σ least)."""
    low, high = 0.0, total / max(float(weight.max()), 1e-300)
    while np.maximum(least, high * weight).sum() < total:
        high *= 2
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if np.maximum(least, middle * weight).sum() <= total else (low, middle)
    return low


def largest_share(economy: Economy) -> np.ndarray:
    """The largest size share that leaves the industry able to supply itself without self-links.

    Of a diagonal cell T no firm sells or buys more than half; the others must find the other half within their sales
    and inputs: (1 − share) · min(sales, inputs) ≥ T/2.
    """
    cells = economy.cells
    diagonal = cells.take(cells.supplier == cells.buyer).sales(economy.n)
    traded = np.minimum(cells.sales(economy.n), cells.inputs(economy.n))
    return 1 - np.divide(diagonal, 2 * traded, out=np.zeros(economy.n), where=traded > 0)


def cap(share: np.ndarray, industry: np.ndarray, limit: np.ndarray) -> np.ndarray:
    """Shrink each industry's first (largest) firm to the limit; the others grow in proportion."""
    first = np.flatnonzero(np.diff(industry, prepend=-1))
    top, limit = share[first], limit[industry[first]]
    others = np.divide(1 - limit, 1 - top, out=np.ones_like(top), where=top > limit)
    scale = np.ones(int(industry.max()) + 1)
    scale[industry[first]] = others
    capped = share * scale[industry]
    capped[first] = np.minimum(top, limit)
    return capped
