"""Prices: what a firm asks for a unit, relative to the baseline, and how buyers respond.

With p the price of a firm, w that of its value added, τ a tariff on a link, s the baseline share of a link in its pool,
α and v the baseline cost shares of products and of value added, x / D the share of demand that is met:

    pool index    P_g = (Σ s ((1 + τ) p_j)^(1 − σ))^(1 / (1 − σ))       elasticity_within σ ≥ 0 of the buyer
    unit cost     u = (Σ α P_g^(1 − ς) + v w^(1 − ς))^(1 / (1 − ς))     elasticity_between ς ≥ 0
    price         p ← p + θ (u m − p),  m = 1 + ξ (1 − x / D)           pass_through θ, scarcity ξ
    inputs        a_g ∝ α (P_g / u)^(−ς),  a_e ∝ a_g s ((1 + τ) p_j / P_g)^(−σ)
    final demand  C (p / P)^(−ε) / P,  P = (Σ b p^(1 − ε))^(1 / (1 − ε))  elasticity_final ε, b shares of a region's C

Armington (1969), IMF Staff Papers 16:159, for suppliers of one product; Arrow, Chenery, Minhas, Solow (1961), Review of
Economics and Statistics 43:225, for products; Leontief's prices (Miller, Blair 2009, section 2.6) are σ = ς = 0.

A day begins with the prices of the evening before and the tariffs of the day. From them follows its `Recipe`: what a
unit of output asks for of each product and of each link. Orders, target stocks, use and the output that stocks allow
are all of that recipe. So the step divides a stock by its recipe before it is compared with baseline flows, and
multiplies orders by it; nothing else of it knows. In the evening prices move. All is computed in logarithms, by the
power mean of `_power_mean`, which has no singular exponent; at baseline prices each factor is exactly 1.

Notes and departures:
  1. the links of a pool share what its recipe asks for, so that their goods add up. With σ > 0 they cost a little less
     than P_g says, as a mean of suppliers is worth more than its parts to the buyer whose cost is P_g; the difference
     is in the firm's value added;
  2. production: ces is of stocks at hand, with its own elasticity, around the recipe of the day;
  3. imports for final use (`final_shares`) are not looked at: a region's basket is what its own firms sell. Its ε is
     the mean of its firms', weighted by baseline final demand, and no tariff is on final demand;
  4. final demand as shocks and spending leave it is nominal: Σ p C of a region is what it would be at baseline prices;
  5. what rebuilds capital or homes is bought at any price;
  6. demand unmet by round-off alone is met: m = 1;
  7. water filling compares with what was bought before the shock, at the baseline recipe.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from shockmesh.kernels.devices.layout import Layout
from shockmesh.kernels.devices.segments import Links, at_most, look_up, safe_ratio, segment_sum, whole
from shockmesh.kernels.mechanisms.shocks import Day
from shockmesh.kernels.model import Parameters, Switches


class Market(NamedTuple):
    """Prices of a day, as logarithms."""

    price: Float[Array, "firm member"]  # log p
    of_link: Float[Array, "link member"]  # log (1 + τ) p of the supplier
    of_pool: Float[Array, "pool member"]  # log P
    cost: Float[Array, "firm member"]  # log u


class Recipe(NamedTuple):
    """What a unit of output asks for, as a multiple of the baseline's: 1 at baseline prices."""

    of_link: Float[Array, "link member"]
    of_pool: Float[Array, "pool member"]


class Basket(NamedTuple):
    """What consumers ask of each firm, and at which price level of its region."""

    final_demand: Float[Array, "firm #member"]
    level: Float[Array, "#firm member"] | None  # P of the firm's region; None where prices are fixed


class Accounts(NamedTuple):
    """The money of a day, by firm."""

    price: Float[Array, "firm member"]  # p, of the morning
    unit_cost: Float[Array, "firm member"]  # u
    consumer_price: Float[Array, "firm member"]  # P of the firm's region
    tariff_revenue: Float[Array, "firm member"]  # on what the firm bought
    nominal_value_added: Float[Array, "firm member"]  # sales less purchases, plus what went into stock at today's P


def initial_price(layout: Layout, switches: Switches, members: int) -> Float[Array, "firm member"] | None:
    """p before the first day; None where prices are fixed."""
    return jnp.ones((layout.n_firms, members), layout.output.dtype) if switches.priced else None


def market_today(
    layout: Layout, parameters: Parameters, day: Day, price: Float[Array, "firm member"] | None
) -> Market | None:
    """What everything costs today; None where prices are fixed."""
    if price is None:
        return None
    wage = None if day.value_added_price is None else jnp.log(day.value_added_price)
    return market_at(layout, parameters, jnp.log(price), day.duty, wage)


def market_at(
    layout: Layout,
    parameters: Parameters,
    price: Float[Array, "firm member"],
    duty: Float[Array, "#link #member"] | None,
    wage: Float[Array, "..."] | None,
) -> Market:
    """The market at some prices, tariffs and prices of value added, all of them logarithms."""
    assert parameters.elasticity_within is not None
    assert parameters.elasticity_between is not None
    paid = look_up(price, layout.supplier)
    paid = jax.lax.optimization_barrier(paid if duty is None else paid + duty)  # read thrice, and far to look up
    within, between = 1 - parameters.elasticity_within, 1 - parameters.elasticity_between
    powers = layout.amount * _relative_power(paid, look_up(within, layout.buyer))
    index = _power_mean(segment_sum(powers, layout.pool) / layout.pool_amount, look_up(within, layout.pool_buyer))
    powers = layout.pool_amount * _relative_power(index, look_up(between, layout.pool_buyer))
    costs = safe_ratio(segment_sum(powers, layout.pool_buyer), layout.output)
    if wage is not None:
        costs = costs + layout.value_added_share * _relative_power(wage, between)
    return Market(price, paid, index, _power_mean(costs, between))


def recipe_today(layout: Layout, parameters: Parameters, market: Market | None) -> Recipe | None:
    """What a unit of output asks for at today's prices; None where prices are fixed. The links of a pool share it all.

    A barrier keeps the numbers whole: they have several readers.
    """
    if market is None:
        return None
    assert parameters.elasticity_within is not None
    assert parameters.elasticity_between is not None
    dearer = market.of_pool - look_up(market.cost, layout.pool_buyer)
    of_pool = jnp.exp(-look_up(parameters.elasticity_between, layout.pool_buyer) * dearer)
    dearer = market.of_link - look_up(market.of_pool, layout.pool)
    dearer = -look_up(parameters.elasticity_within, layout.buyer) * dearer
    more = jax.lax.optimization_barrier(jnp.expm1(dearer))
    sum_of_more = segment_sum(layout.amount * more, layout.pool) / layout.pool_amount
    of_link = (1 + more) * look_up(of_pool / (1 + sum_of_more), layout.pool)
    return Recipe(*jax.lax.optimization_barrier((of_link, of_pool)))


def basket_today(
    layout: Layout, parameters: Parameters, market: Market | None, final_demand: Float[Array, "firm #member"]
) -> Basket:
    """Final demand of a day at its prices, at the spending of each region that baseline prices would take.

    Where shards share a network, two all-reduces of a number or two a region, member and day.
    """
    if market is None:
        return Basket(final_demand, None)
    elasticity, level = consumer_prices(layout, parameters, market.price, final_demand)
    asked = final_demand * jnp.exp(-elasticity * (market.price - level) - level)
    return Basket(jax.lax.optimization_barrier(asked), jnp.exp(level))


def consumer_prices(
    layout: Layout,
    parameters: Parameters,
    price: Float[Array, "firm member"],
    final_demand: Float[Array, "firm #member"],
) -> tuple[Float[Array, "#firm #member"], Float[Array, "#firm member"]]:
    """ε and log P of the region of each firm, from log p."""
    assert parameters.elasticity_final is not None
    both = jnp.concatenate([layout.final_demand * parameters.elasticity_final, layout.final_demand], axis=1)
    both = whole(segment_sum(both, layout.region), layout.supplier)
    elasticity = safe_ratio(both[:, :-1], both[:, -1:])
    power = 1 - elasticity
    powers = final_demand * _relative_power(price, look_up(power, layout.region))
    both = jnp.concatenate([powers, final_demand * jnp.ones_like(powers)], axis=1)
    powers, spent = jnp.split(whole(segment_sum(both, layout.region), layout.supplier), 2, axis=1)
    level = _power_mean(safe_ratio(powers, spent), power)
    return look_up(elasticity, layout.region), look_up(level, layout.region)


def price_tomorrow(
    parameters: Parameters,
    price: Float[Array, "firm member"] | None,
    market: Market | None,
    demand: Float[Array, "firm member"],
    output: Float[Array, "firm member"],
) -> Float[Array, "firm member"] | None:
    """P of tomorrow, on the way to today's unit cost and premium."""
    if market is None:
        return None
    assert price is not None
    assert parameters.pass_through is not None
    assert parameters.scarcity is not None
    unmet = jnp.where(at_most(demand, output), 0, 1 - safe_ratio(output, demand))
    return price + parameters.pass_through * (jnp.exp(market.cost) * (1 + parameters.scarcity * unmet) - price)


def accounts(
    layout: Layout,
    day: Day,
    market: Market,
    basket: Basket,
    output: Float[Array, "firm member"],
    bought: Links,
    built: Sequence[Links],
    stored: Float[Array, "pool member"],
) -> Accounts:
    """The money of a day. Over all firms Σ p c + Σ (1 + τ) p · built + Σ P · stored = Σ value added + Σ tariff revenue.

    Args:
        bought: what each link delivered, what makes a detour on the day on which it left.
        built: the parts of it that rebuild capital: no inputs.
        stored: by how much the stock of each pool grew, what is on the way included.
    """
    assert basket.level is not None
    price = jnp.exp(market.price)
    revenue = tariff_revenue(layout, market, day.duty, bought)
    spent = segment_sum(jnp.exp(market.of_link) * (bought - sum(built)), layout.buyer)
    kept = segment_sum(jnp.exp(market.of_pool) * stored, layout.pool_buyer)
    level = jnp.broadcast_to(basket.level, price.shape)
    return Accounts(price, jnp.exp(market.cost), level, revenue, price * output - spent + kept)


def tariff_revenue(
    layout: Layout, market: Market, duty: Float[Array, "#link #member"] | None, bought: Links
) -> Float[Array, "firm member"]:
    """Tariffs on what each firm buys: of what it pays the part τ / (1 + τ), from log (1 + τ)."""
    if duty is None:
        return jnp.zeros_like(market.price)
    return segment_sum(-jnp.expm1(-duty) * jnp.exp(market.of_link) * bought, layout.buyer)


def _relative_power(log: Float[Array, "..."], power: Float[Array, "..."]) -> Float[Array, "..."]:
    """(e^(κ ℓ) − 1) / κ: ℓ at κ = 0, and smooth there."""
    return log * _exp_ratio(power * log)


def _power_mean(mean: Float[Array, "..."], power: Float[Array, "..."]) -> Float[Array, "..."]:
    """Log (Σ s e^(κ ℓ))^(1 / κ), from the mean of `_relative_power`: log (1 + κ mean) / κ, smooth at κ = 0."""
    return mean * _log_ratio(power * mean)


SMALL = 1e-2  # below, a series to the seventh power has all digits of double precision


def _exp_ratio(z: Array) -> Array:
    """(e^z − 1) / z."""
    small = jnp.abs(z) < SMALL
    apart = jnp.where(small, 1, z)
    return jnp.where(
        small, _series(z, (1.0, 1 / 2, 1 / 6, 1 / 24, 1 / 120, 1 / 720, 1 / 5040)), jnp.expm1(apart) / apart
    )


def _log_ratio(z: Array) -> Array:
    """Log (1 + z) / z."""
    small = jnp.abs(z) < SMALL
    apart = jnp.where(small, 1, z)
    return jnp.where(small, _series(z, tuple((-1) ** k / (k + 1) for k in range(9))), jnp.log1p(apart) / apart)


def _series(z: Array, coefficients: tuple[float, ...]) -> Array:
    """Σ c_k z^k."""
    found = jnp.full_like(z, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        found = found * z + coefficient
    return found
