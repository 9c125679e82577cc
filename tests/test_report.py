"""The page of a report, for every shape that a run can have."""

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
import xarray as xr
from recorded import DAYS, MANIFEST, SHAPES, UNIT, run, with_hole, with_values
from shockmesh.io.reports.losses import ReportError, measure
from shockmesh.io.reports.report import write_report
from shockmesh.io.reports.sections import render
from shockmesh.io.results import create_run, write_block
from shockmesh.io.stores.template import Template, Variable


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
        if "geo" in layout:
            assert figure["data"][1]["colorbar"]["title"]["text"]
            continue
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
    assert "Region hit mostGBR United Kingdom 20.0\N{NO-BREAK SPACE}%" in text
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
        ("one variable twice", {"spreading", "by-region", "by-firm"}, set()),
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
