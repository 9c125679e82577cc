"""Homes that are rebuilt: a demand of households beside the usual. In closed form, dense, in shards, as a table."""

from dataclasses import fields

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from arrays import checked_slopes, column
from dense import DenseModel
from rollouts import rollout
from shockmesh.kernels.devices.layout import lay_out
from shockmesh.kernels.devices.partition import partition
from shockmesh.kernels.devices.segments import look_up, segments
from shockmesh.kernels.mechanisms.courses import Recovery
from shockmesh.kernels.mechanisms.rebuilding import HouseholdDamage
from shockmesh.kernels.mechanisms.shocks import Scenario, standing, today
from shockmesh.kernels.model import PRESETS, Parameters, Switches
from shockmesh.kernels.network import FirmNetwork, firm_network
from shockmesh.kernels.shard import mesh_of, shard, sharded_rollout
from shockmesh.kernels.step import initial_state, placed, step

pytestmark = pytest.mark.usefixtures("quickly")

MODELS = {
    "hamid2025": Switches(),
    "hallegatte2014": PRESETS["hallegatte2014"].switches,
    "firms first": Switches("potential", "output", "final_demand_last", "baseline", "threshold"),
    "water filling": Switches("fixed", "demand", "water_filling"),
}
RANGES = {
    "inventory_days": (2, 9), "adjustment_days": (2, 9), "capacity": (1, 1.3), "inventory_threshold": (0.3, 1),
    "base_capacity": (1, 1.1), "overproduction_days": (3, 30),
}  # fmt: skip

type Inputs = tuple[Parameters, Scenario]


def inputs(network: FirmNetwork) -> Inputs:
    """Numbers that differ by firm, a lockdown of half the firms, and a third of the firms asked to rebuild homes."""
    rng, n = np.random.default_rng(1), network.n_firms
    model = Parameters.of({name: column(rng.uniform(*of, n)) for name, of in RANGES.items()})
    lockdown = Recovery(column(rng.uniform(0.3, 0.8, n) * (rng.random(n) < 0.5)), column(2.5), column(9.5), column(0.1))
    worth = 9 * network.final_demand * ((network.sector % 3 == 0) | (np.arange(n) == 0))
    return model, Scenario((lockdown,), homes=(HouseholdDamage(column(worth), column(4.5), column(7)),))


def output(network: FirmNetwork, switches: Switches, given: Inputs, as_table: bool = False) -> jax.Array:
    layout = lay_out(network, np.float64, as_table=as_table)
    return rollout(layout, switches, *given, days=25, record={"output": None})["output"]


@pytest.fixture
def network(random_network) -> FirmNetwork:
    return random_network(firms=30, links=200, sectors=7, seed=4)


def test_who_has_room_rebuilds_a_part_of_the_rest_each_day(float64):
    """A quarter of the rest is asked of each firm a day, 2 of the first firm at first; the second makes nothing."""
    alone = firm_network([], [], [], [5.0, 0.0])
    lost = HouseholdDamage(column([8.0, 4.0]), column(2), column(4))
    model = Parameters(column(9), column(6), column(2))
    layout, record = lay_out(alone, np.float64), dict.fromkeys(["output", "final_demand", "final_consumption"])
    found = rollout(layout, Switches(), model, Scenario(homes=(lost,)), days=20, record=record)
    more = 8 / 4 * 0.75 ** (np.arange(20) - 2) * (np.arange(20) >= 2)
    np.testing.assert_allclose(found["output"][:, 0, 0], 5 + more)
    np.testing.assert_allclose(found["output"][:, 1], 0)
    for name in ("final_demand", "final_consumption"):
        np.testing.assert_allclose(found[name][:, 0, 0], 5)


@pytest.mark.parametrize("model", MODELS)
def test_equals_dense_numpy(float64, network: FirmNetwork, model: str):
    given = inputs(network)
    numbers = {name: np.asarray(getattr(given[0], name))[:, 0] for name in RANGES}
    z = np.array([np.asarray(given[1].productivity[0].factor(jnp.asarray(float(t))))[:, 0] for t in range(25)])
    (lost,) = given[1].homes
    homes = {of.name: np.asarray(getattr(lost, of.name))[:, 0] for of in fields(lost)}
    dense = DenseModel(network, MODELS[model], numbers)
    expected = dense.run(z, np.tile(network.final_demand, (25, 1)), homes=homes)["output"]
    np.testing.assert_allclose(output(network, MODELS[model], given)[..., 0], expected, rtol=1e-9, atol=1e-12)
    without = output(network, MODELS[model], (given[0], Scenario(given[1].productivity)))[..., 0]
    assert np.abs(without - expected).max() > 0.1


@pytest.mark.parametrize("model", MODELS)
def test_what_is_made_is_delivered_consumed_or_built(float64, network: FirmNetwork, model: str):
    (parameters, scenario), switches = inputs(network), MODELS[model]
    layout = lay_out(network, np.float64)
    state, fixed = initial_state(layout, switches, parameters, scenario, 1), standing(layout, scenario)
    for t in range(20):
        day = today(layout, scenario, fixed, jnp.asarray(float(t)))
        orders = placed(layout, switches, parameters, state)
        after, flows = step(layout, switches, parameters, day, state)
        built = state.left.homes[0] - after.left.homes[0]
        assert ((built >= -1e-15) & (built <= state.left.homes[0] * day.repairing[0] + 1e-12)).all()
        used = layout.pool_amount * look_up(flows.output / layout.output, layout.pool_buyer)
        delivered = (after.stock.sum() - state.stock.sum()) + used.sum()
        np.testing.assert_allclose(delivered + (flows.final_consumption + built).sum(), flows.output.sum(), rtol=1e-9)
        np.testing.assert_allclose(orders.sum() + (day.final_demand + state.left.homes[0] * day.repairing[0]).sum(),
                                   flows.demand.sum(), rtol=1e-12)  # fmt: skip
        state = after
    assert state.left.homes[0].sum() < 0.5 * scenario.homes[0].worth.sum()


@pytest.mark.parametrize("model", MODELS)
def test_gradient_equals_finite_differences(float64, network: FirmNetwork, model: str):
    given = inputs(network)
    slopes = checked_slopes(lambda given: jnp.square(output(network, MODELS[model], given)).sum(), given)
    assert jnp.abs(slopes[1].homes[0].worth).max() > 0


@pytest.mark.parametrize("model", ["hamid2025", "hallegatte2014"])
def test_is_sharded_alike(float64, network: FirmNetwork, model: str):
    """Demand too, of which the padding of a shard, a copy of the first firm, has none."""
    given, record = inputs(network), {"demand": segments(np.zeros(30, int), 1), "output": None}
    assert given[1].homes[0].worth[0] > 0
    parts = shard(network, partition(network, 4), np.float64)
    mesh = mesh_of(4)
    found = sharded_rollout(parts, mesh, MODELS[model], *given, days=25, record=record)
    whole = rollout(lay_out(network, np.float64), MODELS[model], *given, days=25, record=record)
    for name in record:
        np.testing.assert_allclose(found[name], whole[name], rtol=1e-12, atol=1e-12, err_msg=name)


def test_a_table_is_the_same_model(float64, network: FirmNetwork):
    given, switches = inputs(network), MODELS["hallegatte2014"]
    table = output(network, switches, given, as_table=True)
    np.testing.assert_allclose(table, output(network, switches, given), rtol=1e-12, atol=1e-12)
