"""What a spec does on its economy that its author may not expect is said by validate, plan, run and report."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import yaml
from arrays import column
from rollouts import rollout
from shockmesh.cluster.cli import main
from shockmesh.cluster.spec.binding import bind
from shockmesh.cluster.spec.cautions import cautions, needs_told, spectral_radius
from shockmesh.cluster.spec.load import parse_spec
from shockmesh.cluster.verbs.printing import DONE
from shockmesh.io.networks.store import write_network
from shockmesh.kernels.devices.layout import Delayed, lay_out
from shockmesh.kernels.mechanisms.courses import Table
from shockmesh.kernels.mechanisms.shocks import Scenario
from shockmesh.kernels.model import PRESETS, Parameters
from shockmesh.kernels.network import FirmNetwork, firm_network

ECONOMY = firm_network(  # X buys for more than it sells
    [0, 0, 1, 2], [1, 2, 2, 0], [7.0, 2.0, 1.0, 8.0], [4.0, 5.0, 9.0], firm=["B", "X", "Z"], sector=[0, 1, 2],
    sectors=["BUILD", "LOSS", "FINE"],
)  # fmt: skip
STRIKE = {"name": "strike", "kind": "recovery", "loss": 0.2}
HIT = {"sector": ["LOSS", "FINE"]}
QUAKE = {"name": "quake", "kind": "damage", "loss": 0.5, "builders": {"BUILD": 1.0}, "where": HIT}
FINE = {"sector": ["FINE"]}
INOUE = {"preset": "inoue_todo2019"}
# model, shocks → how the sentences begin
CASES: dict[str, tuple[dict[str, Any], list[dict[str, Any]], list[str]]] = {
    "a loss that is felt": ({}, [STRIKE | {"loss": 0.21}], []),
    "a loss within spare capacity": ({}, [STRIKE], ["shocks.strike: changes nothing by itself: the largest loss, 0.2"]),
    "no capacity to spare": ({"capacity": 1.0}, [STRIKE], []),
    "a loss within stocks": ({"preset": "literal"}, [STRIKE | {"loss": 0.8, "where": FINE}], ["shocks.strike: "]),
    "a loss of demand": ({}, [STRIKE | {"on": "final_demand"}], []),
    "firms without capital": ({}, [QUAKE], ["shocks.quake: 1 of 2 firms that it names lose nothing"]),
    "long stocks that follow output": (INOUE | {"inventory_days": 40}, [], ["model.inventory_days: 40"]),
    "short stocks that follow output": (INOUE | {"inventory_days": 1}, [], []),
    "short stocks and long ways": (
        INOUE | {"inventory_days": 1, "delays": [{"name": "sea", "days": 40}]}, [],
        [
            "model.inventory_days: 1 and up to 40 days on the way with model.adjustment_days: 6 and order_target",
            "model.delays.sea: is of trade between firms only",
        ],
    ),
    "fixed stocks": ({"inventory_days": 40}, [], []),
    "premiums that no circle can drive": ({"prices": {"scarcity": 0.3}}, [], []),
    "premiums that a circle can drive": (
        {"prices": {"scarcity": 3}}, [], ["model.prices.scarcity: 3: where goods stay short, prices may rise"]
    ),
    "fixed stocks at once": ({"adjustment_days": 1}, [], ["model.adjustment_days: 1: the steady state is sure"]),
}  # fmt: skip


@pytest.mark.parametrize(("model", "shocks", "begin"), CASES.values(), ids=CASES)
def test_what_is_said(model: dict[str, Any], shocks: list[dict[str, Any]], begin: list[str]):
    spec = parse_spec({"economy": ".", "horizon": {"days": 9}, "model": model, "shocks": shocks})
    said = list(cautions(spec, bind(spec, ECONOMY), ECONOMY))
    assert [sentence[: len(start)] for sentence, start in zip(said, begin, strict=True)] == begin


RATINGS = "x,BUILD,LOSS,FINE\nBUILD,1,1,0.5\nLOSS,0,0,0.25\nFINE,0.75,0,0\n"  # links of 7, 2, 1 and 8 in all
NEEDS: dict[str, tuple[dict[str, Any], str]] = {
    "all": ({}, "every input is critical (leontief)"),
    "all but what never runs short": (
        {"inventory_by_product": {"BUILD": "inf"}}, "every input is critical (leontief); never short: BUILD"
    ),
    "all, early": ({"production": "threshold"}, "every input is critical, from a low stock on (threshold)"),
    "all, in part": (
        {"production": "ces"}, "every input is critical, others make up for a part of what is missing (ces)"
    ),
    "none": ({"production": "linear"}, "no input is critical, any makes up for any other (linear)"),
    "some stop, some slow": (
        {"production": "half_critical"},
        "criticality of own.csv (half_critical): inputs that stop a firm are 25 % of links and 39 % of purchases, "
        "those that slow it down 75 % of links and 61 % of purchases; the others only cost",
    ),
    "from a half on": (
        {"production": "strongly_critical"},
        "criticality of own.csv (strongly_critical): inputs that stop a firm are 75 % of links and 94 % of purchases; "
        "the others only cost",
    ),
    "only the highest": (
        {"production": "weakly_critical"},
        "criticality of own.csv (weakly_critical): inputs that stop a firm are 25 % of links and 39 % of purchases; "
        "the others only cost",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("model", "told"), NEEDS.values(), ids=NEEDS)
def test_which_inputs_stop_a_firm_is_said(model: dict[str, Any], told: str, tmp_path: Path):
    (tmp_path / "own.csv").write_text(RATINGS, encoding="utf-8")
    own = {"criticality": "own.csv"} if "critical" in model.get("production", "") else {}
    spec = parse_spec({"economy": ".", "horizon": {"days": 9}, "model": model | own}, folder=tmp_path)
    assert needs_told(spec, bind(spec, ECONOMY), ECONOMY) == f"production: {told}"


def test_a_survey_that_was_not_asked_for_is_said_by_every_verb(
    toy: FirmNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
):
    monkeypatch.chdir(tmp_path)
    write_network(toy, tmp_path / "economy.zarr")
    Path("s.yaml").write_text("economy: economy.zarr\nhorizon: {days: 3}\nmodel: {preset: pichler2022}\n")
    begins = "production: surveyed criticality (half_critical): inputs that stop a firm are "
    for verb in (["validate", "s.yaml"], ["plan", "s.yaml"], ["run", "s.yaml", "--address", "local", "-o", "out"]):
        assert main([*verb, "--json"]) == DONE
        told = json.loads(capsys.readouterr().out)["notes"][-1]
        assert told.startswith(begins)
    assert main(["report", "out", "--quiet"]) == DONE
    assert told in Path("out/report.html").read_text("utf-8")
    said = json.loads(Path("out/RUN.json").read_text("utf-8"))
    assert (said["notes"], said["spec"]["model"]["criticality"]) == ([told], "surveyed")


@pytest.mark.parametrize(("days", "stages"), [(3, None), (5, None), (3.0, 2), (5.0, 2)])
def test_a_target_that_follows_output_is_stable_up_to_a_limit_that_counts_days_on_the_way(
    float64: None, days: float, stages: int | None
):
    """Two firms that sell each other half of their output: a (1 + (n + d) / τ) > 1 from n + d = 10 on, for τ = 10.

    The modes of a deviation have the product a (1 + (n + d) / τ), so a pair of them grows by its root each day.
    """
    pair = firm_network([0, 1], [1, 0], [1.0, 1.0], [1.0, 1.0])
    delay = {"name": "road", "days": days} | ({"stages": stages} if stages else {})
    model = INOUE | {"inventory_days": 6, "adjustment_days": 10, "capacity": 2.0, "delays": [delay]}
    spec = parse_spec({"economy": ".", "horizon": {"days": 9}, "model": model})
    said = [of for of in cautions(spec, bind(spec, pair), pair) if "unstable" in of]
    assert len(said) == (days == 5)
    delayed = [Delayed(np.arange(2), np.zeros(2), stages or int(days), stages is None)]
    means = None if stages is None else jnp.full((1, 1, 1), days)
    numbers = Parameters(column(6.0), column(10.0), column(2.0), delay_days=means)
    once = jnp.ones((2, 1, 1)).at[0].set(1 - 1e-6)
    found = rollout(
        lay_out(pair, "f8", delays=delayed), PRESETS["inoue_todo2019"].switches, numbers,
        Scenario(final_demand=(Table(once),)), days=240, record={"output": None},
    )["output"][:, 0, 0]  # fmt: skip
    early, late = (float(np.abs(np.asarray(found[of : of + 60]) - 2).max()) for of in (40, 160))
    root = (0.5 * (1 + (6 + days) / 10)) ** 0.5
    np.testing.assert_allclose((late / early) ** (1 / 120), root, rtol=3e-3)


@pytest.mark.parametrize("circles", [0, 1, 2])
def test_the_growth_of_a_deviation_is_an_eigenvalue(random_network: Callable[..., FirmNetwork], circles: int):
    """Also where firms far from all others grow fastest, in circles whose length the iteration has to forget."""
    network = random_network(firms=30, links=150)
    ring = 30 + np.arange(9 * circles)
    turned = ring.reshape(circles, 9)[:, np.r_[1:9, 0]].ravel()
    network = firm_network(
        np.r_[network.supplier, ring], np.r_[network.buyer, turned], np.r_[network.amount, np.full(len(ring), 4.0)],
        np.r_[network.final_demand, np.full(len(ring), 0.5)],
    )  # fmt: skip
    weight = np.linspace(1, 3, network.n_links)
    table = np.zeros((network.n_firms, network.n_firms))
    np.add.at(table, (network.supplier, network.buyer), weight * network.amount / network.output[network.supplier])
    assert spectral_radius(network, weight) == pytest.approx(np.abs(np.linalg.eigvals(table)).max(), rel=1e-3)


def test_every_verb_says_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any):
    monkeypatch.chdir(tmp_path)
    write_network(ECONOMY, tmp_path / "economy.zarr")
    Path("s.yaml").write_text(yaml.safe_dump({"economy": "economy.zarr", "horizon": {"days": 3}, "shocks": [STRIKE]}))
    for verb in (["validate", "s.yaml"], ["plan", "s.yaml"], ["run", "s.yaml", "--address", "local", "-o", "out"]):
        assert main([*verb, "--json"]) == DONE
        assert json.loads(capsys.readouterr().out)["notes"][0].startswith("shocks.strike: changes nothing by itself")
    assert main(["report", "out", "--quiet"]) == DONE
    assert "shocks.strike: changes nothing by itself" in Path("out/report.html").read_text("utf-8")
