"""The numbers of a report against closed forms and laws, and how they are put into words."""

import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from recorded import MANIFEST, SHAPES, run, with_empty, with_names
from shockmesh.io.reports import figures
from shockmesh.io.reports import headline as words
from shockmesh.io.reports import losses as numbers
from shockmesh.io.reports.charts import label_rows
from shockmesh.io.reports.losses import measure
from shockmesh.io.reports.sections import events, missing_members, ranges, render


def test_losses_are_those_of_the_closed_form():
    losses = measure(run(members=3), "output")
    np.testing.assert_allclose(losses.share("region").sel(region="GBR"), [0.1, 0.2, 0.3])
    np.testing.assert_allclose(losses.share("region").sel(region="USA"), [0.01, 0.02, 0.03])
    money = losses.money()
    assert money is not None
    np.testing.assert_allclose(money, 10 * (3 + 1.8) * np.array([0.2, 0.4, 0.6]))
    assert losses.currency == "million USD"


@pytest.mark.parametrize("shape", [name for name in SHAPES if name not in ("a stock only", "prices alone")])
def test_parts_add_up_to_the_whole(shape: str):
    ds = SHAPES[shape]()
    losses = measure(ds, "output")
    whole = losses.money()
    assert whole is not None
    for dim in losses.dims:
        part = losses.money(dim)
        assert part is not None
        np.testing.assert_allclose(part.sum(dim), whole, rtol=1e-5, atol=1e-9)
    average = 1 - losses.total.mean(1)
    np.testing.assert_allclose(losses.share(), average, rtol=1e-5, atol=1e-7)


def test_a_yearly_unit_counts_each_day_as_a_365th():
    ds = run(members=1, dims=())
    ds["output"].attrs["units"] = "EUR / year"
    money = measure(ds, "output").money()
    assert money is not None
    assert float(money[0]) == pytest.approx(10 * 0.2 / 365)


@pytest.mark.parametrize(
    ("unit", "split"),
    [
        ("million USD / day", ("million USD", 1.0)),
        ("million USD/year", ("million USD", 365.0)),
        ("EUR per week", ("EUR", 7.0)),
        ("million USD", None),
        ("1", None),
    ],
)
def test_splits_the_unit_of_a_flow(unit: str, split: tuple[str, float] | None):
    assert numbers.split_rate(unit) == split


@pytest.mark.parametrize(
    ("path", "days"),
    [
        ([1, 1, 1, 1], 0),
        ([1, 0.5, 0.5, 1], 2),
        ([1, 0.5, 0.96, 1], 1),  # a tenth of the deepest loss is .05
        ([1, 0.5, 1, 0.9, 1], 3),
        ([1, 0.5, 0.5, 0.5], math.inf),
        ([1, 1.2, 1.1, 1], 0),
        ([1, 1 - 1e-8, 1, 1], 0),
    ],
)
def test_days_to_recover(path: list[float], days: float):
    assert numbers.days_to_recover(np.array([path])).tolist() == [days]


@given(arrays(float, (2, 12), elements=st.integers(-3, 3).map(float)))
def test_rank_correlation_is_spearmans(values: np.ndarray):
    x, y = (pd.Series(row) for row in values)
    constant = x.nunique() == 1 or y.nunique() == 1
    expected = 0.0 if constant else x.rank().corr(y.rank())
    assert numbers.rank_correlation(*values) == pytest.approx(expected, abs=1e-12)


def test_drivers_rank_what_was_drawn():
    ds = with_names()
    found = numbers.drivers(ds, measure(ds, "output"))
    assert list(found) == ["shocks.lockdown.loss", "model.inventory_days"]
    assert found["shocks.lockdown.loss"] == pytest.approx(1)
    assert set(numbers.drawn(ds, np.arange(5))) == {*found, "shocks.lockdown.where.region"}


def test_notable_members_are_in_order():
    losses = measure(run().isel(member=[4, 0, 3, 1]), "output")
    named = {name: int(losses.member[at]) for name, at in numbers.notable(losses).items()}
    assert named == {"worst": 4, "median": 1, "mildest": 0}


def test_headline_is_json_and_says_what_the_losses_are():
    head = words.headline(run(), MANIFEST["spec"])
    assert json.loads(json.dumps(head, allow_nan=False)) == head
    assert head["loss"]["median"] == pytest.approx(0.4 * 10 / 20 * 4.8 / 21)
    assert [row["region"] for row in head["regions"]] == ["GBR", "ITA", "USA"]
    assert head["deepest"]["loss"]["worst"] == pytest.approx(0.6 * 4.8 / 21)
    assert head["deepest"]["day"] == 2
    assert head["days_to_recover"] == {"median": 10.0, "low": 10.0, "high": 10.0, "recovered": 5}
    assert head["outside"]["median"] == pytest.approx(1.8 / 4.8)
    lines = words.headline_text(head)
    assert lines[0] == "output lost over 20 days, 5 members: 4.57 % (90 % of members: 2.51 to 6.63 %)"
    assert lines[1] == "in money: 19.2 million USD (10.6 million USD to 27.8 million USD)"
    assert lines[-1] == "days to recover: 10; within the horizon 5 of 5 members do"
    assert lines[2] == "regions hit most: GBR United Kingdom 20.0 %, ITA Italy 2.00 %, USA United States 2.00 %"


def test_labels_are_ranked_by_share_or_by_money():
    losses = measure(run(), "output")
    assert [row["region"] for row in words.hit_most(losses, "region", 3)] == ["GBR", "ITA", "USA"]
    assert [row["region"] for row in words.hit_most(losses, "region", 2, "money")] == ["GBR", "USA"]
    assert words.hit_most(losses, "firm", 3) == []
    assert words.names_hit_most(measure(with_empty(region="ITA"), "output"), "region") == ["GBR", "USA"]


def test_gains_are_told_of_labels_that_gain():
    ds = run(deepest=-0.5)
    still = ds["output"].where(ds["region"] != "ITA", ds["output_baseline"]).assign_attrs(ds["output"].attrs)
    losses = measure(ds.assign(output=still), "output")
    gains = words.gain_most(losses, "region", 3)
    assert [row["region"] for row in gains] == ["GBR", "USA"]
    assert [row["loss"]["median"] for row in gains] == pytest.approx([-1 / 6, -1 / 60])
    assert "regions that gain most: GBR United Kingdom +16.7 %, USA United States +1.67 %" in words.headline_text(
        words.headline_of(losses, None, {})
    )
    assert "gain" in figures.ranking(losses, "region").choices
    assert not any("hit most" in line for line in words.headline_text(words.headline_of(losses, None, {})))
    assert words.gain_most(measure(run(), "output"), "region", 3) == []
    assert "gain" not in figures.ranking(measure(run(), "output"), "region").choices


def test_a_figure_says_of_how_many_it_shows_the_most():
    ds = xr.concat([run(dims=("firm",)).assign_coords(firm=[f"{i}{k}" for k in range(4)]) for i in range(5)], "firm")
    panel = figures.ranking(measure(ds.transpose("member", "time", "firm"), "output"), "firm")
    assert "The 15 hit most of 20." in panel.note
    assert all(len(figure["data"][0]["y"]) == 15 for figure in panel.choices.values())


@pytest.mark.parametrize("sweep", [{"vary": {"shocks.lockdown.where.region": {"choice": ["GBR", "ITA"]}}}])
def test_no_outside_where_the_region_is_drawn(sweep: dict[str, Any]):
    assert words.headline(run(), MANIFEST["spec"] | {"sweep": sweep})["outside"] is None


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0321, "3.21 %"), (0.321, "32.1 %"), (0, "0.00 %"), (0.00012, "0.01 %"), (-0.05, "−5.00 %"), (1.0, "100.0 %")],
)
def test_percent(share: float, text: str):
    assert words.percent(share) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (2_346_000, "million USD", "2.35 trillion USD"),
        (-727_000, "million USD", "−727 billion USD"),
        (0.5, "million USD", "500 thousand USD"),
        (12, "EUR", "12 EUR"),
        (0, "million USD", "0 USD"),
        (3, "million", "3 million"),
        (999_999, "thousand JPY", "1 billion JPY"),
    ],
)
def test_money(value: float, unit: str, text: str):
    assert words.money_text(value, unit) == text


@pytest.mark.parametrize(("given", "text"), [([1, 2, 3, 7], "1–3, 7"), ([4], "4"), ([0, 1], "0–1")])
def test_ranges(given: list[int], text: str):
    assert ranges(given) == text


def test_missing_members_are_those_planned():
    assert missing_members(run().isel(member=[1, 2]), MANIFEST) == [0, 3, 4]
    assert missing_members(run(), {}) == []


@pytest.mark.parametrize(
    ("sweep", "marks"),
    [
        ({}, {"lockdown starts": 2}),
        ({"vary": {"shocks.lockdown.onset": {"uniform": [1, 3]}}}, {}),
        ({"list": [{"shocks.lockdown.onset": 1}]}, {}),
    ],
)
def test_marks_days_that_all_members_share(sweep: dict[str, Any], marks: dict[str, float]):
    assert events(MANIFEST["spec"] | {"sweep": sweep}) == marks


def test_labels_of_many_shocks_do_not_run_into_each_other():
    days = {f"shock {k} starts": 10.0 + k for k in range(5)} | {"later": 80.0}
    rows = label_rows(days, span=100)
    assert sorted(rows.values()) == [0, 0, 1, 2, 3, 4]
    assert rows["later"] == 0


@pytest.mark.parametrize(("shocks", "title"), [(0, "run"), (2, "s0, s1"), (5, "s0, s1, s2 and 2 more")])
def test_the_title_names_shocks(shocks: int, title: str):
    spec = {"shocks": [{"name": f"s{k}"} for k in range(shocks)]}
    assert f"<h1>Shock report: {title}</h1>" in render(run(), {"spec": spec}, "run")


def test_the_map_colours_every_country_of_a_region():
    losses = measure(run(members=3), "output")
    panel = figures.world(losses)
    assert panel is not None
    every, hit = panel.choices[""]["data"]
    assert hit["locations"] == ["GBR", "ITA", "USA"]
    assert hit["z"] == [20, 2, 2]
    assert {*hit["locations"]} < {*every["locations"]}
    assert len(every["locations"]) == len({*every["locations"]}) == 177
    assert figures.world(measure(run(members=3, dims=("sector",)).rename(sector="region"), "output")) is None


def test_firms_are_told_with_their_places():
    ds = run(members=3, dims=("firm",)).assign_coords(
        firm_region=("firm", ["GBR", "GBR", "ITA", "USA"]), firm_sector=("firm", ["A01", "I", "I", "A01"])
    )
    rows = words.hit_most(measure(ds, "output"), "firm", 2)
    assert [row["label"] for row in rows] == ["f1 (GBR, A01)", "f2 (GBR, I)"]
    page = render(ds, MANIFEST, "run")
    assert "<td>GBR</td><td>A01</td>" in page
    assert "All firms" in page
