"""How a shock passes: factors over time on what a firm makes, asks for or costs.

All are pytrees of arrays (firm|1, member|1). Several on one firm multiply.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial, reduce
from operator import mul
from typing import Literal, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Course = Literal["exponential", "hyperbolic", "linear", "s_shaped"]


def _s_shaped(elapsed: Array, rate: Array) -> Array:
    """1 / (1 + (2 s)^p) with p = ln(10⁶ τ) / ln(τ / 2), as a logistic function of ln 2 s, which has no overflow."""
    begun = elapsed > 0
    days, past = 1 / jnp.where(begun, rate, 1), jnp.where(begun, elapsed, 1)
    power = jnp.log(1e6 * days) / jnp.log(days / 2)
    return jnp.where(begun, jax.nn.sigmoid(-power * jnp.log(2 * past)), 1)


_REMAINING: dict[Course, Callable[[Array, Array], Array]] = {
    "exponential": lambda elapsed, rate: jnp.exp(-elapsed),
    "hyperbolic": lambda elapsed, rate: 1 / (1 + elapsed),
    "linear": lambda elapsed, rate: jnp.maximum(1 - elapsed, 0),
    "s_shaped": _s_shaped,
}


@runtime_checkable
class Shock(Protocol):
    """Anything with a factor on day t, shape (firm|1, member|1)."""

    def factor(self, day: Float[Array, ""]) -> Float[Array, "#firm #member"]: ...


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["loss", "onset", "recovery_start", "recovery_rate"],
    meta_fields=["course"],
)
@dataclass(frozen=True)
class Recovery:
    """A loss that recovers: z = 1 − δ r(λ (t − t*)⁺) from the onset on, 1 before.

    exponential  r = e^−s         Hamid et al. (arXiv 2511.05231, 2025); the onset is the extension of shared use
    hyperbolic   r = 1 / (1 + s)  the mean of many that recover exponentially, with rates spread exponentially around
                                  the mean λ: ∫ e^−kt e^−k/λ dk / λ; the slow ones are left to the end
    linear       r = [1 − s]⁺     whole again after 1 / λ days, as in BoARIO
    s_shaped     r = 1 / (1 + (2 s)^p), p = ln(10⁶ τ) / ln(τ / 2), τ = 1 / λ > 2 days: slow at first, half after τ / 2;
                                  BoARIO's concave_recovery, τ / (τ + ε t^p), written otherwise
    """

    loss: Float[Array, "#firm #member"]  # δ, share lost, 0 … 1
    onset: Float[Array, "#firm #member"]  # t0 [day]
    recovery_start: Float[Array, "#firm #member"]  # t* [day]
    recovery_rate: Float[Array, "#firm #member"]  # λ [1/day]
    course: Course = field(default="exponential", kw_only=True)

    def factor(self, day: Float[Array, ""]) -> Float[Array, "#firm #member"]:
        return 1 - self.loss * _left(self, day)


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["rate", "onset", "recovery_start", "recovery_rate"],
    meta_fields=["course"],
)
@dataclass(frozen=True)
class Rise:
    """A price that rises, by a share that goes back as a loss recovers: w = 1 + ρ r(λ (t − t*)⁺) from the onset on."""

    rate: Float[Array, "#firm #member"]  # ρ, > −1
    onset: Float[Array, "#firm #member"]  # t0 [day]
    recovery_start: Float[Array, "#firm #member"]  # t* [day]
    recovery_rate: Float[Array, "#firm #member"]  # λ [1/day]
    course: Course = field(default="exponential", kw_only=True)

    def today(self, day: Float[Array, ""]) -> Float[Array, "#firm #member"]:
        """The share by which the price is up."""
        return self.rate * _left(self, day)

    def factor(self, day: Float[Array, ""]) -> Float[Array, "#firm #member"]:
        return 1 + self.today(day)


def _left(shock: Recovery | Rise, day: Float[Array, ""]) -> Float[Array, "#firm #member"]:
    """r of a day: 0 before the onset, 1 until the recovery starts."""
    elapsed = shock.recovery_rate * jnp.maximum(day - shock.recovery_start, 0)
    return jnp.where(day >= shock.onset, _REMAINING[shock.course](elapsed, shock.recovery_rate), 0)


@partial(jax.tree_util.register_dataclass, data_fields=["path"], meta_fields=[])
@dataclass(frozen=True)
class Table:
    """A factor given day by day; the last row holds ever after."""

    path: Float[Array, "time #firm #member"]

    def factor(self, day: Float[Array, ""]) -> Float[Array, "#firm #member"]:
        return self.path[jnp.minimum(day.astype(jnp.int32), self.path.shape[0] - 1)]


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["clock", "loss", "onset", "days_between_failures", "repair_days"],
    meta_fields=[],
)
@dataclass(frozen=True)
class Failures:
    """Random failures, an alternating renewal process: a firm works for an exponential time of mean M = 1 / hazard,
    then is out for D days, over and over (Barlow & Proschan 1965, Mathematical Theory of Reliability, chapter 3).

    The times at work are M E with unit exponentials E = −ln u that are drawn before anything is computed, so that the
    k-th failure is at T_k = t0 + M (E_1 + … + E_k) + (k − 1) D, a smooth function of all numbers, and

        z_t = 1 − δ Σ_k |[T_k, T_k + D] ∩ [t, t + 1]|,    the share of day t during which the firm is out,

    is piecewise linear in T_k and D. So pathwise derivatives (Glasserman 2003, section 7.2) by hazard, D, δ and t0
    exist and are exact; no event is relaxed. Departures and choices:
      1. failures after the last of `clock` do not happen: choose as many as matter within the horizon;
      2. a firm ages whether or not it has work, and every repair takes it D days.
    """

    clock: Float[Array, "failure #firm #member"]  # E_1 + … + E_k, unit exponentials
    loss: Float[Array, "#firm #member"]  # δ, share lost while out, 0 … 1
    onset: Float[Array, "#firm #member"]  # t0, no failure before [day]
    days_between_failures: Float[Array, "#firm #member"]  # M, mean days at work from repair to failure
    repair_days: Float[Array, "#firm #member"]  # D

    def factor(self, day: Float[Array, ""]) -> Float[Array, "#firm #member"]:
        before = jnp.arange(self.clock.shape[0], dtype=day.dtype)[:, None, None]  # k − 1
        fails = self.onset + self.days_between_failures * self.clock + self.repair_days * before
        out = jnp.minimum(fails + self.repair_days, day + 1) - jnp.maximum(fails, day)
        return 1 - self.loss * jnp.minimum(jnp.maximum(out, 0).sum(axis=0), 1)  # beyond 1 by round-off alone


def total_factor(shocks: tuple[Recovery | Table | Failures | Rise, ...], day: Float[Array, ""]) -> Float[Array, "..."]:
    """The product of all factors on a day; 1 without a shock."""
    return reduce(mul, (shock.factor(day) for shock in shocks), jnp.ones((), day.dtype))
