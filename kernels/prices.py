"""Prices at rest: the fixed point of `mechanisms/prices.py` alone, without days, and the quantities that go with it.

    log p = log u(p, τ, w)                   every price is its unit cost; nothing is scarce
    x = C(p) + Σ a(p) x                      everything asked for is made

Both are solved by rounds, as firms would: in each, every firm takes over the last prices of its suppliers, or the last
orders of its buyers. In logarithms a round moves prices by shares of cost, so where every firm adds value rounds
contract, and the fixed point is the only one. A round costs what the prices of a day do; no matrix is made.

Derivatives are those of the implicit function theorem: one linear system, by rounds again, with the transposed shares
for a gradient. They are not those of the rounds, which need not be kept.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Float, Int
from shockmesh.kernels.devices.layout import Layout
from shockmesh.kernels.devices.segments import Pools, greatest, look_up, safe_ratio, segment_sum
from shockmesh.kernels.mechanisms.prices import Recipe, basket_today, market_at, recipe_today, tariff_revenue
from shockmesh.kernels.mechanisms.shocks import Scenario, duty, standing
from shockmesh.kernels.model import Parameters
from shockmesh.kernels.rollout import members_of
from shockmesh.kernels.shard import FIRM, Sharded, moved

ROUNDS = 3_000  # after which there is no fixed point, or none that anyone would wait for
DIGITS = 8.0  # prices have settled when a round moves none by more than so many times the precision of a number


class PricesAtRest(NamedTuple):
    """A fixed point. Not settled: `moves` is not small, or not a number."""

    price: Float[Array, "firm member"]
    output: Float[Array, "firm member"]  # [the network's unit a day]
    final_demand: Float[Array, "firm member"]
    consumer_price: Float[Array, "firm member"]  # P of the firm's region
    tariff_revenue: Float[Array, "firm member"]  # on what the firm buys
    rounds: Int[Array, "1 1"]  # that prices took
    moves: Float[Array, "firm member"]  # what is left: the larger of |log u − log p| and |C + Σ a x − x| / x⁰


def prices_at_rest(
    layout: Layout,
    parameters: Parameters,
    scenario: Scenario,
    *,
    rounds: int = ROUNDS,
    start: Float[Array, "firm member"] | None = None,
) -> PricesAtRest:
    """The fixed point under the tariffs and costs of a scenario as they are at their height, for good.

    Differentiable by every number of parameters, tariffs and costs. `start`: of log p, 0 if left out.

    Raises:
        ValueError: the links of the layout are a table.
    """
    if isinstance(layout.pool, Pools):
        raise ValueError("layout: links are a table, which holds no numbers of single links as prices need")
    scenario = Scenario(tariffs=scenario.tariffs, costs=scenario.costs)
    full_duty, wage = _at_height(layout, scenario)
    if start is None:
        start = jnp.zeros((layout.n_firms, members_of(parameters, scenario)), layout.output.dtype)

    def gap(price: Float[Array, "firm member"]) -> Float[Array, "firm member"]:
        return market_at(layout, parameters, price, full_duty, wage).cost - price

    settle = partial(_settled, layout, rounds)
    price, taken = jax.lax.custom_root(gap, start, settle, partial(_linear, layout, rounds), has_aux=True)
    market = market_at(layout, parameters, price, full_duty, wage)
    recipe = recipe_today(layout, parameters, market)
    basket = basket_today(layout, parameters, market, layout.final_demand)
    assert recipe is not None
    assert basket.level is not None
    output, unmade = _made(layout, recipe, basket.final_demand, rounds)
    delivered = layout.amount * recipe.of_link * look_up(safe_ratio(output, layout.output), layout.buyer)
    return PricesAtRest(
        jnp.exp(price),
        output,
        basket.final_demand,
        jnp.broadcast_to(basket.level, price.shape),
        tariff_revenue(layout, market, full_duty, delivered),
        taken,
        jnp.maximum(jnp.abs(market.cost - price), jnp.abs(unmade)),
    )


def _at_height(layout: Layout, scenario: Scenario) -> tuple[Array | None, Array | None]:
    """Log (1 + τ) of each link and log w of each firm, of all tariffs and costs at their full rates."""
    full = duty(layout, standing(layout, scenario).taxed, [tariff.rise.rate for tariff in scenario.tariffs])
    wages = [jnp.log1p(cost.rate) for cost in scenario.costs]
    return full, sum(wages[1:], wages[0]) if wages else None


def _settled(
    layout: Layout, rounds: int, gap: Callable[[Array], Array], start: Float[Array, "firm member"]
) -> tuple[Float[Array, "firm member"], Int[Array, "1 1"]]:
    """Numbers moved by their gap until the largest move is round-off of the largest number, or of 1; and the rounds."""
    small = DIGITS * jnp.finfo(start.dtype).eps

    def going_on(carry: tuple[Array, Array, Array]) -> Array:
        _, taken, moved = carry
        return ((moved > small) & (taken < rounds)).all()

    def one_round(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        at, taken, _ = carry
        move = gap(at)
        return at + move, taken + 1, _largest(layout, move) / jnp.maximum(_largest(layout, at), 1)

    begun = start, jnp.zeros((1, 1), jnp.int32), _largest(layout, 0 * start + 1)
    at, taken, _ = jax.lax.while_loop(going_on, one_round, begun)
    return at, taken


def _linear(layout: Layout, rounds: int, gap: Callable[[Array], Array], wanted: Array) -> Array:
    """x with gap(x) = wanted, for a linear gap J x − x with shares J: x ← J x − wanted; transposed alike."""

    def solve(gap: Callable[[Array], Array], wanted: Array) -> Array:
        scale = jnp.maximum(_largest(layout, wanted), jnp.finfo(wanted.dtype).tiny)
        return scale * _settled(layout, rounds, lambda at: gap(at) - wanted / scale, 0 * wanted)[0]

    return jax.lax.custom_linear_solve(gap, wanted, solve, solve)


def _made(
    layout: Layout, recipe: Recipe, final_demand: Float[Array, "firm member"], rounds: int
) -> tuple[Float[Array, "firm member"], Float[Array, "firm member"]]:
    """x = C + Σ a x, solved in multiples of x⁰, so that firms of all sizes are as exact; and what is left."""

    def missing(activity: Float[Array, "firm member"]) -> Float[Array, "firm member"]:
        orders = layout.amount * recipe.of_link * look_up(activity, layout.buyer)
        return safe_ratio(segment_sum(orders, layout.supplier), layout.output) - activity

    def linear(activity: Float[Array, "firm member"]) -> Float[Array, "firm member"]:
        return jax.jvp(missing, (0 * wanted,), (activity,))[1]  # itself, without names that have no transpose

    wanted = -safe_ratio(final_demand, layout.output)
    activity = _linear(layout, rounds, linear, wanted)
    return layout.output * activity, missing(activity) - wanted


def _largest(layout: Layout, values: Float[Array, "firm member"]) -> Float[Array, "1 1"]:
    """The largest of all firms and members, on all shards; NaN where one is."""
    return greatest(jnp.abs(values).max(keepdims=True), layout.supplier)


def sharded_prices_at_rest(
    sharded: Sharded, mesh: Mesh, parameters: Parameters, scenario: Scenario, *, rounds: int = ROUNDS
) -> PricesAtRest:
    """`prices_at_rest` over the devices of a mesh along its axis firm: the same, in the same order of firms.

    A round has one all-to-all and two maxima over shards.
    """
    priced = Scenario(tariffs=scenario.tariffs, costs=scenario.costs)
    leaves, structure = jax.tree.flatten(jax.tree.map(partial(moved, sharded), (parameters, priced)))

    def on_device(layout: Layout, leaves: list[Array]) -> tuple[Array, ...]:
        inputs: tuple[Parameters, Scenario] = jax.tree.unflatten(structure, leaves)
        start = jnp.zeros((1, members_of(*inputs)), layout.output.dtype) * layout.output
        return tuple(prices_at_rest(layout, *inputs, rounds=rounds, start=start))

    specs = {name: PartitionSpec(FIRM) for name in PricesAtRest._fields} | {"rounds": PartitionSpec()}
    run = jax.shard_map(
        on_device,
        mesh=mesh,
        in_specs=(PartitionSpec(FIRM), [PartitionSpec(FIRM if leaf.shape[-2] > 1 else None) for leaf in leaves]),
        out_specs=tuple(specs.values()),
    )
    found = dict(zip(specs, run(sharded.layout, leaves), strict=True))
    return PricesAtRest(**{name: of if name == "rounds" else of[sharded.place_of] for name, of in found.items()})
