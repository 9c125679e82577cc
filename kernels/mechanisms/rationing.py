"""Rationing: what share of its claim each link gets where output x falls short of demand D, and what consumers get.

    proportional        every claim is met by the same share φ = x / D
    final_demand_last   firms are served first; consumers get the rest (Inoue & Todo 2019)
    water_filling       nobody gets more than θ times what he bought before the shock: min(q_k, θ) O⁰_k for a claim of
                        q_k O⁰_k, with θ such that Σ_k min(q_k, θ) O⁰_k = x; final demand is one of the claimants

Whoever asks for little relative to the past is served in full under water filling (the relative-order rationing of
Inoue & Todo 2019; max-min fairness in networks). Σ_k min(q_k, θ) O⁰_k is concave and piecewise linear in θ, so Newton
steps from θ = 0 rise monotonically and end at the exact level after at most as many steps as there are claimants,
usually three to six; no claim is sorted. Derivatives are those of the last, linear piece.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array, Bool, Float
from shockmesh.kernels.devices.layout import Layout
from shockmesh.kernels.devices.segments import GROUPED, Links, anywhere, look_up, safe_ratio, segment_sum
from shockmesh.kernels.model import Switches


def ration(
    layout: Layout,
    switches: Switches,
    claims: Links,
    received: Float[Array, "firm member"],
    final_demand: Float[Array, "firm #member"],
    output: Float[Array, "firm member"],
    idle: Float[Array, "firm member"] | None = None,
) -> tuple[Links, Float[Array, "firm member"]]:
    """The share of each link's claim that is met, and final demand met.

    Args:
        received: Σ of a supplier's claims.
        idle: the share that stands where nothing was claimed of a supplier; 0 if left out, and by water filling.
    """
    match switches.rationing:
        case "proportional":
            fill = safe_ratio(output, received + final_demand)
            return look_up(_filled(fill, received + final_demand, idle), layout.supplier), fill * final_demand
        case "final_demand_last":
            fill = jnp.minimum(safe_ratio(output, received), 1)
            share = look_up(_filled(fill, received, idle), layout.supplier)
            return share, jnp.clip(output - received, 0, final_demand)
        case "water_filling":
            short = output < received + final_demand
            return _water_filling(layout, _Claims(claims, jnp.broadcast_to(final_demand, output.shape), output), short)


def _filled(share: Array, claims: Array, idle: Array | None) -> Array:
    return share if idle is None else jnp.where(claims > 0, share, idle)


class _Claims(NamedTuple):
    """What is asked of suppliers today, and what they have."""

    links: Float[Array, "link member"]
    final_demand: Float[Array, "firm member"]
    output: Float[Array, "firm member"]


def _capped(layout: Layout, claims: _Claims, level: Array) -> tuple[Bool[Array, "link m"], Bool[Array, "firm m"]]:
    """The claims above the level, of links and of final demand."""
    links = claims.links > look_up(level, layout.supplier) * layout.amount
    return links, claims.final_demand > level * layout.final_demand


def _level(layout: Layout, claims: _Claims, links: Array, consumers: Array) -> Float[Array, "firm member"]:
    """The level at which the capped claims share what the others leave: one Newton step."""
    rest, weight = jnp.where(links, 0, claims.links), jnp.where(links, layout.amount, 0)
    both = segment_sum(jnp.concatenate([rest, weight], axis=1), layout.supplier)
    rest, weight = jnp.split(both, 2, axis=1)
    left = claims.output - rest - jnp.where(consumers, 0, claims.final_demand)
    return safe_ratio(left, weight + jnp.where(consumers, layout.final_demand, 0))


def _water_filling(layout: Layout, claims: _Claims, short: Bool[Array, "firm member"]) -> tuple[Array, Array]:
    fixed = jax.lax.stop_gradient(claims)

    def rise(carry: tuple[Array, Array]) -> tuple[Array, Array]:
        level, _ = carry
        higher = jnp.where(short, jnp.maximum(level, _level(layout, fixed, *_capped(layout, fixed, level))), level)
        return higher, anywhere(higher > level, layout.supplier)

    first = rise((jnp.where(short, 0, jnp.inf).astype(claims.output.dtype), short))
    reached = checkpoint_name(jax.lax.while_loop(lambda carry: carry[1], rise, first)[0], GROUPED)
    links, consumers = _capped(layout, fixed, reached)
    level = _level(layout, claims, links, consumers)
    met = jnp.where(links, look_up(level, layout.supplier) * layout.amount, claims.links)
    consumption = jnp.where(consumers, level * layout.final_demand, claims.final_demand)
    return safe_ratio(met, claims.links), consumption
