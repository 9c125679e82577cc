"""An economy that reacts: prices, suppliers, delays and routes, alone and all together, over every preset.

A preset is one program: value, gradient and all that its days leave, which its cases share. What does not move in a
case is still by its numbers; that this is as if it were not there is shown where each mechanism is tested. Presets give
switches only; numbers are drawn, for at those of most presets branches tie before a shock.
"""

from dataclasses import replace
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from arrays import column, moved, random_way, split_last
from priced import between, lasting
from rollouts import assert_close, both_ways, mean_square, rollout
from shockmesh.kernels.devices.layout import Delayed, Layout, Routed, lay_out
from shockmesh.kernels.devices.partition import partition
from shockmesh.kernels.devices.segments import look_up, segment_sum
from shockmesh.kernels.mechanisms.courses import Recovery, Rise
from shockmesh.kernels.mechanisms.delays import Ring, mean_days
from shockmesh.kernels.mechanisms.prices import market_today, recipe_today
from shockmesh.kernels.mechanisms.queues import Closure, dearer
from shockmesh.kernels.mechanisms.rebuilding import Damage
from shockmesh.kernels.mechanisms.routes import RouteCut
from shockmesh.kernels.mechanisms.shocks import Scenario, standing, today
from shockmesh.kernels.mechanisms.suppliers import layout_today
from shockmesh.kernels.model import PRESETS, Parameters, Route, Switches
from shockmesh.kernels.network import FirmNetwork, with_candidate_links
from shockmesh.kernels.rollout import Record, observe
from shockmesh.kernels.shard import mesh_of, shard, sharded_rollout
from shockmesh.kernels.step import State, initial_state, step
from sourced import sourced, sourcing_numbers

pytestmark = pytest.mark.usefixtures("quickly")

FIRMS, MEMBERS, DAYS = 24, 2, 10
CHI = np.random.default_rng(0).choice([0.0, 0.5, 1.0], (4, 4))
STILL = {  # what moves beside goods that take days → numbers by which the rest does not
    "delays": {"pass_through": 0.0, "sensitivity": 0.0, "pull": 0.0, "turnover": 0.0},
    "prices": {"sensitivity": 0.0, "pull": 0.0, "turnover": 0.0},
    "suppliers": {"pass_through": 0.0},
    "all": {},
}
OFTEN = ("inoue_todo2019", "hallegatte2014", "pichler2022")  # in every run: they differ most; the others are slow tests


def of_presets(*moving: str) -> list[Any]:
    """Every preset, with each of what moves."""
    slow = {preset: () if preset in OFTEN else (pytest.mark.slow,) for preset in PRESETS}
    cases = [(preset, *one) for preset in PRESETS for one in (zip(moving) if moving else [()])]
    return [pytest.param(*of, marks=slow[of[0]]) for of in cases]


CASES = of_presets(*STILL)
RECORD = ("output", "final_consumption", "waiting", "switched", "price", "tariff_revenue", "nominal_value_added")

type Inputs = tuple[Parameters, Scenario]


def switches_of(preset: str) -> Switches:
    return replace(PRESETS[preset].switches, prices="cost", suppliers="satisfaction")


def delays_of(network: FirmNetwork) -> list[Delayed]:
    """A fixed delay out of one region and an Erlang delay into another, on some links both, final goods among them."""
    sells, buys = network.region[network.supplier], network.region[network.buyer]
    return [
        Delayed(np.flatnonzero((sells == 0) & (buys != 0)), 0.4 * (network.region == 0), 3, True),
        Delayed(np.flatnonzero((sells != 2) & (buys == 2)), 0.2 * (network.region == 1), 2, False),
    ]


def routes_of(network: FirmNetwork) -> list[Routed]:
    """A route at which goods wait and one with another way, on some links both, final goods among them."""
    sells, buys = network.region[network.supplier], network.region[network.buyer]
    return [
        Routed(np.flatnonzero((sells == 1) & (buys != 1)), 0.3 * (network.region == 1)),
        Routed(np.flatnonzero((sells != 0) & (buys == 0)), 0.2 * (network.region == 2)),
    ]


def laid_out(network: FirmNetwork) -> Layout:
    wide = with_candidate_links(network)
    return lay_out(wide, "f8", CHI, delays=delays_of(wide), routes=routes_of(wide))


def inputs_of(network: FirmNetwork, moving: str, size: float = 1.0, **given: Any) -> Inputs:
    """Numbers by firm and member, and shocks of every kind; no date falls on a step. Of size 0 nothing happens."""
    rng, shape = np.random.default_rng(3), (network.n_firms, MEMBERS)
    model = sourcing_numbers(network, 1, MEMBERS, **given | STILL[moving])
    model = jax.tree.map(lambda of: jnp.broadcast_to(of, shape), model)  # of one shape, for one program
    one = lambda low, high: jnp.asarray(rng.uniform(low, high, (1, MEMBERS)))  # noqa: E731
    waits = Route(one(1, 1.2), first=jnp.asarray(1.0 * (network.sector == 0))[:, None])
    round_about = Route(one(1, 1.2), detour_days=one(2.1, 4), detour_cost=one(0.1, 0.3))
    model = replace(model, delay_days=jnp.asarray(rng.uniform(2.1, 5, (1, *shape))), routes=(waits, round_about))
    dates = column(1.5), column(5.5), column(0.2)
    loss = jnp.asarray(size * rng.uniform(0.3, 0.9, shape) * (rng.random((network.n_firms, 1)) < 0.4))
    some = lambda low: jnp.asarray(rng.uniform(low, 1, (network.n_firms, 1)))  # noqa: E731
    course = Recovery(column(0.9 * size), *dates)
    cut = RouteCut(some(0.2), some(0.2), course, final=some(0.2))
    detour = RouteCut(some(0.2), some(0.2), course, column(2.5), some(0.2))
    quake = Damage(loss / 2, 20 * some(0.5), 1 + some(0.0), column(1.1), column(2.5), column(3.5), column(9.0))
    dearer = size * (moving in ("prices", "all"))
    return model, Scenario(
        (Recovery(loss, *dates),),
        (Recovery(loss / 3, *dates),),
        (cut, detour),
        (quake,),
        tariffs=(between(network, lasting(0.25 * dearer)),),
        costs=(Rise(0.3 * dearer * some(0.1), *dates),),
        closures=tuple(Closure(Recovery(column(loss * size), *dates), k) for k, loss in enumerate((0.7, 0.6))),
    )


class Evening(NamedTuple):
    """What a day leaves, and what its books ask for."""

    state: State
    records: dict[str, jax.Array]
    held: jax.Array  # by pool, what is on the way included
    away: jax.Array  # final goods on the way, by the firm that sells
    needed: jax.Array  # by pool, what output takes at the recipe of the day
    paid: jax.Array  # (1 + τ) p of each link
    worth: jax.Array  # P of each pool


def goods(layout: Layout, switches: Switches, model: Parameters, state: State) -> tuple[jax.Array, jax.Array]:
    """All that buyers own, by pool, and what is on the way to consumers, by the firm that sells."""
    holdings = [state.stock, *(of.goods for of in state.transit)]
    by_link = switches.order_split == "link"
    pools = sum((segment_sum(of, layout.pool) if by_link else of for of in holdings), start=jnp.zeros((1, 1)))
    firms = sum((of.final for of in state.transit if of.final is not None), start=jnp.zeros((1, 1)))
    for delay, way, days in zip(layout.delays, state.ways, mean_days(layout, model), strict=True):
        if isinstance(way, Ring):
            rows = way.sent.sum(0)
        else:
            rows = jnp.concatenate([look_up(days, of) for of in (delay.buyer, delay.firm)]) * way.leaving.mean(0)
        links, final = jnp.split(rows, [delay.link.index.shape[0]])
        pools = pools + segment_sum(segment_sum(links, delay.link), layout.pool)
        firms = firms + segment_sum(final, delay.firm)
    for at, queue in zip(layout.routes, state.queues, strict=True):
        links, final = jnp.split(queue.goods, [at.link.index.shape[0]])
        pools = pools + segment_sum(segment_sum(links, at.link), layout.pool)
        firms = firms + segment_sum(final, at.firm)
    return pools, firms


@partial(jax.jit, static_argnums=1)
def told(layout: Layout, switches: Switches, inputs: Inputs) -> Any:
    """The mean square of all records, with every evening, and what was held before the first; and its gradient."""

    def days(inputs: Inputs) -> tuple[jax.Array, tuple[Evening, Any]]:
        model, scenario = inputs
        fixed, at_first = standing(layout, scenario), initial_state(layout, switches, *inputs, MEMBERS)

        def one_day(state: State, at: jax.Array) -> tuple[State, Evening]:
            day, shares = today(layout, scenario, fixed, at), layout_today(layout, state.sourcing)
            dear = day._replace(duty=dearer(layout, model, state.queues, day.duty))
            market = market_today(shares, model, dear, state.price)
            recipe = recipe_today(shares, model, market)
            assert market is not None
            assert recipe is not None
            after, flows = step(layout, switches, model, day, state)
            activity = look_up(flows.output / layout.output, layout.pool_buyer)
            records = observe(layout, flows, dict.fromkeys(RECORD), MEMBERS)
            needed, worth = activity * layout.pool_amount * recipe.of_pool, jnp.exp(market.of_pool)
            held = goods(layout, switches, model, after)
            return after, Evening(after, records, *held, needed, jnp.exp(market.of_link), worth)

        _, evenings = jax.lax.scan(one_day, at_first, jnp.arange(float(DAYS)))
        first = at_first.left.capital[0], *goods(layout, switches, model, at_first)
        return mean_square(evenings.records), (evenings, first)

    return jax.value_and_grad(days, has_aux=True)(inputs)


NETWORK = sourced(FIRMS)


def run(preset: str, network: FirmNetwork, inputs: Inputs) -> tuple[Evening, Any]:
    """Every evening, and what was held before the first: capital to rebuild, goods by pool, final goods on the way."""
    (_, found), _ = told(laid_out(network), switches_of(preset), inputs)
    return jax.device_get(found)


@cache
def case(preset: str, moving: str) -> tuple[Evening, Any]:
    return run(preset, NETWORK, inputs_of(NETWORK, moving))


@pytest.mark.parametrize(("preset", "moving"), CASES)
def test_where_nothing_happens_nothing_moves(float64, preset, moving):
    """With numbers at which the steady state is stable, and no links that end."""
    calm = {"adjustment_days": 60, "inventory_days": 2, "base_capacity": 1, "inventory_threshold": 0.5, "turnover": 0}
    found = run(preset, NETWORK, inputs_of(NETWORK, moving, size=0.0, **calm))[0].records
    at_rest = {"output": NETWORK.output, "final_consumption": NETWORK.final_demand, "price": np.ones(FIRMS)}
    for name, values in at_rest.items():
        np.testing.assert_allclose(found[name], np.tile(values[:, None], (DAYS, 1, MEMBERS)), rtol=1e-11, err_msg=name)
    for name in ("switched", "waiting", "tariff_revenue"):
        assert not found[name].any(), name


@pytest.mark.parametrize(("preset", "moving"), CASES)
def test_goods_are_neither_made_nor_lost(float64, preset, moving):
    """What is made is consumed, built, used, held or on the way; nothing is below 0."""
    evenings, (ruined, held, away) = case(preset, moving)
    state, records = evenings.state, evenings.records
    for values in jax.tree.leaves((state.stock, state.transit, state.queues, evenings.held, evenings.away, records)):
        assert (values >= -1e-9).all()
    for way in state.ways:
        assert ((way.sent if isinstance(way, Ring) else way.leaving) >= 0).all()
    assert state.sourcing is not None
    assert ((state.sourcing.satisfaction >= 0) & (state.sourcing.satisfaction <= 1)).all()
    built = -np.diff(state.left.capital[0], axis=0, prepend=ruined[None]).sum(1)
    stored, sent_off = (np.diff(of, axis=0, prepend=first[None]).sum(1) for of, first in
                        ((evenings.held, held), (evenings.away, away)))  # fmt: skip
    made, consumed = (records[name].sum(1) for name in ("output", "final_consumption"))
    used = made - consumed - built - stored - sent_off
    needed, nowhere_empty = evenings.needed.sum(1), evenings.held.min(1) > 1e-9
    assert ((used >= -1e-9) & (used <= needed * (1 + 1e-10))).all()  # what is not needed and not there is not used
    if PRESETS[preset].switches.production in ("leontief", "threshold"):
        np.testing.assert_allclose(used, needed, rtol=1e-10)
    else:
        np.testing.assert_allclose(used[nowhere_empty], needed[nowhere_empty], rtol=1e-10)


@pytest.mark.parametrize(("preset", "moving"), CASES)
def test_money_is_neither_made_nor_lost(float64, preset, moving):
    """Consumption, capital and what went into stock are paid for as value added and tariffs."""
    evenings, (ruined, held, away) = case(preset, moving)
    records = evenings.records
    built = -np.diff(evenings.state.left.capital[0], axis=0, prepend=ruined[None])
    stored, sent_off = (
        np.diff(evenings.held, axis=0, prepend=held[None]),
        np.diff(evenings.away, axis=0, prepend=away[None]),
    )
    sold = records["price"] * (records["final_consumption"] + sent_off)
    spent = sold.sum(1) + (evenings.paid * built).sum(1) + (evenings.worth * stored).sum(1)
    np.testing.assert_allclose(
        records["nominal_value_added"].sum(1) + records["tariff_revenue"].sum(1), spent, rtol=1e-10
    )


@pytest.mark.parametrize(("preset", "moving"), CASES)
def test_scale_and_places_of_firms_change_nothing(float64, preset, moving):
    expected, (model, scenario) = case(preset, moving)[0].records, inputs_of(NETWORK, moving)
    to = np.random.default_rng(0).permutation(FIRMS)
    back = np.argsort(to)
    take = lambda leaf: leaf[..., back, :] if leaf.shape[-2] == FIRMS else leaf  # noqa: E731
    found = run(preset, moved(NETWORK, to, 7.0), jax.tree.map(take, (model, scenario)))[0].records
    for name, values in expected.items():
        scale = 1 if name == "price" else 7
        np.testing.assert_allclose(found[name][:, to], scale * values, rtol=1e-9, atol=1e-10, err_msg=name)


@pytest.mark.parametrize(("preset", "moving"), CASES)
def test_members_do_not_see_each_other(float64, preset, moving):
    expected, inputs = case(preset, moving)[0].records, inputs_of(NETWORK, moving)
    twice = jax.tree.map(lambda leaf: leaf[..., [1, 1]] if leaf.shape[-1] == MEMBERS else leaf, inputs)
    found = run(preset, NETWORK, twice)[0].records
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values[..., [1, 1]], err_msg=name)


@pytest.mark.parametrize("preset", of_presets())
def test_derivatives_by_every_number_are_those_of_differences(float64, preset):
    layout, switches, at = laid_out(NETWORK), switches_of(preset), inputs_of(NETWORK, "all")
    _, slopes = told(layout, switches, at)
    leaves, structure = jax.tree.flatten_with_path(at)
    ways = jax.tree.leaves(random_way(at, 0))
    for k, (path, _) in enumerate(leaves):
        values = []
        for h in (1e-6, -1e-6):
            changed = [of + h * ways[k] if number == k else of for number, (_, of) in enumerate(leaves)]
            values.append(float(told(layout, switches, jax.tree.unflatten(structure, changed))[0][0]))
        exact = float(jnp.vdot(jax.tree.leaves(slopes)[k], ways[k]))
        np.testing.assert_allclose(exact, (values[0] - values[1]) / 2e-6, rtol=1e-4, atol=1e-7, err_msg=str(path))


@pytest.mark.parametrize("preset", of_presets())
def test_a_firm_in_two_halves_changes_nothing(float64, preset):
    expected, inputs = case(preset, "all")[0].records, inputs_of(NETWORK, "all")
    twice = lambda leaf: jnp.concatenate([leaf, leaf[..., -1:, :]], -2) if leaf.shape[-2] == FIRMS else leaf  # noqa: E731
    names = {name: None for name in RECORD if name != "price"}
    found = rollout(
        laid_out(split_last(NETWORK)), switches_of(preset), *jax.tree.map(twice, inputs), days=DAYS, record=names
    )
    for name, values in found.items():
        np.testing.assert_allclose(values[:, : FIRMS - 1], expected[name][:, :-1], rtol=1e-9, atol=1e-10, err_msg=name)
        np.testing.assert_allclose(values[:, FIRMS - 1 :].sum(1), expected[name][:, -1], rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("preset", ["hallegatte2014", "pichler2022"])
def test_shards_give_the_numbers_of_the_whole(float64, preset):
    wide, inputs = with_candidate_links(NETWORK), inputs_of(NETWORK, "all")
    in_shards = shard(wide, partition(wide, 3), "f8", CHI, delays=delays_of(wide), routes=routes_of(wide))
    (_, (evenings, _)), slopes = told(laid_out(NETWORK), switches_of(preset), inputs)

    def parts(*inputs: Any) -> dict[str, jax.Array]:
        names: Record = dict.fromkeys(RECORD)
        return sharded_rollout(in_shards, mesh_of(3), switches_of(preset), *inputs, days=DAYS, record=names)

    records, gradient = both_ways(parts, inputs)
    assert_close(records, jax.tree.leaves(evenings.records), 1e-12)
    assert_close(gradient, jax.tree.leaves(slopes), 1e-9)
