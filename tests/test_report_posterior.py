"""What the report of a calibration says of what was learned."""

import json
import re
from typing import Any

import numpy as np
import pytest
import xarray as xr
from shockmesh.io.reports.posterior import learned, render_posterior
from test_report import Page

DRAWS, SECTORS = 400, [f"S{k:02}" for k in range(50)]
FIRMS = 2 * len(SECTORS)
FIXED = "fixed"
SHIFTS = {"untold": 0.02, "each by a little": 0.4, "each by a lot": 1.0}  # prior widths by which each firm moves


def means(values: np.ndarray) -> xr.Dataset:
    """Draws of the firms' numbers."""
    sector = ("firm", np.repeat(SECTORS, 2))
    named = {name: (("chain", "draw", "firm"), (values + shift)[None]) for name, shift in SHIFTS.items()}
    fixed = (("chain", "draw", "firm"), np.full((1, DRAWS, FIRMS), 0.3, np.float32))
    return xr.Dataset(named | {FIXED: fixed}, {"sector": sector})


@pytest.fixture(scope="module")
def tree() -> xr.DataTree:
    """A hundred firms in fifty sectors: independent standard normal numbers, shifted by the data."""
    before = np.random.default_rng(1).standard_normal((DRAWS, FIRMS))
    seen, dims = np.ones((3, 1)), ("output_period", "output_series")
    coords = {"output_series": ["all"]}
    scores = {f"output_{part}": ("score", np.zeros(4)) for part in ("fitted", "held_out")}
    simpler = {f"output_{part}_baselines": ("baseline", [0.1]) for part in ("fitted", "held_out")}
    named = ["rmse", "crps", "coverage_50", "coverage_90"]
    moved = {"untold": 0.0, "each by a little": 0.0, "each by a lot": 1.0, FIXED: 0.0}
    posterior = means(before)
    prior = posterior.assign({name: posterior[name] - shift for name, shift in SHIFTS.items()})
    predictive = xr.Dataset({"output": (("chain", "draw", *dims), np.ones((1, DRAWS, 3, 1)))}, coords)
    return xr.DataTree.from_dict({
        "prior": prior,
        "posterior": posterior,
        "posterior_predictive": predictive,
        "observed_data": xr.Dataset({"output": (dims, seen)}, coords),
        "constant_data": xr.Dataset({
            "output_first_day": ("output_period", [0, 1, 2]), "output_last_day": ("output_period", [0, 1, 2]),
            "output_held_out": (dims, seen < 0),
        }),
        "scores": xr.Dataset(scores | simpler, {"score": named, "baseline": ["no change"]}, {
            f"moved {name}": share for name, share in moved.items()
        }),
        "sample_stats": xr.Dataset(),
        "history": xr.Dataset({"objective": ("step", np.arange(20.0))}),
    })  # fmt: skip


@pytest.fixture(scope="module")
def page(tree: xr.DataTree) -> Page:
    return Page(render_posterior(tree, {"spec": {}}, "fit"))


def test_intervals_are_of_means_within_a_sector(tree: xr.DataTree):
    """Firms that differ from each other do not widen what is known of each sector."""
    apart = tree.copy()
    for group in ("prior", "posterior"):
        apart[group] = apart[group].to_dataset() + 100 * xr.DataArray(np.repeat(np.arange(50), 2), dims="firm")
    for found, shifted in zip(learned(tree, "untold")[1:], learned(apart, "untold")[1:], strict=True):
        np.testing.assert_allclose(np.ptp(shifted.posterior), np.ptp(found.posterior), rtol=1e-9)
    widths = [of.prior.std() for of in learned(tree, "untold")]
    np.testing.assert_allclose(widths[0], 0.1, rtol=0.15)  # of a hundred firms' mean
    np.testing.assert_allclose(widths[1:], np.sqrt(0.5), rtol=0.15)  # of two


def test_only_what_did_not_move_is_called_untold(page: Page):
    said = {name: f"{name}: the data say next to nothing" in page.text for name in SHIFTS}
    assert said == {"untold": True, "each by a little": False, "each by a lot": False}
    assert "fixed: is fixed for every firm" in page.text
    assert "its posterior is the prior" not in page.text


def test_the_chart_names_every_sector(page: Page):
    choices: dict[str, Any] = page.figures["by-sector"]
    assert set(choices) == set(SHIFTS)
    for figure in choices.values():
        assert [trace["y"] for trace in figure["data"]] == [SECTORS, SECTORS]
        assert figure["layout"]["yaxis"]["tickmode"] == "linear"
    (plot,) = (attrs for attrs in page.all("div") if attrs.get("id") == "by-sector")
    assert int(re.findall(r"height: ?(\d+)px", json.dumps(plot))[0]) >= 16 * len(SECTORS)
