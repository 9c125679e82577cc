"""Delays: goods that are on the way for some days before they are the buyer's stock, or are consumed.

    fixed     what is sent on day t arrives on day t + d, d whole days
    Erlang    k stages that goods leave at the rate k / d: with q_s what leaves stage s on a day, q_0 what is sent,
              q_s ← q_s + (k / d) (q_(s−1) − q_s), and q_k arrives: after d days on average, k at least

Sterman (2000), Business Dynamics, chapter 11: a material delay of order k, which is the fixed one for k → ∞; here, in
whole days, it is the fixed one at d = k. Goods on the way are the buyer's: with T of a link on the way he orders

    O = [ a (B + (n + d) w / τ) − (S + T) / τ ]⁺,   w the target relative to the baseline's

so that his target grows by the d days that are on the way (chapter 17, the desired supply line). Before the first day
the way is full, T = d Z⁰. Deliveries are numbers of rows, one for each link that is delayed and each firm whose final
goods are; all else is as without delays.

What is remembered: of a fixed delay what was sent on each of d days, a ring whose turn moves on every day, so that a
day reads and writes one of them; of an Erlang delay q of k stages. Rows are of links and of firms of the same shard,
so nothing crosses shards.

Notes and departures:
  1. several delays on one link or firm come one after the other;
  2. what rebuilds capital or homes is there at once;
  3. a product that is never short is not waited for: `lay_out` leaves its links out;
  4. consumers order nothing to make up for what is late: they consume what arrives;
  5. sellers are paid when they send; what is on the way counts as the buyer's stock (`accounts` of `prices.py`).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int
from shockmesh.kernels.devices.layout import Delay, Layout
from shockmesh.kernels.devices.segments import Links, look_up
from shockmesh.kernels.mechanisms.prices import Recipe
from shockmesh.kernels.model import Parameters


class Ring(NamedTuple):
    """What is on the way by a fixed delay."""

    sent: Float[Array, "day row member"]  # on each of the last d days
    turn: Int[Array, ""]  # which of them arrives today
    excess: Float[Array, "row member"]  # T − d Z⁰


class Stages(NamedTuple):
    """What is on the way by an Erlang delay."""

    leaving: Float[Array, "stage row member"]  # q, of each stage in a day


type Way = Ring | Stages


def initial_ways(layout: Layout, members: int) -> tuple[Way, ...]:
    """Every way full of baseline flows."""
    return tuple(_full(layout, delay, members) for delay in layout.delays)


def _full(layout: Layout, delay: Delay, members: int) -> Way:
    usual = _usual(layout, delay)
    rows = jnp.broadcast_to(usual, (delay.slots, usual.shape[0], members))
    return Ring(rows, jnp.zeros((), jnp.int32), jnp.zeros_like(rows[0])) if delay.is_fixed else Stages(rows)


def _usual(layout: Layout, delay: Delay) -> Float[Array, "row 1"]:
    """Z⁰ of the links, and of the final goods, that a delay is of."""
    return delay.rows(layout.amount, layout.final_demand)


def travelled(
    layout: Layout, parameters: Parameters, ways: tuple[Way, ...], sent: Links, sold: Float[Array, "firm member"]
) -> tuple[Links, Float[Array, "firm member"], tuple[Way, ...]]:
    """What arrives by link and what consumers get, of what was sent today or before; and the ways afterwards."""
    after = []
    for delay, way, days in zip(layout.delays, ways, mean_days(layout, parameters), strict=True):
        leaving = delay.rows(sent, sold)
        arrived, way = _turned(way, leaving) if isinstance(way, Ring) else _passed(way, leaving, _of_rows(days, delay))
        sent, sold = delay.added(sent, sold, arrived - leaving)
        after.append(way)
    return sent, sold, tuple(after)


def _turned(ring: Ring, leaving: Float[Array, "row member"]) -> tuple[Float[Array, "row member"], Ring]:
    """What was sent d days ago, and the ring with what is sent today in its place."""
    arrived = jax.lax.dynamic_index_in_dim(ring.sent, ring.turn, keepdims=False)
    sent = jax.lax.dynamic_update_index_in_dim(ring.sent, leaving, ring.turn, 0)
    return arrived, Ring(sent, (ring.turn + 1) % sent.shape[0], ring.excess + (leaving - arrived))


def _passed(
    stages: Stages, leaving: Float[Array, "row member"], days: Float[Array, "#row #member"]
) -> tuple[Float[Array, "row member"], Stages]:
    """What leaves the last stage, and the stages in the evening."""
    q = stages.leaving
    entering = jnp.concatenate([leaving[None], q[:-1]])
    return q[-1], Stages(q + len(q) / days * (entering - q))


def mean_days(layout: Layout, parameters: Parameters) -> tuple[Float[Array, "#firm #member"], ...]:
    """D of each delay: a whole number of a fixed one, numbers of the model of any other."""
    means = iter(() if parameters.delay_days is None else parameters.delay_days)
    fixed = lambda delay: jnp.full((1, 1), delay.slots, layout.output.dtype)  # noqa: E731
    return tuple(fixed(delay) if delay.is_fixed else next(means) for delay in layout.delays)


def _of_rows(days: Float[Array, "#firm #member"], delay: Delay) -> Float[Array, "#row #member"]:
    """D of the firm that buys by a row's link, or that sells a row's final goods."""
    return days if days.shape[0] == 1 else jnp.concatenate([look_up(days, delay.buyer), look_up(days, delay.firm)])


def supply_line(
    layout: Layout,
    parameters: Parameters,
    ways: tuple[Way, ...],
    target: Float[Array, "firm member"] | None,
    recipe: Recipe | None,
    moved: Links | None = None,
) -> Links:
    """T − d a w of each link, by which what is on the way differs from what is wanted there.

    Args:
        target: w by buyer; None: 1.
        recipe: what today's recipe asks of each link, relative to the baseline's; None: 1.
        moved: what a has grown by where suppliers change (`suppliers.py`); None: 0.
    """
    wanted = jnp.ones_like(layout.amount)
    if target is not None:
        wanted = look_up(target, layout.buyer)
    if recipe is not None:
        wanted = wanted * recipe.of_link
    members = jax.tree.leaves(ways[0])[0].shape[-1]
    line = jnp.zeros((layout.n_links, members), layout.output.dtype)
    for delay, way, days in zip(layout.delays, ways, mean_days(layout, parameters), strict=True):
        usual, n = look_up(layout.amount, delay.link), delay.n_links
        days = look_up(days, delay.buyer)
        excess = way.excess[:n] if isinstance(way, Ring) else days * (way.leaving[:, :n] - usual).mean(axis=0)
        different = excess + days * usual * (1 - look_up(wanted, delay.link))
        if moved is not None:
            different = different - days * look_up(moved * wanted, delay.link)
        line = delay.link.added(line, different)
    return line
