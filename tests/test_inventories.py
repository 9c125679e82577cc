"""Stocks by product: days of use of their own, or never short; dense, as a table, in shards, backwards."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from arrays import checked_slopes
from dense import DenseModel
from rollouts import rollout
from shockmesh.kernels.devices.layout import lay_out
from shockmesh.kernels.devices.partition import partition
from shockmesh.kernels.mechanisms.courses import Recovery
from shockmesh.kernels.mechanisms.shocks import Scenario
from shockmesh.kernels.model import PRESETS, Parameters, Switches
from shockmesh.kernels.network import FirmNetwork, firm_network
from shockmesh.kernels.shard import mesh_of, shard, sharded_rollout

pytestmark = pytest.mark.usefixtures("quickly")

DAYS = np.array([0, 2.5, np.inf, 5, 0, np.inf, 1.5])  # of each product; 0: the buyer's own
CRITICALITY = np.random.default_rng(5).choice([0, 0.5, 1], (7, 7))
MODELS = {
    "hamid2025": Switches(),
    "hallegatte2014": PRESETS["hallegatte2014"].switches,
    "henriet2012": PRESETS["henriet2012"].switches,
    "substitutes": Switches("demand", "output", "final_demand_last", "baseline", "ces"),
    "perfect substitutes": Switches("fixed", "demand", "water_filling", "link", "linear"),
    "some are not critical": Switches("output", "demand", production="half_critical", capacity_rule="hiring"),
}
RANGES = {
    "inventory_days": (1, 9), "adjustment_days": (2, 9), "capacity": (1, 1.3), "elasticity": (0.1, 0.9),
    "inventory_threshold": (0.3, 1), "base_capacity": (1, 1.1), "overproduction_days": (3, 30), "hiring_days": (5, 30),
    "firing_days": (3, 15),
}  # fmt: skip

type Inputs = tuple[Parameters, Scenario]


def inputs(network: FirmNetwork) -> Inputs:
    """Numbers that differ by firm, and a lockdown of half the firms."""
    rng, n = np.random.default_rng(1), network.n_firms
    model = Parameters.of({name: jnp.asarray(rng.uniform(*of, (n, 1))) for name, of in RANGES.items()})
    loss = jnp.asarray(rng.uniform(0.3, 1, (n, 1)) * (rng.random((n, 1)) < 0.5))
    one = jnp.ones((1, 1))
    return model, Scenario((Recovery(loss, 2.5 * one, 9.5 * one, 0.1 * one),))


@pytest.fixture
def network(random_network) -> FirmNetwork:
    found = random_network(firms=30, links=200, sectors=7, seed=4)
    assert set(found.product) == set(range(7))
    return found


def output(network: FirmNetwork, switches: Switches, given: Inputs, days: np.ndarray | None = DAYS) -> jax.Array:
    layout = lay_out(network, np.float64, CRITICALITY, days)
    return rollout(layout, switches, *given, days=25, record={"output": None})["output"]


@pytest.mark.parametrize("model", MODELS)
def test_equals_dense_numpy(float64, network: FirmNetwork, model: str):
    given = inputs(network)
    numbers = {name: np.asarray(getattr(given[0], name))[:, 0] for name in RANGES}
    dense = DenseModel(network, MODELS[model], numbers, CRITICALITY, DAYS)
    z = np.array([np.asarray(given[1].productivity[0].factor(jnp.asarray(float(t))))[:, 0] for t in range(25)])
    expected = dense.run(z, np.tile(network.final_demand, (25, 1)))["output"]
    found = np.asarray(output(network, MODELS[model], given))[..., 0]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    assert np.abs(found - np.asarray(output(network, MODELS[model], given, None))[..., 0]).max() > 1e-3


@pytest.mark.parametrize("model", MODELS)
def test_gradient_equals_finite_differences(float64, network: FirmNetwork, model: str):
    given = inputs(network)
    slopes = checked_slopes(lambda given: jnp.square(output(network, MODELS[model], given)).sum(), given)
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(slopes))


@pytest.mark.parametrize("model", ["hamid2025", "hallegatte2014"])
def test_is_sharded_alike(float64, network: FirmNetwork, model: str):
    given, record = inputs(network), {"output": None}
    parts = shard(network, partition(network, 4), np.float64, CRITICALITY, DAYS)
    mesh = mesh_of(4)
    found = sharded_rollout(parts, mesh, MODELS[model], *given, days=25, record=record)["output"]
    np.testing.assert_allclose(found, output(network, MODELS[model], given), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("model", ["hallegatte2014", "substitutes"])
def test_a_table_is_the_same_model(float64, network: FirmNetwork, model: str):
    given, table = inputs(network), lay_out(network, np.float64, CRITICALITY, DAYS, as_table=True)
    found = rollout(table, MODELS[model], *given, days=25, record={"output": None})["output"]
    np.testing.assert_allclose(found, output(network, MODELS[model], given), rtol=1e-12, atol=1e-12)


def test_what_is_never_short_stops_nobody(float64):
    """0 stops for good. 1 makes as much as ever without its product, holds none, and goes on ordering what it uses."""
    chain = firm_network([0, 1], [1, 2], [1.0, 1.0], [0, 0, 1.0], sector=[0, 1, 2], sectors=list("abc"))
    one = jnp.ones((1, 1))
    model = Parameters(4 * one, 6 * one, one)
    stopped = Scenario((Recovery(jnp.asarray([[1.0], [0], [0]]), 2 * one, 2 * one, 0 * one),))
    layout = lay_out(chain, np.float64, product_days=np.array([np.inf, 3.0, 0]))
    record = dict.fromkeys(["output", "demand", "inventory"])
    found = rollout(layout, Switches(), model, stopped, days=12, record=record)
    np.testing.assert_allclose(found["output"][:, :, 0], [[1, 1, 1]] * 2 + [[0, 1, 1]] * 10)
    np.testing.assert_allclose(found["demand"][:, :, 0], 1.0)
    np.testing.assert_allclose(found["inventory"][:, :, 0], [[0, 0, 3]] * 12)


@pytest.mark.parametrize(
    ("days", "says"),
    [
        (np.ones(2), r"product_days: shape \(2,\), expected \(4 products,\)"),
        (np.array([1, 2, 0.5, 3]), "product_days: 0.5 … 3: must be 0 or ≥ 1"),
    ],
)
def test_wrong_days_are_refused(random_network: Any, days: np.ndarray, says: str):
    with pytest.raises(ValueError, match=says):
        lay_out(random_network(), product_days=days)
