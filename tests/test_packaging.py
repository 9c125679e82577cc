"""What ships: the packages, the wheel, and a sweep run from a wheel installed into an empty environment."""

import re
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_every_folder_with_code_is_packaged(project):
    folders = {path.parent.name for path in ROOT.glob("[!.]*/*.py")} - {"tests"}
    packaged = {name.removeprefix("shockmesh.") for name in project["tool"]["setuptools"]["packages"]}
    assert folders <= packaged
    assert all((ROOT / name).is_dir() for name in packaged)


def test_no_folder_shadows_the_standard_library():
    assert not list(ROOT.glob("[!.]*/**/__init__.py"))


def test_pins_are_versions_without_addresses(project):
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line) for line in lines)
    pinned = {re.sub(r"[-_.]+", "-", line.partition("==")[0]).lower() for line in lines}
    extras = project["project"]["optional-dependencies"]
    wanted = [*project["project"]["dependencies"], *(need for needs in extras.values() for need in needs)]
    names = {re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~;]", need)[0]).lower() for need in wanted}
    assert names <= pinned


@pytest.mark.timeout(900)
def test_the_wheel_runs_a_sweep_in_an_empty_environment(tmp_path):
    def run(*command: object, cwd: Path = tmp_path) -> str:
        done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run(sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path, ROOT)
    (wheel,) = tmp_path.glob("shockmesh-*.whl")
    venv.create(tmp_path / "env", with_pip=True)
    python, shockmesh = tmp_path / "env/bin/python", tmp_path / "env/bin/shockmesh"
    run(python, "-m", "pip", "install", "--quiet", "--constraint", ROOT / "requirements.lock", wheel)
    assert run(shockmesh, "--version").strip().startswith("shockmesh 0.")
    run(shockmesh, "example", "chain", tmp_path / "chain")
    run(
        shockmesh,
        "import",
        "links",
        "links.csv",
        "chain.zarr",
        "--firms",
        "firms.csv",
        "--per",
        "day",
        cwd=tmp_path / "chain",
    )
    run(shockmesh, "run", "outage.yaml", "--out", "run", "--quiet", cwd=tmp_path / "chain")
    total = "import shockmesh.io.results as r; print(float(r.open_run('run').output.isel(member=0).sum()))"
    assert float(run(python, "-c", total, cwd=tmp_path / "chain")) == pytest.approx(150 - 117)
