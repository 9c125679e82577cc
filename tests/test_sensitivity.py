"""Derivatives of the total loss with respect to every firm: exact results, finite differences, the rank of ESRI."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from rollouts import rollout
from shockmesh.cluster.cli import main
from shockmesh.cluster.spec.load import load_spec
from shockmesh.cluster.verbs.printing import BAD_INPUT, DONE
from shockmesh.cluster.verbs.sensitivity import members_at_once, rank_by_sensitivity
from shockmesh.io.networks.store import write_network
from shockmesh.kernels.devices.layout import lay_out
from shockmesh.kernels.esri import esri
from shockmesh.kernels.mechanisms.courses import Recovery, Table
from shockmesh.kernels.mechanisms.rebuilding import HouseholdDamage
from shockmesh.kernels.mechanisms.shocks import Scenario
from shockmesh.kernels.model import Parameters, Switches
from shockmesh.kernels.network import FirmNetwork, firm_network
from shockmesh.kernels.sensitivity import importance, per_firm, sensitivity

pytestmark = pytest.mark.usefixtures("quickly")

DAYS = 30


def shared(value: float) -> jax.Array:
    return jnp.full((1, 1), value)


def scarce(network: FirmNetwork, members: int, loss: float = 0.3) -> tuple[Parameters, Scenario]:
    """No spare capacity, short stocks, and a loss of random size at every firm from day 0; no date falls on a step."""
    rng = np.random.default_rng(0)
    losses = jnp.asarray(rng.uniform(0, loss, (network.n_firms, members)))
    shock = Recovery(losses, shared(-0.5), shared(7.5), shared(0.05))
    return Parameters(shared(3.3), shared(4.0), shared(1.0)), Scenario((shock,))


def total_loss(network: FirmNetwork, parameters: Parameters, scenario: Scenario) -> float:
    layout = lay_out(network, np.float64)
    records = rollout(layout, Switches(), parameters, scenario, days=DAYS, record={"output": None})
    return float(DAYS * network.output.sum() - records["output"].sum())


def test_a_chain_loses_a_day_of_consumption_less_for_each_day_of_stock(float64):
    stocks = np.array([[5.3], [3.4], [4.2], [2.6], [5.7]])  # at a whole number of days the minimum ties
    chain = firm_network([0, 1, 2, 3], [1, 2, 3, 4], np.ones(4), [0, 0, 0, 0, 1])
    stopped = Scenario((Table(jnp.asarray([[0.0], [1.0], [1.0], [1.0], [1.0]])[None]),))
    found = sensitivity(
        lay_out(chain, np.float64), Switches(), Parameters(jnp.asarray(stocks), shared(6.0), shared(1.25)), stopped,
        days=40, loss="final_consumption",
    )  # fmt: skip
    np.testing.assert_allclose(found.loss, 40 - stocks[1:].sum())
    np.testing.assert_allclose(found.parameters.inventory_days[:, 0], [0, -1, -1, -1, -1])


def test_equals_finite_differences_on_a_sample_of_firms(float64, random_network):
    network = random_network(firms=40, links=160, seed=3)
    layout = lay_out(network, np.float64)
    model, scenario = scarce(network, 1)
    homes = HouseholdDamage(jnp.asarray(np.random.default_rng(0).uniform(0, 2, (40, 1))), shared(3.5), shared(12.3))
    at = per_firm(layout, (model, replace(scenario, homes=(homes,))))
    found = sensitivity(layout, Switches(), *at, days=DAYS)
    assert float(found.loss[0]) == pytest.approx(total_loss(network, *at))
    value = jax.jit(lambda model, scenario: total(layout, model, scenario))
    leaves, tree = jax.tree.flatten(at)
    gradient = jax.tree.leaves((found.parameters, found.scenario))
    for firm in np.random.default_rng(1).choice(40, 6, replace=False):
        for k in range(len(leaves)):
            ends = [value(*tree.unflatten(moved(leaves, k, firm, h))) for h in (1e-6, -1e-6)]
            assert float(gradient[k][firm, 0]) == pytest.approx(float(ends[0] - ends[1]) / 2e-6, rel=1e-4, abs=1e-6)


def total(layout, model, scenario):
    return -rollout(layout, Switches(), model, scenario, days=DAYS, record={"output": None})["output"].sum()


def moved(leaves: list[jax.Array], which: int, firm: int, step: float) -> list[jax.Array]:
    return [leaf.at[firm].add(step) if k == which else leaf for k, leaf in enumerate(leaves)]


def test_members_are_independent_and_firms_add_up_to_a_shared_number(float64, random_network):
    network = random_network(firms=25, links=90, seed=4)
    layout = lay_out(network, np.float64)
    model, scenario = scarce(network, 3)
    both = sensitivity(layout, Switches(), model, scenario, days=DAYS)
    assert both.parameters.capacity.shape == (25, 3)
    second = jax.tree.map(lambda leaf: leaf[..., 1:2] if leaf.shape[-1] == 3 else leaf, scenario)
    alone = sensitivity(layout, Switches(), model, second, days=DAYS)
    np.testing.assert_allclose(both.parameters.capacity[:, 1], alone.parameters.capacity[:, 0], rtol=1e-10, atol=1e-9)
    of_shared = jax.grad(lambda model: total(layout, model, second))(model)
    np.testing.assert_allclose(
        alone.parameters.inventory_days.sum(), of_shared.inventory_days.item(), rtol=1e-9, atol=1e-9
    )


def test_limits_that_never_bind_have_exactly_no_effect(float64, random_network):
    network = random_network(seed=5)
    idle = Scenario((Recovery(shared(0.1), shared(3.0), shared(9.0), shared(0.1)),))
    model = Parameters(shared(9.0), shared(6.0), shared(1.25))
    found = sensitivity(lay_out(network, np.float64), Switches(), model, idle, days=DAYS)
    assert all((np.asarray(leaf) == 0).all() for leaf in jax.tree.leaves((found.parameters.capacity, found.scenario)))
    np.testing.assert_allclose(found.parameters.inventory_days, 0, atol=1e-9)


def test_ranks_firms_as_esri_does(random_network: Callable[..., FirmNetwork]):
    """Spearman's correlation is above 0.7, and not 1: the derivative is of losses of a few per cent in 30 days in which
    stocks and orders move, ESRI the end of a cascade of whole failures without stocks, where substitutes step in."""
    network = random_network(firms=400, links=2000, sectors=12, seed=6)
    model, scenario = scarce(network, 8, loss=0.1)
    found = sensitivity(lay_out(network), Switches(), model, scenario, days=DAYS)
    ours = np.asarray(importance(found, model)).mean(axis=1)
    assert spearman(ours, esri(network, "all", size="output", tolerance=1e-4)) > 0.7


def test_a_small_firm_that_all_need_comes_before_a_large_one_that_nobody_needs():
    """Firm 0 sells 0.1 to each of 20 firms; firm 21 sells 30 to consumers."""
    final_demand = np.array([0.0, *[5.0] * 20, 30.0])
    network = firm_network(
        np.zeros(20, int), np.arange(1, 21), np.full(20, 0.1), final_demand,
        sector=[0, *[1] * 20, 2], sectors=["A", "B", "C"],
    )  # fmt: skip
    loss = jnp.asarray([[0.3], *[[0.1]] * 20, [0.2]])
    scenario = Scenario((Recovery(loss, shared(-0.5), shared(7.5), shared(0.0)),))
    model = Parameters(shared(2.3), shared(4.0), shared(1.0))
    found = sensitivity(lay_out(network), Switches(), model, scenario, days=DAYS)
    for index in (importance(found, model)[:, 0], esri(network, "all", size="output")):
        assert np.argmax(index) == 0


def spearman(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.corrcoef(np.argsort(np.argsort(x)), np.argsort(np.argsort(y)))[0, 1])


def test_a_wrong_call_is_refused(random_network):
    with pytest.raises(ValueError, match="days = 0: a rollout has at least one day"):
        sensitivity(lay_out(random_network()), Switches(), *scarce(random_network(), 1), days=0)


SPEC = """
economy: toy.zarr
model: {preset: hamid2025, capacity: 1.0}
horizon: {days: 12}
shocks:
  - {name: heat, on: final_demand, kind: recovery, loss: 0.01}
  - {name: flood, kind: household_damage, worth: 3, builders: {"B": 1}}
  - {name: strike, kind: recovery, where: {region: R}, loss: 0.1}
sweep: {seed: 1, members: 9, vary: {shocks.strike.loss: {uniform: [0.1, 0.3]}}}
record: {output: []}
precision: float64
"""


def test_the_verb_ranks_the_firms_of_a_spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any):
    monkeypatch.chdir(tmp_path)
    network = firm_network(
        [0, 1, 1],
        [1, 2, 3],
        [0.2, 0.3, 0.1],
        [0.0, 2.0, 1.0, 1.0],
        region=[0, 0, 1, 1],
        regions=["R", "Q"],
        sector=[0, 0, 0, 1],
        sectors=["A", "B"],
    )
    write_network(network, "toy.zarr")
    Path("strike.yaml").write_text(SPEC, "utf-8")
    assert main(["sensitivity", "strike.yaml", "--loss", "final_consumption"]) == DONE
    assert capsys.readouterr().out.startswith("strike.sensitivity.csv: 4 firms by importance")
    ranking = pd.read_csv("strike.sensitivity.csv")
    assert {"importance", "d_inventory_days", "d_shocks.strike.loss", "d_shocks.heat.loss"} <= set(ranking.columns)
    assert ranking["importance"].is_monotonic_decreasing
    assert (ranking.loc[ranking["region"] == "R", "d_shocks.strike.loss"] > 0).any()
    assert np.asarray(ranking["d_shocks.flood.worth"]).max() > 0
    np.testing.assert_allclose(ranking["importance"], -ranking["d_capacity"])  # κ = 1
    spec = load_spec("strike.yaml")
    assert [members_at_once(spec, network, memory) for memory in (1, 5_000, 10**9)] == [1, 7, 9]
    in_blocks = rank_by_sensitivity("strike.yaml", "blocks.csv", loss="final_consumption", memory=5_000)
    pd.testing.assert_frame_equal(in_blocks, ranking, rtol=1e-9, check_dtype=False)
    assert main(["sensitivity", "strike.yaml"]) == BAD_INPUT
    assert "exists already" in capsys.readouterr().err


def test_a_spec_under_which_no_capacity_binds_ranks_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
):
    monkeypatch.chdir(tmp_path)
    write_network(firm_network([0], [1], [0.5], [1.0, 2.0]), "pair.zarr")
    Path("slump.yaml").write_text(
        "economy: pair.zarr\nhorizon: {days: 3}\nmodel: {capacity: 1.5}\n"
        "shocks: [{name: slump, kind: recovery, on: final_demand, loss: 0.3}]\n"
    )
    assert main(["sensitivity", "slump.yaml", "--json"]) == DONE
    assert json.loads(capsys.readouterr().out)["top"] == []
    assert main(["sensitivity", "slump.yaml", "--out", "again.csv"]) == DONE
    told = " ".join(capsys.readouterr().out.split())
    assert "all of importance 0: no firm's capacity binds under this spec" in told
