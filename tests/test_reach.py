"""How far a shock may reach is estimated before a run, is told with numbers, and is what a run then does."""

from typing import Any

import jax
import numpy as np
import pytest
from shockmesh.cluster.running.batch import Simulator
from shockmesh.cluster.spec.binding import bind
from shockmesh.cluster.spec.load import parse_spec
from shockmesh.cluster.trust.reach import acts, acts_on, critical_part, far_reaching, missing_days
from shockmesh.kernels.network import FirmNetwork, firm_network


def chain(length: int) -> FirmNetwork:
    """Firm 0 supplies 1, which supplies 2, …; only the last meets final demand."""
    final = np.zeros(length)
    final[-1] = 1.0
    return firm_network(
        np.arange(length - 1), np.arange(1, length), np.ones(length - 1), final, sector=np.arange(length),
        sectors=[f"S{i}" for i in range(length)],
    )  # fmt: skip


STOP: dict[str, Any] = {
    "name": "stop", "kind": "recovery", "loss": 1.0, "onset": 5, "recovery_start": 35, "recovery_days": 0.001,
    "where": {"sector": "S0"},
}  # fmt: skip


def specified(shock: dict[str, Any], **model: Any) -> Any:
    data = {"economy": ".", "horizon": {"days": 80}, "model": model, "shocks": [STOP | shock]}
    return parse_spec(data | {"record": {"output": ["firm"]}, "precision": "float64"})


def test_each_firm_of_a_chain_misses_what_the_one_before_does_less_its_stock():
    links = np.ones(4)
    lost = np.array([30.0, 0, 0, 0, 0])
    assert missing_days(chain(5), lost, links, 9 * links).tolist() == [30, 21, 12, 3, 0]
    assert missing_days(chain(5), lost, links / 2, 9 * links).tolist() == [30, 10.5, 0.75, 0, 0]
    assert missing_days(chain(5), lost, 0 * links, 9 * links).tolist() == [30, 0, 0, 0, 0]


def test_a_run_loses_as_many_days():
    """While goods are missing; buyers also wait a day for them, and fill their stocks again later."""
    network, spec = chain(5), specified({}, capacity=1.0)
    with jax.enable_x64(True):
        made = Simulator(spec, network).simulate(range(1))["output"][0]
    lost = (1 - made[:, :] / network.output).sum(axis=0)
    told = missing_days(network, np.array([30.0, 0, 0, 0, 0]), np.ones(4), np.full(4, 9.0))
    np.testing.assert_allclose(lost, told, atol=4.5)
    assert lost[4] < 4.5 < lost[2]


def test_other_suppliers_of_a_product_make_up_for_one():
    """Two of four equal suppliers stop for 20 days; the others can make a quarter more."""
    network = firm_network([0, 1, 2, 3], [4] * 4, np.ones(4), [0] * 4 + [4.0], sector=[0] * 4 + [1], sectors=["A", "B"])
    lost = np.array([20.0, 20, 0, 0, 0])
    alone, helped = (missing_days(network, lost, np.ones(4), np.full(4, 4.0), help_)[4] for help_ in (0.0, 0.25))
    assert (alone, helped) == (0.5 * 20 - 4, 0.5 * 20 - 0.25 * 0.5 * 20 - 4)


MODELS: dict[str, tuple[dict[str, Any], dict[str, Any], bool]] = {  # shock, model → whether it is said to reach far
    "a long stop": ({}, {}, True),
    "a stop that stocks outlast": ({}, {"inventory_days": 40}, False),
    "a stop of which half is made up for": ({"loss": 0.5}, {"inventory_days": 15}, False),
    "inputs that replace each other": ({}, {"production": "linear"}, False),
    "what is never short": ({}, {"inventory_by_product": {f"S{i}": "inf" for i in range(8)}}, False),
    "the last of the chain": ({"where": {"sector": "S7"}}, {}, False),
    "a loss of demand": ({"on": "final_demand", "where": {"sector": "S7"}}, {}, False),
}


@pytest.mark.parametrize(("shock", "model", "far"), MODELS.values(), ids=MODELS)
def test_far_reaching_shocks_are_told(shock: dict[str, Any], model: dict[str, Any], far: bool):
    spec, network = specified(shock | {"recovery_start": 70}, **({"inventory_days": 5} | model)), chain(8)
    said = list(far_reaching(spec, bind(spec, network), network))
    assert [sentence.partition(":")[0] for sentence in said] == ["shocks.stop"] * far
    if far:
        assert "66 days' worth of output of firms that make 12.5 % of it; buyers hold 5 days" in said[0]
        assert "firms that make 87.5 %" in said[0]


def test_criticality_counts_as_production_reads_it(tmp_path: Any):
    (tmp_path / "own.csv").write_text("x,S0,S1,S2\nS0,1,0.5,0\nS1,0,0,1\nS2,0,0,0\n")
    for rule, parts in {"half_critical": [0.5, 1], "strongly_critical": [1, 1], "weakly_critical": [0, 1]}.items():
        data = {"economy": ".", "horizon": {"days": 9}, "model": {"production": rule, "criticality": "own.csv"}}
        spec = parse_spec(data, folder=tmp_path)
        assert critical_part(spec, bind(spec, chain(3)), chain(3)).tolist() == parts


def test_a_table_takes_what_its_loss_leaves_of_its_factors(tmp_path: Any):
    """Capacity of 1: half of a day for 20 of 80 days at a loss of 1, a quarter of a day at a half."""
    (tmp_path / "f.csv").write_text("sector,day,factor\nS0,10,0.5\nS0,30,1\n")
    for loss in (None, 0.5):
        shock = {"name": "t", "kind": "table", "file": "f.csv"} | ({} if loss is None else {"loss": loss})
        data = {"economy": ".", "horizon": {"days": 80}, "model": {"capacity": 1.0}, "shocks": [shock]}
        spec = parse_spec(data, folder=tmp_path)
        (act,) = acts(spec, bind(spec, chain(3)), chain(3))
        assert act.days_lost.tolist() == pytest.approx([10 * (loss or 1), 0, 0])


ACTS: dict[str, tuple[dict[str, Any], str]] = {
    "capacity": (
        {},
        "of the capacity to produce, felt beyond the 20 % that may be spare: 1 firm that makes 20 % of output",
    ),
    "final demand": (
        {"on": "final_demand", "where": {"sector": "S4"}},
        "of final demand, not of capacity: 1 firm that meets 100 % of it",
    ),
    "failures": (
        {"kind": "failures", "days_between_failures": 9, "repair_days": 2},
        "of the capacity to produce, while a firm is out, felt beyond the 20 % that may be spare: "
        "1 firm that makes 20 % of output",
    ),
    "damage": (
        {"kind": "damage", "builders": {"S0": 1}, "where": {"sector": "S1"}},
        "of capital, which output falls with and builders replace: 1 firm that makes 20 % of output",
    ),
    "cut": ({"kind": "cut"}, "of orders that do not get through: 4 links, 100 % of purchases"),
    "detour": ({"kind": "cut", "detour_days": 5}, "of the goods that come late: 4 links, 100 % of purchases"),
    "closure": (
        {"kind": "closure", "route": "strait"}, "of the capacity of route strait: 100 % of purchases go by it"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("shock", "told"), ACTS.values(), ids=ACTS)
def test_what_a_loss_is_a_share_of_is_told(shock: dict[str, Any], told: str):
    kind = {"name": "stop", "loss": 1.0, "where": {"sector": "S0"}} | {"kind": "recovery"} | shock
    if kind["kind"] in ("cut", "closure"):
        del kind["where"]
    routes = [{"name": "strait", "capacity": 1.2}]
    spec = parse_spec({"economy": ".", "model": {"routes": routes}, "horizon": {"days": 9}, "shocks": [kind]})
    assert list(acts_on(spec, bind(spec, chain(5)), chain(5))) == [f"shocks.stop: loss is {told}"]
