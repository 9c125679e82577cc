"""The report: its numbers against closed forms and laws, its page for every shape that a run can have."""

import json
import math
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from shockmesh.io import report_figures as figures
from shockmesh.io import report_headline as words
from shockmesh.io import report_losses as numbers
from shockmesh.io.report import write_report
from shockmesh.io.report_losses import ReportError, measure
from shockmesh.io.report_sections import events, missing_members, ranges, render
from shockmesh.io.results import Template, Variable, create_run, write_block

REGIONS, SECTORS, DAYS = ["GBR", "ITA", "USA"], ["A01", "I"], 20
UNIT = "million USD / day"
MANIFEST: dict[str, Any] = {
    "spec": {
        "economy": "/data/world.zarr",
        "model": {"preset": "hamid2025"},
        "shocks": [{"name": "lockdown", "where": {"region": ["GBR"]}, "loss": 0.5, "onset": 2, "recovery_start": None}],
    },
    "seed": 7,
    "created": "2026-01-02T03:04:05Z",
    "git_commit": "0123abc",
    "versions": {"jax": "0.12.0"},
    "inputs": {"economy": {"path": "/data/world.zarr", "sha256": "f" * 64}},
    "plan": {"members": 5, "firms": 20_000},
}


def run(members: int = 5, dims: tuple[str, ...] = ("region", "sector"), **change: Any) -> xr.Dataset:
    """A run whose first label loses its member's share of days 2 to 11, and every other label a tenth of that."""
    name, unit, deepest = change.get("name", "output"), change.get("unit", UNIT), change.get("deepest", 0.6)
    labels = {"region": REGIONS, "sector": SECTORS, "firm": ["f1", "f2", "f3", "f4"]}
    shape = [len(labels[dim]) for dim in dims]
    baseline = xr.DataArray(1.0 + np.arange(math.prod(shape)).reshape(shape), dims=dims)
    loss = xr.DataArray(np.linspace(deepest / 3, deepest, members), dims="member")
    hit = xr.DataArray((np.arange(DAYS) >= 2) & (np.arange(DAYS) < 12), dims="time")
    first = xr.DataArray([1.0] + [0.1] * (shape[0] - 1), dims=dims[0]) if dims else xr.DataArray(1.0)
    values = (baseline * (1 - loss * hit * first)).transpose("member", "time", *dims).assign_attrs(units=unit)
    drawn = {"shocks.lockdown.loss": loss.values, "model.inventory_days": 9.0 - np.arange(members) % 3}
    coords = {"member": np.arange(members), "time": np.arange(DAYS), **{dim: labels[dim] for dim in dims}}
    ds = xr.Dataset({name: values, f"{name}_baseline": baseline}, coords)
    return ds.assign_coords({name: ("member", value) for name, value in drawn.items()})


def with_values(change: Callable[[xr.Dataset], xr.DataArray]) -> xr.Dataset:
    ds = run()
    return ds.assign(output=change(ds).assign_attrs(units=UNIT))


def with_names() -> xr.Dataset:
    return run().assign_coords({"shocks.lockdown.where.region": ("member", ["GBR", "ITA"] * 2 + ["GBR"])})


def with_hole() -> xr.Dataset:
    return with_values(lambda ds: ds["output"].where((ds["member"] != 3) | (ds["time"] != 4)))


def with_empty(**empty: str) -> xr.Dataset:
    ds = run()
    for name in ("output", "output_baseline"):
        ds[name].loc[empty] = 0
    return ds


def two_variables() -> xr.Dataset:
    return xr.merge([run(dims=()), run(dims=("region",), name="value_added")], join="exact", compat="equals")


SHAPES: dict[str, Callable[[], xr.Dataset]] = {
    "region and sector": run,
    "sector and region": lambda: run(dims=("sector", "region")),
    "region": lambda: run(dims=("region",)),
    "sector": lambda: run(dims=("sector",)),
    "firm": lambda: run(dims=("firm",)),
    "total": lambda: run(dims=()),
    "one member": lambda: run(members=1),
    "two members": lambda: run(members=2),
    "200 members": lambda: run(members=200, dims=("region",)),
    "two variables": two_variables,
    "a stock only": lambda: run(name="inventory", unit="million USD"),
    "names drawn": with_names,
    "dates": lambda: run().assign_coords(time=pd.date_range("2020-03-01", periods=DAYS)),
    "a hole": with_hole,
    "an empty industry": lambda: with_empty(region="ITA", sector="I"),
    "an empty region": lambda: with_empty(region="ITA"),
    "no shock": lambda: run(deepest=0.0),
    "a gain": lambda: run(deepest=-0.5),
    "float32": lambda: run().astype("float32"),
}


class Page(HTMLParser):
    """What a test looks at: elements with their attributes, and the text of scripts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.figures: dict[str, dict[str, Any]] = {}
        self.text = ""
        self._now: dict[str, str | None] = {}
        self._tag = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._tag, self._now = tag, dict(attrs)
        self.elements.append((tag, self._now))

    def handle_data(self, data: str) -> None:
        name = self._now.get("data-figures")
        if self._tag == "script" and name:
            self.figures[name] = json.loads(data)
        elif self._tag not in ("script", "style"):
            self.text += data

    def handle_endtag(self, tag: str) -> None:
        self._tag = ""

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag]


@pytest.fixture(params=SHAPES, scope="module")
def page(request: pytest.FixtureRequest) -> Page:
    return Page(render(SHAPES[request.param](), MANIFEST, "run"))


def test_every_figure_is_valid_plotly_with_units_on_its_axes(page: Page):
    drawn = [figure for choices in page.figures.values() for figure in choices.values()]
    assert drawn
    for figure in drawn:
        layout: dict[str, Any] = json.loads(go.Figure(figure).to_json() or "")["layout"]
        assert layout["xaxis"]["title"]["text"]
        assert layout["yaxis"]["title"]["text"] or figure["data"][0]["type"] == "bar"


def test_the_page_reaches_for_nothing_outside(page: Page):
    outside = [
        attrs for _, attrs in page.elements if attrs.get("src") or re.match(r"(https?:)?//", attrs.get("href") or "")
    ]
    assert outside == []
    assert not page.all("link")


def test_the_page_can_be_read_without_seeing_it(page: Page):
    plots = [attrs for attrs in page.all("div") if attrs.get("class") == "plot"]
    assert {attrs["id"] for attrs in plots} == set(page.figures)
    assert all(len(attrs["aria-label"] or "") > 40 and attrs["role"] == "img" for attrs in plots)
    assert len(page.all("h1")) == 1
    ids = [attrs["id"] for _, attrs in page.elements if attrs.get("id")]
    assert len(ids) == len(set(ids))
    named = [attrs["aria-labelledby"] for _, attrs in page.elements if attrs.get("aria-labelledby")]
    assert set(named) <= set(ids)
    assert page.all("html")[0]["lang"] == "en"


def test_plotly_is_inlined_once_and_numbers_are_in_the_text():
    html = render(run(), MANIFEST, "run")
    assert html.count("plotly.js v") == 1
    text = Page(html).text
    assert "Shock report: lockdown" in text
    # Σ over regions of (3, 7, 11) · 10/20 days · median loss 0.4 · (1, .1, .1), of 21
    assert "Total output lost4.57\N{NO-BREAK SPACE}%" in text
    assert "Region hit mostGBR 20.0\N{NO-BREAK SPACE}%" in text
    assert "f" * 64 in text
    assert "preset: hamid2025" in text
    assert "version of jax0.12.0" in text


@pytest.mark.parametrize(
    ("shape", "there", "absent"),
    [
        ("region and sector", {"spreading", "by-region", "by-sector", "industries", "driver-bars"}, {"by-firm"}),
        ("region", {"spreading", "by-region"}, {"by-sector", "industries"}),
        ("sector", {"by-sector"}, {"by-region", "spreading", "industries"}),
        ("total", {"over-time", "member-curves"}, {"by-region", "by-sector", "industries", "spreading"}),
        ("firm", {"by-firm"}, {"by-region", "by-sector"}),
        ("one member", {"over-time", "industries"}, {"member-curves", "driver-bars", "driver-points"}),
        ("two members", {"member-curves"}, {"driver-bars"}),
        ("two variables", {"over-time", "by-region"}, {"industries"}),
    ],
)  # fmt: skip
def test_shows_what_was_recorded(shape: str, there: set[str], absent: set[str]):
    shown = set(Page(render(SHAPES[shape](), MANIFEST, "run")).figures)
    assert there <= shown
    assert not absent & shown


def test_names_members_that_are_missing_or_not_finite():
    ds = with_hole().isel(member=[0, 2, 3])
    text = Page(render(ds, MANIFEST, "run")).text
    assert "2 of 5 members are not in this report, as they are not finished: 1, 4." in text
    assert "Left out, as they failed or hold values that are not finite: members 3." in text
    assert measure(ds, "output").member.tolist() == [0, 2]


def test_leaves_out_members_that_failed():
    ds = run().assign(status=("member", [1, 2, 1, 1, 1]))
    losses = measure(ds, "output")
    assert (losses.member.tolist(), losses.broken) == ([0, 2, 3, 4], (1,))


def write_run(path: Path, blocks: int) -> Path:
    """A run of 5 members in blocks of 2, of which the first are committed."""
    ds = run()
    dims = ("region", "sector")
    variable = Variable("output", dims, UNIT, "output", ds["output_baseline"].values)
    labels = {dim: ds[dim].values for dim in dims}
    drawn = {str(name): ds[name].values for name in ("shocks.lockdown.loss", "model.inventory_days")}
    create_run(path, MANIFEST, Template(5, 2, DAYS, (variable,), labels, drawn, {}))
    for block in range(blocks):
        write_block(path, block, {"output": ds["output"].values[2 * block : 2 * block + 2]}, {})
    return path


def test_a_report_is_one_file_in_its_run(tmp_path: Path):
    path = write_run(tmp_path / "run", blocks=3)
    (path / "report.html").write_text("older")
    assert write_report(path) == path / "report.html"
    assert sorted(item.name for item in path.glob("*")) == ["RUN.json", "journal", "report.html", "results.zarr"]
    stored = Page((path / "report.html").read_text("utf-8"))
    assert stored.figures == Page(render(run(), MANIFEST, "run")).figures
    assert "run “run” · 5 members · 20 days · economy world.zarr · 20,000 firms · model hamid2025" in stored.text


def test_a_run_that_goes_on_is_reported_as_far_as_it_is(tmp_path: Path):
    target = write_report(write_run(tmp_path / "run", blocks=2), tmp_path / "new" / "here.html")
    assert "1 of 5 members are not in this report, as they are not finished: 4." in target.read_text("utf-8")


def test_a_run_without_members_has_no_report(tmp_path: Path):
    path = write_run(tmp_path / "run", blocks=0)
    with pytest.raises(ReportError, match="no finished member yet"):
        write_report(path)
    assert not (path / "report.html").exists()


def test_text_of_the_user_cannot_break_the_page():
    nasty = "</script><b>&\"'"
    ds = run(dims=("region",)).assign_coords(region=[nasty, "ITA", "USA"])
    page = Page(render(ds, MANIFEST | {"git_commit": nasty}, nasty))
    assert nasty in page.figures["over-time"]
    assert "b" not in {tag for tag, _ in page.elements}
    assert page.text.count(nasty) >= 3


@pytest.mark.parametrize(
    ("ds", "message"),
    [
        (lambda: run().isel(member=[]), "no finished member yet; finish it with `shockmesh resume`"),
        (lambda: run().drop_vars("output_baseline"), "no finished member yet"),
        (lambda: with_values(lambda ds: ds["output"] * np.nan), "output: no member is sound"),
        (lambda: run().assign(output_baseline=0 * run()["output_baseline"]), "output_baseline: sums to 0"),
    ],
)  # fmt: skip
def test_refuses_what_no_report_can_be_made_of(ds: Callable[[], xr.Dataset], message: str):
    with pytest.raises(ReportError, match=re.escape(message)):
        render(ds(), MANIFEST, "run")


def test_losses_are_those_of_the_closed_form():
    losses = measure(run(members=3), "output")
    np.testing.assert_allclose(losses.share("region").sel(region="GBR"), [0.1, 0.2, 0.3])
    np.testing.assert_allclose(losses.share("region").sel(region="USA"), [0.01, 0.02, 0.03])
    money = losses.money()
    assert money is not None
    np.testing.assert_allclose(money, 10 * (3 + 1.8) * np.array([0.2, 0.4, 0.6]))
    assert losses.currency == "million USD"


@pytest.mark.parametrize("shape", [name for name in SHAPES if name != "a stock only"])
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
    assert lines[2] == "regions hit most: GBR 20.0 %, ITA 2.00 %, USA 2.00 %"


def test_labels_are_ranked_by_share_or_by_money():
    losses = measure(run(), "output")
    assert [row["region"] for row in words.hit_most(losses, "region", 3)] == ["GBR", "ITA", "USA"]
    assert [row["region"] for row in words.hit_most(losses, "region", 2, "money")] == ["GBR", "USA"]
    assert words.hit_most(losses, "firm", 3) == []
    assert words.names_hit_most(measure(with_empty(region="ITA"), "output"), "region") == ["GBR", "USA"]


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
