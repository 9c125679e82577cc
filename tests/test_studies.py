"""The packaged studies of prices: small, their signs; whole, the numbers of their READMEs (slow)."""

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from shockmesh.cluster.cli import main
from shockmesh.io.examples import EXAMPLES, copy_example
from shockmesh.io.networks.generate import generate_network
from shockmesh.io.networks.store import write_network
from shockmesh.io.results import open_run
from shockmesh.io.sources import Said
from shockmesh.io.tables.importing import import_table
from shockmesh.io.tables.store import open_table

README = {name: (EXAMPLES / name / "README.md").read_text("utf-8") for name in ("tariff2014", "gas2014")}
FIRMS = 4000


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few firms of the world of 2014, in a store that is called as the studies call theirs."""
    folder = tmp_path_factory.mktemp("world")
    import_table("wiod2016", "example", folder / "world2014.zarr", Said())
    with open_table(folder / "world2014.zarr") as table:
        write_network(generate_network(table, FIRMS, 7), folder / "world2014-20k.zarr")
    return folder


def study(name: str, world: Path, folder: Path) -> None:
    copy_example(name, folder)
    for store in world.iterdir():
        (folder / store.name).symlink_to(store)


def ran(spec: str, out: str, *overrides: str) -> None:
    words = ["run", spec, "--out", out, "--address", "local", "--quiet"]
    assert main([*words, *(word for of in overrides for word in ("--set", of))]) == 0


def snippet(name: str) -> dict[str, Any]:
    """What the Python of a README leaves behind."""
    (code,) = re.findall(r"```python\n(.*?)```", README[name], re.DOTALL)
    found: dict[str, Any] = {}
    exec(compile(code, f"{name}/README.md", "exec"), found)
    return found


def change(run: xr.Dataset, region: str) -> np.ndarray:
    """Of a region's output on the last day, by member."""
    here = run.sel(region=region).sum("sector")
    return (here.output.isel(time=-1) / here.output_baseline - 1).values


def test_a_tariff_contracts_downstream_and_expands_upstream(
    tmp_path: Path, world: Path, monkeypatch: pytest.MonkeyPatch
):
    study("tariff2014", world, tmp_path)
    monkeypatch.chdir(tmp_path)
    pair = "sweep={grid: {model.prices.elasticity_within: [5], model.prices.elasticity_between: [0.1]}}"
    ran("tariff.yaml", "run", pair, "horizon.days=90", "model.prices.pass_through=0.05")
    for dearer, sales in snippet("tariff2014")["signs"]:
        assert (dearer < -0.1, sales > 0.1) == (True, True)
    with open_run("run") as run:
        found = run.load()
    level = found.consumer_price_index.isel(member=0)
    assert level.isel(time=-1).max("region") == level.isel(time=-1).sel(region="USA") > 1.0005
    np.testing.assert_allclose(level.isel(time=slice(0, 10)), 1, rtol=1e-6)  # means of firms, in single precision
    assert float(change(found, "CHN")[0]) < -0.001 < 0.0001 < float(change(found, "MEX")[0])
    assert float(found.tariff_revenue.sel(region="USA").isel(time=-1)[0]) > 0
    assert (found.tariff_revenue.drop_sel(region="USA") == 0).all()


PRICES = "model.prices={scarcity: 0.35, elasticity_within: 2}"


def test_a_stop_of_gas_costs_more_the_less_can_be_replaced(
    tmp_path: Path, world: Path, monkeypatch: pytest.MonkeyPatch
):
    study("gas2014", world, tmp_path)
    monkeypatch.chdir(tmp_path)
    small = ["horizon.days=120", "shocks.stop.origin.share=1", "sweep.members=1"]
    ways = {
        "critical": ["model.preset=hamid2025"], "surveyed": [], "priced": [PRICES],
        "replaced": ["model.preset=hallegatte2014"],
    }  # fmt: skip
    lost: dict[str, float] = {}
    for name, overrides in ways.items():
        ran("gas.yaml", name, *small, *overrides)
        with open_run(name) as run:
            lost[name] = 1 - float(run.value_added.isel(time=-1).sum() / run.value_added_baseline.sum())
    assert lost["critical"] > lost["surveyed"] > lost["priced"] > 0
    assert lost["surveyed"] > lost["replaced"] > 0


def commands(name: str) -> list[str]:
    return re.findall(r"^    shockmesh (.*)$", README[name], re.MULTILINE)


@pytest.mark.slow
def test_the_tariff_gives_the_numbers_of_its_readme(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    copy_example("tariff2014", tmp_path)
    monkeypatch.chdir(tmp_path)
    for command in commands("tariff2014"):
        assert main(shlex.split(command)) == 0
    printed = {" ".join(line.split()) for line in capsys.readouterr().out.splitlines()}
    quoted = re.findall(r"^    ((?!shockmesh).*)$", README["tariff2014"].split("```python")[0], re.MULTILINE)
    assert len(quoted) == 14
    assert {" ".join(line.split()) for line in quoted} <= printed
    with open_run("run") as run:
        last = run.isel(time=-1).load()
    told = re.findall(r"^\| [\d.]+ \| [\d.]+ \| (.*) \|$", README["tariff2014"], re.MULTILINE)
    rows = np.array([re.sub(r"\(.*?\)", "", row).replace("−", "-").split("|") for row in told], float)
    rises = 100 * (last.consumer_price_index.sel(region="USA").values - 1)
    changes = [100 * change(run, region) for region in ("USA", "CHN", "MEX", "CAN")]
    revenue = 0.365 * last.tariff_revenue.sel(region="USA").values
    np.testing.assert_allclose(rows[:, :5].T, [rises, *changes], rtol=0, atol=0.00051)  # half of the last digit
    np.testing.assert_allclose(rows[:, 5], revenue, rtol=0, atol=0.051)
    signs = np.array(snippet("tariff2014")["signs"]).T
    said = re.findall(r"^\| 1 % .*?, % \| (.*) \|$", README["tariff2014"], re.MULTILINE)
    coefficients = [[*map(float, row.replace("−", "-").split("|"))] for row in said]
    np.testing.assert_allclose(coefficients, signs, rtol=0, atol=0.0051)


@pytest.mark.slow
def test_the_gas_gives_the_numbers_of_its_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    copy_example("gas2014", tmp_path)
    monkeypatch.chdir(tmp_path)
    for command in commands("gas2014"):
        assert main(shlex.split(command)) == 0
    found = snippet("gas2014")["told"]
    rows = re.findall(r"^\| ([a-z-]+) \| (\d.*) \|$", README["gas2014"], re.MULTILINE)
    said = {name: re.findall(r"[\d.]+", row) for name, row in rows}
    assert said.keys() == found.keys()
    for name, numbers in said.items():
        digits = [10.0 ** -len(number.partition(".")[2]) for number in numbers]
        assert (np.abs(np.array(numbers, float) - found[name]) < 0.51 * np.array(digits)).all(), name
