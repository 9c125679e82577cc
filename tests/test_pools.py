"""Capital of firms that buy from nobody who builds, rebuilt by a pool of all who do: closed forms, shards, specs."""

from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pytest
from arrays import column
from rollouts import DAYS, assert_close, both_ways, inputs_of, record_of, rollout
from shockmesh.cluster.running.batch import Simulator
from shockmesh.cluster.spec.binding import alone, bind, pool_of
from shockmesh.cluster.spec.cautions import cautions
from shockmesh.cluster.spec.load import SpecError
from shockmesh.cluster.spec.shocks import DamageShock
from shockmesh.kernels.devices.layout import lay_out
from shockmesh.kernels.devices.partition import partition
from shockmesh.kernels.mechanisms.rebuilding import Damage
from shockmesh.kernels.mechanisms.shocks import Scenario
from shockmesh.kernels.model import Parameters, Switches
from shockmesh.kernels.network import firm_network
from shockmesh.kernels.shard import mesh_of, shard, sharded_rollout
from toy import MakeSpec

pytestmark = pytest.mark.usefixtures("quickly")


def run(scenario: Scenario, days: int, capacity: float) -> dict[str, np.ndarray]:
    """Four firms without links: 0 and 1 build, 2 and 3 do not. All final demand."""
    apart = firm_network(np.zeros(0, int), np.zeros(0, int), np.zeros(0), [3.0, 1.0, 2.0, 5.0])
    model = Parameters(column(9), column(6), column(capacity))
    names = ["output", "demand", "capacity", "final_consumption"]
    layout = lay_out(apart, np.float64)
    found = rollout(layout, Switches(), model, scenario, days=days, record=dict.fromkeys(names))
    return {name: np.asarray(values)[:, :, 0] for name, values in found.items()}


def quake(loss: list[float], pool: list[float] | None) -> Scenario:
    """Capital of 5 days of output, at twice its price, a tenth of the rest a day from day 3 on; damage on day 2."""
    damage = Damage(*map(column, (loss, 5, [0.5, 0.5, 0, 0], 2, 2, 3, 10)))
    return Scenario(damages=(damage if pool is None else replace(damage, pool=column(pool)),))


def test_builders_that_are_never_short_rebuild_a_part_of_the_rest_each_day(float64):
    found = run(quake([0, 0, 0.5, 0.2], [0.75, 0.25, 0, 0]), 40, capacity=4.0)
    left = 0.9 ** np.maximum(np.arange(40) - 3, 0) * (np.arange(40) >= 2)
    np.testing.assert_allclose(found["capacity"][:, 2], 4 * 2 * (1 - 0.5 * left))
    np.testing.assert_allclose(found["capacity"][:, 3], 4 * 5 * (1 - 0.2 * left))
    worth = 2 * 5 * (0.5 * 2 + 0.2 * 5)
    asked = np.where(np.arange(40) >= 3, worth * left / 10, 0)
    np.testing.assert_allclose(found["demand"][:, 0], 3 + 0.75 * asked)
    np.testing.assert_allclose(found["demand"][:, 1], 1 + 0.25 * asked)
    np.testing.assert_allclose(found["final_consumption"][:, :2], [[3, 1]] * 40)


def test_builders_that_are_short_share_with_their_customers(float64):
    """Firm 0 alone builds, and can make 3: it is asked for 3 + A, and serves all alike."""
    found = run(quake([0, 0, 0.5, 0.2], [1, 0, 0, 0]), 30, capacity=1.0)
    left = np.array([0.0, 0, 0.5, 0.5])  # of firm 2's capital
    for day in range(3, 29):
        asked = 20 * left[day] * 2 / 10 * (1 + 0.2 * 5 / (0.5 * 2)) / 2
        served = 3 / (3 + asked)
        np.testing.assert_allclose(found["demand"][day, 0], 3 + asked)
        np.testing.assert_allclose(found["final_consumption"][day, 0], 3 * served)
        left = np.append(left, left[day] * (1 - served / 10))
    np.testing.assert_allclose(found["capacity"][:, 2], 2 * (1 - left))


def test_without_a_pool_capital_stays_lost(float64):
    found = run(quake([0, 0, 0.5, 0.2], None), 30, capacity=1.0)
    np.testing.assert_allclose(found["capacity"][2:, 2:], [[1, 4]] * 28)


def test_shards_and_gradients_equal_the_whole(float64, random_network: Any):
    network = random_network(firms=60, links=120, sectors=4, seed=3)
    model, scenario = inputs_of(network, np.dtype("f8"))
    (damage,) = scenario.damages
    builds = network.sector == network.sector[0]  # the first firm, whose numbers the dummies of shards have, builds
    pool = np.where(builds, network.output, 0) / network.output[builds].sum()
    damage = replace(damage, builder=damage.builder * builds[:, None], pool=column(pool))
    inputs, record = (model, replace(scenario, damages=(damage,))), record_of(network)
    layout = lay_out(network, "f8")
    whole = both_ways(lambda *of: rollout(layout, Switches(), *of, days=DAYS, record=record), inputs)
    in_shards, mesh = shard(network, partition(network, 3), np.float64), mesh_of(3, 1)

    def parts(*inputs: Any) -> dict[str, jax.Array]:
        return sharded_rollout(in_shards, mesh, Switches(), *inputs, days=DAYS, record=record)

    found = both_ways(parts, inputs)
    assert_close(found[0], whole[0], 1e-12)
    assert_close(found[1], whole[1], 1e-11)


QUAKE = {"name": "quake", "kind": "damage", "loss": 0.5, "builders": {"A01": 1}, "capital_days": 10, "rebuild_days": 5}


def test_a_firm_that_buys_from_no_builder_is_rebuilt_by_a_pool_and_told(make: MakeSpec):
    two = firm_network([0], [1], [1.0], [4.0, 2.0], sector=[0, 1], sectors=["A01", "I"], firm=["a", "b"])
    spec = make(shocks=[QUAKE], record={"capacity": ["firm"]}, horizon={"days": 200}, model={"capacity": 4})
    bound = bind(spec, two)
    shock = spec.shocks[0]
    assert isinstance(shock, DamageShock)
    assert alone(shock, two).tolist() == [True, False]
    assert pool_of(shock, two).tolist() == [1, 0]
    told = "1 of 2 firms that it names buy from none of its builders, and are rebuilt by all firms of A01 together: a"
    assert f"shocks.quake: {told}" in list(cautions(spec, bound, two))
    capacity = Simulator(spec, two).simulate(range(1))["capacity"][0]
    np.testing.assert_allclose(capacity[-1], 4 * two.output, rtol=1e-6)
    assert (capacity[0] < 2.1 * two.output).all()


def test_a_pool_is_shared_by_sector_and_output(make: MakeSpec):
    three = firm_network([], [], [], [4.0, 2.0, 6.0], sector=[0, 1, 1], sectors=["A01", "I"])
    shock = make(shocks=[QUAKE | {"builders": {"A01": 0.2, "I": 0.6}}]).shocks[0]
    assert isinstance(shock, DamageShock)
    np.testing.assert_allclose(pool_of(shock, three), [0.25, 0.75 * 0.25, 0.75 * 0.75])


def test_builders_that_make_nothing_are_refused(make: MakeSpec):
    idle = firm_network([0], [1], [1.0], [0.0, 2.0], sector=[0, 0], sectors=["I", "F"], firm=["a", "b"])
    with pytest.raises(SpecError, match=r"shocks\.quake\.builders\.F: 1\.0: no firm of this sector makes anything"):
        bind(make(shocks=[QUAKE | {"builders": {"I": 1, "F": 1}}]), idle)
