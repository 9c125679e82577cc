"""Designs of a sweep: evenly spread members, and the indices that say which numbers decide, against Ishigami's."""

from typing import Any

import numpy as np
import pytest
import xarray as xr
from shockmesh.cluster.spec.designs import points
from shockmesh.cluster.spec.load import SpecError
from shockmesh.cluster.spec.members import draw_members
from shockmesh.io.indices import indices, run_indices
from shockmesh.io.risk import RiskError
from toy import MakeSpec

PATHS = {"shocks.strike.loss": {"uniform": [0.2, 0.8]}, "model.inventory_days": {"uniform": [2, 10]}}


def slices(u: np.ndarray) -> np.ndarray:
    """In which of n slices each of n numbers lies."""
    return np.sort(np.floor(u * len(u)).astype(int), axis=0)


@pytest.mark.parametrize("design", ["latin_hypercube", "sobol"])
def test_every_slice_of_every_axis_has_a_member(design: str):
    u = points(design, 3, 64, 4)
    np.testing.assert_array_equal(slices(u), np.arange(64)[:, None].repeat(4, 1))
    np.testing.assert_array_equal(u, points(design, 3, 64, 4))
    assert (u != points(design, 4, 64, 4)).any()
    assert ((u > 0) & (u < 1)).all()


def test_a_sobol_sequence_is_even_in_all_axes_together_and_goes_on():
    u = points("sobol", 3, 64, 3)
    cells = np.floor(u * 4).astype(int) @ [16, 4, 1]
    assert len(np.unique(cells)) > len(np.unique(np.floor(np.random.default_rng(0).random((64, 3)) * 4) @ [16, 4, 1]))
    np.testing.assert_array_equal(points("sobol", 3, 128, 3)[:64], u)


def test_saltelli_changes_one_column_at_a_time():
    a, b, *mixed = points("saltelli", 0, 8 * 5, 3).reshape(5, 8, 3)
    for i, one in enumerate(mixed):
        changed = np.arange(3) == i
        np.testing.assert_array_equal(one, np.where(changed, b, a))


def test_members_of_a_sweep_are_spread(make: MakeSpec):
    spec = make(sweep={"members": 16, "design": "sobol", "vary": PATHS})
    values = draw_members(spec).values
    np.testing.assert_array_equal(slices((values["shocks.strike.loss"] - 0.2) / 0.6), np.arange(16))
    np.testing.assert_array_equal(slices((values["model.inventory_days"] - 2) / 8), np.arange(16))


BAD: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "no power of two": (
        {"members": 60, "design": "sobol"},
        {},
        "sweep.members: 60: sobol has 2^k members: 32 or 64",
    ),
    "a few": (
        {"members": 3, "design": "saltelli"},
        {},
        "sweep.members: 3: saltelli has 4 · 2^k members for 2 paths: 4 or 8",
    ),
    "firms drawn anew": (
        {"members": 64, "design": "saltelli"},
        {"where": {"share": 0.5}},
        "shocks.strike.where.share: 0.5: is drawn anew in each member, which indices cannot tell from an effect of the "
        "numbers: say redraw: false",
    ),
    "nothing that varies": (
        {"members": 8, "design": "sobol", "vary": {}},
        {},
        "sweep.design: sobol: is of the numbers that sweep.vary names; nothing varies",
    ),
}


@pytest.mark.parametrize(("sweep", "strike", "says"), BAD.values(), ids=BAD)
def test_a_design_that_cannot_be_is_refused(make: MakeSpec, sweep: dict[str, Any], strike: dict[str, Any], says: str):
    with pytest.raises(SpecError) as caught:
        make(strike, sweep={"vary": PATHS, **sweep})
    assert str(caught.value).endswith(says)


def ishigami(u: np.ndarray, a: float = 7.0, b: float = 0.1) -> np.ndarray:
    x = np.pi * (2 * u - 1)
    return np.sin(x[:, 0]) + a * np.sin(x[:, 1]) ** 2 + b * x[:, 2] ** 4 * np.sin(x[:, 0])


def test_indices_are_those_of_ishigami():
    """Ishigami & Homma (1990): the parts of the variance in closed form."""
    first = np.array([0.5 * (1 + 0.1 * np.pi**4 / 5) ** 2, 49 / 8, 0])
    both = 0.01 * np.pi**8 * (1 / 18 - 1 / 50)
    whole = first.sum() + both
    found = indices(ishigami(points("saltelli", 1, 5 * 4096, 3)), ["a", "b", "c"])
    total = first + np.array([both, 0, both])
    for kind, exact in (("first_order", first / whole), ("total", total / whole)):
        value, error, low, high = (found[f"{kind}{part}"].to_numpy() for part in ("", "_error", "_low", "_high"))
        np.testing.assert_allclose(value, exact, atol=0.02)
        assert (np.abs(value - exact) < 4 * error).all()
        assert ((low <= value) & (value <= high)).all()


def test_errors_fall_with_the_square_root_of_members():
    few, many = (indices(ishigami(points("saltelli", 1, 5 * n, 3)), list("abc")) for n in (256, 4096))
    ratio = (few["first_order_error"] / many["first_order_error"]).to_numpy()
    assert ((ratio > 2.5) & (ratio < 6)).all()


def run_of(losses: np.ndarray) -> xr.Dataset:
    made = (100 - losses)[:, None]
    of = {"output": (("member", "time"), made, {"units": "EUR / day"}), "output_baseline": ((), 100.0)}
    return xr.Dataset(of, {"time": [0.0]}, {"block": 7})


def test_a_run_with_the_design_tells_its_indices_and_others_are_refused():
    u = points("saltelli", 1, 4 * 64, 2)
    spec = {"sweep": {"design": "saltelli", "members": 256, "vary": {"one": 1, "other": 2}}}
    found = run_indices(run_of(10 * u[:, 1]), spec)
    assert found["path"].tolist() == ["one", "other"]
    np.testing.assert_allclose(found["total"], [0, 1], atol=0.05)
    with pytest.raises(RiskError, match=r"sweep\.design: random: indices need a run with saltelli"):
        run_indices(run_of(u[:, 1]), {"sweep": {"design": "random"}})
    with pytest.raises(RiskError, match="the same in all members"):
        run_indices(run_of(0 * u[:, 1]), spec)
    with pytest.raises(RiskError, match="255 of 256 members are sound"):
        run_indices(run_of(10 * np.where(np.arange(256) == 3, np.nan, u[:, 1])), spec)
