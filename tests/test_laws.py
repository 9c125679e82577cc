"""Laws of a step and a rollout over random networks: conservation, symmetry, a dense second implementation."""

import itertools
from dataclasses import fields, replace
from functools import partial
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from arrays import checked_slopes, split_last
from dense import DenseModel
from hypothesis import given, settings
from hypothesis import strategies as st
from rollouts import rollout
from shockmesh.kernels.devices.layout import Layout, lay_out
from shockmesh.kernels.devices.segments import lesser, look_up, segment_min, segment_sum, segments
from shockmesh.kernels.mechanisms.courses import Failures, Recovery, Table
from shockmesh.kernels.mechanisms.rationing import ration
from shockmesh.kernels.mechanisms.rebuilding import Damage
from shockmesh.kernels.mechanisms.routes import RouteCut
from shockmesh.kernels.mechanisms.shocks import Scenario, standing, today
from shockmesh.kernels.model import PRESETS, CapacityRule, OrderSplit, Parameters, Production, Rationing, Switches
from shockmesh.kernels.network import FirmNetwork, firm_network
from shockmesh.kernels.rollout import RECORDABLE, baseline
from shockmesh.kernels.step import State, initial_state, placed, step

pytestmark = pytest.mark.usefixtures("quickly")

ORDERS = [
    Switches(target, basis, rationing)
    for target, basis, rationing in itertools.product(
        ("fixed", "demand", "output"),
        ("demand", "output"),
        ("proportional", "final_demand_last"),
    )
]
MIXED = [  # every mechanism at least once
    Switches("fixed", "demand", "water_filling", "link", "linear", "literal"),
    Switches("demand", "output", "water_filling", "capacity", "half_critical", "hiring"),
    Switches("output", "demand", "final_demand_last", "baseline", "ces", "overproduction"),
    Switches("potential", "output", "proportional", "capacity", "threshold", "overproduction"),
    Switches("fixed", "demand", "proportional", "link", "strongly_critical", "hiring", "labour_income"),
]
FAMILY = [
    *(Switches(production=kind) for kind in get_args(Production)),
    *(Switches(capacity_rule=rule) for rule in get_args(CapacityRule)),
    *(
        Switches("potential", "output", rule, split)
        for rule, split in zip(get_args(Rationing), get_args(OrderSplit), strict=True)
    ),
    *MIXED,
]
ALL_SWITCHES = list(dict.fromkeys([*ORDERS, *FAMILY]))
CRITICALITY = np.random.default_rng(5).choice([0, 0.5, 1], (7, 7))


RANGES = {
    "inventory_days": (1, 12), "adjustment_days": (2, 9), "capacity": (1, 1.5), "elasticity": (0.1, 0.9),
    "inventory_threshold": (0.2, 1), "base_capacity": (1, 1.1), "overproduction_days": (3, 30), "hiring_days": (5, 30),
    "firing_days": (3, 15), "household_share": (0.2, 0.9), "consumption_persistence": (0.8, 0.95),
    "benefit_share": (0.1, 0.5),
}  # fmt: skip


def laid_out(network: FirmNetwork) -> Layout:
    n = len(network.sectors)
    return lay_out(network, np.float64, CRITICALITY[:n, :n])


def varied(network: FirmNetwork, seed: int, members: int = 3) -> tuple[Parameters, Scenario]:
    """Parameters and a lockdown that differ by firm and member; no date falls on a step, where derivatives jump."""
    rng = np.random.default_rng(seed)
    shape = (network.n_firms, members)
    one = jnp.zeros((1, 1))
    model = Parameters.of({name: jnp.asarray(rng.uniform(*of, shape)) for name, of in RANGES.items()})
    loss = jnp.asarray(rng.uniform(0, 1, shape) * (rng.random(shape) < 0.4))
    lockdown = Recovery(loss, one + 2.5, one + 9.5, jnp.asarray(rng.uniform(0.02, 0.2, (1, members))))
    fewer_sales = Recovery(loss / 3, one + 4.5, one + 7.5, one + 0.1, course="linear")
    some = lambda: jnp.asarray(rng.integers(0, 2, (network.n_firms, 1)) * rng.uniform(0.5, 1))  # noqa: E731
    route = RouteCut(some(), some(), Recovery(one + 0.9, one + 3.5, one + 8.5, one + 0.1))
    detour = RouteCut(some(), some(), Recovery(one + 0.9, one + 1.5, one + 6.5, one + 0.2), one + 3.5)
    builder = (network.sector % 3 == 0).astype(float) * (1 + network.sector)
    quake = Damage(
        jnp.asarray(rng.uniform(0, 0.5, shape)), jnp.asarray(rng.uniform(5, 60, (network.n_firms, 1))),
        jnp.asarray(builder)[:, None], one + 1.2, one + 1.5, one + 3.5, one + 9.0,
    )  # fmt: skip
    return model, Scenario((lockdown,), (fewer_sales,), (route, detour), (quake,))


def paths(scenario: Scenario, network: FirmNetwork, days: int, member: int) -> tuple[Any, ...]:
    """Productivity, final demand [time, firm], what gets through [time, seller, buyer], damage and detour, of one
    member."""

    def path(shocks: tuple[Recovery | Table | Failures, ...]) -> np.ndarray:
        factors = [np.asarray(jax.vmap(shock.factor)(jnp.arange(float(days)))) for shock in shocks]
        return np.prod([of[:, :, min(member, of.shape[2] - 1)] for of in factors], axis=0)

    (route, detour), (quake,) = scenario.cuts, scenario.damages
    gone, away = (
        np.asarray(cut.origin) * np.asarray(cut.destination).T * (1 - path((cut.course,))[:, :, None])
        for cut in (route, detour)
    )
    assert detour.detour_days is not None
    damage = {of.name: np.asarray(getattr(quake, of.name)) for of in fields(quake) if of.name != "pool"}
    damage = {name: values[:, min(member, values.shape[1] - 1)] for name, values in damage.items()}
    return (
        path(scenario.productivity),
        path(scenario.final_demand) * network.final_demand,
        1 - gone,
        damage,
        (away, float(detour.detour_days[0, 0])),
    )


@pytest.fixture(scope="module")
def shocked(random_network):
    """A network, numbers, shocks, and what these do to each of two members on 20 days."""
    with jax.enable_x64(True):
        network = random_network(seed=11)
        model, scenario = varied(network, seed=1, members=2)
        return network, model, scenario, [paths(scenario, network, 20, member) for member in range(2)]


@pytest.mark.parametrize("switches", ALL_SWITCHES, ids=str)
def test_equals_dense_numpy(float64, shocked, switches):
    network, model, scenario, of_members = shocked
    record = {"output": None, "final_consumption": None}
    records = rollout(laid_out(network), switches, model, scenario, days=20, record=record)
    for member, of_member in enumerate(of_members):
        numbers = {name: np.asarray(getattr(model, name))[:, member] for name in RANGES}
        dense = DenseModel(network, switches, numbers, CRITICALITY)
        expected = dense.run(*of_member)
        for name, values in expected.items():
            np.testing.assert_allclose(records[name][:, :, member], values, rtol=1e-9, atol=1e-12)


_start = jax.jit(initial_state, static_argnums=(1, 4))


@partial(jax.jit, static_argnums=1)
def _day(layout: Layout, switches: Switches, model: Parameters, scenario: Scenario, state: State, at: float) -> Any:
    """What a day leaves, its flows and shocks; orders that get through, what rebuilding asks for; what is met."""
    day = today(layout, scenario, standing(layout, scenario), jnp.asarray(at))
    after, flows = step(layout, switches, model, day, state)
    assert day.routes.passing is not None
    orders, asked = (
        placed(layout, switches, model, state) * day.routes.passing,
        state.left.capital[0] * day.rebuilding[0].pace,
    )
    claims = orders + asked, segment_sum(orders + asked, layout.supplier), flows.final_demand
    return after, flows, day, orders, asked, ration(layout, switches, *claims, flows.output)


def _summed(values: np.ndarray, of: Any) -> np.ndarray:
    sums = np.zeros((of.n, values.shape[1]))
    np.add.at(sums, np.asarray(of.index), values)
    return sums


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), firms=st.sampled_from([2, 8, 25]), which=st.integers(0, len(ALL_SWITCHES) - 1))
def test_mass_balance(seed, firms, which):
    with jax.enable_x64(True):
        network = _any_network(seed, firms)
        layout, switches = laid_out(network), ALL_SWITCHES[which]
        model, scenario = varied(network, seed, members=2)
        state = jax.device_get(_start(layout, switches, model, scenario, 2))
        use = np.asarray(layout.pool_amount), np.asarray(layout.output), np.asarray(layout.pool_buyer.index)
        for t in range(9):
            found = jax.device_get(_day(layout, switches, model, scenario, state, float(t)))
            after, flows, day, orders, asked, (share, consumption) = found
            (detour,) = day.routes.detours
            assert ((share >= 0) & (share <= 1 + 1e-12)).all()
            np.testing.assert_allclose(consumption, flows.final_consumption, rtol=1e-12, atol=1e-14)
            delivered, built = share * orders, share * asked
            met = _summed(delivered + built, layout.supplier) + consumption
            np.testing.assert_allclose(met, flows.output, rtol=1e-12, atol=1e-12)
            np.testing.assert_allclose(after.left.capital[0], state.left.capital[0] - built, atol=1e-12)
            needed = use[0] * (flows.output / use[1])[use[2]]
            (held, away), (holds, still_away) = ((of.stock, of.transit[0].goods) for of in (state, after))
            if switches.order_split == "link":
                held, away, holds, still_away = (_summed(of, layout.pool) for of in (held, away, holds, still_away))
            leaving = _summed(delivered * detour.share, layout.pool)
            np.testing.assert_allclose(still_away, away * (1 - detour.pace) + leaving, rtol=1e-9, atol=1e-12)
            arrived = away - still_away + _summed(delivered, layout.pool)
            left = held + arrived - needed  # what is not there is not used
            assert switches.production != "leontief" or (left > -1e-9).all()
            np.testing.assert_allclose(holds, np.maximum(left, 0), rtol=1e-9, atol=1e-9)
            assert (after.stock >= 0).all()
            assert (after.transit[0].goods >= 0).all()
            assert (flows.output <= flows.demand * (1 + 1e-12)).all()
            state = after


def _any_network(seed: int, firms: int) -> FirmNetwork:
    rng = np.random.default_rng(seed)
    pairs = np.unique(rng.integers(0, firms, (3 * firms, 2)), axis=0)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    sectors = max(1, firms // 4)
    return firm_network(
        pairs[:, 0], pairs[:, 1], rng.uniform(0.1, 1, len(pairs)), rng.uniform(0.1, 1, firms),
        sector=rng.integers(0, sectors, firms), sectors=[f"S{k}" for k in range(sectors)],
    )  # fmt: skip


def _outputs(network: FirmNetwork, model: Parameters, scenario: Scenario, switches: Switches, days: int = 25):
    record = {"output": None}
    return np.asarray(rollout(laid_out(network), switches, model, scenario, days=days, record=record)["output"])


# A firm that stops completely may end at 0 or at round-off: hence the absolute part.
assert_same = partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("switches", [Switches("output", "output", "final_demand_last"), *MIXED[:4]], ids=str)
def test_homogeneity_permutation_and_split(float64, random_network, switches):
    network = random_network(seed=4)
    n, rng = network.n_firms, np.random.default_rng(0)
    model, scenario = varied(network, seed=9)
    x = _outputs(network, model, scenario, switches)

    scaled = firm_network(
        network.supplier, network.buyer, 7 * network.amount, 7 * network.final_demand, product=network.product,
        sector=network.sector, sectors=network.sectors,
    )  # fmt: skip
    assert_same(_outputs(scaled, model, scenario, switches), 7 * x)

    to = rng.permutation(n)  # old firm i becomes firm to[i]
    back = np.argsort(to)
    moved = firm_network(
        to[network.supplier], to[network.buyer], network.amount, network.final_demand[back], product=network.product,
        sector=network.sector[back], sectors=network.sectors,
    )  # fmt: skip
    take = lambda leaf: leaf[back] if leaf.shape[0] == n else leaf  # noqa: E731
    moved_x = _outputs(moved, jax.tree.map(take, model), jax.tree.map(take, scenario), switches)
    assert_same(moved_x[:, to], x)

    halves = split_last(network)
    doubled = lambda leaf: jnp.concatenate([leaf, leaf[-1:]]) if leaf.shape[0] == n else leaf  # noqa: E731
    split_x = _outputs(halves, jax.tree.map(doubled, model), jax.tree.map(doubled, scenario), switches)
    assert_same(split_x[:, : n - 1], x[:, : n - 1])
    assert_same(split_x[:, n - 1 :].sum(1), x[:, n - 1])


def test_members_do_not_see_each_other(precision, random_network):
    network = random_network(seed=6)
    model, scenario = jax.tree.map(lambda leaf: leaf.astype(precision), varied(network, seed=2, members=5))
    layout, record = lay_out(network, precision), dict.fromkeys(RECORDABLE)
    together = rollout(layout, Switches(), model, scenario, days=20, record=record)
    one = lambda leaf: leaf[..., 3:4] if leaf.shape[-1] == 5 else leaf  # noqa: E731
    alone = rollout(layout, Switches(), *jax.tree.map(one, (model, scenario)), days=20, record=record)
    for name in RECORDABLE:
        np.testing.assert_allclose(
            together[name][..., 3:4], alone[name], rtol=1e-12 if precision == np.float64 else 2e-6
        )


@pytest.mark.parametrize("switches", [Switches(), *MIXED], ids=str)
def test_gradient_equals_finite_differences(float64, random_network, switches):
    network = random_network(seed=8)
    model, scenario = varied(network, seed=5, members=1)
    layout = laid_out(network)
    total = segments(np.zeros(network.n_firms, int), 1)

    def loss(inputs: tuple[Parameters, Scenario]) -> jax.Array:
        record = {"output": total, "final_consumption": total, "inventory": total}
        records = rollout(layout, switches, *inputs, days=23, record=record)
        return records["output"].sum() + records["final_consumption"].sum() + 0.1 * records["inventory"].sum()

    checked_slopes(loss, (model, scenario), ways=4)


def test_gradients_are_the_same_whatever_may_be_kept(float64, random_network):
    """Days run again from the start of their block, from other starts, or not at all."""
    network = random_network(seed=8)
    model, scenario = varied(network, seed=5, members=1)
    layout = laid_out(network)

    def loss(inputs: tuple[Parameters, Scenario], amount: jax.Array, states: int | None) -> jax.Array:
        of = replace(layout, amount=amount)
        found = rollout(of, Switches(), *inputs, days=23, record={"output": None}, states=states)
        return jnp.square(found["output"]).mean()

    slopes = jax.jit(jax.grad(loss, argnums=(0, 1)), static_argnums=2)
    expected = slopes((model, scenario), layout.amount, 1000)
    for states in (1, 14):
        found = slopes((model, scenario), layout.amount, states)
        for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)
    direction = jax.random.normal(jax.random.key(0), layout.amount.shape) * layout.amount
    up, down = (loss((model, scenario), layout.amount + h * direction, None) for h in (1e-6, -1e-6))
    np.testing.assert_allclose(jnp.vdot(expected[1], direction), (up - down) / 2e-6, rtol=1e-5)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), items=st.integers(1, 40), groups=st.integers(1, 12))
def test_segment_operations_equal_numpy_and_are_adjoint(seed, items, groups):
    rng = np.random.default_rng(seed)
    index, values = rng.integers(0, groups, items), rng.normal(size=(items, 2))
    with jax.enable_x64(True):
        of, x, y = segments(index, groups), jnp.asarray(values), jnp.asarray(rng.normal(size=(groups, 2)))
        expected_sum, expected_min = np.zeros((groups, 2)), np.full((groups, 2), np.inf)
        np.add.at(expected_sum, index, values)
        np.minimum.at(expected_min, index, values)
        weights = np.where(np.isfinite(expected_min), y, 0)

        def weighted(x: jax.Array) -> jax.Array:
            return jnp.vdot(weights, jnp.where(jnp.isfinite(expected_min), segment_min(x, of), 0))

        sums, least, seen, chosen = jax.jit(
            lambda x, y: (segment_sum(x, of), segment_min(x, of), look_up(y, of), jax.grad(weighted)(x))
        )(x, y)
        np.testing.assert_allclose(sums, expected_sum, atol=1e-12)
        np.testing.assert_array_equal(least, expected_min)
        np.testing.assert_allclose(np.vdot(sums, y), np.vdot(x, np.broadcast_to(seen, x.shape)), atol=1e-10)
        np.testing.assert_allclose(chosen, np.where(values == expected_min[index], weights[index], 0))


def test_ties_of_a_minimum_share_the_derivative():
    of = segments(np.array([0, 0, 1]), 2)
    gradient = jax.grad(lambda x: segment_min(x, of)[0, 0])(jnp.asarray([[1.0], [1.0], [0.0]]))
    np.testing.assert_array_equal(gradient, [[0.5], [0.5], [0.0]])


@pytest.mark.parametrize("off", [-1e-15, 0.0, 1e-15])
def test_round_off_decides_no_tie(float64, off):
    """The derivative is that of the first, which is at its end; what may only grow, the second, does not count."""
    slopes = jax.grad(lambda one, other: lesser(one, other), (0, 1))(jnp.asarray(3.0), jnp.asarray(3.0 + off))
    assert slopes == (1, 0)
    of = segments(np.array([0, 0, 1]), 2)
    gradient = jax.grad(lambda x: segment_min(x, of)[0, 0])(jnp.asarray([[3.0], [3.0 + off], [0.0]]))
    np.testing.assert_array_equal(gradient, [[0.5], [0.5], [0.0]])


def test_an_undisturbed_economy_makes_no_more_with_more_capacity(float64, random_network):
    """Output is demand, which ties with capacity at its least: the derivative is that of more, not that of less."""
    network, preset = random_network(seed=2), PRESETS["hallegatte2014"]
    layout, record = lay_out(network, np.float64), {"output": None}

    def made(base: jax.Array) -> jax.Array:
        numbers = {name: jnp.full((1, 1), value) for name, value in preset.defaults.items()}
        model = Parameters.of(numbers | {"base_capacity": base})
        return rollout(layout, preset.switches, model, Scenario(), days=20, record=record)["output"].sum()

    np.testing.assert_allclose(jax.jit(jax.grad(made))(jnp.ones((1, 1))), 0, atol=1e-9)


def test_a_table_is_a_recovery_written_out(float64, random_network):
    network = random_network(seed=1)
    model, scenario = varied(network, seed=3, members=2)
    shock = scenario.productivity[0]
    table = Table(
        jnp.stack([jnp.broadcast_to(shock.factor(jnp.asarray(float(t))), (network.n_firms, 2)) for t in range(15)])
    )
    by_table = _outputs(network, model, Scenario((table,)), Switches(), 15)
    np.testing.assert_allclose(by_table, _outputs(network, model, Scenario((shock,)), Switches(), 15), rtol=1e-12)


def test_baseline_is_what_an_unshocked_day_records(precision, random_network):
    layout = lay_out(random_network(), precision)
    one = jnp.ones((1, 1), precision)
    record = dict.fromkeys(RECORDABLE)
    day = rollout(layout, Switches(), Parameters(one, 6 * one, one), Scenario(), days=1, record=record)
    for name, values in baseline(layout, record).items():
        np.testing.assert_allclose(day[name][0, :, 0], values, rtol=1e-5 if precision == np.float32 else 1e-12)


@pytest.mark.parametrize(
    ("days", "names", "says"),
    [(0, ["output"], "days = 0: a rollout has at least one day"), (3, ["profit"], r"record: unknown \['profit'\]")],
)
def test_a_wrong_call_is_refused(random_network, days, names, says):
    layout = lay_out(random_network())
    model = Parameters(*(jnp.ones((1, 1)) for _ in range(3)))
    with pytest.raises(ValueError, match=says):
        rollout(layout, Switches(), model, Scenario(), days=days, record=dict.fromkeys(names))


def test_a_dying_economy_has_finite_derivatives(precision, random_network):
    """Stocks and orders fall towards 0 by powers; a ratio of two of them must not overflow in the backward pass."""
    network, one = random_network(firms=60, links=400, sectors=30, seed=3), jnp.ones((1, 1), precision)
    rng = np.random.default_rng(0)
    hit = jnp.asarray((rng.random((60, 1)) < 0.25) * rng.uniform(0.3, 1, (60, 1)), precision)
    layout, preset = lay_out(network, precision), PRESETS["inoue_todo2019"]

    def made(loss: jax.Array) -> jax.Array:
        model = Parameters.of({name: value * one for name, value in preset.defaults.items()})
        scenario = Scenario((Recovery(loss, 5 * one, 20 * one, 0.05 * one),))
        return rollout(layout, preset.switches, model, scenario, days=120, record={"output": None})["output"]

    assert np.median(made(hit)[-1]) < 1e-9
    assert jnp.isfinite(jax.jit(jax.grad(lambda loss: made(loss).sum()))(hit)).all()
