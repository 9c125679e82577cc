"""Delays: every exact result of the model, a dense reference, and the laws that hold of all mechanisms."""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from arrays import checked_slopes, column, moved, split_last
from dense import DenseDelay, DenseModel
from priced import economy, numbers
from rollouts import EVERY_SWITCH, assert_close, both_ways, rollout
from shockmesh.inference.latents import LatentField, get, put
from shockmesh.kernels.devices.layout import Delayed, Layout, lay_out
from shockmesh.kernels.devices.partition import partition
from shockmesh.kernels.devices.segments import segments
from shockmesh.kernels.mechanisms.courses import Recovery
from shockmesh.kernels.mechanisms.shocks import Scenario
from shockmesh.kernels.model import Parameters, Switches
from shockmesh.kernels.network import FirmNetwork, firm_network
from shockmesh.kernels.shard import mesh_of, shard, sharded_rollout

pytestmark = pytest.mark.usefixtures("quickly")

CHI = np.random.default_rng(0).uniform(size=(4, 4))
PRICED = Switches(prices="cost")
KINDS = {"fixed": True, "Erlang": False}


def chain(days: list[int], is_fixed: bool) -> tuple[FirmNetwork, Layout, jax.Array | None]:
    """Firms that sell one to the next; what firm k buys is on the way for `days[k]` days."""
    n = len(days)
    network = firm_network(range(n - 1), range(1, n), [1.0] * (n - 1), [0.0] * (n - 1) + [1.0])
    delays = [Delayed(np.array([k - 1]), np.zeros(n), days[k], is_fixed) for k in range(1, n) if days[k]]
    means = None if is_fixed else jnp.array([[[float(of.slots)]] for of in delays])
    return network, lay_out(network, jnp.zeros(0).dtype, delays=delays), means


def stopped(firms: int, loss: float = 1.0) -> Scenario:
    """The first firm stops for good."""
    return Scenario((Recovery(column([loss] + [0.0] * (firms - 1)), *(column(of) for of in (-1.0, 1e6, 0.0))),))


@pytest.mark.parametrize("is_fixed", KINDS.values(), ids=KINDS)
def test_a_chain_stops_as_much_later_as_its_goods_are_on_the_way(precision, is_fixed):
    """Firm k stops at Σ (n + d) of those before it; a delay of d stages of a day each is a fixed one."""
    stocks, days = [1, 3, 4, 2, 5], [0, 2, 0, 3, 1]
    _, layout, means = chain(days, is_fixed)
    model = Parameters(column(stocks), column(6.0), column(1.25), delay_days=means)
    model = jax.tree.map(lambda leaf: leaf.astype(precision), model)
    made = rollout(layout, Switches(), model, stopped(5), days=30, record={"output": None})["output"][:, :, 0]
    stops = [int(np.argmax(np.asarray(made[:, k]) < 1e-6)) for k in range(5)]
    assert stops == [sum(n + d for n, d in zip(stocks[1 : k + 1], days[1 : k + 1], strict=True)) for k in range(5)]


def test_what_is_consumed_of_a_chain_grows_by_one_for_each_day_on_the_way(float64):
    """Σ consumption = Σ (n + d), whatever the stages: by a mean of d, not of whole days either, slope 1."""
    network = firm_network([0, 1], [1, 2], [1.0, 1.0], [0.0, 0, 1])
    delays = [Delayed(np.array([0]), np.zeros(3), 2, False), Delayed(np.array([1]), np.array([0, 0, 0.5]), 1, False)]
    layout = lay_out(network, "f8", delays=delays)

    def consumed(means: jax.Array) -> jax.Array:
        model = Parameters(column([1.0, 30, 40]), column(6.0), column(1.25), delay_days=means)
        return rollout(
            layout, Switches(), model, stopped(3), days=400, record={"output": None, "final_consumption": None}
        )["final_consumption"].sum()

    means = jnp.array([[[4.5]], [[3.2]]])
    total, slopes = jax.jit(jax.value_and_grad(consumed))(means)
    np.testing.assert_allclose(total, 30 + 40 + 4.5 + 3.2 + 0.5 * 3.2, rtol=1e-6)
    np.testing.assert_allclose(slopes[:, 0, 0], [1, 1.5], rtol=1e-4)


def delays_of(network: FirmNetwork) -> tuple[list[Delayed], jax.Array]:
    """Fixed and Erlang delays of some links and final goods, two on some links, and their means."""
    rng = np.random.default_rng(5)
    some = lambda: np.flatnonzero(rng.random(network.n_links) < 0.4)  # noqa: E731
    final = [rng.uniform(0, 0.5, network.n_firms) * (rng.random(network.n_firms) < 0.5) for _ in range(3)]
    made = [
        Delayed(some(), final[0], 3, True),
        Delayed(some(), final[1], 2, False),
        Delayed(some(), final[2], 1, False),
    ]
    return made, jnp.asarray(rng.uniform([[[2.1]], [[1.1]]], 6, (2, network.n_firms, 1)))


def shaken(network: FirmNetwork, members: int = 1) -> Scenario:
    rng = np.random.default_rng(3)
    loss = rng.uniform(0, 0.9, (network.n_firms, members)) * (rng.random((network.n_firms, 1)) < 0.4)
    dates = column(2.5), column(6.5), column(0.1)
    fewer = Recovery(jnp.asarray(loss / 3, float), *dates)
    return Scenario((Recovery(jnp.asarray(loss, float), *dates),), (fewer,))


def dense_of(network: FirmNetwork, delays: list[Delayed], means: jax.Array) -> tuple[DenseDelay, ...]:
    left, made = iter(np.asarray(means)), []
    for of in delays:
        links = np.zeros((network.n_firms, network.n_firms))
        links[network.supplier[of.links], network.buyer[of.links]] = 1
        days = np.full(network.n_firms, of.slots) if of.is_fixed else next(left)[:, 0]
        made.append(DenseDelay(links, of.final, days, 0 if of.is_fixed else of.slots))
    return tuple(made)


@pytest.mark.parametrize("switches", EVERY_SWITCH, ids=str)
def test_equals_dense_numpy(float64, switches):
    network = economy()
    delays, means = delays_of(network)
    model, scenario = replace(numbers(network), delay_days=means), shaken(network)
    found = rollout(
        lay_out(network, "f8", CHI, delays=delays), switches, model, scenario, days=20,
        record={"output": None, "final_consumption": None},
    )  # fmt: skip
    of_firms = {
        name: np.broadcast_to(of, (30, 1))[:, 0]
        for name, of in vars(model).items()
        if name not in ("delay_days", "routes")
    }
    dense = DenseModel(network, switches, of_firms, CHI, delays=dense_of(network, delays, means))
    z, c = (
        np.array([np.asarray(of.factor(jnp.asarray(float(t))))[:, 0] for t in range(20)])
        for of in (scenario.productivity[0], scenario.final_demand[0])
    )
    for name, values in dense.run(z, c * network.final_demand).items():
        np.testing.assert_allclose(found[name][..., 0], values, rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("switches", [Switches(), *EVERY_SWITCH, PRICED], ids=str)
def test_without_a_shock_delays_change_nothing(float64, switches):
    network = economy()
    delays, means = delays_of(network)
    model = numbers(network, adjustment_days=60, base_capacity=1)  # stable, and split as ever
    record = dict.fromkeys(["output", "final_consumption", "inventory"])
    plain = rollout(lay_out(network, "f8", CHI), switches, model, Scenario(), days=30, record=record)
    layout, model = lay_out(network, "f8", CHI, delays=delays), replace(model, delay_days=means)
    found = rollout(layout, switches, model, Scenario(), days=30, record=record)
    assert_close(found, plain, 1e-13)


def test_shards_and_members_give_the_numbers_of_the_whole(float64):
    network, members = economy(60), 4
    delays, means = delays_of(network)
    means = means * jnp.linspace(1, 1.4, members)
    inputs = replace(numbers(network, members=members), delay_days=means), shaken(network, members)
    record = {
        "output": segments(network.sector, 4),
        "final_consumption": None,
        "inventory": segments(network.region, 3),
    }
    in_shards = shard(network, partition(network, 4), "f8", delays=delays)
    layout = lay_out(network, "f8", delays=delays)

    def parts(*inputs: Any) -> dict[str, jax.Array]:
        return sharded_rollout(in_shards, mesh_of(4, 2), PRICED, *inputs, days=8, record=record)

    def whole(*inputs: Any) -> dict[str, jax.Array]:
        return rollout(layout, PRICED, *inputs, days=8, record=record)

    (in_parts, slopes), (at_once, expected) = (both_ways(run, inputs) for run in (parts, whole))
    assert_close(in_parts, at_once, 1e-12)
    assert_close(slopes, expected, 1e-10)
    one = jax.tree.map(lambda leaf: leaf[..., 2:3] if leaf.shape[-1] == members else leaf, inputs)
    for name, values in whole(*one).items():
        np.testing.assert_allclose(values, np.asarray(whole(*inputs)[name])[..., 2:3], rtol=1e-12, err_msg=name)


@pytest.mark.parametrize("switches", [Switches(), EVERY_SWITCH[2], PRICED], ids=str)
def test_derivatives_are_those_of_differences(float64, switches):
    network = economy()
    delays, means = delays_of(network)
    layout = lay_out(network, "f8", CHI, delays=delays)
    total = dict.fromkeys(["output", "final_consumption", "inventory"], segments(np.zeros(30, int), 1))
    at = replace(numbers(network), delay_days=means), shaken(network)

    def value(inputs: Any) -> jax.Array:
        found = rollout(layout, switches, *inputs, days=15, record=total)
        return jnp.stack([weight * values.sum() for weight, values in enumerate(found.values(), 1)]).sum()

    model, _ = checked_slopes(value, at, ways=3)
    assert (jnp.abs(model.delay_days).max(axis=(1, 2)) > 0).all()


def test_days_that_run_again_have_the_same_derivatives(float64):
    """A ring turns on in the backward pass where it did forwards."""
    network = economy()
    delays, means = delays_of(network)
    layout, record = lay_out(network, "f8", delays=delays), {"output": None}
    at = replace(numbers(network), delay_days=means), shaken(network)
    runs = [
        lambda *inputs, states=states: rollout(layout, Switches(), *inputs, days=23, record=record, states=states)
        for states in (1000, 14)
    ]
    (_, expected), (_, found) = (both_ways(run, at) for run in runs)
    assert_close(found, expected, 1e-9)


def test_firms_that_change_places_or_split_change_nothing(float64):
    network, record = economy(), {"output": None, "final_consumption": None}
    n, at = network.n_firms, (numbers(network), shaken(network))
    means = jnp.asarray(np.random.default_rng(1).uniform(2, 6, (1, n, 1)))

    def run(of: FirmNetwork, back: np.ndarray) -> dict[str, np.ndarray]:
        sells, buys = of.region[of.supplier], of.region[of.buyer]
        delays = [
            Delayed(np.flatnonzero((sells == 0) & (buys != 0)), 0.4 * (of.region == 0), 3, True),
            Delayed(np.flatnonzero((sells == 1) & (buys == 2)), 0.2 * (of.region == 1), 2, False),
        ]
        model, scenario = jax.tree.map(lambda leaf: leaf[back] if leaf.shape[0] == n else leaf, at)
        model = replace(model, delay_days=means[:, back])
        found = rollout(lay_out(of, "f8", delays=delays), PRICED, model, scenario, days=20, record=record)
        return {name: np.asarray(values)[..., 0] for name, values in found.items()}

    expected, to = run(network, np.arange(n)), np.random.default_rng(0).permutation(n)
    back = np.argsort(to)
    halves = run(split_last(network), np.append(np.arange(n), n - 1))
    for name, values in run(moved(network, to), back).items():
        np.testing.assert_allclose(values[:, to], expected[name], rtol=1e-10, err_msg=name)
        np.testing.assert_allclose(halves[name][:, :-2], expected[name][:, :-1], rtol=1e-10)
        np.testing.assert_allclose(halves[name][:, -2:].sum(1), expected[name][:, -1], rtol=1e-10)


def test_what_is_learned_of_one_delay_leaves_the_others():
    model = replace(numbers(economy()), delay_days=jnp.asarray([[[2.0]], [[3.0]]]))
    field = LatentField("days", ("parameters", "delay_days", 1), "above_one", ())
    learned, _ = put(model, Scenario(), field, jnp.linspace(2, 5, 30)[:, None])
    np.testing.assert_array_equal(get(learned, Scenario(), field)[:, 0], jnp.linspace(2, 5, 30))
    untouched = LatentField("others", ("parameters", "delay_days", 0), "above_one", ())
    np.testing.assert_array_equal(get(learned, Scenario(), untouched), np.full((30, 1), 2.0))


def test_a_mean_is_given_for_every_delay_that_is_not_fixed():
    network = economy()
    delays, _ = delays_of(network)
    with pytest.raises(ValueError, match="parameters: delay_days: none, and the layout has 2 delays whose mean"):
        rollout(
            lay_out(network, delays=delays), Switches(), numbers(network), Scenario(), days=2, record={"output": None}
        )
