"""Prices: every exact result of the model, a dense reference, and the laws that hold of all mechanisms."""

from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from arrays import checked_slopes, column, moved, split_last
from priced import RANGES, WAGES, DensePrices, between, cost_shares, economy, lasting, numbers, single, taxed
from rollouts import assert_close, both_ways, rollout
from shockmesh.kernels.devices.layout import Delayed, Layout, lay_out
from shockmesh.kernels.devices.partition import partition
from shockmesh.kernels.devices.segments import Segments, segments
from shockmesh.kernels.mechanisms.courses import Recovery, Rise, Table
from shockmesh.kernels.mechanisms.delays import Ring
from shockmesh.kernels.mechanisms.rebuilding import Damage
from shockmesh.kernels.mechanisms.routes import RouteCut
from shockmesh.kernels.mechanisms.shocks import Scenario, Tariff, standing, today
from shockmesh.kernels.model import Parameters, Switches
from shockmesh.kernels.network import FirmNetwork, firm_network
from shockmesh.kernels.shard import mesh_of, shard, sharded_rollout
from shockmesh.kernels.step import State, initial_state, step

pytestmark = pytest.mark.usefixtures("quickly")

COST = Switches(prices="cost")
SPLITS = [COST, replace(COST, order_split="baseline"), replace(COST, order_split="capacity")]
TOLERANCE = {"float64": 1e-10, "float32": 2e-5}


def shaken(network: FirmNetwork, members: int = 1) -> Scenario:
    """A lockdown, two tariffs and dearer value added, all of which pass; no date falls on a step."""
    rng = np.random.default_rng(3)
    loss = rng.uniform(0, 0.8, (network.n_firms, members)) * (rng.random((network.n_firms, 1)) < 0.4)
    dates = [column(of) for of in (3.5, 8.5, 0.05)]
    wages = Rise(column(0.3 * (network.sector == 1)), column(4.5), column(1e6), column(0.0))
    seller, buyer = (column(rng.uniform(0.2, 1, network.n_firms)) for _ in range(2))
    return Scenario(
        (Recovery(jnp.asarray(loss, float), column(2.5), column(6.5), column(0.1)),),
        tariffs=(
            between(network, Rise(jnp.asarray(rng.uniform(0.1, 0.4, (1, members)), float), *dates)),
            Tariff(seller, buyer, Rise(column(0.1), *dates, course="linear")),
        ),
        costs=(wages,),
    )


@pytest.mark.parametrize("rate", [0.0, 0.25])
def test_leontief_prices(precision, rate):
    """Without substitution p → (I − (A ∘ (1 + τ))ᵀ)⁻¹ (v ∘ w)."""
    network = economy()
    a, v = cost_shares(network, taxed(network, rate))
    expected = np.linalg.solve(np.eye(30) - a.T, v * WAGES)
    found = at_last(network, precision, rate, elasticity_within=0, elasticity_between=0)
    np.testing.assert_allclose(found["price"], expected, rtol=TOLERANCE[precision.name])
    np.testing.assert_allclose(found["unit_cost"], expected, rtol=TOLERANCE[precision.name])


@pytest.mark.parametrize("rate", [0.0, 0.25])
def test_cobb_douglas_prices(precision, rate):
    """With elasticities of 1 log p → (I − Aᵀ)⁻¹ (v ∘ log w + Σ A log (1 + τ))."""
    network = economy()
    a, v = cost_shares(network)
    costs = v * np.log(WAGES) + (a * np.log1p(taxed(network, rate))).sum(0)
    expected = np.exp(np.linalg.solve(np.eye(30) - a.T, costs))
    found = at_last(network, precision, rate, elasticity_within=1, elasticity_between=1)
    np.testing.assert_allclose(found["price"], expected, rtol=TOLERANCE[precision.name])


def at_last(network: FirmNetwork, precision: np.dtype, rate: float, **given: Any) -> dict[str, np.ndarray]:
    model = numbers(network, scarcity=0, capacity=1e3, **given)
    scenario = Scenario(tariffs=(between(network, lasting(rate)),), costs=(lasting(WAGES - 1),))
    record = dict.fromkeys(["price", "unit_cost"])
    inputs = single(precision, (model, scenario))
    found = rollout(lay_out(network, precision), COST, *inputs, days=500, record=record)
    return {name: np.asarray(values)[-1, :, 0] for name, values in found.items()}


@pytest.mark.parametrize("switches", SPLITS, ids=str)
@pytest.mark.parametrize("elasticity", [0.0, 0.7, 1.0, 3.0])
def test_two_suppliers_of_one_product_share_by_their_prices(float64, switches, elasticity):
    network = firm_network([0, 1], [2, 2], [1.0, 1.0], [0.0, 0, 4], sector=[0, 0, 1], sectors=list("ab"))
    given = {"pass_through": 0, "elasticity_within": elasticity, "elasticity_between": 0}
    model = numbers(network, **given, inventory_days=3, capacity=2)
    scenario = Scenario(tariffs=(Tariff(column([1.0, 0, 0]), column(1.0), lasting(0.5)),))
    record = {"output": None, "tariff_revenue": None}
    found = rollout(lay_out(network, "f8"), switches, model, scenario, days=400, record=record)
    share = 1.5**-elasticity / (1 + 1.5**-elasticity)
    np.testing.assert_allclose(found["output"][-1, :, 0], [2 * share, 2 - 2 * share, 4], rtol=1e-9)
    np.testing.assert_allclose(found["tariff_revenue"][-1, :, 0], [0, 0, share], rtol=1e-9)


def test_a_dearer_product_gives_way_to_another(float64):
    """Firm 2 buys two products, of cost shares 1/4, and adds 1/2: it uses (P / u)^−ς of what it used."""
    network = firm_network([0, 1], [2, 2], [1.0, 1.0], [0.0, 0, 4], sector=[0, 1, 2], sectors=list("abc"))
    model = numbers(network, pass_through=0, elasticity_between=0.5, inventory_days=3, capacity=2)
    scenario = Scenario(tariffs=(Tariff(column([1.0, 0, 0]), column(1.0), lasting(0.5)),))
    found = rollout(lay_out(network, "f8"), COST, model, scenario, days=400, record={"output": None, "unit_cost": None})
    cost = (0.25 * 1.5**0.5 + 0.75) ** 2
    np.testing.assert_allclose(found["unit_cost"][-1, :, 0], [1, 1, cost], rtol=1e-12)
    np.testing.assert_allclose(found["output"][-1, :, 0], [(1.5 / cost) ** -0.5, cost**0.5, 4], rtol=1e-9)


def test_all_prices_scale_with_value_added_and_spending(float64):
    """And no quantity changes: of prices that have settled."""
    network, factor = economy(), 3.0
    model, rate = numbers(network, capacity=1e3), lasting(0.25)
    record = {"output": None, "final_consumption": None, "price": None}
    found = [
        rollout(
            lay_out(network, "f8"), COST, model,
            Scenario(
                (), (Table(jnp.full((1, 1, 1), k)),), tariffs=(between(network, rate),), costs=(lasting(k * WAGES - 1),)
            ),
            days=1500, record=record,
        )
        for k in (1.0, factor)
    ]  # fmt: skip
    one, scaled = ({name: np.asarray(of)[-1] for name, of in each.items()} for each in found)
    np.testing.assert_allclose(scaled["price"], factor * one["price"], rtol=1e-10)
    np.testing.assert_allclose(scaled["output"], one["output"], rtol=1e-8)
    np.testing.assert_allclose(scaled["final_consumption"], one["final_consumption"], rtol=1e-8)


MONEY = ("output", "final_consumption", "price", "unit_cost", "consumer_price_index", "tariff_revenue",
         "nominal_output", "nominal_value_added")  # fmt: skip


def test_equals_a_dense_reference(float64):
    network, days = economy(), 25
    model, scenario = numbers(network), shaken(network)
    found = rollout(lay_out(network, "f8"), COST, model, scenario, days=days, record=dict.fromkeys(MONEY))
    plain = {name: np.asarray(getattr(model, name))[:, 0] for name in RANGES}
    for name, values in DensePrices(network, plain).run(*paths(network, scenario, days)).items():
        np.testing.assert_allclose(found[name][..., 0], values, rtol=1e-11, atol=1e-12, err_msg=name)


def paths(network: FirmNetwork, scenario: Scenario, days: int) -> tuple[np.ndarray, ...]:
    """Productivity, final demand, tariffs and prices of value added, by day."""
    n, at = network.n_firms, [jnp.asarray(float(day)) for day in range(days)]
    of_day = lambda factor: np.array([np.broadcast_to(factor(day), (n, 1))[:, 0] for day in at])  # noqa: E731
    tariff = np.ones((days, n, n))
    for one in scenario.tariffs:
        rate = np.array([float(one.rise.today(day)[0, 0]) for day in at])
        tariff *= 1 + rate[:, None, None] * np.outer(one.origin[:, 0], one.destination[:, 0])
    (loss,), (cost,) = scenario.productivity, scenario.costs
    return of_day(loss.factor), np.tile(network.final_demand, (days, 1)), tariff - 1, of_day(cost.factor)


@pytest.mark.parametrize("elasticity", [0.0, 1.0, 2.5, None])
def test_a_region_spends_what_it_has(precision, elasticity):
    """Whatever the elasticity; None: one that differs by firm."""
    network = economy()
    model = numbers(network) if elasticity is None else numbers(network, elasticity_final=elasticity)
    inputs, record = single(precision, (model, shaken(network))), {"price": None, "final_demand": None}
    found = rollout(lay_out(network, precision), COST, *inputs, days=20, record=record)
    for region in range(3):
        here = network.region == region
        spent = (found["price"] * found["final_demand"])[:, here].sum(1)
        np.testing.assert_allclose(spent, network.final_demand[here].sum(), rtol=1e-12 if precision == "f8" else 1e-6)
    assert np.ptp(found["final_demand"], axis=0).max() > 0.01


@partial(jax.jit, static_argnums=1)
def one_day(layout: Layout, switches: Switches, model: Parameters, scenario: Scenario, state: State, at: float) -> Any:
    day = today(layout, scenario, standing(layout, scenario), jnp.asarray(at))
    return (*step(layout, switches, model, day, state), day.duty)


def on_the_way(layout: Layout, state: State) -> tuple[np.ndarray, np.ndarray]:
    """By link, and by firm what is on its way to consumers; the mean of the Erlang delay is 4.5 days."""
    links, firms = np.zeros(layout.n_links), np.zeros(layout.n_firms)
    for delay, way in zip(layout.delays, state.ways, strict=True):
        rows = np.asarray(way.sent if isinstance(way, Ring) else way.leaving * 4.5 / delay.slots)[:, :, 0].sum(axis=0)
        link, firm = np.asarray(delay.link.index), np.asarray(delay.firm.index)
        np.add.at(links, link, rows[: len(link)])
        np.add.at(firms, firm, rows[len(link) :])
    return links, firms


@pytest.mark.parametrize("switches", SPLITS, ids=str)
def test_money_is_neither_made_nor_lost(float64, switches):
    """Σ p c + capital + what went into stock or on its way at its price = Σ value added + Σ tariffs, every day."""
    network = economy()
    every, dates = np.arange(network.n_links), [column(of) for of in (2.5, 9.5, 0.1)]
    delays = Delayed(every[::2], np.full(30, 0.3), 3, True), Delayed(every[::3], np.full(30, 0.2), 2, False)
    layout, model = lay_out(network, "f8", delays=delays), numbers(network)
    model = replace(model, delay_days=jnp.full((1, 1, 1), 4.5))
    ends = column(network.region == 1), column(network.region == 2)
    detour = RouteCut(*ends, Recovery(column(0.5), *dates), column(3.0))
    quake = Damage(*map(column, (0.2, 30.0, network.sector == 1, 1.0, 1.5, 4.5, 9.0)))
    scenario = replace(shaken(network), cuts=(detour,), damages=(quake,))
    assert isinstance(layout.pool, Segments)
    state, pool = initial_state(layout, switches, model, scenario, 1), np.asarray(layout.pool.index)
    within = np.asarray(model.elasticity_within)[network.buyer, 0]
    shares = network.amount / np.bincount(pool, network.amount)[pool]
    of_pool = 1 - within[np.unique(pool, return_index=True)[1]]
    moved = np.zeros(3)
    for at in range(12):
        after, flows, duty = jax.device_get(one_day(layout, switches, model, scenario, state, float(at)))
        price, money = np.asarray(state.price)[:, 0], flows.accounts
        paid = price[network.supplier] * np.exp(duty[:, 0])
        built = (np.asarray(state.left.capital[0]) - after.left.capital[0])[:, 0]
        stored = np.asarray(after.stock + after.transit[0].goods - state.stock - state.transit[0].goods)[:, 0]
        stored = np.bincount(pool, stored) if switches.order_split == "link" else stored
        grown = [new - old for new, old in zip(on_the_way(layout, after), on_the_way(layout, state), strict=True)]
        stored = stored + np.bincount(pool, grown[0])
        index = np.bincount(pool, shares * paid ** (1 - within)) ** (1 / of_pool)
        spent = price @ (flows.final_consumption[:, 0] + grown[1]) + paid @ built + index @ stored
        np.testing.assert_allclose(money.nominal_value_added.sum() + money.tariff_revenue.sum(), spent, rtol=1e-12)
        moved = np.array([money.tariff_revenue.sum(), np.abs(built).sum(), np.abs(stored).sum()])
        state = after
    assert (moved > 0).all()


def test_shards_and_members_give_the_numbers_of_the_whole(float64):
    switches = replace(COST, order_split="capacity", rationing="final_demand_last", production="ces")
    network, members = economy(60), 4
    inputs = numbers(network, members=members), shaken(network, members)
    by_region, by_sector = (segments(of, int(of.max()) + 1) for of in (network.region, network.sector))
    record = {"output": by_sector, "price": by_sector, "consumer_price_index": by_region, "price_by_firm": None,
              "tariff_revenue": by_region, "nominal_value_added": by_sector}  # fmt: skip
    in_shards, layout = shard(network, partition(network, 4), "f8"), lay_out(network, "f8")

    def parts(*inputs: Any) -> dict[str, jax.Array]:
        return sharded_rollout(in_shards, mesh_of(4, 2), switches, *inputs, days=6, record=record)

    def whole(*inputs: Any) -> dict[str, jax.Array]:
        return rollout(layout, switches, *inputs, days=6, record=record)

    (in_parts, slopes), (at_once, expected) = (both_ways(run, inputs) for run in (parts, whole))
    assert_close(in_parts, at_once, 1e-12)
    assert_close(slopes, expected, 1e-10)
    one = jax.tree.map(lambda leaf: leaf[..., 2:3] if leaf.shape[-1] == members else leaf, inputs)
    for name, values in rollout(layout, switches, *one, days=6, record=record).items():
        together = np.asarray(whole(*inputs)[name])[..., 2:3]
        np.testing.assert_allclose(values, together, rtol=1e-12, atol=1e-13, err_msg=name)


@pytest.mark.parametrize("given", [{}, {f"elasticity_{of}": 1.0 for of in ("within", "between", "final")}], ids=str)
@pytest.mark.parametrize("switches", SPLITS[:2], ids=str)
def test_derivatives_by_every_number_are_those_of_differences(float64, switches, given):
    """At elasticities of 1, where the formulas have no value, too."""
    network = economy()
    layout, record = lay_out(network, "f8"), dict.fromkeys(MONEY, segments(np.zeros(30, int), 1))
    at = numbers(network, **given), shaken(network)

    def total(inputs: Any) -> jax.Array:
        found = rollout(layout, switches, *inputs, days=15, record=record)
        return jnp.stack([weight * values.sum() for weight, values in enumerate(found.values(), 1)]).sum()

    model, scenario = checked_slopes(total, at, ways=4)
    for name in COST.needs:
        assert jnp.abs(getattr(model, name)).max() > 0, name
    assert all(jnp.abs(of.rate).max() > 0 for of in (scenario.tariffs[0].rise, scenario.costs[0]))


def test_a_derivative_is_the_same_just_beside_an_elasticity_of_one(float64):
    """The series and the formula meet: values and slopes by σ, ς and ε at 1 ± 1e-12, 1 ± 1e-6 and 1."""
    network = economy()
    layout, record = lay_out(network, "f8"), {"output": None, "price": None}

    def total(elasticity: jax.Array) -> jax.Array:
        named = {f"elasticity_{of}": elasticity * jnp.ones((1, 1)) for of in ("within", "between", "final")}
        found = rollout(layout, COST, replace(numbers(network), **named), shaken(network), days=15, record=record)
        return found["output"].sum() + found["price"].sum()

    both = jax.jit(jax.value_and_grad(total))
    (value, slope), sides = both(1.0), [both(1 + h) for h in (-1e-12, 1e-12, -1e-6, 1e-6)]
    np.testing.assert_allclose([of for of, _ in sides], value, rtol=1e-7)
    np.testing.assert_allclose([of for _, of in sides], slope, rtol=1e-4)
    np.testing.assert_allclose((sides[3][0] - sides[2][0]) / 2e-6, slope, rtol=1e-5)


def test_firms_that_change_places_or_split_change_nothing(float64):
    network, record = economy(), {"output": None, "price": None}
    n, (model, scenario) = network.n_firms, (numbers(network), shaken(network))

    def run(of: FirmNetwork, take: Any) -> dict[str, np.ndarray]:
        inputs = jax.tree.map(lambda leaf: take(leaf) if leaf.shape[0] == n else leaf, (model, scenario))
        found = rollout(lay_out(of, "f8"), COST, *inputs, days=20, record=record)
        return {name: np.asarray(values) for name, values in found.items()}

    expected, to = run(network, lambda leaf: leaf), np.random.default_rng(0).permutation(n)
    back = np.argsort(to)
    for name, values in run(moved(network, to), lambda leaf: leaf[back]).items():
        np.testing.assert_allclose(values[:, to], expected[name], rtol=1e-10, err_msg=name)
    halves = run(split_last(network), lambda leaf: jnp.concatenate([leaf, leaf[-1:]]))
    np.testing.assert_allclose(halves["output"][:, :-2], expected["output"][:, :-1], rtol=1e-10)
    np.testing.assert_allclose(halves["output"][:, -2:].sum(1), expected["output"][:, -1], rtol=1e-10)
    np.testing.assert_allclose(halves["price"], expected["price"][:, [*range(n), n - 1]], rtol=1e-10)


def test_recorded_prices_are_means(float64):
    network = economy()
    by_sector, by_region = (segments(of, int(of.max()) + 2) for of in (network.sector, network.region))
    record = {"price": by_sector, "price_by_firm": None, "consumer_price_index": by_region,
              "consumer_price_index_by_firm": None}  # fmt: skip
    found = rollout(lay_out(network, "f8"), COST, numbers(network), shaken(network), days=20, record=record)
    for sector in range(4):
        here = network.sector == sector
        mean = np.average(found["price_by_firm"][:, here, 0], axis=1, weights=network.output[here])
        np.testing.assert_allclose(found["price"][:, sector, 0], mean, rtol=1e-12)
    of_firm = found["consumer_price_index_by_firm"][..., 0]
    np.testing.assert_allclose(of_firm, found["consumer_price_index"][:, network.region, 0], rtol=1e-12)
    assert not found["price"][:, 4].any()


REFUSED = {
    "tariffs": (Switches(), Scenario(tariffs=(Tariff(column(1.0), column(1.0), lasting(0.1)),))),
    "costs": (Switches(), Scenario(costs=(lasting(0.1),))),
}


@pytest.mark.parametrize(("switches", "scenario"), REFUSED.values(), ids=REFUSED)
def test_what_acts_by_prices_needs_prices(switches, scenario):
    with pytest.raises(ValueError, match="scenario: tariffs and costs act by prices, and prices = fixed"):
        rollout(lay_out(economy()), switches, numbers(economy()), scenario, days=2, record={"output": None})


def test_prices_need_their_numbers():
    model = replace(numbers(economy()), scarcity=None)
    with pytest.raises(ValueError, match=r"parameters: \['scarcity'\] missing"):
        rollout(lay_out(economy()), COST, model, Scenario(), days=2, record={"output": None})
