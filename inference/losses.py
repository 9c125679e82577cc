"""How far a simulation is from data: residuals in units of noise, a penalty on them, and a temperature.

The generalised posterior (Bissiri, Holmes, Walker 2016) is p(z) exp(−loss(z) / w). With the absolute residual, the
squared penalty and w = 1 the loss is the Gaussian log-likelihood and the posterior is Bayes'. Where residuals are
correlated in time the same data say less: an AR(1) noise of correlation ρ leaves n (1 − ρ) / (1 + ρ) of n independent
observations of a slowly moving mean (Bartlett 1946), so that w = (1 + ρ) / (1 − ρ).
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from shockmesh.inference.choices import Penalty, Residual
from shockmesh.kernels.devices.layout import Layout
from shockmesh.kernels.devices.segments import Segments
from shockmesh.kernels.rollout import Record, baseline

FREEDOM = 4.0  # degrees of freedom of the robust penalty's Student t


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["groups", "period", "values", "noise", "fitted", "held_out", "error"],
    meta_fields=["variable", "periods"],
)
@dataclass(frozen=True)
class Observed:
    """Series that were seen: a recorded variable by group of firms, averaged over periods, as a ratio to the baseline.

    Make one with `observed`.
    """

    variable: str  # one of RECORDABLE
    groups: Segments  # firms → series
    period: Int[Array, " day"]  # each day's period; `periods` for days of none
    values: Float[Array, "period series 1"]  # 1 is the baseline
    noise: Float[Array, "#period #series 1"]  # standard deviation of the residual, whichever the loss takes
    fitted: Bool[Array, "period series 1"]  # counts in the loss
    held_out: Bool[Array, "period series 1"]  # kept aside for validation
    error: Float[Array, "#period #series #member"]  # that a member adds to its data [noise]; 0 unless perturbed
    periods: int


def observed(
    variable: str,
    groups: Segments,
    values: Float[np.ndarray, "period series"],
    noise: float | Float[np.ndarray, "period|1 series|1"],
    *,
    fitted: Bool[np.ndarray, "period series"] | None = None,
    held_out: Bool[np.ndarray, "period series"] | None = None,
    period: Int[np.ndarray, " day"] | None = None,
    dtype: str = "float32",
) -> Observed:
    """Series as data of a calibration; a value that is not a number was not seen.

    `period` gives each day's period, −1 for days of none; left out, each day is one. By default all values are fitted.

    Raises:
        ValueError: shapes that do not fit, a noise that is not positive, values that are fitted and held out at once.
    """
    values = np.asarray(values, float)
    seen = np.isfinite(values)
    held = np.zeros_like(seen) if held_out is None else np.asarray(held_out, bool) & seen
    fit = seen & ~held if fitted is None else np.asarray(fitted, bool) & seen
    spread = np.broadcast_to(np.asarray(noise, float), np.broadcast_shapes(np.shape(noise), (1, 1)))
    days = np.arange(len(values)) if period is None else np.asarray(period)
    _check(values, groups, spread, days, fit & held)

    def column(array: np.ndarray) -> Array:
        return jnp.asarray(array[..., None], dtype)

    return Observed(
        variable=variable,
        groups=groups,
        period=jnp.asarray(np.where(days < 0, len(values), days), jnp.int32),
        values=column(np.where(seen, values, 1.0)),
        noise=column(spread),
        fitted=jnp.asarray(fit[..., None]),
        held_out=jnp.asarray(held[..., None]),
        error=column(np.zeros((1, 1))),
        periods=len(values),
    )


def _check(values: np.ndarray, groups: Segments, noise: np.ndarray, days: np.ndarray, both: np.ndarray) -> None:
    if values.ndim != 2 or values.shape[1] != groups.n:
        raise ValueError(f"observed: values {values.shape}: must be (period, series) with {groups.n} series")
    if not np.all(noise > 0):
        raise ValueError(f"observed: noise {noise.min()}: must be > 0")
    if days.max(initial=-1) >= len(values):
        raise ValueError(f"observed: period {days.max()}: there are {len(values)} periods")
    if both.any():
        raise ValueError(f"observed: {int(both.sum())} values are fitted and held out at once")


def predicted(
    layout: Layout, seen: Observed, series: Float[Array, "time series member"]
) -> Float[Array, "period series member"]:
    """A recorded variable in the unit of the data: averaged over periods, as a ratio to the baseline."""
    record: Record = {seen.variable: seen.groups}
    steady = baseline(layout, record)[seen.variable]
    ratio = series / jnp.where(steady > 0, steady, 1)[:, None]
    period = seen.period[: len(series)]
    total = jax.ops.segment_sum(ratio, period, seen.periods + 1)[:-1]
    days = jax.ops.segment_sum(jnp.ones_like(period, ratio.dtype), period, seen.periods + 1)[:-1]
    return total / jnp.maximum(days, 1)[:, None, None]


@dataclass(frozen=True)
class Loss:
    """How residuals become a number: `residual` / noise, `penalty`, / `temperature`."""

    residual: Residual = "absolute"
    penalty: Penalty = "squared"
    temperature: float = 1.0  # w of the generalised posterior

    def __call__(
        self, seen: Observed, values: Float[Array, "period series member"], held_out: bool = False
    ) -> Float[Array, " member"]:
        """The loss of each member over the fitted values, or over those held out. Not divided by the temperature."""
        counted = seen.held_out if held_out else seen.fitted
        return self._penalty(jnp.where(counted, self.off(seen, values), 0)).sum(axis=(0, 1))

    def off(self, seen: Observed, values: Float[Array, "period series member"]) -> Float[Array, "period series member"]:
        """Residuals in units of noise, less the error that a member adds to what was seen."""
        return self._residual(seen, values) / seen.noise - seen.error

    def _residual(self, seen: Observed, values: Array) -> Array:
        match self.residual:
            case "absolute":
                return values - seen.values
            case "relative":
                return (values - seen.values) / jnp.abs(seen.values)
            case "log":
                return jnp.log(jnp.maximum(values, 1e-6)) - jnp.log(jnp.maximum(seen.values, 1e-6))

    def _penalty(self, residual: Array) -> Array:
        match self.penalty:
            case "squared":
                return 0.5 * residual**2
            case "robust":
                return 0.5 * (FREEDOM + 1) * jnp.log1p(residual**2 / FREEDOM)


GAUSSIAN = Loss()


def temperature_of(correlation: float) -> float:
    """The temperature that an AR(1) noise of this correlation between periods asks for.

    Raises:
        ValueError: a correlation outside −1 < ρ < 1.
    """
    if not -1 < correlation < 1:
        raise ValueError(f"correlation = {correlation}: must be above -1 and below 1")
    return (1 + correlation) / (1 - correlation)
