"""Decisions: a budget spent as closed forms say, worth what they say, and better than equal and proportional shares."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.optimize import brentq, linprog
from shockmesh.cluster.cli import main
from shockmesh.cluster.spec.load import SpecError, parse_spec
from shockmesh.cluster.verbs.allocate import AllocateError, Ensemble
from shockmesh.cluster.verbs.printing import BAD_INPUT, DONE
from shockmesh.inference.decisions import Decision, decide, tail_weights
from shockmesh.io.networks.store import write_network
from shockmesh.io.risk import tail
from shockmesh.kernels.network import FirmNetwork, firm_network

BUDGET = 10.0


def spend(objective, n: int, steps: int = 60) -> Decision:
    return decide(objective, BUDGET, {"equal": np.full(n, BUDGET / n)}, steps)


@pytest.mark.parametrize("n", [3, 40, 1000])
def test_smooth_losses_are_filled_like_water(n: int):
    """Least Σ a e^(−y / c): y = c [ln (a / c λ)]⁺, with the multiplier λ by which the budget is used up."""
    rng = np.random.default_rng(n)
    a, c = rng.uniform(1, 9, n), rng.uniform(0.5, 3, n)

    def filled(worth: float) -> np.ndarray:
        return c * np.maximum(np.log(a / c / worth), 0)

    worth: Any = brentq(lambda of: filled(of).sum() - BUDGET, 1e-9, (a / c).max())
    least = (a * np.exp(-filled(worth) / c)).sum()
    found = spend(lambda y: (float((a * np.exp(-y / c)).sum()), -a / c * np.exp(-y / c)), n, 200)
    equal = (a * np.exp(-BUDGET / n / c)).sum()
    assert found.spending.sum() == pytest.approx(BUDGET)
    assert found.loss - least < 1e-3 * (equal - least)
    assert found.worth == pytest.approx(worth, rel=0.02)


def least_of_stops(days: np.ndarray, sales: np.ndarray, price: np.ndarray, budget: float) -> tuple[float, float]:
    """Least mean over outages of Σ sales · (days − y / price)⁺, and the multiplier, by a linear program."""
    m, n = len(days), len(sales)
    cost = np.concatenate([np.zeros(n), np.tile(sales / m, m)])
    covers = np.hstack([-np.tile(np.diag(1 / price), (m, 1)), -np.eye(m * n)])
    spends = np.concatenate([np.ones(n), np.zeros(m * n)])[None]
    told = linprog(cost, np.vstack([covers, spends]), np.concatenate([-np.repeat(days, n), [budget]]))
    return told.fun, -told.ineqlin.marginals[-1]


def star() -> FirmNetwork:
    """One firm sells to four, who buy from nobody else, and sell to consumers."""
    bought, sales = np.array([1.0, 2.0, 1.0, 0.5]), np.array([2.0, 8.0, 6.0, 1.0])
    return firm_network(
        np.zeros(4, int), np.arange(1, 5), bought, np.concatenate([[0.0], sales]),
        sector=[0, 1, 2, 3, 4], sectors=["S", "A", "B", "C", "D"], firm=[f"f{i}" for i in range(5)],
    )  # fmt: skip


def star_spec(**more: object) -> dict[str, object]:
    """The firm in the middle stops for good, one day later in each member: an outage of 12, 11 … 3 days."""
    stop = {"name": "stop", "kind": "recovery", "loss": 1.0, "where": {"firm": ["f0"]}}
    told = {"budget": BUDGET, "levers": {"model.inventory_days": 1}, "where": {"sector": ["A", "B", "C", "D"]}}
    told |= {"loss": "final_consumption", "held_out": 1, "steps": 150}
    onsets = {"shocks.stop.onset": [float(day) for day in (*range(2, 12), 2)]}
    return {
        "economy": ".", "horizon": {"days": 14}, "precision": "float64", "model": {"inventory_days": 1},
        "shocks": [stop], "sweep": {"grid": onsets}, "record": {"output": []}, "allocate": told | more,
    }  # fmt: skip


def test_stock_in_a_star_goes_where_the_closed_form_says():
    """A firm with n days of stock sells for n days more: its consumers lose sales · (days of the outage − n)⁺."""
    network = star()
    found = Ensemble(parse_spec(star_spec()), network).allocate()
    days = 14.0 - np.arange(2, 12) - 1  # a day of stock is there already
    least, worth = least_of_stops(days, network.final_demand[1:], network.inputs[1:], BUDGET)
    assert found.decided["found"] == pytest.approx(least, rel=0.01)
    assert found.worth == pytest.approx(worth, rel=0.15)
    equal = np.maximum(days[:, None] - BUDGET / 4 / network.inputs[1:], 0) @ network.final_demand[1:]
    assert found.decided["equal"] == pytest.approx(equal.mean(), rel=1e-9)
    assert found.decided["none"] == pytest.approx(days.mean() * network.final_demand.sum(), rel=1e-9)
    assert found.firms["spent"].to_numpy().sum() == pytest.approx(BUDGET)
    assert found.firms["firm"].tolist()[0] == "f3"  # who sells most for what it buys


def test_the_worst_members_alone_may_count():
    network = star()
    found = Ensemble(parse_spec(star_spec(tail=0.2)), network).allocate()
    days = np.array([11.0, 10.0])
    least, _ = least_of_stops(days, network.final_demand[1:], network.inputs[1:], BUDGET)
    assert found.decided["found"] == pytest.approx(least, rel=0.01)


def test_the_tail_of_a_sample_is_its_expected_shortfall():
    rng = np.random.default_rng(0)
    losses, weights = rng.normal(size=37), rng.uniform(size=37)
    weights /= weights.sum()
    for share in (0.01, 0.3, 1.0):
        of = tail_weights(losses, weights, share)
        assert of.sum() == pytest.approx(1)
        assert of @ losses == pytest.approx(tail(losses, weights, (1 - share,))[1, 0])


def a_sweep(folder: Path, network: FirmNetwork) -> Path:
    """Storms that hit a few firms each, and a budget of stock and spare capacity."""
    write_network(network, folder / "economy.zarr")
    storm = {
        "name": "storm",
        "kind": "recovery",
        "loss": 0.8,
        "recovery_days": 6,
        "where": {"sector": "S1", "share": 0.3},
    }
    spec = {
        "economy": "economy.zarr", "horizon": {"days": 30}, "shocks": [storm], "model": {"inventory_days": 3},
        "sweep": {"seed": 1, "members": 96, "vary": {"shocks.storm.loss": {"uniform": [0.5, 1]}}},
        "allocate": {"budget": 0.5 * float(network.inputs.sum()), "held_out": 48, "steps": 30,
                     "levers": {"model.inventory_days": 1, "model.capacity": 20}},
    }  # fmt: skip
    (folder / "storm.yaml").write_text(yaml.safe_dump(spec))
    return folder / "storm.yaml"


def test_the_budget_does_better_than_equal_and_proportional_shares_where_it_was_not_fitted(
    tmp_path: Path, random_network, capsys: pytest.CaptureFixture[str]
):
    spec = a_sweep(tmp_path, random_network(firms=60, links=300, seed=3))
    assert main(["allocate", str(spec), "--json", "-o", str(tmp_path / "out.csv")]) == DONE
    told = json.loads(capsys.readouterr().out)
    assert told["options"] > 60
    for name in ("equal", "proportional"):
        assert told["decided"]["found"] < told["decided"][name] < told["decided"]["none"]
        saved = told["saved"][name]
        assert saved["mean"] > 3 * saved["error"] > 0
        assert saved["mean"] == pytest.approx(told["held_out"][name] - told["held_out"]["found"], rel=1e-3)
    firms = pd.read_csv(tmp_path / "out.csv")
    assert firms["spent"].to_numpy().sum() == pytest.approx(told["budget"], rel=1e-5)
    assert (np.diff(firms["spent"].to_numpy()) <= 0).all()
    assert set(firms["lever"]) == {"model.inventory_days", "model.capacity"}
    assert main(["allocate", str(spec), "-o", str(tmp_path / "out.csv")]) == BAD_INPUT


REFUSED = {
    "a lever that is none": ({"levers": {"model.adjustment_days": 1}}, "allocate.levers.model.adjustment_days: "),
    "a lever that nothing reads": ({"levers": {"model.suppliers.pull": 1}}, "must be a number that the model reads"),
    "a share of firms": ({"where": {"share": 0.5}}, "allocate.where.share: 0.5: name the firms: leave it out"),
}


@pytest.mark.parametrize(("more", "says"), REFUSED.values(), ids=REFUSED)
def test_what_money_cannot_buy_is_refused(more: dict[str, object], says: str):
    with pytest.raises(SpecError) as caught:
        parse_spec(star_spec(**more))
    assert says in str(caught.value)


def test_what_the_economy_cannot_decide_is_refused():
    with pytest.raises(SpecError, match=r"allocate\.where\.sector: X: no such sector in the economy"):
        Ensemble(parse_spec(star_spec(where={"sector": ["X"]})), star())
    with pytest.raises(AllocateError, match=r"allocate\.held_out: 11: must leave some of the sweep's 11 members"):
        Ensemble(parse_spec(star_spec(held_out=11)), star())
    with pytest.raises(AllocateError, match="allocate: missing"):
        Ensemble(parse_spec(star_spec() | {"allocate": None}), star())
