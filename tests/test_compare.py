"""Runs side by side: differences by pairs, their errors in closed form, what cannot be compared, the pages."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import yaml
from scipy import stats
from shockmesh.cluster.cli import main
from shockmesh.cluster.verbs.printing import BAD_INPUT, DONE
from shockmesh.io.networks.store import write_network
from shockmesh.io.reports.comparing import CompareError, compare, compare_runs
from shockmesh.io.reports.comparison import as_lines, render
from shockmesh.kernels.network import FirmNetwork

REGIONS = ["DEU", "FRA"]


def made(loss: np.ndarray, days: int = 4, unit: str = "USD / day", draws: dict[str, Any] | None = None) -> xr.Dataset:
    """A run whose members lose these shares (member, region) each day; regions of weights 1 and 3."""
    baseline = np.array([1.0, 3.0])
    values = np.repeat(((1 - loss) * baseline)[:, None], days, 1)
    coords = {"member": np.arange(len(loss)), "time": np.arange(days), "region": REGIONS}
    ds = xr.Dataset({"output": (("member", "time", "region"), values), "output_baseline": ("region", baseline)}, coords)
    ds["output"].attrs["units"] = unit
    return ds.assign_coords({path: ("member", of) for path, of in (draws or {}).items()})


def losses(seed: int, members: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 0.5, (members, 2))


def test_members_that_drew_the_same_are_pairs():
    one, other, drew = losses(1), losses(2), np.arange(8.0)
    found = compare(
        {
            "a": made(one, draws={"model.capacity": drew}),
            "b": made(other, draws={"model.capacity": drew, "model.x": -drew}),
        }
    )
    whole = (other - one) @ [0.25, 0.75]
    test: Any = stats.ttest_rel(other @ [0.25, 0.75], one @ [0.25, 0.75])
    t = test.confidence_interval(0.9)
    assert found.members == "pairs"
    np.testing.assert_allclose(found["difference"].sel(run="b"), whole)
    b = found.sel(run="b")
    np.testing.assert_allclose(
        [b["mean"], b["error"], b["low"], b["high"]], [whole.mean(), whole.std(ddof=1) / np.sqrt(8), *t]
    )
    assert b["more_often"] == (whole > 0).mean()
    np.testing.assert_allclose(b["mean_by_region"], (other - one).mean(0))
    np.testing.assert_allclose(b["error_by_region"], (other - one).std(0, ddof=1) / np.sqrt(8))
    np.testing.assert_allclose(b["path"], np.full(4, -whole.mean()))
    assert found["mean"].sel(run="a") == 0


def test_members_that_drew_other_numbers_are_independent():
    one, other = losses(1), losses(2, 5)
    found = compare(
        {"a": made(one, draws={"model.x": np.arange(8.0)}), "b": made(other, draws={"model.x": np.arange(5.0) + 1})}
    )
    test: Any = stats.ttest_ind(other @ [0.25, 0.75], one @ [0.25, 0.75], equal_var=False)
    b, low_high = found.sel(run="b"), test.confidence_interval(0.9)
    assert found.members == "independent"
    assert "difference" not in found
    np.testing.assert_allclose(float(b["mean"] / b["error"]), test.statistic)
    np.testing.assert_allclose([b["low"], b["high"]], [*low_high])
    assert np.isnan(found["loss"].sel(run="b")[5:]).all()


def test_a_paired_difference_is_known_better_than_either_loss():
    common = np.random.default_rng(3).uniform(0, 0.5, (50, 1)) * np.ones(2)
    found = compare({"a": made(common), "b": made(common + 0.01)})
    assert float(found["error"].sel(run="b")) == pytest.approx(0, abs=1e-12)
    assert float(found["mean"].sel(run="b")) == pytest.approx(0.01)


def test_pairs_are_those_that_both_have():
    whole, part = made(losses(1)), made(losses(2)).isel(member=[1, 3])
    found = compare({"a": whole, "b": part})
    assert np.isfinite(found["difference"].sel(run="b").values).nonzero()[0].tolist() == [1, 3]


def test_single_members_say_nothing_of_chance():
    found = compare({"a": made(losses(1, 1)), "b": made(losses(2, 1))})
    assert np.isnan(float(found["error"].sel(run="b")))
    assert "single, so that nothing is known of chance" in next(as_lines(found))
    assert "±" not in "".join(as_lines(found))


@pytest.mark.parametrize("n", [2, 3])
def test_a_page_says_all_that_lines_do(n: int):
    found = compare({name: made(losses(k)) for k, name in enumerate("abc"[:n])})
    html, lines = render(found), list(as_lines(found))
    assert len(lines) == 1 + n + (n - 1)
    assert "regions that differ most, b: " in lines[n + 1]
    for words in ("pairs that drew the same", "Loss by region, less a", "Pair by pair", "Difference by day"):
        assert words in html


REFUSED: dict[str, tuple[Callable[[], xr.Dataset], str]] = {
    "other horizons": (lambda: made(losses(2), days=5), "a: 4 days; b: 5 days: horizons must be alike"),
    "other units": (lambda: made(losses(2), unit="EUR / day"), "a: in USD / day; b: in EUR / day: units must be alike"),
    "other dates": (
        lambda: made(losses(2)).assign_coords(time=np.arange(4) + 7),
        "a begins 0; b begins 7: days must be",
    ),
    "other places": (
        lambda: made(losses(2)).assign_coords(region=["DEU", "ITA"]),
        "a, b: regions differ: FRA, ITA in one",
    ),
    "nothing in common": (
        lambda: made(losses(2)).rename(output="value_added", output_baseline="value_added_baseline"),
        "no variable that all have recorded: a: output; b: value_added",
    ),
}


@pytest.mark.parametrize(("other", "says"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_compared_names_both(other: Callable[[], xr.Dataset], says: str):
    with pytest.raises(CompareError, match=says):
        compare({"a": made(losses(1)), "b": other()})


def test_one_run_alone_is_refused():
    with pytest.raises(CompareError, match="a: nothing to compare it with"):
        compare({"a": made(losses(1))})


@pytest.fixture
def spec(toy: FirmNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    write_network(toy, tmp_path / "toy.zarr")
    data = {
        "economy": "toy.zarr", "horizon": {"days": 8}, "model": {"capacity": 1.1, "production": "leontief"},
        "shocks": [{"name": "strike", "kind": "recovery", "where": {"region": "GBR"}, "loss": 0.6, "onset": 2}],
        "sweep": {"seed": 3, "members": 3, "vary": {"shocks.strike.loss": {"uniform": [0.2, 0.9]}}},
    }  # fmt: skip
    Path("s.yaml").write_text(yaml.safe_dump(data))
    return "s.yaml"


def test_the_verb_compares_presets_runs_and_members(spec: str, capsys: Any):
    assert main(["compare", spec, "--presets", "hamid2025,inoue_todo2019", "-o", "presets.html"]) == DONE
    said = capsys.readouterr().out
    assert "output lost over 8 days; members are pairs that drew the same" in said
    assert "less hamid2025" in Path("presets.html").read_text("utf-8")
    runs = ["s.presets/hamid2025", "s.presets/inoue_todo2019"]
    assert main(["compare", *runs, "--json"]) == DONE
    told = json.loads(capsys.readouterr().out)
    assert told["attrs"]["members"] == "pairs"
    found = compare_runs(runs)
    np.testing.assert_allclose(told["data_vars"]["mean"]["data"], found["mean"])

    assert main(["compare", f"{runs[0]}@0", f"{runs[0]}@2"]) == DONE
    assert "hamid2025@2: " in capsys.readouterr().out
    for words, says in {
        f"{runs[0]} {runs[0]}@9": "no member 9; there are 0 … 2",
        f"{runs[0]} {runs[0]}": "named twice",
        f"{runs[0]} nowhere": "nowhere: no run here",
        f"{runs[0]} {runs[1]} --variable value_added": "hamid2025: variable: value_added: not recorded; there",
        "s.yaml t.yaml --presets literal": "s.yaml, t.yaml: one spec at a time",
        "s.yaml --presets nonesuch": "presets: nonesuch: no such preset",
    }.items():
        assert main(["compare", *words.split()]) == BAD_INPUT
        assert says in capsys.readouterr().err
