"""Capacity: the largest output that everything but inputs allows, as a multiple of baseline output x⁰.

With productivity z, κ the parameter `capacity`, demand D and the output r that inputs allow (`production.py`):

    constant        z κ
    literal         z r, and no capacity apart: x = min{D, z f(S)}, word for word Hamid et al. (arXiv 2511.05231, 2025)
    overproduction  z α,  α ← max{1, α + [(κ − α) s + (α_base − α) 1{s = 0}] / τ_α},  s_t = (D_t − x_{t−1}) / D_t
                    Hallegatte (2008, 2014), as BoARIO 0.7.2 computes it; κ is α_max
    hiring          l ← min{l, z κ},  then  l ← l + γ Δ,  Δ = min{D / x⁰, r} − l,  γ = γ_H if Δ > 0, else γ_F
                    Pichler et al. (2022), eqs. 7 and 19–21; l is labour relative to its baseline, κ the largest (1)

Notes and departures:
  1. literal: a loss is invisible unless z n < 1, that is δ > 1 − 1/n. A firm without inputs has no f: it makes κ x⁰;
  2. overproduction: in the papers α falls back to its base whenever nothing is scarce. BoARIO asks for s = 0 to the
     last bit, which hardly ever holds after a shock: α falls only while demand is below yesterday's output;
  3. overproduction: BoARIO leaves α alone on its first two days; here every day is alike;
  4. overproduction: no derivative follows the fall to the base, as round-off decides whether s is 0 to the last bit.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from shockmesh.kernels.devices.layout import Layout
from shockmesh.kernels.devices.segments import at_most, lesser, safe_ratio
from shockmesh.kernels.model import Parameters, Switches


def initial_level(
    layout: Layout, switches: Switches, parameters: Parameters, members: int
) -> Float[Array, "firm member"] | None:
    """α or l before the first day; None for a rule without a state."""
    match switches.capacity_rule:
        case "overproduction":
            assert parameters.base_capacity is not None
            start = parameters.base_capacity
        case "hiring":
            start = jnp.ones_like(layout.output)
        case _:
            return None
    return jnp.broadcast_to(start, (layout.n_firms, members))


def level_today(
    switches: Switches,
    parameters: Parameters,
    level: Float[Array, "firm member"] | None,
    output: Float[Array, "firm member"] | None,
    demand: Float[Array, "firm member"],
) -> Float[Array, "firm member"] | None:
    """α of today, by how much of today's demand yesterday's output leaves unmet; l as it is."""
    if switches.capacity_rule != "overproduction":
        return level
    assert level is not None
    assert output is not None
    assert parameters.base_capacity is not None
    assert parameters.overproduction_days is not None
    scarcity = safe_ratio(demand - output, demand)
    idle = (scarcity == 0).astype(level.dtype)
    fall = jax.lax.stop_gradient((parameters.base_capacity - level) * idle)
    change = (parameters.capacity - level) * scarcity + fall
    today = level + change / parameters.overproduction_days
    return -lesser(-today, -jnp.ones_like(level))  # at least 1; at a tie it has the derivative of today's level


def utmost(
    switches: Switches,
    parameters: Parameters,
    productivity: Float[Array, "..."],
    attainable: Float[Array, "firm member"],
    level: Float[Array, "firm member"] | None,
) -> Float[Array, "#firm #member"]:
    """The largest output of today as a multiple of x⁰."""
    match switches.capacity_rule:
        case "constant":
            return productivity * parameters.capacity
        case "literal":
            return productivity * jnp.where(jnp.isfinite(attainable), attainable, parameters.capacity)
        case "overproduction":
            assert level is not None
            return productivity * level
        case "hiring":
            assert level is not None
            return lesser(level, productivity * parameters.capacity)


def level_tomorrow(
    switches: Switches,
    parameters: Parameters,
    level: Float[Array, "firm member"] | None,
    most: Float[Array, "#firm #member"],
    wanted: Float[Array, "firm member"],
) -> Float[Array, "firm member"] | None:
    """l of tomorrow, on the way from today's to what demand and inputs ask for; α as it is."""
    if switches.capacity_rule != "hiring":
        return level
    assert parameters.hiring_days is not None
    assert parameters.firing_days is not None
    days = jnp.where(at_most(wanted, most), parameters.firing_days, parameters.hiring_days)
    return most + (wanted - most) / days
