"""Suppliers that change: every exact result of the model, a dense reference, and the laws of all mechanisms."""

from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from arrays import checked_slopes, column, moved, split_last
from hypothesis import given, settings
from hypothesis import strategies as st
from rollouts import assert_close, both_ways, rollout
from shockmesh.kernels.devices.layout import Delayed, Layout, lay_out, suits_table
from shockmesh.kernels.devices.partition import partition
from shockmesh.kernels.devices.segments import Segments, segments
from shockmesh.kernels.mechanisms.courses import Recovery
from shockmesh.kernels.mechanisms.routes import RouteCut
from shockmesh.kernels.mechanisms.shocks import Scenario, standing, today
from shockmesh.kernels.mechanisms.suppliers import layout_today
from shockmesh.kernels.model import Parameters, Switches
from shockmesh.kernels.network import FirmNetwork, firm_network, with_candidate_links, with_candidates
from shockmesh.kernels.shard import mesh_of, shard, sharded_rollout
from shockmesh.kernels.step import State, initial_state, placed, step
from sourced import RANGES, DenseSuppliers, sourced, sourcing_numbers

pytestmark = pytest.mark.usefixtures("quickly")

CHANGE = Switches(suppliers="satisfaction")
SPLITS = [CHANGE, replace(CHANGE, order_split="baseline"), replace(CHANGE, order_split="capacity")]
MIXED = [
    *SPLITS,
    replace(CHANGE, prices="cost"),
    replace(CHANGE, rationing="final_demand_last", production="ces"),
    replace(CHANGE, rationing="water_filling"),
]


def laid_out(network: FirmNetwork, precision: Any = "f8") -> Layout:
    return lay_out(with_candidate_links(network), precision)


def shaken(network: FirmNetwork, members: int = 1) -> Scenario:
    """A lockdown of some firms, which passes; no date falls on a step."""
    rng = np.random.default_rng(3)
    loss = rng.uniform(0.3, 0.9, (network.n_firms, members)) * (rng.random((network.n_firms, 1)) < 0.3)
    dates = [column(of) for of in (1.5, 8.5, 0.1)]
    return Scenario((Recovery(jnp.asarray(loss, float), *dates),))


def two_suppliers(candidate: bool = False) -> FirmNetwork:
    """Firms 0 and 1 sell one product, 0 to firm 2 and, unless as a candidate, 1 as well; 1 has customers of its own."""
    sells = [0] if candidate else [0, 1]
    network = firm_network(
        sells, [2] * len(sells), [2 / len(sells)] * len(sells), [0.0, 1, 4], sector=[0, 0, 1], sectors=list("ab")
    )
    return with_candidates(network, [1], [2], [0]) if candidate else network


def stopped(*firms: int) -> Scenario:
    """These firms of three make nothing, for good."""
    loss = column(np.isin(np.arange(3), firms))
    return Scenario((Recovery(loss, column(0.0), column(1e6), column(0.0)),))


@partial(jax.jit, static_argnums=1)
def one_day(layout: Layout, switches: Switches, model: Parameters, scenario: Scenario, state: State, at: float) -> Any:
    day = today(layout, scenario, standing(layout, scenario), jnp.asarray(at))
    orders, amount = placed(layout, switches, model, state), layout_today(layout, state.sourcing).amount
    return (*step(layout, switches, model, day, state), orders, amount)


def days_of(network: FirmNetwork, switches: Switches, model: Parameters, scenario: Scenario, days: int) -> list[Any]:
    """State, flows, orders and amounts of each day."""
    layout = laid_out(network)
    state, found = initial_state(layout, switches, model, scenario, 1), []
    for at in range(days):
        found.append(jax.device_get(one_day(layout, switches, model, scenario, state, float(at))))
        state = found[-1][0]
    return found


@pytest.mark.parametrize("slowly", [1.0, 3.0])
def test_the_other_supplier_takes_over(float64, slowly):
    """Two equal ones, 0 stops for good: 1 gets 1 − ½ (1 − ρ)^t of the pool's orders, and output returns."""
    network, switches = two_suppliers(), SPLITS[1]
    model = sourcing_numbers(
        network, inventory_days=9, adjustment_days=3, capacity=5, satisfaction_days=1, sensitivity=1000, pull=0,
        search_days=0, switching_days=slowly, turnover=0,
    )  # fmt: skip
    found = days_of(network, switches, model, stopped(0), 80)
    for t, (_, _, orders, _) in enumerate(found):
        np.testing.assert_allclose(orders[1, 0] / orders.sum(), 1 - 0.5 * (1 - 1 / slowly) ** t, rtol=1e-12)
    np.testing.assert_allclose(found[-1][1].output[:, 0], [0, 3, 4], rtol=1e-6)


def test_a_candidate_takes_over_and_gives_back(float64):
    """A sole supplier stops for 20 days; then all goes back to it."""
    network = two_suppliers(candidate=True)
    model = sourcing_numbers(
        network, inventory_days=9, adjustment_days=3, capacity=5, satisfaction_days=2, sensitivity=1, pull=1,
        search_days=2, switching_days=2, turnover=0,
    )  # fmt: skip
    loss = Recovery(column([1.0, 0, 0]), column(0.0), column(20.0), column(10.0))
    found = days_of(network, CHANGE, model, Scenario((loss,)), 400)
    amounts = np.array([amount[:, 0] for *_, amount in found])
    np.testing.assert_allclose(amounts.sum(1), 2, rtol=1e-12)
    assert (amounts[:3] == [2, 0]).all()
    assert amounts[20, 1] > 1.99
    np.testing.assert_allclose(amounts[-1], [2, 0], atol=1e-6)
    np.testing.assert_allclose(found[-1][1].output[:, 0], [2, 1, 4], rtol=1e-6)
    assert min(flows.output[2, 0] for _, flows, *_ in found) > 3.99


@pytest.mark.parametrize("switches", MIXED, ids=str)
def test_a_sole_supplier_is_missed_as_ever(float64, switches):
    network = two_suppliers(candidate=True)
    alone = replace(network, candidates=with_candidates(network, [], [], []).candidates)
    model, record = sourcing_numbers(network, turnover=0.1), {"output": None, "switched": None}
    fixed, found = (
        rollout(laid_out(alone), of, model, stopped(0), days=30, record=record)
        for of in (replace(switches, suppliers="fixed"), switches)
    )
    np.testing.assert_allclose(found["output"], fixed["output"], rtol=1e-12, atol=1e-15)
    assert not found["switched"].any()


@pytest.mark.parametrize("search", [0.0, 2.0, 3.25])
def test_nothing_moves_during_the_search(float64, search):
    """ρ is the part of the day beyond the search, of b days from the first short one on."""
    network = two_suppliers(candidate=True)
    model = sourcing_numbers(
        network, satisfaction_days=1, sensitivity=1, pull=1, search_days=search, switching_days=4, turnover=0
    )
    moved = [state.sourcing.moved[1, 0] for state, *_ in days_of(network, CHANGE, model, stopped(0), 7)]
    beyond = np.clip(np.arange(1, 8) - search, 0, 1)
    np.testing.assert_allclose(moved, 2 - 2 * np.cumprod(1 - beyond / 4), rtol=1e-12)


def test_turnover_halves_the_links_of_old_in_its_half_life(float64):
    """Without any shortage the candidate has 1 − (1 − η)^t of the pool, and nobody goes short."""
    network, half_life = two_suppliers(candidate=True), 30
    model = sourcing_numbers(network, inventory_days=9, capacity=5, turnover=1 - 2 ** (-1 / half_life))
    found = rollout(laid_out(network), CHANGE, model, Scenario(), days=61, record={"switched": None, "output": None})
    np.testing.assert_allclose(found["switched"][:, 2, 0], 2 * (1 - 2.0 ** (-np.arange(61) / half_life)), rtol=1e-10)
    np.testing.assert_allclose(found["output"][:, 2, 0], 4, rtol=1e-12)


def test_equals_a_dense_reference(float64):
    network, days = sourced(), 30
    model, scenario = sourcing_numbers(network), shaken(network)
    of_day = [scenario.productivity[0].factor(jnp.asarray(float(day)))[:, 0] for day in range(days)]
    names = ("inventory_days", "adjustment_days", "capacity", *RANGES)
    plain = {name: np.asarray(getattr(model, name))[:, 0] for name in names}
    expected = DenseSuppliers(network, plain).run(np.array(of_day), np.tile(network.final_demand, (days, 1)))
    found = rollout(laid_out(network), CHANGE, model, scenario, days=days, record=dict.fromkeys(expected))
    for name, values in expected.items():
        np.testing.assert_allclose(found[name][..., 0], values, rtol=1e-10, atol=1e-12, err_msg=name)
    assert expected["switched"].max() > 0.1


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 10**6), which=st.integers(0, len(MIXED) - 1))
def test_goods_and_shares_are_neither_made_nor_lost(seed, which):
    """Shares of a pool sum to what it has at rest, none is below 0; Σ deliveries + consumption = output; S ≥ 0."""
    with jax.enable_x64(True):
        network, switches = sourced(20, seed), replace(MIXED[which], prices="fixed")
        layout, model = laid_out(network), sourcing_numbers(network, seed)
        assert isinstance(layout.pool, Segments)
        held = np.asarray(initial_state(layout, switches, model, Scenario(), 1).stock).sum()
        for state, flows, orders, amounts in days_of(network, switches, model, shaken(network), 12):
            pool = np.asarray(layout.pool.index)
            np.testing.assert_allclose(np.bincount(pool, amounts[:, 0]), layout.pool_amount[:, 0], rtol=1e-12)
            for values in (amounts, orders, state.stock):
                assert (values >= 0).all()
            assert (flows.output <= flows.demand * (1 + 1e-12)).all()
            use = (network.inputs / network.output) @ flows.output[:, 0]
            delivered = flows.output.sum() - flows.final_consumption.sum()
            np.testing.assert_allclose(state.stock.sum(), held + delivered - use, rtol=1e-10)
            held = state.stock.sum()
            f = state.sourcing.satisfaction
            assert ((f >= 0) & (f <= 1)).all()


def test_shards_and_members_give_the_numbers_of_the_whole(float64):
    switches = replace(CHANGE, prices="cost", rationing="final_demand_last")
    network, members = sourced(60), 4
    inputs, wide = (sourcing_numbers(network, members=members), shaken(network, members)), with_candidate_links(network)
    by_sector = segments(network.sector, 4)
    record = {"output": by_sector, "switched": by_sector, "output_by_firm": None}
    in_shards, layout = shard(wide, partition(wide, 4), "f8"), laid_out(network)

    def parts(*inputs: Any) -> dict[str, jax.Array]:
        return sharded_rollout(in_shards, mesh_of(4, 2), switches, *inputs, days=8, record=record)

    def whole(*inputs: Any) -> dict[str, jax.Array]:
        return rollout(layout, switches, *inputs, days=8, record=record)

    (in_parts, slopes), (at_once, expected) = (both_ways(run, inputs) for run in (parts, whole))
    assert_close(in_parts, at_once, 1e-12)
    assert_close(slopes, expected, 1e-10)
    one = jax.tree.map(lambda leaf: leaf[..., 2:3] if leaf.shape[-1] == members else leaf, inputs)
    alone, together = rollout(layout, switches, *one, days=8, record=record), whole(*inputs)
    for name, values in alone.items():
        np.testing.assert_allclose(values, np.asarray(together[name])[..., 2:3], rtol=1e-12, atol=1e-13, err_msg=name)


@pytest.mark.parametrize("switches", [MIXED[0], MIXED[2], MIXED[3], MIXED[5]], ids=str)
def test_derivatives_by_every_number_are_those_of_differences(float64, switches):
    network = sourced()
    layout, total = laid_out(network), segments(np.zeros(30, int), 1)
    record = {"output": total, "final_consumption": total, "switched": total}

    def loss(inputs: Any) -> jax.Array:
        found = rollout(layout, switches, *inputs, days=15, record=record)
        return jnp.stack([weight * values.sum() for weight, values in enumerate(found.values(), 1)]).sum()

    model, _ = checked_slopes(loss, (sourcing_numbers(network), shaken(network)), ways=3)
    for name in CHANGE.needs:
        assert jnp.abs(getattr(model, name)).max() > 0, name


@pytest.mark.parametrize("switches", [CHANGE, MIXED[3]], ids=str)
def test_scale_places_and_halves_of_firms_change_nothing(float64, switches):
    network = sourced()
    n, inputs = network.n_firms, (sourcing_numbers(network), shaken(network))

    def run(of: FirmNetwork, take: Any) -> np.ndarray:
        given = jax.tree.map(lambda leaf: take(leaf) if leaf.shape[0] == n else leaf, inputs)
        return np.asarray(rollout(laid_out(of), switches, *given, days=20, record={"output": None})["output"])

    expected, to = run(network, lambda leaf: leaf), np.random.default_rng(0).permutation(n)
    np.testing.assert_allclose(run(moved(network, np.arange(n), 7.0), lambda leaf: leaf), 7 * expected, rtol=1e-10)
    np.testing.assert_allclose(run(moved(network, to), lambda leaf: leaf[np.argsort(to)])[:, to], expected, rtol=1e-10)
    halves = run(split_last(network), lambda leaf: jnp.concatenate([leaf, leaf[-1:]]))
    np.testing.assert_allclose(halves[:, :-2], expected[:, :-1], rtol=1e-10)
    np.testing.assert_allclose(halves[:, -2:].sum(1), expected[:, -1], rtol=1e-10)


def test_a_cut_route_is_a_shortage(float64):
    """Orders that do not get through are not served: the candidate in another region takes over."""
    network = two_suppliers(candidate=True)
    network = replace(network, region=np.array([1, 0, 0], np.int32), regions=("x", "y"))
    model = sourcing_numbers(network, inventory_days=9, capacity=5, search_days=0, pull=1, sensitivity=1, turnover=0)
    course = Recovery(column(1.0), column(0.0), column(1e6), column(0.0))
    cut = RouteCut(column([1.0, 0, 0]), column([0.0, 0, 1]), course)
    found = rollout(laid_out(network), CHANGE, model, Scenario(cuts=(cut,)), days=80, record={"switched": None})
    assert found["switched"][-1, 2, 0] > 1.9


@pytest.mark.parametrize("switches", SPLITS[:2], ids=str)
@pytest.mark.parametrize("stages", [0, 2], ids=["fixed", "Erlang"])
def test_what_is_wanted_on_the_way_moves_too(float64, switches, stages):
    """Goods take days: in the end nothing is asked of the one who stopped, and of the other as much as is used."""
    network = two_suppliers(candidate=True)
    delay = Delayed(np.arange(2), np.zeros(3), stages or 3, is_fixed=not stages)
    layout = lay_out(with_candidate_links(network), "f8", delays=(delay,))
    model = sourcing_numbers(
        network, inventory_days=9, adjustment_days=6, capacity=5, satisfaction_days=2, sensitivity=2, pull=1,
        search_days=0, switching_days=2, turnover=0,
    )  # fmt: skip
    model = replace(model, delay_days=jnp.full((1, 1, 1), 3.0)) if stages else model
    found = rollout(layout, switches, model, stopped(0), days=600, record={"demand": None, "output": None})
    np.testing.assert_allclose(found["demand"][-1, :, 0], [0, 3, 4], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(found["output"][-1, :, 0], [0, 3, 4], rtol=1e-6, atol=1e-6)


def test_suppliers_need_their_numbers_and_links():
    network = sourced()
    with pytest.raises(ValueError, match=r"parameters: \['pull'\] missing"):
        rollout(
            laid_out(network, "f4"), CHANGE, replace(sourcing_numbers(network), pull=None), Scenario(), days=2,
            record={"output": None},
        )  # fmt: skip
    assert suits_table(two_suppliers(), replace(SPLITS[1], suppliers="fixed"))
    assert not suits_table(two_suppliers(), SPLITS[1])
