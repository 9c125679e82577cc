"""The report in a real browser: every figure draws, no script fails, nothing overflows, choices work."""

import os
import re
import shutil
import struct
import subprocess
from base64 import b64decode
from html import unescape
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from shockmesh.io.reports.sections import render

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--allow-file-access-from-files", "--virtual-time-budget=20000",
)  # fmt: skip
NARROW = {390: "500,900", 820: "900,900"}  # pixels of a phone and a tablet → the window around it
PANELS = {
    "over-time", "spreading", "world",
    "by-region", "by-sector", "industries", "member-curves", "driver-bars", "driver-points",
}  # fmt: skip

# Looks at the page once it is drawn, and after another region was chosen; leaves what it saw on the root element.
PROBE = """
<script>
window.addEventListener("load", function () {
  var root = document.documentElement;
  setTimeout(function () {
    root.dataset.first = Math.min.apply(null, document.getElementById("over-time").data[4].y);
    var select = document.querySelector('select[data-for="over-time"]');
    select.value = "ITA";
    select.dispatchEvent(new Event("change"));
  }, 2000);
  setTimeout(function () {
    root.dataset.second = Math.min.apply(null, document.getElementById("over-time").data[4].y);
    root.dataset.widths = root.clientWidth + " " + root.scrollWidth;
    if (parent !== window) { parent.document.documentElement.dataset.inner = root.dataset.widths; }
    var table = document.querySelector("main table");
    root.dataset.csv = encodeURIComponent(shockmesh.csv(shockmesh.rows(table)));
    new Blob(shockmesh.workbook(shockmesh.rows(table))).arrayBuffer().then(function (bytes) {
      root.dataset.book = btoa(String.fromCharCode.apply(null, new Uint8Array(bytes)));
    });
    document.querySelector(".theme").click();
    root.dataset.paper = document.getElementById("over-time").layout.paper_bgcolor;
    document.querySelector(".theme").click();
    var find = document.querySelector(".find");
    find.value = "mildest";
    find.dispatchEvent(new Event("input"));
    root.dataset.left = document.querySelectorAll("main tbody tr:not([hidden])").length;
    find.value = "gbr";
    find.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter" }));
    root.dataset.chosen = document.querySelector('select[data-for="over-time"]').value;
    find.value = "";
    find.dispatchEvent(new Event("input"));
    Plotly.toImage(document.getElementById("world"), { format: "svg" }).then(function (picture) {
      root.dataset.picture = picture.slice(0, 18);
    });
  }, 4000);
});
</script></body>"""


@pytest.fixture(scope="module")
def browser() -> str:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None and os.environ.get("CI"):
        pytest.fail(f"none of {', '.join(BROWSERS)} is installed; the report must be seen in a browser here")
    if found is None:
        pytest.skip(f"needs a browser: none of {', '.join(BROWSERS)} is installed")
    return found


def world() -> xr.Dataset:
    """Twelve members, two regions, three sectors; output dips to 60 … 95 % of baseline."""
    rng = np.random.default_rng(3)
    baseline = rng.uniform(1, 5, (2, 3))
    loss = rng.uniform(0.1, 0.8, 12)
    dip = np.exp(-(((np.arange(60) - 20) / 9.0) ** 2))
    share = np.array([[0.5, 0.1, 0.2], [0.05, 0.1, 0.02]])
    values = baseline * (1 - np.einsum("m,t,rs->mtrs", loss, dip, share))
    return xr.Dataset(
        {
            "output": (("member", "time", "region", "sector"), values, {"units": "million USD / day"}),
            "output_baseline": (("region", "sector"), baseline),
        },
        {
            "member": np.arange(12),
            "time": np.arange(60),
            "region": ["GBR", "ITA"],
            "sector": ["C29", "G47", "I"],
            "shocks.lockdown.loss": ("member", loss),
            "model.inventory_days": ("member", rng.uniform(4, 20, 12)),
        },
    )


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page with the probe, and a frame as wide as a phone around it."""
    folder = tmp_path_factory.mktemp("report")
    spec = {"economy": "w.zarr", "shocks": [{"name": "lockdown", "onset": 5, "where": {"region": "GBR"}}]}
    html = render(world(), {"spec": spec, "plan": {"members": 12}}, "run")
    (folder / "report.html").write_text(html.replace("</body>", PROBE), "utf-8")
    for width in NARROW:
        look = f'style="width:{width}px;height:3000px;border:0"'
        frame = f'<!doctype html><body style="margin:0"><iframe src="report.html" {look}>'
        (folder / f"{width}.html").write_text(frame, "utf-8")
    return folder


def browse(browser: str, page: Path, profile: Path, *options: str) -> str:
    command = [browser, *QUIET, f"--user-data-dir={profile}", *options, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


@pytest.fixture(scope="module")
def dom(browser: str, report: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    profile = tmp_path_factory.mktemp("profile")
    return browse(browser, report / "report.html", profile, "--window-size=1200,900", "--dump-dom")


def seen(dom: str) -> dict[str, str]:
    """The data attributes of the root element."""
    root = re.search(r"<html[^>]*>", dom)
    assert root
    return dict(re.findall(r'data-([a-z]+)="([^"]*)"', root[0]))


def test_no_script_fails(dom: str):
    assert seen(dom)["errors"] == ""


def test_every_figure_draws(dom: str):
    plots = re.findall(r'<div class="plot[ "][^>]*>', dom)
    assert {match[1] for plot in plots if (match := re.search(r' id="([^"]+)"', plot))} == PANELS
    assert [plot for plot in plots if 'data-rendered="yes"' not in plot] == []
    for name in PANELS:
        drawn = dom.split(f'id="{name}"')[1].split("</figure>")[0]
        assert re.search(
            r'<svg class="main-svg".*?<g class="(scatterlayer|barlayer|heatmaplayer|layer backplot)', drawn, re.DOTALL
        )


def test_numbers_are_there_to_read(dom: str):
    text = unescape(re.sub(r"<script.*?</script>|<style.*?</style>|<[^>]+>", " ", dom, flags=re.DOTALL))
    assert re.search(r"Total output lost\s+\d+\.\d+\s%\s+90\s% of members: \d", text)
    assert re.search(r"Region hit most\s+GBR United Kingdom \d", text)
    assert re.search(r"Output lost, in money\s+\d+(\.\d+)? million USD", text)


def test_choosing_a_region_redraws(dom: str):
    assert float(seen(dom)["first"]) < float(seen(dom)["second"]) < 100


def test_fits_a_desk(dom: str):
    width, needed = map(int, seen(dom)["widths"].split())
    assert needed <= width
    assert width > 1100


@pytest.mark.parametrize("width", NARROW)
def test_fits_a_phone_and_a_tablet(browser: str, report: Path, tmp_path: Path, width: int):
    dom = browse(browser, report / f"{width}.html", tmp_path, f"--window-size={NARROW[width]}", "--dump-dom")
    inner, needed = map(int, seen(dom)["inner"].split())
    assert needed <= inner <= width


def test_tables_are_taken_as_csv_and_excel(dom: str):
    found = seen(dom)
    lines = unquote(found["csv"]).lstrip("\ufeff").splitlines()
    assert lines[0] == "total,median,90 % of members,worst,median amount"
    table: Any = pd.read_excel(BytesIO(b64decode(found["book"])), engine="openpyxl")
    assert table.columns.tolist() == lines[0].split(",")
    share = float(lines[1].split(",")[1].removesuffix(" %")) / 100
    np.testing.assert_allclose(table["median"][0], share)
    read: Any = pd.read_excel(BytesIO(b64decode(found["book"])), engine="calamine")
    assert read.equals(table)


def test_figures_turn_dark_tables_are_searched_and_pictures_made(dom: str):
    found = seen(dom)
    assert (found["paper"], found["left"], found["chosen"]) == ("#18202a", "1", "GBR")
    assert found["picture"].startswith("data:image/svg+xml")


def test_a_screenshot_has_the_size_asked_for_and_is_not_blank(browser: str, report: Path, tmp_path: Path):
    picture = tmp_path / "report.png"
    browse(browser, report / "report.html", tmp_path / "profile", "--window-size=1200,1600", f"--screenshot={picture}")
    data = picture.read_bytes()
    assert struct.unpack(">II", data[16:24]) == (1200, 1600)
    assert len(data) > 60_000
