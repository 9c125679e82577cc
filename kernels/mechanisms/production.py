"""Production functions: the output that stocks of inputs allow, r, as a multiple of baseline output x⁰.

With c_p = S_p / Z⁰_p the days of baseline use that pool p covers, and w_p = Z⁰_p / Σ Z⁰ its share of inputs:

    leontief           min_p c_p                              every product is needed (Hallegatte 2008)
    linear             Σ w_p c_p                              perfect substitutes (Pichler et al. 2022, eq. 14)
    ces                (Σ w_p c_p^ρ)^(1/ρ), ρ = (σ − 1) / σ    elasticity 0 < σ < 1; σ → 0 is leontief
    threshold          min_p c_p / (ψ n)                      falls once a stock is below ψ of its target of n days
                                                              (Henriet et al. 2012; Hallegatte 2014)
    strongly_critical  min_{χ_p ≥ ½} c_p                      Pichler et al. (2022), eqs. 8–13, for a criticality
    half_critical      min_{χ_p > 0} χ_p c_p + (1 − χ_p)      χ_p of 0 (no), ½ (important) or 1 (critical)
    weakly_critical    min_{χ_p = 1} c_p

Pichler, Pangallo, del Rio-Chanona, Lafond, Farmer (2022), JEDC 144:104527. A firm that needs no input has r = ∞.

Departures:
  1. half_critical extends their ½ (c_p + 1) to any χ between 0 and 1;
  2. inputs are pooled by product, so substitutes from several suppliers count together;
  3. what is never short (`inventories.py`) has c_p = ∞, whatever its stock;
  4. use stays a_e x for every function, as in Pichler et al.; where a product runs out, what is missing is not used;
  5. ces: where a stock is empty, the derivative is that of leontief. The exact one, larger, would use up what is not
     there, and grow from day to day.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from shockmesh.kernels.devices.layout import Layout
from shockmesh.kernels.devices.segments import look_up, segment_min, segment_sum
from shockmesh.kernels.mechanisms.inventories import is_held, pool_days
from shockmesh.kernels.model import Parameters, Switches


def attainable(
    layout: Layout, switches: Switches, parameters: Parameters, pool_stock: Float[Array, "pool member"]
) -> Float[Array, "firm member"]:
    """r, the output that stocks allow, as a multiple of x⁰; ∞ where no input is needed."""
    cover = pool_stock * (1 / layout.pool_amount)
    if layout.product_days is not None:
        cover = jnp.where(is_held(layout.product_days) > 0, cover, jnp.inf)
    return _PRODUCTION[switches.production](layout, parameters, cover)


def _leontief(layout: Layout, parameters: Parameters, cover: Array) -> Array:
    return segment_min(cover, layout.pool_buyer)


def _linear(layout: Layout, parameters: Parameters, cover: Array) -> Array:
    inputs = segment_sum(layout.pool_amount, layout.pool_buyer)
    held = segment_sum(layout.pool_amount * cover, layout.pool_buyer)
    return jnp.where(inputs > 0, held / jnp.where(inputs > 0, inputs, 1), jnp.inf)


def _ces(layout: Layout, parameters: Parameters, cover: Array) -> Array:
    """Relative to the scarcest input, so that no power overflows: r = c_min (Σ w (c / c_min)^ρ)^(1/ρ)."""
    assert parameters.elasticity is not None
    power = (parameters.elasticity - 1) / parameters.elasticity
    least = segment_min(cover, layout.pool_buyer)
    some = jnp.isfinite(least) & (least > 0)
    scale = jax.lax.stop_gradient(jnp.where(some, least, 1))  # r does not depend on it
    ends = jnp.isfinite(cover)  # what is never short adds nothing: its power is 0
    relative = jnp.where((cover > 0) & ends, cover, 1) / look_up(scale, layout.pool_buyer)
    terms = jnp.where(ends, layout.pool_amount * relative ** look_up(power, layout.pool_buyer), 0)
    inputs = segment_sum(layout.pool_amount, layout.pool_buyer)
    mean = segment_sum(terms, layout.pool_buyer) / jnp.where(inputs > 0, inputs, 1)
    return jnp.where(some, scale * jnp.where(some, mean, 1) ** (1 / power), least)


def _threshold(layout: Layout, parameters: Parameters, cover: Array) -> Array:
    assert parameters.inventory_threshold is not None
    if layout.product_days is None:
        enough = look_up(parameters.inventory_threshold * parameters.inventory_days, layout.pool_buyer)
        return segment_min(cover / enough, layout.pool_buyer)
    enough = look_up(parameters.inventory_threshold, layout.pool_buyer) * pool_days(layout, parameters, 1.0)
    ends = jnp.isfinite(cover)
    return segment_min(jnp.where(ends, jnp.where(ends, cover, 0) / enough, jnp.inf), layout.pool_buyer)


def _critical_from(least: float) -> Callable[[Layout, Parameters, Array], Array]:
    def function(layout: Layout, parameters: Parameters, cover: Array) -> Array:
        assert layout.criticality is not None
        return segment_min(jnp.where(layout.criticality >= least, cover, jnp.inf), layout.pool_buyer)

    return function


def _half_critical(layout: Layout, parameters: Parameters, cover: Array) -> Array:
    assert layout.criticality is not None
    allowed = layout.criticality * cover + (1 - layout.criticality)
    return segment_min(jnp.where(layout.criticality > 0, allowed, jnp.inf), layout.pool_buyer)


_PRODUCTION = {
    "leontief": _leontief,
    "linear": _linear,
    "ces": _ces,
    "threshold": _threshold,
    "strongly_critical": _critical_from(0.5),
    "half_critical": _half_critical,
    "weakly_critical": _critical_from(1.0),
}
