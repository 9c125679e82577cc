"""Suppliers that change: buyers who are badly served turn to others of the same product, and come back.

A pool g (one buyer's links of one product) asks its suppliers for shares ω of what it orders; at rest ω⁰ = Z⁰ / Σ_g Z⁰.
Its candidates are links that carry nothing at rest, ω⁰ = 0 (`FirmNetwork.candidates`). With φ the share of an order
that is delivered, every evening

    satisfaction  f ← f + (φ − f) / T_f                                      satisfaction_days T_f of the buyer
    wanted        ω̂ ∝ (ω⁰ + ν_g (1 − Σ_g ω f)) f^χ                           sensitivity χ; pull ν, of candidates alone
    shares        ω ← ω + ρ (ω̂ − ω),  ρ = 1 / T_ω, from b days after the pool's first shortage on, 0 until then
    turnover      ω ← ω + η (k − ω),  ω⁰ ← ω⁰ + η (k − ω⁰)                   k: candidates by output

ω̂ is the choice of Luce (1959, Individual Choice Behavior) among suppliers weighed by what is expected of them, with
adaptive expectations (Nerlove 1958, Quarterly Journal of Economics 72:227). A supplier that delivers again is trusted
again, so ω goes back to ω⁰. Links of firms in Hungary have a half-life of 13 months (Reisch et al., arXiv 2503.20594).

A day begins with shares as the evening before left them. Everything that a day does to links by their baseline flow Z⁰
(orders, target stocks, prices' baskets, the weights of water filling) it does by ω Σ_g Z⁰ instead, see `layout_today`:
of each pool the sum is the same, and so are use, and the output that stocks allow. Substitutes are bound by their
capacity like any supplier: who is asked for more than he can make serves all by the rule of `rationing.py`.

What is remembered is what has moved, exactly 0 until a shortage: then all numbers have the bits of fixed suppliers.

Notes and departures:
  1. ν is of all candidates of a pool together, each pulls by its part k in their output: how many are drawn is not to
     matter, nor whether a firm is one or two. With ν = χ = 1 they are asked, in the end, for the part that the pool's
     own suppliers are not expected to deliver;
  2. a supplier that nobody orders from is expected to deliver if it could make anything today, else not; water
     filling serves the smallest claims first, so there a first order is expected to be met;
  3. the first shortage starts the only search: who has been found stays known. b may be a fraction of a day;
  4. where no supplier is expected to deliver, shares stay as they are; where none delivers at all (f = 0), no
     derivative follows the first bit that is delivered;
  5. turnover is a flow, not single links that end: each day the share η of every link's orders moves to candidates, who
     stand for all who follow them. A pool without candidates keeps its links. It has no search;
  6. shares are of orders. A pool's stock moves with them as stocks are used up and restored;
  7. damages are rebuilt by the suppliers of old.
"""

from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float
from shockmesh.kernels.devices.layout import Candidacy, Layout
from shockmesh.kernels.devices.segments import Links, at_most, look_up, segment_sum
from shockmesh.kernels.mechanisms.routes import Routes, let_through
from shockmesh.kernels.model import Parameters, Switches


class Sourcing(NamedTuple):
    """What buyers remember of suppliers overnight."""

    satisfaction: Float[Array, "link member"]  # f
    moved: Float[Array, "link member"]  # (ω less the share at rest) Σ_g Z⁰: what has moved to the link, or away from it
    searched: Float[Array, "pool member"]  # days since the pool's first shortage, that day included; 0 before
    lasting: Float[Array, "firm member"]  # part of the buyer's links that turnover has left


def initial_sourcing(layout: Layout, switches: Switches, members: int) -> Sourcing | None:
    """Suppliers before the first day; None where they are fixed."""
    if not switches.switching:
        return None
    sizes = layout.n_links, layout.n_links, layout.pool_amount.shape[0], layout.n_firms
    served, moved, searched, lasting = (jnp.zeros((size, members), layout.output.dtype) for size in sizes)
    return Sourcing(served + 1, moved, searched, lasting + 1)


def layout_today(layout: Layout, sourcing: Sourcing | None) -> Layout:
    """The network of a day: in place of Z⁰, what each link is to carry at its share of today, the same sum by pool."""
    if sourcing is None:
        return layout
    return replace(layout, amount=jax.lax.optimization_barrier(_floor(layout.amount + sourcing.moved)))


def switched_today(layout: Layout, sourcing: Sourcing | None) -> Float[Array, "firm member"] | None:
    """What has moved to other suppliers, by the firm that buys, of its Z⁰."""
    return None if sourcing is None else segment_sum(jnp.maximum(sourcing.moved, 0), layout.buyer)


def idle_fill(
    sourcing: Sourcing | None, inputs: Float[Array, "firm member"], most: Float[Array, "#firm #member"]
) -> Float[Array, "firm member"] | None:
    """What suppliers would deliver of a first order, from their limits: all or nothing; None where none is awaited."""
    return None if sourcing is None else (jnp.minimum(inputs, most) > 0).astype(inputs.dtype)


def sourcing_tomorrow(
    layout: Layout,
    switches: Switches,
    parameters: Parameters,
    sourcing: Sourcing | None,
    claims: Links,
    share: Links,
    routes: Routes,
) -> Sourcing | None:
    """Satisfaction and shares of tomorrow, from what was delivered today.

    Args:
        layout: with the amounts at rest, 0 of candidates.
        claims: what reaches the supplier of each link.
        share: the part of it that is delivered.
        routes: what cuts let through of a link's orders. Times share it is φ.
    """
    if sourcing is None:
        return None
    if switches.rationing == "water_filling":
        share = jnp.where(claims > 0, share, 1)
    satisfaction = _satisfaction(layout, parameters, sourcing, let_through(routes, share))
    missing = segment_sum(_floor(layout.amount + sourcing.moved) * (1 - satisfaction), layout.pool)
    candidates = layout.candidacy or Candidacy(layout.amount, jnp.zeros_like(layout.pool_amount))
    lasting = look_up(sourcing.lasting, layout.buyer)
    usual = layout.amount * lasting + candidates.amount * (1 - lasting)
    pull = look_up(_of(parameters.pull), layout.pool_buyer) * candidates.some * missing / layout.pool_amount
    pull = candidates.amount * look_up(pull, layout.pool)
    trust = _power(satisfaction, look_up(_of(parameters.sensitivity), layout.buyer))
    weight = jax.lax.optimization_barrier((usual + pull) * trust)
    weights = segment_sum(weight, layout.pool)
    searched = jnp.where((sourcing.searched > 0) | (missing > 0), sourcing.searched + 1, 0)
    pace = _pace(layout, parameters, searched, weights)
    moved = _moved(layout, sourcing.moved, weight, weights, pace)
    ends = look_up(_of(parameters.turnover), layout.buyer)
    moved = moved + ends * (candidates.amount - layout.amount - moved)
    return Sourcing(satisfaction, moved, searched, sourcing.lasting * (1 - _of(parameters.turnover)))


def _satisfaction(layout: Layout, parameters: Parameters, sourcing: Sourcing, share: Array) -> Array:
    """F, on the way to what was delivered today; short by round-off alone is not short."""
    heard = jnp.where(at_most(jnp.ones_like(share), share), 1, share)
    pace = look_up(1 / _of(parameters.satisfaction_days), layout.buyer)
    return jax.lax.optimization_barrier(sourcing.satisfaction + (heard - sourcing.satisfaction) * pace)


def _pace(
    layout: Layout, parameters: Parameters, searched: Float[Array, "pool member"], weights: Float[Array, "pool member"]
) -> Float[Array, "pool member"]:
    """ρ: 1 / T_ω times the part of the day that lies beyond the search; 0 where nobody is expected to deliver."""
    after = searched - look_up(_of(parameters.search_days), layout.pool_buyer)
    pace = jnp.clip(after, 0, 1) * look_up(1 / _of(parameters.switching_days), layout.pool_buyer)
    return jnp.where(_some(layout, weights), pace, 0)


def _some(layout: Layout, weights: Float[Array, "pool member"]) -> Bool[Array, "pool member"]:
    return weights > jnp.finfo(weights.dtype).tiny ** 0.5 * layout.pool_amount


def _moved(
    layout: Layout,
    moved: Float[Array, "link member"],
    weight: Float[Array, "link member"],
    weights: Float[Array, "pool member"],
    pace: Float[Array, "pool member"],
) -> Float[Array, "link member"]:
    """ω ← ω + ρ (ω̂ − ω), for what has moved. ω̂ and the share at rest are divided by sums of one kind, so that they
    differ by exactly 0 where they agree."""
    weights = look_up(jnp.where(_some(layout, weights), weights, 1), layout.pool)
    at_rest = segment_sum(layout.amount, layout.pool)
    at_rest = layout.amount / look_up(jnp.where(at_rest > 0, at_rest, 1), layout.pool)
    wanted = (weight / weights - at_rest) * look_up(layout.pool_amount, layout.pool)
    return moved + look_up(pace, layout.pool) * (wanted - moved)


def _of(number: Float[Array, "#firm #member"] | None) -> Float[Array, "#firm #member"]:
    assert number is not None
    return number


def _power(base: Float[Array, "..."], power: Float[Array, "..."]) -> Float[Array, "..."]:
    """f^χ, 0⁰ = 1; at 0 without a derivative. By exp and log, which are quicker than powers, and exact at 1."""
    some = base > 0
    return jnp.where(some, jnp.exp(power * jnp.log(jnp.where(some, base, 1))), (power == 0).astype(base.dtype))


@jax.custom_jvp
def _floor(amount: Array) -> Array:
    """Remove round-off below 0. The exact number is never below 0, so the derivative is that of the amount."""
    return jnp.maximum(amount, 0)


_floor.defjvp(lambda primals, tangents: (_floor(*primals), *tangents))
