"""One day of the model: shock, inputs, output, fill, delivery, stocks, orders.

Hamid et al. (arXiv 2511.05231, 2025), in the lineage of Hallegatte (2008) and Henriet, Hallegatte, Tabourier (2012);
the switches of Inoue & Todo (2019), Hallegatte (2014) and Pichler et al. (2022). Departures from the first, where its
text leaves a choice:
  1. capacity κ x⁰ is separate from inputs, z multiplies capacity alone: x = min{D, z κ x⁰, r};
  2. demand of day t is the orders placed on day t − 1 plus the final demand of day t;
  3. the use of a pooled product is drawn from its links in proportion to their stocks.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float
from shockmesh.kernels.capacity import initial_level, level_today, level_tomorrow, utmost
from shockmesh.kernels.layout import Layout
from shockmesh.kernels.model import Parameters, Switches
from shockmesh.kernels.production import attainable
from shockmesh.kernels.rationing import ration
from shockmesh.kernels.segments import look_up, safe_ratio, segment_sum


class State(NamedTuple):
    """What one day hands to the next. The last two only where the capacity rule has a memory."""

    stock: Float[Array, "link member"]  # S, what the buyer holds of what the link's supplier sold
    orders: Float[Array, "link member"]  # O, placed yesterday for delivery today
    level: Float[Array, "firm member"] | None = None  # α or l of `capacity.py`
    output: Float[Array, "firm member"] | None = None  # x of yesterday


class Flows(NamedTuple):
    """What happened on a day, by firm."""

    output: Float[Array, "firm member"]  # x
    demand: Float[Array, "firm member"]  # D, orders received plus final demand
    capacity: Float[Array, "firm #member"]  # z κ x⁰
    final_demand: Float[Array, "firm #member"]  # C of the day
    final_consumption: Float[Array, "firm member"]  # c, final demand met
    pool_stock: Float[Array, "pool member"]  # S of each pool at the start of the day


def initial_state(layout: Layout, switches: Switches, parameters: Parameters, members: int) -> State:
    """The unshocked steady state: stocks at target, orders at the baseline flows."""
    stock = look_up(parameters.inventory_days, layout.buyer) * layout.amount
    shape = (layout.n_links, members)
    level = initial_level(layout, switches, parameters, members)
    remembers_output = switches.capacity_rule == "overproduction"
    output = jnp.broadcast_to(layout.output, (layout.n_firms, members)) if remembers_output else None
    return State(jnp.broadcast_to(stock, shape), jnp.broadcast_to(layout.amount, shape), level, output)


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
    pool_stock = segment_sum(state.stock, layout.pool)
    inputs = attainable(layout, switches, parameters, pool_stock)
    level = level_today(switches, parameters, state.level, state.output, demand)
    most = utmost(switches, parameters, productivity, inputs, level)
    output = jnp.minimum(demand, jnp.minimum(most, inputs) * layout.output)
    share, consumption = ration(layout, switches, state.orders, orders_received, final_demand, output)
    activity, pressure = safe_ratio(output, layout.output), safe_ratio(demand, layout.output)
    stock = _stocks(layout, switches, state.stock, pool_stock, share * state.orders, activity)
    orders = _orders(layout, switches, parameters, stock, activity, pressure, most)
    level = level_tomorrow(switches, parameters, level, most, jnp.minimum(pressure, inputs))
    flows = Flows(output, demand, most * layout.output, final_demand, consumption, pool_stock)
    return State(stock, orders, level, None if state.output is None else output), flows


def _stocks(
    layout: Layout, switches: Switches, stock: Array, pool_stock: Array, delivered: Array, activity: Array
) -> Float[Array, "link m"]:
    """S ← S + Z − use, the use of a pool drawn from its links pro rata to stock.

    Where every product is needed, use never exceeds the stock: the floor at 0 is against round-off. Elsewhere use is
    drawn from stock and today's deliveries together and ends where they do: S ← [S + Z − use]⁺ (Pichler et al. 2022).
    """
    use = layout.pool_amount * look_up(activity, layout.pool_buyer)
    if switches.production == "leontief":
        kept = 1 - safe_ratio(use, pool_stock)
        return jnp.maximum(stock * look_up(kept, layout.pool), 0) + delivered
    kept = jnp.maximum(1 - safe_ratio(use, pool_stock + segment_sum(delivered, layout.pool)), 0)
    return (stock + delivered) * look_up(kept, layout.pool)


def _orders(
    layout: Layout,
    switches: Switches,
    parameters: Parameters,
    stock: Array,
    activity: Array,
    pressure: Array,
    most: Array,
) -> Float[Array, "link m"]:
    """Orders with basis B and target S* by the switches; activity = x / x⁰, pressure = D / x⁰, most = capacity / x⁰.

    By link: O_e = [a_e B + (S*_e − S_e) / τ]⁺. By pool (Hallegatte 2014; BoARIO's noalt and alt): the pool orders
    a_p B + [S*_p − S_p]⁺ / τ, split between its suppliers j in proportion to Z⁰_e (baseline) or to Z⁰_e times
    the capacity of j (capacity).
    """
    level = {"fixed": jnp.ones_like(activity), "demand": pressure, "output": activity}
    level["potential"] = jnp.minimum(pressure, most)
    basis, target = level[switches.order_basis], parameters.inventory_days * level[switches.order_target]
    pace = 1 / parameters.adjustment_days
    if switches.order_split == "link":
        wanted = basis + pace * target
        return jnp.maximum(layout.amount * look_up(wanted, layout.buyer) - stock * look_up(pace, layout.buyer), 0)
    gap = jnp.maximum(look_up(target, layout.pool_buyer) - segment_sum(stock, layout.pool) / layout.pool_amount, 0)
    wanted = look_up(basis, layout.pool_buyer) + gap * look_up(pace, layout.pool_buyer)
    if switches.order_split == "baseline":
        return layout.amount * look_up(wanted, layout.pool)
    weight = layout.amount * look_up(most, layout.supplier)
    weights = jnp.broadcast_to(segment_sum(weight, layout.pool), wanted.shape)
    return weight * look_up(safe_ratio(layout.pool_amount * wanted, weights), layout.pool)
