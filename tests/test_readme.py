"""The README's code runs as it is printed, on an economy of a hundred firms."""

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from shockmesh.cluster.cli import main
from shockmesh.io.networks.store import write_network
from shockmesh.kernels.network import FirmNetwork, firm_network

README = Path(__file__).parent.parent.joinpath("README.md").read_text("utf-8")
SPECS = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
(command,) = re.findall(r"    shockmesh (run .*demo/truth (?:.|\\\n)*)\n\n", README)
TRUTH = shlex.split(command.replace("\\\n", " "))
FIRMS = 100


def small_world(random: FirmNetwork, spec: dict[str, Any]) -> FirmNetwork:
    """A random network whose firms lie in the places that a spec names, and one more."""
    (where,) = (shock["where"] for shock in spec["shocks"])
    regions, sectors = [*where["region"], "USA"], [*where["sector"], "Q"]
    return firm_network(
        random.supplier, random.buyer, random.amount, random.final_demand, regions=regions, sectors=sectors,
        region=np.arange(FIRMS) % len(regions), sector=np.arange(FIRMS) % len(sectors), unit=random.unit,
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, random_network: Callable[..., FirmNetwork]) -> Path:
    """What a reader has after the demo: a store and a run of the README's first spec, with few members."""
    folder, spec = tmp_path_factory.mktemp("readme"), yaml.safe_load(SPECS[0])
    (folder / "demo").mkdir()
    write_network(small_world(random_network(FIRMS, 500), spec), folder / "demo/world2014-20k.zarr")
    (folder / "demo/lockdown.yaml").write_text(SPECS[0], "utf-8")
    few = ["--set", "sweep.members=3", "--set", "horizon.days=90"]
    arguments = ["run", str(folder / "demo/lockdown.yaml"), "--out", str(folder / "demo/run"), "--address", "local"]
    assert main([*arguments, *few, "--quiet"]) == 0
    (folder / "demo/calibration.yaml").write_text(SPECS[1], "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main([*TRUTH, "--address", "local", "--quiet"]) == 0
    return folder


def test_the_tariffs_of_the_readme_come_to_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, random_network: Callable[..., FirmNetwork],
    capsys: pytest.CaptureFixture[str],
):  # fmt: skip
    random, regions, sectors = random_network(FIRMS, 500), ["CHN", "USA", "DEU"], ["C26", "C27", "C19", "D35"]
    places: dict[str, Any] = {
        "region": np.arange(FIRMS) % 3,
        "sector": np.arange(FIRMS) % 4,
        "regions": regions,
        "sectors": sectors,
    }
    links = random.supplier, random.buyer, random.amount, random.final_demand
    write_network(firm_network(*links, **places), tmp_path / "world2014-20k.zarr")
    (tmp_path / "tariff.yaml").write_text(SPECS[2], "utf-8")
    monkeypatch.chdir(tmp_path)
    (words,) = re.findall(r"    shockmesh (prices .*?)(?: +#.*)?\n", README)
    assert main(["validate", "tariff.yaml", "--quiet"]) == 0
    assert main(shlex.split(words)) == 0
    found = json.loads(capsys.readouterr().out)
    assert all(level > 1 for level in found["consumer_price_index"].values())
    assert found["tariff_revenue"]["USA"] > 0


@pytest.mark.parametrize("number", range(len(SNIPPETS)))
def test_python_of_the_readme_runs(folder: Path, monkeypatch: pytest.MonkeyPatch, number: int):
    monkeypatch.chdir(folder)
    exec(compile(SNIPPETS[number], f"README.md, Python {number + 1}", "exec"), {})
    assert "matplotlib" not in SNIPPETS[number]  # which comes with the checks of contributors only


def test_the_calibration_of_the_readme_takes_the_series_of_its_code(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(folder)
    (making,) = (code for code in SNIPPETS if "series.csv" in code)
    exec(compile(making, "README.md", "exec"), {})
    assert main(["validate", "demo/calibration.yaml", "--quiet"]) == 0
