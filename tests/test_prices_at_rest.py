"""Prices at rest: exact results, where days lead, derivatives, shards, and the verb."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd
import pytest
import yaml
from arrays import checked_slopes, column
from priced import WAGES, between, cost_shares, economy, lasting, numbers, single, taxed
from rollouts import assert_close, rollout
from shockmesh.cluster.cli import main
from shockmesh.cluster.verbs.printing import BAD_INPUT, DONE
from shockmesh.io.networks.store import write_network
from shockmesh.kernels.devices.layout import lay_out
from shockmesh.kernels.devices.partition import partition
from shockmesh.kernels.mechanisms.shocks import Scenario
from shockmesh.kernels.model import Switches
from shockmesh.kernels.network import FirmNetwork, firm_network
from shockmesh.kernels.prices import prices_at_rest, sharded_prices_at_rest
from shockmesh.kernels.shard import mesh_of, shard

pytestmark = pytest.mark.usefixtures("quickly")

COST = Switches(prices="cost")
at_rest = jax.jit(prices_at_rest)


def dearer(network: FirmNetwork, rate: float = 0.25) -> Scenario:
    return Scenario(tariffs=(between(network, lasting(rate)),), costs=(lasting(WAGES - 1),))


@pytest.mark.parametrize("elasticity", [0.0, 1.0])
def test_leontief_and_cobb_douglas(precision, elasticity):
    network = economy()
    (a, v), duty = cost_shares(network), taxed(network, 0.25)
    if elasticity:
        costs = v * np.log(WAGES) + (a * np.log1p(duty)).sum(0)
        expected = np.exp(np.linalg.solve(np.eye(30) - a.T, costs))
    else:
        expected = np.linalg.solve(np.eye(30) - (a * (1 + duty)).T, v * WAGES)
    model = numbers(network, elasticity_within=elasticity, elasticity_between=elasticity)
    found = at_rest(lay_out(network, precision), *single(precision, (model, dearer(network))))
    np.testing.assert_allclose(found.price[:, 0], expected, rtol=1e-13 if precision == np.float64 else 1e-5)
    assert found.moves.max() < (1e-14 if precision == np.float64 else 1e-5)


def test_days_lead_there(float64):
    """Where nothing is scarce: prices, quantities and money."""
    network = economy()
    model, layout = numbers(network, members=2, scarcity=0, capacity=1e3), lay_out(network, "f8")
    rest = at_rest(layout, model, dearer(network))
    record = dict.fromkeys(["price", "output", "final_demand", "tariff_revenue", "consumer_price_index"])
    found = rollout(layout, COST, model, dearer(network), days=2000, record=record)
    rest = rest._asdict() | {"consumer_price_index": rest.consumer_price}
    for name, values in found.items():
        np.testing.assert_allclose(values[-1], rest[name], rtol=1e-9, atol=1e-12, err_msg=name)


def total(rest: Any) -> jax.Array:
    return (rest.price**2).sum() + rest.output.sum() + rest.tariff_revenue.sum() + (rest.consumer_price**2).sum()


def test_derivatives_and_shards(float64):
    """Implicit derivatives are those of differences, also at elasticities of 1; shards have the same."""
    network = economy()
    layout, mesh, parts = lay_out(network, "f8"), mesh_of(4), shard(network, partition(network, 4), "f8")
    ones: dict[str, Any] = {f"elasticity_{of}": 1.0 for of in ("within", "between", "final")}
    for given in ({}, ones):
        at = numbers(network, **given), dearer(network)
        expected = checked_slopes(lambda inputs: total(prices_at_rest(layout, *inputs)), at, ways=2)
    one = lambda inputs: prices_at_rest(layout, *inputs)  # noqa: E731
    many = lambda inputs: sharded_prices_at_rest(parts, mesh, *inputs)  # noqa: E731
    assert_close(jax.jit(many)(at)._replace(rounds=0, moves=0), jax.jit(one)(at)._replace(rounds=0, moves=0), 1e-12)
    assert_close(jax.jit(jax.grad(lambda inputs: total(many(inputs))))(at), expected, 1e-11)


def test_a_circle_of_firms_that_pay_more_than_they_get_comes_to_no_rest(float64):
    """Two firms sell each other 0.9 of what they make; with a tariff of 20 % they ask 1.08 for what costs 1."""
    circle = firm_network([0, 1], [1, 0], [0.9, 0.9], [0.1, 0.1])
    model = numbers(circle, elasticity_within=0, elasticity_between=0)
    scenario = replace(
        dearer(economy()),
        tariffs=(replace(between(circle, lasting(0.2)), origin=column(1.0), destination=column(1.0)),),
        costs=(),
    )
    found = prices_at_rest(lay_out(circle, "f8"), model, scenario, rounds=2000)
    assert not (found.moves <= 1e-3).all()


# The verb

DUTY = {"name": "duty", "kind": "tariff", "from": {"region": "x"}, "to": {"region": "y"}, "rate": 0.25}


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    network = economy()
    write_network(network, tmp_path / "economy.zarr")
    told = {"economy": "economy.zarr", "horizon": {"days": 9}, "precision": "float64", "shocks": [DUTY],
            "model": {"prices": {"elasticity_within": 0, "elasticity_between": 0}}}  # fmt: skip
    (tmp_path / "duty.yaml").write_text(yaml.safe_dump(told))
    return tmp_path / "duty.yaml"


@pytest.mark.parametrize("devices", [1, 3])
def test_the_verb_tells_prices_by_firm(spec: Path, capsys: pytest.CaptureFixture[str], devices: int):
    network = economy()
    a, v = cost_shares(network, taxed(network, 0.25))
    expected = np.linalg.solve(np.eye(30) - a.T, v)
    words = ["prices", str(spec), "--json", "--set", f"resources.devices_per_gang={devices}"]
    assert main([*words, "--out", str(spec.with_suffix(".csv"))]) == DONE
    told = json.loads(capsys.readouterr().out)
    np.testing.assert_allclose(list(told["price"].values()), expected, rtol=1e-12)
    np.testing.assert_allclose(pd.read_csv(spec.with_suffix(".csv")).price, -np.sort(-expected), rtol=1e-12)
    assert set(told["consumer_price_index"]) == set("xyz")
    assert told["tariff_revenue"]["y"] > 0 == told["tariff_revenue"]["x"]
    by_region = told["output_by_region"]
    assert sum(of["at_rest"] for of in by_region.values()) == pytest.approx(told["output"]["at_rest"], rel=1e-12)
    assert by_region["z"]["baseline"] == pytest.approx(network.output[network.region == 2].sum(), rel=1e-12)
    assert told["residual"] < 1e-13
    assert told["rounds"] > 10


def test_of_many_firms_it_tells_prices_by_region_and_sector(
    spec: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("shockmesh.cluster.verbs.prices.MOST_FIRMS", 29)
    assert main(["prices", str(spec), "--json"]) == DONE
    told, network = json.loads(capsys.readouterr().out)["price"], economy()
    a, v = cost_shares(network, taxed(network, 0.25))
    price, here = np.linalg.solve(np.eye(30) - a.T, v), (network.region == 1) & (network.sector == 2)
    assert told["y"]["c"] == pytest.approx(np.average(price[here], weights=network.output[here]))
    assert main(["prices", str(spec)]) == DONE
    said = capsys.readouterr().out
    assert all(word in said for word in ("consumer prices, y", "output, y"))


REFUSED = {
    "prices are fixed": ("model.prices=null", "model.prices: missing: required by this verb; {} takes all defaults"),
    "a circle that pays more than it gets": (
        "shocks.duty={name: duty, kind: tariff, rate: 90}",
        "no prices at rest: after",
    ),
}


@pytest.mark.parametrize(("override", "says"), REFUSED.values(), ids=REFUSED)
def test_it_refuses_what_has_no_prices_at_rest(
    spec: Path, capsys: pytest.CaptureFixture[str], override: str, says: str
):
    words = ["--set", override] if override.startswith("shocks.duty=") else ["--set", override, "--set", "shocks=[]"]
    assert main(["prices", str(spec), *words]) == BAD_INPUT
    assert says in capsys.readouterr().err
    assert main(["prices", str(spec), "--member", "1"]) == BAD_INPUT
    assert "sweep.members: 1: no such member; there are 1" in capsys.readouterr().err
