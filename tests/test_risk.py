"""Risk of a run: expected annual loss, return periods, VaR and ES, in closed form, and how far chance moves them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from shockmesh.cluster.cli import main
from shockmesh.cluster.verbs.printing import DONE
from shockmesh.io.networks.store import write_network
from shockmesh.io.results import open_run
from shockmesh.io.risk import RiskError, events_risk, member_losses, members_risk, risk_of, tail, year_law
from toy import toy_network

LEVELS = (0.5, 0.9, 0.99)


@pytest.mark.parametrize("rate", [0.05, 1.0, 12.0])
def test_a_year_of_equal_losses_is_a_poisson_number_of_them(rate: float):
    points, law = year_law(np.full(4, 250.0), np.full(4, rate / 4))
    np.testing.assert_allclose(law[points.searchsorted(0) :: round(250 / (points[1] - points[0]))][:9],
                               stats.poisson.pmf(np.arange(9), rate), atol=1e-12)  # fmt: skip
    var, _ = tail(points, law, LEVELS)
    np.testing.assert_allclose(var, 250 * stats.poisson.ppf(LEVELS, rate), rtol=1e-12)


def test_a_year_of_exponential_losses_has_the_law_in_closed_form():
    """A compound Poisson sum of exponentials: P(S > x) = Σ_k Poisson(k) · Gamma_k(> x)."""
    n, rate = 20_000, 2.0
    losses = stats.expon.ppf((np.arange(n) + 0.5) / n)
    points, law = year_law(losses, np.full(n, rate / n))
    k = np.arange(1, 60)
    for x in points[points.searchsorted([0.5, 3.0, 8.0])]:
        exact = (stats.poisson.pmf(k, rate) * stats.gamma.sf(x, k)).sum()
        assert law[points > x].sum() + law[points == x][0] / 2 == pytest.approx(exact, abs=1e-4)


@given(st.lists(st.tuples(st.floats(-5, 50), st.floats(0.0, 2)), min_size=1, max_size=12))
def test_the_law_of_a_year_keeps_mean_and_variance(events: list[tuple[float, float]]):
    losses, often = (np.array(of) for of in zip(*events, strict=True))
    points, law = year_law(losses, often)
    step = points[1] - points[0] if len(points) > 1 else 0.0
    assert points @ law == pytest.approx(often @ losses, abs=1e-6 + 1e-9 * np.abs(losses).max())
    variance = points**2 @ law - (points @ law) ** 2
    assert variance == pytest.approx(often @ losses**2, abs=1e-6 + often.sum() * step**2 / 4 + 1e-6 * (losses**2).max())


@given(st.lists(st.floats(0, 100), min_size=1, max_size=30), st.floats(0.05, 0.95))
def test_es_is_the_least_of_rockafellar_and_uryasev(losses: list[float], level: float):
    """ES = min over c of c + E[L − c]⁺ / (1 − α), at one of the losses."""
    values, weights = np.array(losses), np.full(len(losses), 1 / len(losses))
    least = min(c + np.maximum(values - c, 0).mean() / (1 - level) for c in values)
    var, es = tail(values, weights, (level,))
    assert es[0] == pytest.approx(least, abs=1e-9 * (1 + abs(least)))
    assert es[0] >= var[0] - 1e-9


def test_return_levels_and_the_curve_are_those_of_the_frequencies():
    losses, often = np.array([100.0, 10.0, 1.0, 10.0]), np.array([0.001, 0.01, 0.5, 0.009])
    told = events_risk(losses, often, LEVELS, (1.0, 2.0, 50.0, 100.0, 1000.0, 2000.0))
    assert {t: of.value for t, of in told["return_levels"].items()} == {
        1: 0,
        2: 1,
        50: 10,
        100: 10,
        1000: 100,
        2000: 100,
    }
    curve = told["curve"]
    np.testing.assert_allclose(curve["frequency"], [0.001, 0.02, 0.52])
    np.testing.assert_allclose(curve["error"], np.sqrt([1e-6, 1e-6 + 1e-4 + 8.1e-5, 1e-6 + 1e-4 + 8.1e-5 + 0.25]))
    np.testing.assert_allclose(curve["return_period"], 1 / np.array([0.001, 0.02, 0.52]))
    assert told["mean"].value == pytest.approx(0.1 + 0.1 + 0.5 + 0.09)


@pytest.mark.slow
def test_the_errors_are_those_over_many_catalogues():
    """Catalogues of 300 years of Pareto losses, 0.5 a year: their spread, and the mean of the errors that they tell."""
    rng, told = np.random.default_rng(3), []
    for _ in range(40):
        losses = rng.pareto(4.0, rng.poisson(150)) + 1
        found = events_risk(losses, np.full(len(losses), 1 / 300), (0.9,), (20.0,))
        told.append([found["mean"], found["return_levels"][20.0], found["var"][0.9], found["es"][0.9]])
    values, errors = (np.array([[getattr(of, name) for of in row] for row in told]) for name in ("value", "error"))
    np.testing.assert_allclose(errors.mean(0), values.std(0), rtol=0.35)


def test_members_that_are_alike_have_errors_in_closed_form():
    losses = np.random.default_rng(0).normal(10, 2, 2_000)
    told = members_risk(losses, (0.9,))
    assert told["mean"].error == pytest.approx(2 / np.sqrt(2_000), rel=0.05)
    density = stats.norm.pdf(stats.norm.ppf(0.9)) / 2
    assert told["var"][0.9].error == pytest.approx(np.sqrt(0.9 * 0.1 / 2_000) / density, rel=0.3)
    assert told["es"][0.9].value == pytest.approx(10 + 2 * stats.norm.pdf(stats.norm.ppf(0.9)) / 0.1, rel=0.01)


def run_of(events: bool = True) -> xr.Dataset:
    """An open run of three members, two days and two regions; the last failed."""
    made = np.array([[[9.0, 8], [10, 6]], [[10, 10], [10, 9]], [[np.nan, 0], [0, 0]]])
    ds = xr.Dataset(
        {
            "output": (("member", "time", "region"), made, {"units": "million USD / day"}),
            "output_baseline": ("region", [10.0, 10.0]),
            "status": ("member", np.array([1, 1, 2], np.int8)),
        },
        {"member": [0, 1, 2], "region": ["A", "B"], "time": [0.0, 1.0]},
        {"block": 2},
    )
    often = {"shocks.quake.frequency": ("member", [0.5, 0.25, 0.125])}
    return ds.assign_coords(often if events else {})


def test_a_run_is_read_against_its_baseline():
    lost = member_losses(run_of(), "output", ["region"])
    np.testing.assert_array_equal(lost.values[:2], [[1, 6], [0, 1]])
    assert lost.attrs["units"] == "million USD"
    told = risk_of(run_of(), years=(2.0,))
    assert (told.members, told.left_out, told.frequency) == (2, 1, 0.75)
    assert told.mean.value == pytest.approx(0.5 * 7 + 0.25 * 1)
    assert told.return_levels[2.0].value == 7
    assert risk_of(run_of(events=False)).frequency is None
    assert risk_of(run_of(events=False)).mean.value == 4


@pytest.mark.parametrize(
    ("name", "by", "says"),
    [
        ("value_added", (), "value_added: not recorded; the run has output"),
        ("output", ("sector",), "output: sector: not recorded by it; it has region"),
    ],
)
def test_what_was_not_recorded_is_named(name: str, by: tuple[str, ...], says: str):
    with pytest.raises(RiskError, match=says):
        member_losses(run_of(), name, by)


@pytest.fixture(scope="module")
def storms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of five events of the toy economy, and one of a design for indices."""
    folder = tmp_path_factory.mktemp("storms")
    write_network(toy_network(), folder / "toy.zarr")
    rows = "".join(
        f"e{i},{sector},{0.15 * (i + 1)},{0.5 / (i + 1)}\n" for i, sector in enumerate(["A01", "C10", "G47", "I", "I"])
    )
    (folder / "events.csv").write_text(f"event,sector,loss,frequency\n{rows}")
    spec: dict[str, Any] = {"economy": "toy.zarr", "horizon": {"days": 9}, "record": {"output": ["region"]}}
    events = {"name": "storms", "kind": "events", "file": "events.csv", "recovery_days": 4}
    strike = {"name": "strike", "kind": "recovery", "loss": 0.5}
    vary = {"shocks.strike.loss": {"uniform": [0.5, 0.9]}, "model.inventory_days": {"uniform": [8, 9]}}
    sweep = {"members": 128, "design": "saltelli", "vary": vary}
    for name, top in (("events", {"shocks": [events]}), ("design", {"shocks": [strike], "sweep": sweep})):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(spec | top))
        out = ["--out", str(folder / f"{name}.run")]
        assert main(["run", str(folder / f"{name}.yaml"), *out, "--address", "local", "--quiet"]) == DONE
    return folder


def test_the_verb_tells_the_risk_of_a_run(storms: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["risk", str(storms / "events.run"), "--json", "--years", "5", "-o", str(storms / "curve.csv")]) == DONE
    told = json.loads(capsys.readouterr().out)
    with open_run(storms / "events.run") as run:
        lost = (9 * run.output_baseline.astype(float) - run.output.astype(float).sum("time")).sum("region").to_numpy()
        often = run["shocks.storms.frequency"].to_numpy()
    np.testing.assert_allclose(often, 0.5 / np.arange(1, 6))
    assert told["mean"]["value"] == pytest.approx(often @ lost, rel=1e-5)
    assert told["mean"]["error"] == pytest.approx(np.sqrt(((often * lost) ** 2).sum()), rel=1e-5)
    assert np.isclose(lost, told["return_levels"]["5"]["value"], rtol=1e-5).any()
    curve = pd.read_csv(storms / "curve.csv")
    np.testing.assert_allclose(curve["loss"], np.unique(lost)[::-1], rtol=1e-5)
    assert main(["risk", str(storms / "events.run")]) == DONE
    said = capsys.readouterr().out
    assert "output lost over 9 days, 5 events, 1.142 a year" in said
    assert "expected annual loss" in said
    assert "a year's ES, 99 %" in said


def test_the_verb_tells_which_numbers_decide(storms: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["indices", str(storms / "design.run"), "--json"]) == DONE
    told = {row["path"]: row for row in json.loads(capsys.readouterr().out)["indices"]}
    assert told["shocks.strike.loss"]["total"] > 0.8
    assert told["model.inventory_days"]["total"] < 0.1
    assert main(["indices", str(storms / "events.run")]) == 2
    assert "sweep.design: random: indices need a run with saltelli" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--level", "95"], ["--years", "0"], ["--level", ""]])
def test_levels_and_years_that_cannot_be_are_refused(words: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as end:
        main(["risk", "run", *words])
    assert end.value.code == 2
    assert words[0].removeprefix("--") in capsys.readouterr().err
