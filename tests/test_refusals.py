"""Specs that only economy and files show to be wrong: validate, plan and run refuse them in one sentence."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import yaml
from shockmesh.cluster.cli import main
from shockmesh.cluster.verbs.printing import BAD_INPUT, DONE
from shockmesh.io.inputs.scenarios import ScenarioError, read_factors
from shockmesh.io.networks.store import read_network, write_network
from shockmesh.kernels.network import firm_network

SHOCK = {"name": "quake", "kind": "recovery", "where": {"sector": ["FINE"]}, "loss": 0.5}
SWEEP = {"economy": "economy.zarr", "horizon": {"days": 5}, "shocks": [SHOCK]}
UNKNOWN = {"parameters": {"shocks.quake.loss": {"spread": {"all": 0.1}}}, "steps": 2, "draws": 4}
FIT = SWEEP | {"observe": [{"file": "series.csv"}], "infer": UNKNOWN}
TABLE = SWEEP | {"shocks": [{"name": "gap", "kind": "table", "file": "factors.csv"}]}


def observed(**more: Any) -> dict[str, Any]:
    return FIT | {"observe": [{"file": "series.csv", **more}]}


def inferred(path: str, **top: Any) -> dict[str, Any]:
    return FIT | top | {"infer": UNKNOWN | {"parameters": {path: {"spread": {"all": 0.1}}}}}


def with_total(**more: Any) -> dict[str, Any]:
    """A second series, of all firms."""
    second = {"file": "total.csv", "by": "total", "variable": "value_added"}
    return FIT | {"observe": [{"file": "series.csv"}, {**second, **more}]}


GOOD = {
    "a sweep": (SWEEP, {}),
    "a fit": (FIT, {}),
    "a fit without the days held out": (observed(held_out=[3, 5]), {}),
    "a series held out as a whole": (with_total(window=[0, 1], held_out=[1, 5]), {}),
    "a table that ends late": (TABLE, {"factors.csv": "firm,day,factor\nX,4,0.5\nX,40,1\n"}),
}
# the spec, files beside it, and the sentence
BAD: dict[str, tuple[dict[str, Any], dict[str, str], str]] = {
    "no first day": (FIT, {"series.csv": "last_day,FINE\n0,1\n"}, "series.csv:1: columns: no first_day"),
    "a day beyond": (FIT, {"series.csv": "day,FINE\n9,1\n"}, "series.csv:2: days 9 … 9: must lie within 0 … 4"),
    "a day of 1e30": (FIT, {"series.csv": "day,FINE\n1e30,1\n"}, "series.csv:2: day: 1e30: must be a whole number"),
    "an amount": (FIT, {"series.csv": "day,FINE\n1,1e30\n"}, "series.csv:2: FINE: 1e30: must be a number ≥ 0 and ≤"),
    "no such sector": (FIT, {"series.csv": "day,FIN\n1,1\n"}, "series.csv:1: column: FIN: no such sector"),
    "no such group": (
        observed(groups="groups.csv"),
        {"groups.csv": "sector,series\nFIN,FINE\n"},
        "groups.csv:2: sector: FIN: no such sector in the economy",
    ),
    "noise of nothing": (
        observed(noise={"file": "noise.csv"}),
        {"noise.csv": "day,FINE\n1,0\n3,0\n"},
        "noise.csv:2: FINE: 0: must be ≥ 1e-06 and ≤ 100",
    ),
    "no whole period": (
        observed(window=[0, 2]),
        {"series.csv": "first_day,last_day,FINE\n1,3,1\n"},
        "spec.yaml:13: observe[0].window: [0, 2]: holds no whole period with a value",
    ),
    "a series of no window": (
        with_total(window=[2, 3]),
        {},
        "spec.yaml:16: observe[1].window: [2, 3]: holds no whole period with a value",
    ),
    "nothing held out": (
        observed(window=[0, 2], held_out=[4, 5]),
        {},
        "observe[0].held_out: [4, 5]: holds no whole period with a value",
    ),
    "a share of nothing": (
        FIT | {"infer": UNKNOWN | {"residual": "relative"}},
        {"series.csv": "day,FINE\n1,1\n3,0\n"},
        "series.csv:3: FINE: 0: must be > 0 with infer.residual: relative",
    ),
    "a ratio to a loss": (
        observed(variable="value_added"),
        {"series.csv": "day,LOSS\n1,1\n"},
        "series.csv:1: column: LOSS: its value_added on an undisturbed day is -2: must be > 0",
    ),
    "capacity on its bound": (
        inferred("model.capacity", model={"preset": "inoue_todo2019"}),
        {},
        "infer.parameters.model.capacity: 1: its value must be > 1 for some firm: on a bound it cannot be inferred",
    ),
    "no days to infer": (
        inferred("shocks.quake.recovery_days"),
        {},
        "infer.parameters.shocks.quake.recovery_days: missing: the shock must say a value",
    ),
    "all is lost": (
        inferred("shocks.quake.loss", shocks=[{"name": "quake", "kind": "recovery", "loss": 1.0}]),
        {},
        "infer.parameters.shocks.quake.loss: 1: its value must be > 0 and < 1 for some firm",
    ),
    "a shock after the end": (SWEEP | {"shocks": [SHOCK | {"onset": 5}]}, {}, "shocks.quake.onset: 5: must be < 5"),
    "a table after the end": (
        TABLE,
        {"factors.csv": "firm,day,factor\nX,40,0.5\nX,45,1\n"},
        "factors.csv: day: row 2: 40, row 3: 45: must be < 5, the run's days, in one row at least",
    ),
    "a loop of links": (SWEEP | {"economy": "loop"}, {}, "loop: no such file or store"),
    "more devices than firms": (SWEEP | {"resources": {"devices_per_gang": 9}}, {}, "the economy has only 3 firms"),
    "less memory than it needs": (SWEEP | {"resources": {"memory": "1 MB"}}, {}, "memory: a worker with 1 members"),
}  # fmt: skip


@pytest.fixture(scope="module")
def economy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three firms, of which X buys for more than it sells."""
    made = firm_network(
        [0, 0, 1], [1, 2, 2], [7.0, 2.0, 1.0], [3.0, 4.0, 9.0], firm=["B", "X", "Z"], sector=[0, 1, 2],
        sectors=["BUILD", "LOSS", "FINE"],
    )  # fmt: skip
    path = tmp_path_factory.mktemp("economy") / "economy.zarr"
    write_network(made, path)
    return path


@pytest.fixture
def write(economy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict, dict], str]:
    """Writes a spec and its files into the working directory."""

    def files(spec: dict[str, Any], texts: dict[str, str]) -> str:
        monkeypatch.chdir(tmp_path)
        Path("economy.zarr").symlink_to(economy)
        Path("loop").symlink_to("loop")
        series = {"series.csv": "day,FINE\n1,1\n3,0.8\n", "total.csv": "day,all\n1,1\n3,0.9\n"}
        written = {**series, "spec.yaml": yaml.safe_dump(spec, sort_keys=False)}
        for name, text in (written | texts).items():
            Path(name).write_text(text, "utf-8")
        return "spec.yaml"

    return files


VERBS = {"validate": [], "plan": [], "run": ["--address", "local", "--out", "out"]}


@pytest.mark.parametrize(("spec", "files"), GOOD.values(), ids=GOOD)
def test_what_is_right_is_not_refused(write: Callable, spec: dict, files: dict):
    assert main(["validate", write(spec, files), "--quiet"]) == DONE


@pytest.mark.parametrize(("spec", "files", "says"), BAD.values(), ids=BAD)
def test_what_is_wrong_is_refused_alike_by_every_verb(write: Callable, capsys: Any, spec: dict, files: dict, says: str):
    path, told = write(spec, files), set()
    for verb, options in VERBS.items():
        assert main([verb, path, *options]) == BAD_INPUT, verb
        told.add(capsys.readouterr().err)
    assert len(told) == 1
    assert says in told.pop()
    assert not Path("out").exists()


def test_firms_that_cannot_stray_are_counted(write: Callable, capsys: Any):
    shock = SHOCK | {"loss": {"default": 0, "by_sector": {"FINE": 0.4, "LOSS": 1}}, "where": {}}
    assert main(["validate", write(inferred("shocks.quake.loss", shocks=[shock]), {}), "--json"]) == DONE
    told = "infer.parameters.shocks.quake.loss: 2 of 3 firms stay at 0 or 1: only a value > 0 and < 1 can stray"
    assert told in json.loads(capsys.readouterr().out)["notes"]


def test_durations_are_days(write: Callable):
    factor = np.ones((4, 1))
    factor[2] = 0.2
    write(TABLE, {})
    times = np.arange(4) * np.timedelta64(1, "D").astype("timedelta64[ns]")
    for name, start in (("lasting.zarr", None), ("dated.zarr", np.datetime64("2020-03-01", "ns"))):
        time = times if start is None else start + times
        xr.Dataset({"factor": (("time", "firm"), factor)}, {"time": time, "firm": ["X"]}).to_zarr(
            name, consolidated=False
        )
    found = read_factors("lasting.zarr", read_network("economy.zarr"), 3)
    np.testing.assert_array_equal(found, [[1, 1, 1], [1, 1, 1], [1, 0.2, 1]])
    with pytest.raises(
        ScenarioError, match=r"dated.zarr: time: 2020-03-01, …: must be days since the start of the run"
    ):
        read_factors("dated.zarr", read_network("economy.zarr"), 3)
