"""The validation pack: its data, its economies, and the scores that are made of them."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.stats import norm
from shockmesh.cluster.cli import main
from shockmesh.cluster.predicting.bands import Values, Width, crps_of_normal, held_out, learned
from shockmesh.cluster.predicting.bench import ASKED
from shockmesh.cluster.predicting.measures import Response, strengths
from shockmesh.cluster.predicting.pack import BASELINES, SHOCKS, Share, baselines, factors, predicted, scores, unpack
from shockmesh.cluster.predicting.profile import levels, profiles
from shockmesh.cluster.predicting.tried import ALONE, WITHOUT, FirstOrder, leave_one_out
from shockmesh.inference.baselines import through_leontief
from shockmesh.inference.diagnostics import crps
from shockmesh.io.inputs.survey import surveyed_criticality
from shockmesh.io.networks.generate import STRUCTURES, generate_network
from shockmesh.io.validation import DAYS, PACK, cases, facts, national_economies, national_table
from shockmesh.kernels.model import PRESETS

CASES = cases()


@pytest.fixture(scope="module")
def pack(tmp_path_factory):
    return unpack(tmp_path_factory.mktemp("pack"))


@pytest.fixture(scope="module")
def paths(pack):
    _, scenario = pack.simulator().inputs(range(1))
    return factors(scenario, pack.network.n_firms)


@pytest.mark.parametrize("name", CASES)
def test_a_case_says_where_it_is_from_and_scores_all_that_was_seen(name):
    case = CASES[name]
    assert case.title
    assert case.source
    assert case.licence
    covered = np.zeros(len(case.series.first_day), bool)
    for first, last in case.windows.values():
        covered |= (case.series.first_day >= first) & (case.series.last_day <= last)
    assert covered.all()
    assert (case.noise >= 0.03).all()


@pytest.mark.parametrize("name", CASES)
def test_every_series_sums_industries_and_none_twice(name, pack):
    case = CASES[name]
    assert sorted(series for series, _, _ in case.parts) == sorted(case.series.names)
    weights = case.weights(pack.network)
    assert (weights.sum(axis=0) > 0).all()
    assert ((weights > 0).sum(axis=1) <= 1).all()


def test_the_british_series_are_those_of_the_example():
    told = pd.read_csv(PACK.parent / "examples" / "uk2020" / "observed.csv")
    series = CASES["uk2020"].series
    np.testing.assert_allclose(series.values, told[list(series.names)].to_numpy()[1:])
    np.testing.assert_array_equal(series.first_day - 31, told.first_day[1:])


def test_the_british_economy_is_that_of_the_example():
    network = national_economies(("GBR",))
    file = pd.read_csv(PACK.parent / "examples" / "uk2020" / "gbr_niot_2014.csv", index_col=0)
    names = [f"GBR_{network.sectors[k]}" for k in network.sector]
    flows = np.zeros((len(names), len(names)))
    flows[network.supplier, network.buyer] = 365 * network.amount
    np.testing.assert_allclose(flows, file.loc[names, names].clip(lower=0), rtol=1e-5, atol=0.01)


def test_british_shocks_are_those_of_the_example(pack, paths):
    """On the days of April, when nothing has recovered yet."""
    told = pd.read_csv(PACK.parent / "examples" / "uk2020" / "shocks.csv", index_col=0)
    for region in ("GBR", "FRA", "USA"):
        here = np.flatnonzero(pack.network.region == pack.network.regions.index(region))
        sectors = [pack.network.sectors[k] for k in pack.network.sector[here]]
        for lost, column in zip(paths, ("supply_shock", "final_demand_shock"), strict=True):
            expected = 1 + told[column].reindex(sectors).clip(upper=0).to_numpy()
            np.testing.assert_allclose(lost[100, here], expected, atol=1e-3)


def test_no_baseline_sees_a_shock_before_it_begins_and_all_agree_without(pack):
    none = np.ones((3, pack.network.n_firms))
    for daily in baselines(pack.network, none, none).values():
        np.testing.assert_allclose(daily, 1, rtol=1e-9)


def test_leontief_of_days_is_that_of_each_day():
    flows, final = np.array([[0.5, 2], [1, 0]]), np.array([3.0, 4])
    lost = np.array([[0.0, 0.2], [0.5, 0.1]])
    each = [through_leontief(flows, final, day) for day in lost]
    np.testing.assert_allclose(through_leontief(flows, final, lost), each)


def test_who_knows_what_was_seen_makes_no_error(pack):
    """A prediction that is right in each period has no error; one that is off by 5 points everywhere errs by 5."""
    case = CASES["uk2020"]
    right = np.ones((DAYS, pack.network.n_firms))
    series = np.argmax(case.weights(pack.network), axis=1)
    seen = case.weights(pack.network).sum(axis=1) > 0
    for row, (first, last) in enumerate(zip(case.series.first_day, case.series.last_day, strict=True)):
        right[first : last + 1, seen] = case.series.values[row, series[seen]]
    np.testing.assert_allclose(predicted(case, pack.network, right), case.series.values)
    for off, covered in ((0.0, 1.0), (0.05, None)):
        found = [of for of in scores(pack, "any", right + off) if of.case == "uk2020"]
        assert [of.rmse for of in found] == pytest.approx([100 * off] * 2, abs=1e-9)
        assert [of.bias for of in found] == pytest.approx([100 * off] * 2, abs=1e-9)
        assert covered is None or {of.coverage for of in found} == {covered}


def test_the_bench_scores_a_preset_beside_the_baselines(capsys):
    assert main(["bench", "prediction", "--models", "pichler2022", "--shocks", "dates", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    found, shares = told["scores"], {row["model"]: row["of"] for row in told["shares"]}
    assert {row["model"] for row in found} == {*BASELINES, "pichler2022"} == set(shares)
    assert set(shares["first order"].values()) == {1.0}
    error = {(row["case"], row["window"], row["model"]): row["rmse"] for row in found}
    # The README of uk2020 says 12.05 and 7.80, weighted by value added without taxes and imported inputs.
    assert error["uk2020", "July to December", "no change"] == pytest.approx(12.05, abs=0.1)
    assert error["uk2020", "July to December", "first order"] == pytest.approx(7.80, abs=0.2)
    assert all(np.isfinite(list(error.values())))


def test_measures_cost_nothing_below_their_start_and_fade_where_nobody_meets():
    index = np.repeat([0.0, 30.0, 55.0, 80.0], 60)
    standing, fading = strengths(index, Response(lag=0))
    np.testing.assert_allclose(standing, np.repeat([0, 0, 0.5, 1], 60))
    days = np.maximum(np.arange(240) - 120, 0)
    np.testing.assert_allclose(fading, standing / (1 + (days / 100) ** 3))
    late, _ = strengths(index, Response(lag=5))
    np.testing.assert_allclose(late, np.concatenate([np.zeros(5), standing[:-5]]))


def test_without_measures_nothing_is_lost():
    for strength in strengths(np.full(DAYS, 20.0)):
        np.testing.assert_array_equal(strength, 0)


def test_the_spec_of_measures_has_the_sizes_of_the_other(pack):
    dates, measures = ({of["name"]: of["loss"]["by_sector"] for of in read(pack, shock)} for shock in SHOCKS)
    assert measures["closure"] | measures["lockdown"] == pytest.approx(dates["closure"] | dates["lockdown"])
    assert measures["avoidance"] | measures["caution"] == pytest.approx(dates["caution"])
    assert not set(measures["avoidance"]) & set(measures["caution"])


def read(pack, shock: str) -> list[dict]:
    return yaml.safe_load(pack.under(shock).spec.read_text("utf-8"))["shocks"]


def test_facts_have_sources():
    told = list(facts())
    assert len(told) == 8
    for fact in told:
        assert float(fact["low"]) <= float(fact["high"])
        assert fact["source"]


def normal(seed: int, small: float, large: float, n: int, by_industry: bool = False) -> Values:
    """A country whose errors have the width that is to be learned."""
    rng = np.random.default_rng(seed)
    predicted, noise = 1 - rng.uniform(0, 0.5, n), np.full(n, 0.02)
    deviation = Width(small, large, 1.0).deviation(Values(predicted, predicted, noise, by_industry))
    return Values(predicted, predicted + deviation * rng.standard_normal(n), noise, by_industry)


@pytest.mark.parametrize(("small", "large"), [(0.03, 0.4), (0.06, 0.0), (0.0, 0.5)])
def test_the_width_of_errors_is_found_again(small: float, large: float):
    found = learned({str(k): normal(k, small, large, 4000) for k in range(3)})
    told = normal(9, small, large, 2000)
    np.testing.assert_allclose(found.deviation(told), Width(small, large, 1.0).deviation(told), rtol=0.08)


def test_bands_hold_countries_that_they_were_not_learned_from():
    countries = {f"{k}": normal(k, 0.02, 0.3, 300) for k in range(8)}
    industries = {f"i{k}": normal(50 + k, 0.05, 0.9, 300, True) for k in range(8)}
    held = held_out(countries | industries)
    assert len(held) == 16
    assert np.mean([one.coverage for one in held]) == pytest.approx(0.9, abs=0.02)
    assert all(0.8 < one.coverage < 1 for one in held)
    assert all(one.crps < one.point for one in held)


def test_the_score_of_a_normal_band_is_that_of_its_draws():
    draws = 0.3 * norm.ppf((np.arange(2000) + 0.5) / 2000)[None]
    score = crps_of_normal(np.array([0.2]), np.array([0.3]))
    assert score[0] == pytest.approx(crps(draws, np.array([0.2])), rel=1e-3)


def test_what_is_chosen_without_a_country_is_best_in_the_others():
    shares = [Share("dates", "a", {"x": 0.1, "y": 0.9, "z": 0.9}), Share("dates", "b", {"x": 2.0, "y": 0.8, "z": 0.8})]
    assert [*leave_one_out(shares)] == [("x", "b", 2.0), ("y", "a", 0.9), ("z", "a", 0.9)]


def test_the_fitted_shock_is_the_one_that_is_scored(pack):
    """Of the round numbers, to the four digits of the files."""
    measures = pack.under("measures")
    _, scenario = measures.simulator().inputs(range(1))
    scored = baselines(pack.network, *factors(scenario, pack.network.n_firms))["first order"]
    np.testing.assert_allclose(FirstOrder(measures).daily(Response()), scored, atol=2e-4)


PAGE = (Path(__file__).parents[1] / "docs" / "choosing" / "prediction.md").read_text("utf-8")


def test_the_page_tells_of_every_preset_and_of_all_that_was_tried():
    for told in (*(f"| `{name}` |" for name in PRESETS), *(f"| {name} |" for name in (*ALONE, *WITHOUT))):
        assert told in PAGE
    assert PAGE.count("<!-- end -->") == len(ASKED) + 1


@pytest.mark.slow
def test_the_page_has_the_errors_that_the_bench_prints(capsys):
    assert main(["bench", "prediction", "--models", "pichler2022", "shockmesh2026"]) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert len(rows) == 2 * (2 + len(BASELINES) + 2)
    assert [row for row in rows if row not in PAGE] == []


def test_a_national_table_makes_firms_that_carry_it():
    """What is sold abroad is final demand, so the industries' output is theirs."""
    table = national_table("HUN")
    network = generate_network(table, 600, 7)
    made = np.bincount(network.sector, 365 * network.output, len(network.sectors))
    np.testing.assert_allclose(made, np.maximum(table["output"].values[0], 0), rtol=2e-3, atol=2)


def test_inputs_that_analysts_called_critical_are_essential_to_the_index():
    rated = surveyed_criticality(("C19", "I", "H51", "K64"))
    level = levels(("C19", "I", "H51", "K64"))
    assert level[0, 2] == 2  # fuel for airlines
    assert set(np.unique(level)) <= {0, 1, 2}
    assert ((level == 2) == (rated == 1)).all()


def test_fewer_essential_inputs_make_no_firm_more_risky():
    found = [*profiles(300)]
    assert len(found) == 2 * len(STRUCTURES)
    for surveyed, every in zip(found[::2], found[1::2], strict=True):
        assert surveyed.structure == every.structure
        assert surveyed.largest <= every.largest + 1e-6
        assert surveyed.above_tenth <= every.above_tenth
