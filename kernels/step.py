"""One day of the model: shock, inputs, output, fill, delivery, stocks, orders.

Hamid et al. (arXiv 2511.05231, 2025), in the lineage of Hallegatte (2008) and Henriet, Hallegatte, Tabourier (2012);
the switches of Inoue & Todo (2019), Hallegatte (2014) and Pichler et al. (2022). Departures from the first, where its
text leaves a choice:
  1. capacity κ x⁰ is separate from inputs, z multiplies capacity alone: x = min{D, z κ x⁰, r};
  2. demand of day t is the orders placed on day t − 1 plus the final demand of day t;
  3. the use of a pooled product is drawn from its links in proportion to their stocks.
"""

from operator import sub
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from shockmesh.kernels.devices.layout import Layout
from shockmesh.kernels.devices.segments import Links, Segments, at_most, lesser, look_up, safe_ratio, segment_sum
from shockmesh.kernels.mechanisms.capacity import initial_level, level_today, level_tomorrow, utmost
from shockmesh.kernels.mechanisms.consumption import final_demand_today, initial_spending, spending_today
from shockmesh.kernels.mechanisms.delays import Way, initial_ways, supply_line, travelled
from shockmesh.kernels.mechanisms.inventories import is_held, pool_target
from shockmesh.kernels.mechanisms.prices import (
    Accounts,
    Recipe,
    accounts,
    basket_today,
    initial_price,
    market_today,
    price_tomorrow,
    recipe_today,
)
from shockmesh.kernels.mechanisms.production import attainable
from shockmesh.kernels.mechanisms.queues import Queue, dearer, initial_queues, let_pass, waiting, waiting_by_buyer
from shockmesh.kernels.mechanisms.rationing import ration
from shockmesh.kernels.mechanisms.rebuilding import (
    Works,
    asked_of_pools,
    initial_works,
    productivity_left,
    works_done,
    works_today,
)
from shockmesh.kernels.mechanisms.routes import (
    Transit,
    arrivals_today,
    final_orders,
    goods_of,
    initial_transit,
    let_through,
    of_holdings,
)
from shockmesh.kernels.mechanisms.shocks import Day, Scenario
from shockmesh.kernels.mechanisms.suppliers import (
    Sourcing,
    idle_fill,
    initial_sourcing,
    layout_today,
    sourcing_tomorrow,
    switched_today,
)
from shockmesh.kernels.model import Parameters, Switches


class Wish(NamedTuple):
    """What orders answer to besides stocks, as multiples of x⁰. Only what the switches read."""

    use: Float[Array, "firm member"]  # B / x⁰, the use that a buyer expects
    target: Float[Array, "firm member"] | None = None  # S* / (n Z⁰), unless the target is fixed at 1
    capacity: Float[Array, "firm member"] | None = None  # of suppliers, where orders are split by it


class State(NamedTuple):
    """What one day hands to the next. Level and output only where the capacity rule has a memory."""

    stock: Float[Array, "holding member"]  # S, what the buyer holds of a link's product, or of a whole pool's
    wish: Wish  # with the stock, the orders placed yesterday for delivery today: `placed`
    level: Float[Array, "firm member"] | None = None  # α or l of `capacity.py`
    output: Float[Array, "firm member"] | None = None  # x of yesterday
    left: Works = Works()  # R of `rebuilding.py`
    transit: tuple[Transit, ...] = ()  # T, what is on the way by each detour
    ways: tuple[Way, ...] = ()  # what is on the way by each delay
    queues: tuple[Queue, ...] = ()  # what is at each route with a capacity
    spending: Float[Array, "firm member"] | None = None  # y of `consumption.py`
    price: Float[Array, "firm member"] | None = None  # p of `prices.py`
    sourcing: Sourcing | None = None  # of `suppliers.py`


class Flows(NamedTuple):
    """What happened on a day, by firm."""

    output: Float[Array, "firm member"]  # x
    demand: Float[Array, "firm member"]  # D, orders received plus final demand
    capacity: Float[Array, "firm #member"]  # z κ x⁰
    final_demand: Float[Array, "firm #member"]  # C of the day
    final_consumption: Float[Array, "firm member"]  # c, final demand met
    pool_stock: Float[Array, "pool member"]  # S of each pool at the start of the day
    accounts: Accounts | None = None  # in money; None where prices are fixed
    switched: Float[Array, "firm member"] | None = (
        None  # what has moved to other suppliers, of Z⁰; None: they are fixed
    )
    waiting: Float[Array, "firm member"] | None = None  # at routes in the evening, of what a firm buys; None: no routes


def initial_state(
    layout: Layout, switches: Switches, parameters: Parameters, scenario: Scenario, members: int
) -> State:
    """The unshocked steady state: stocks at target, orders at baseline flows, detours empty, nothing rebuilt yet."""
    level = initial_level(layout, switches, parameters, members)
    remembers_output = switches.capacity_rule == "overproduction"
    output = jnp.broadcast_to(layout.output, (layout.n_firms, members)) if remembers_output else None
    amount, days = segment_sum(layout.amount, layout.pool), pool_target(layout, parameters)
    if switches.order_split == "link":
        amount, days = layout.amount, look_up(days, layout.pool)
    stock = amount * days * jnp.ones((1, members), layout.output.dtype)
    at_rest = jnp.ones((layout.n_firms, members), layout.output.dtype)
    wish = _wish(switches, dict.fromkeys(("demand", "output", "potential"), at_rest), at_rest)
    left = initial_works(layout, scenario.damages, scenario.homes, members)
    transit, ways = initial_transit(layout, scenario.cuts, stock), initial_ways(layout, members)
    spending, price = initial_spending(layout, switches, members), initial_price(layout, switches, members)
    sourcing = initial_sourcing(layout, switches, members)
    queues = initial_queues(layout, parameters, members)
    return State(stock, wish, level, output, left, transit, ways, queues, spending, price, sourcing)


def step(layout: Layout, switches: Switches, parameters: Parameters, day: Day, state: State) -> tuple[State, Flows]:
    """Advance one day."""
    at_rest, layout = layout, layout_today(layout, state.sourcing)
    if state.price is not None:
        day = day._replace(duty=dearer(layout, parameters, state.queues, day.duty))
    market = market_today(layout, parameters, day, state.price)
    recipe = recipe_today(layout, parameters, market)
    orders = let_through(day.routes, placed(at_rest, switches, parameters, state, recipe))
    works = works_today(layout, state.left, day.rebuilding, day.repairing)
    claims = sum(works.capital, orders)
    received = segment_sum(claims, layout.supplier)
    productivity = productivity_left(layout, day.productivity, state.left, day.rebuilding)
    spending = spending_today(layout, switches, parameters, productivity, state.level, state.spending)
    basket = basket_today(layout, parameters, market, final_demand_today(parameters, day.final_demand, spending))
    usual = final_orders(day.routes, basket.final_demand)
    pools = asked_of_pools(layout, works, day.rebuilding)
    final_demand = sum((*works.homes, *pools), usual)
    demand = received + final_demand
    holding = _holding(layout, switches)
    pool_stock = segment_sum(state.stock, holding)
    inputs = attainable(layout, switches, parameters, _by_recipe(pool_stock, recipe and recipe.of_pool))
    level = level_today(switches, parameters, state.level, state.output, demand)
    most = utmost(switches, parameters, productivity, inputs, level)
    output = lesser(demand, lesser(inputs, most) * layout.output)
    idle = idle_fill(state.sourcing, inputs, most)
    share, met = ration(layout, switches, claims, received, final_demand, output, idle)
    served = safe_ratio(met, final_demand)
    consumption = served * usual if works.homes or pools else met
    activity, pressure = safe_ratio(output, layout.output), safe_ratio(demand, layout.output)
    sent = share * orders
    coming, consumption, ways = travelled(layout, parameters, state.ways, sent, consumption)
    coming, consumption, queues = let_pass(at_rest, parameters, day.is_open, state.queues, coming, consumption)
    delivered, consumption, transit = arrivals_today(layout, switches, day.routes, state.transit, coming, consumption)
    stock = _stocks(layout, switches, holding, state.stock, pool_stock, delivered, activity, recipe)
    if layout.product_days is not None:  # a product that is never short has no stock, and none on the way
        held = look_up(is_held(layout.product_days), holding)
        stock, transit = stock * held, tuple(of._replace(goods=of.goods * held) for of in transit)
    done = works_done(layout, works, share, served, day.rebuilding)
    built = [*done.homes, *(served * of for of in pools)]
    potential = _potential(layout, switches, demand - sum(built) if built else demand, most, done.capital)
    levels = {"demand": pressure, "output": activity, "potential": potential}
    wish = _wish(switches, levels, jnp.broadcast_to(most, output.shape))
    level = level_tomorrow(switches, parameters, level, most, lesser(pressure, inputs))
    switched = switched_today(layout, state.sourcing)
    queued = waiting_by_buyer(layout, queues)
    flows = Flows(
        output, demand, most * layout.output, basket.final_demand, consumption, pool_stock, None, switched, queued
    )
    if market is not None:
        stored = segment_sum(sum(goods_of(transit), stock) - sum(goods_of(state.transit), state.stock), holding)
        stored = stored + segment_sum(sent - coming, layout.pool) if ways or queues else stored
        flows = flows._replace(
            accounts=accounts(layout, day, market, basket, output, share * claims, done.capital, stored)
        )
    left = jax.tree.map(sub, state.left, done)
    remembered = None if state.output is None else output
    price = price_tomorrow(parameters, state.price, market, demand, output)
    sourcing = sourcing_tomorrow(at_rest, switches, parameters, state.sourcing, claims, share, day.routes)
    return State(stock, wish, level, remembered, left, transit, ways, queues, spending, price, sourcing), flows


def _holding(layout: Layout, switches: Switches) -> Segments:
    """Holdings → pools. A holding is a link's stock where each link's own is restored; else it is the whole pool's."""
    if switches.order_split == "link":
        assert isinstance(layout.pool, Segments)
        return layout.pool
    n = layout.pool_amount.shape[0]
    return Segments(jnp.arange(n), n, is_sorted=True, is_identity=True)


def _stocks(
    layout: Layout,
    switches: Switches,
    holding: Segments,
    stock: Array,
    pool_stock: Array,
    delivered: Array,
    activity: Array,
    recipe: Recipe | None,
) -> Float[Array, "holding m"]:
    """S ← S + Z − use, the use of a pool drawn from its holdings in proportion to their stocks.

    Where every product is needed, use never exceeds the stock. Elsewhere use is drawn from stock and today's deliveries
    together, and stops when both are used up: S ← [S + Z − use]⁺ (Pichler et al. 2022).
    """
    use, asked = layout.pool_amount * look_up(activity, layout.pool_buyer), recipe and recipe.of_pool
    amount = layout.amount if switches.order_split == "link" else layout.pool_amount
    if switches.production == "leontief":
        kept = _kept(_by_recipe(pool_stock, asked), use, layout.pool_amount)
        return _drawn(stock, look_up(kept, holding), amount) + delivered
    kept = _kept(_by_recipe(pool_stock + segment_sum(delivered, holding), asked), use, layout.pool_amount)
    return _drawn(stock + delivered, look_up(kept, holding), amount)


def _by_recipe(stock: Array, asked: Array | None) -> Array:
    """A stock as the baseline's recipe counts it: divided by what today's asks for. Whole, as a stock itself is."""
    return stock if asked is None else jax.lax.optimization_barrier(stock / asked)


def _least(amount: Array) -> Array:
    """A stock too small to matter: what is used in 10⁻¹⁹ days (10⁻¹⁵⁴ in double precision)."""
    tiny = float(jnp.finfo(amount.dtype).tiny)
    return jnp.maximum(amount * tiny**0.5, tiny)


@jax.custom_jvp
def _kept(stock: Array, use: Array, amount: Array) -> Array:
    """[1 − use / S]⁺, the share of each pool's stock that is left.

    The stock that is left has dS′ = dS − d use, also where all is used, or where there was none.
    """
    return jnp.maximum((stock - use) / (stock + _least(amount)), 0)


@_kept.defjvp
def _kept_jvp(primals: tuple[Array, ...], tangents: tuple[Array, ...]) -> tuple[Array, Array]:
    (stock, use, amount), (added, used, _) = primals, tangents
    kept, whole = _kept(*primals), stock + _least(amount)
    return kept, jnp.where(at_most(use, whole), ((1 - kept) * added - used) / whole, 0)


@jax.custom_jvp
def _drawn(stock: Array, kept: Array, amount: Array) -> Array:
    """What is left of each holding. In an empty pool the derivative of use is split by the holdings' amounts."""
    return stock * kept


@_drawn.defjvp
def _drawn_jvp(primals: tuple[Array, ...], tangents: tuple[Array, ...]) -> tuple[Array, Array]:
    (stock, kept, amount), (added, spared, _) = primals, tangents
    return stock * kept, kept * added + (stock + _least(amount)) * spared


def _asked_of(amount: Array, moved: Array | None, wanted: Array, stock: Array, pace: Array) -> Array:
    """[(Z⁰ + what moved to the link) w − S / τ]⁺ of each link.

    The bound, which nothing reaches, makes XLA round as in `_asked`: where nothing has moved the bits are the same.
    """
    if moved is None:
        return _asked(amount, wanted, stock, pace)
    at_rest = jnp.maximum(amount * wanted - stock * pace, jnp.finfo(stock.dtype).min)
    return jax.lax.optimization_barrier(_positive(jax.lax.optimization_barrier(at_rest) + moved * wanted))


@jax.custom_jvp
def _positive(values: Array) -> Array:
    """[·]⁺; at 0 without a derivative."""
    return jnp.maximum(values, 0)


_positive.defjvp(lambda primals, tangents: (_positive(*primals), jnp.where(primals[0] > 0, tangents[0], 0)))


@jax.custom_jvp
def _asked(amount: Array, wanted: Array, stock: Array, pace: Array) -> Array:
    """[Z⁰ w − S / τ]⁺ of each link. A barrier keeps it whole, and its derivative over Z⁰: both have several readers."""
    return jax.lax.optimization_barrier(jnp.maximum(amount * wanted - stock * pace, 0))


@_asked.defjvp
def _asked_jvp(primals: tuple[Array, ...], tangents: tuple[Array, ...]) -> tuple[Array, Array]:
    (amount, wanted, stock, pace), (grown, raised, bought, paced) = primals, tangents
    found, once = _asked(*primals), safe_ratio(jnp.ones_like(amount), amount)
    relative = raised + (grown * wanted - bought * pace - stock * paced) * once
    return found, amount * jnp.where(found > 0, jax.lax.optimization_barrier(relative), 0)


def _potential(layout: Layout, switches: Switches, demand: Array, most: Array, built: tuple[Array, ...]) -> Array:
    """What demand and capacity allow, as a multiple of x⁰: demand that stays, less what went into rebuilding today."""
    if built and switches.order_target == "potential":
        demand = demand - segment_sum(sum(built[1:], built[0]), layout.supplier)
    return lesser(safe_ratio(demand, layout.output), most)


def _wish(switches: Switches, levels: dict[str, Array], most: Float[Array, "firm member"]) -> Wish:
    """Basis B and target S* by the switches: `levels` as multiples of x⁰, `most` the capacity."""
    return Wish(
        levels[switches.order_basis],
        levels.get(switches.order_target),
        most if switches.order_split == "capacity" else None,
    )


def placed(
    layout: Layout,
    switches: Switches,
    parameters: Parameters,
    state: State,
    recipe: Recipe | None = None,
) -> Links:
    """The orders of yesterday evening, after the stocks that it left.

    By link: O_e = [a_e B + (S*_e − S_e) / τ]⁺. By pool (Hallegatte 2014; BoARIO's noalt and alt): the pool orders
    a_p B + [S*_p − S_p]⁺ / τ, split between its suppliers j in proportion to Z⁰_e (baseline) or to Z⁰_e times
    the capacity of j (capacity). S here includes what is on the way. Where all suppliers of a pool have no
    capacity at all, the split jumps: nothing is ordered, and the derivative does not see the effect of a first bit.
    Where prices change the recipe, Z⁰ is what it asks for. What has moved to a link from others of its pool is added to
    its Z⁰.
    """
    stock, wish = sum(goods_of(state.transit), state.stock), state.wish
    moved = state.sourcing and state.sourcing.moved
    if state.ways:
        line = supply_line(layout, parameters, state.ways, wish.target, recipe, moved)
        stock = stock + of_holdings(layout, switches, line)
    if state.queues:
        stock = stock + of_holdings(layout, switches, waiting(layout, state.queues))
    pace, by_pool = 1 / parameters.adjustment_days, switches.order_split != "link"
    if recipe is not None:
        stock = _by_recipe(stock, recipe.of_pool if by_pool else recipe.of_link)
    if not by_pool:
        wanted = _wanted(layout, parameters, wish, pace)
        return _asked_by(recipe, _asked_of(layout.amount, moved, wanted, stock, look_up(pace, layout.buyer)))
    layout = layout_today(layout, state.sourcing)
    target, cover = pool_target(layout, parameters, wish.target), stock / layout.pool_amount
    gap = target - lesser(cover, target)
    wanted = look_up(wish.use, layout.pool_buyer) + gap * look_up(pace, layout.pool_buyer)
    if wish.capacity is None:
        return _asked_by(recipe, layout.amount * look_up(wanted, layout.pool))
    weight = _asked_by(recipe, layout.amount * look_up(wish.capacity, layout.supplier))
    weights = segment_sum(weight, layout.pool)
    wanted = wanted if recipe is None else wanted * recipe.of_pool
    return weight * look_up(safe_ratio(layout.pool_amount * wanted, weights), layout.pool)


def _asked_by(recipe: Recipe | None, links: Links) -> Links:
    """Numbers of links times what the recipe asks of each. Whole, as orders are."""
    return links if recipe is None else jax.lax.optimization_barrier(links * recipe.of_link)


def _wanted(layout: Layout, parameters: Parameters, wish: Wish, pace: Array) -> Float[Array, "#link #member"]:
    """(B + S* / τ) / Z⁰ of each link: the same for all links of a buyer, unless days of stock differ by product."""
    if layout.product_days is None:
        target = parameters.inventory_days if wish.target is None else parameters.inventory_days * wish.target
        return look_up(wish.use + pace * target, layout.buyer)
    target = pool_target(layout, parameters, wish.target)
    return look_up(look_up(wish.use, layout.pool_buyer) + look_up(pace, layout.pool_buyer) * target, layout.pool)
