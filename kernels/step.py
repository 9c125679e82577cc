"""One day of the model: shock, inputs, output, fill, delivery, stocks, orders.

Hamid et al. (arXiv 2511.05231, 2025), in the lineage of Hallegatte (2008) and Henriet, Hallegatte, Tabourier (2012);
the switches of Inoue & Todo (2019). Departures from the first, where its text leaves a choice:
  1. capacity κ x⁰ is separate from inputs, z multiplies capacity alone: x = min{D, z κ x⁰, r};
  2. demand of day t is the orders placed on day t − 1 plus the final demand of day t;
  3. the use of a pooled product is drawn from its links in proportion to their stocks.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float
from shockmesh.kernels.layout import Layout
from shockmesh.kernels.model import Parameters, Switches
from shockmesh.kernels.segments import look_up, segment_min, segment_sum


class State(NamedTuple):
    """What one day hands to the next."""

    stock: Float[Array, "link member"]  # S, what the buyer holds of what the link's supplier sold
    orders: Float[Array, "link member"]  # O, placed yesterday for delivery today


class Flows(NamedTuple):
    """What happened on a day, by firm."""

    output: Float[Array, "firm member"]  # x
    demand: Float[Array, "firm member"]  # D, orders received plus final demand
    capacity: Float[Array, "firm #member"]  # z κ x⁰
    final_demand: Float[Array, "firm #member"]  # C of the day
    final_consumption: Float[Array, "firm member"]  # c, final demand met
    pool_stock: Float[Array, "pool member"]  # S of each pool at the start of the day


def initial_state(layout: Layout, parameters: Parameters, members: int) -> State:
    """The unshocked steady state: stocks at target, orders at the baseline flows."""
    stock = look_up(parameters.inventory_days, layout.buyer) * layout.amount
    shape = (layout.n_links, members)
    return State(jnp.broadcast_to(stock, shape), jnp.broadcast_to(layout.amount, shape))


def step(
    layout: Layout,
    switches: Switches,
    parameters: Parameters,
    productivity: Float[Array, "..."],
    final_demand: Float[Array, "firm #member"],
    state: State,
) -> tuple[State, Flows]:
    """Advance one day.

    Args:
        productivity: z of the day, (firm|1, member|1), or () if no shock acts.
        final_demand: C of the day, (firm, member|1).
    """
    orders_received = segment_sum(state.orders, layout.supplier)
    demand = orders_received + final_demand
    utmost = productivity * parameters.capacity  # as a multiple of baseline output
    pool_stock = segment_sum(state.stock, layout.pool)
    cover = segment_min(pool_stock / layout.pool_amount, layout.pool_buyer)  # in days of baseline use
    output = jnp.minimum(demand, jnp.minimum(utmost, cover) * layout.output)
    fill, consumption = _RATIONING[switches.rationing](output, demand, orders_received, final_demand)
    activity = safe_ratio(output, layout.output)
    stock = _stocks(layout, state, pool_stock, fill, activity)
    orders = _orders(layout, switches, parameters, stock, activity, safe_ratio(demand, layout.output))
    flows = Flows(output, demand, utmost * layout.output, final_demand, consumption, pool_stock)
    return State(stock, orders), flows


def safe_ratio(over: Float[Array, "..."], under: Float[Array, "..."]) -> Float[Array, "..."]:
    """over / under, and 0 where under is 0, in value and in gradient."""
    return jnp.where(under > 0, over / jnp.where(under > 0, under, 1), 0)


def _proportional(output: Array, demand: Array, orders: Array, final_demand: Array) -> tuple[Array, Array]:
    """All buyers get the same share φ = x / D of what they asked for."""
    fill = safe_ratio(output, demand)
    return fill, fill * final_demand


def _final_demand_last(output: Array, demand: Array, orders: Array, final_demand: Array) -> tuple[Array, Array]:
    """Firms are served first; consumers get the rest (Inoue & Todo 2019)."""
    return jnp.minimum(safe_ratio(output, orders), 1), jnp.clip(output - orders, 0, final_demand)


_RATIONING = {"proportional": _proportional, "final_demand_last": _final_demand_last}


def _stocks(layout: Layout, state: State, pool_stock: Array, fill: Array, activity: Array) -> Float[Array, "link m"]:
    """S ← S + Z − use, the use of a pool drawn from its links pro rata to stock; floored at 0 against round-off."""
    use = layout.pool_amount * look_up(activity, layout.pool_buyer)
    kept = 1 - safe_ratio(use, pool_stock)
    delivered = look_up(fill, layout.supplier) * state.orders
    return jnp.maximum(state.stock * look_up(kept, layout.pool), 0) + delivered


def _orders(
    layout: Layout, switches: Switches, parameters: Parameters, stock: Array, activity: Array, pressure: Array
) -> Float[Array, "link m"]:
    """O ← [a B + (S* − S) / τ]⁺ with basis B and target S* by the switches; activity = x / x⁰, pressure = D / x⁰."""
    level = {"fixed": jnp.ones_like(activity), "demand": pressure, "output": activity}
    pace = 1 / parameters.adjustment_days
    wanted = level[switches.order_basis] + pace * parameters.inventory_days * level[switches.order_target]
    return jnp.maximum(layout.amount * look_up(wanted, layout.buyer) - stock * look_up(pace, layout.buyer), 0)
