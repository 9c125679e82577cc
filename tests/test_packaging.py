"""What ships: the packages, the wheel, and a sweep run from a wheel installed into an empty environment."""

import ast
import re
import subprocess
import sys
import tomllib
import venv
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import ray
from shockmesh.io.results import open_run

ROOT = Path(__file__).parent.parent
ROOMS = ("cluster", "inference", "io", "kernels")


@pytest.fixture(scope="module")
def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements(project: dict, *extras: str) -> set[str]:
    """Names of what the project needs, and of what its extras need."""
    needs = [project["project"]["optional-dependencies"][extra] for extra in extras]
    wanted = [*project["project"]["dependencies"], *(need for of in needs for need in of)]
    return {canonical(re.split(r"[\[<>=!~;]", need)[0]) for need in wanted}


def test_every_folder_with_code_is_packaged(project):
    folders = {path.parent for room in ROOMS for path in (ROOT / room).rglob("*.py")}
    names = {"shockmesh." + ".".join(folder.relative_to(ROOT).parts) for folder in folders}
    assert names == set(project["tool"]["setuptools"]["packages"])
    assert {path.parent.name for path in ROOT.glob("[!.]*/*.py")} <= {*ROOMS, "tests"}


def test_no_folder_shadows_the_standard_library():
    assert not list(ROOT.glob("[!.]*/**/__init__.py"))


def test_pins_are_versions_without_addresses(project):
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line) for line in lines)
    pinned = {canonical(line.partition("==")[0]) for line in lines}
    assert requirements(project, *project["project"]["optional-dependencies"]) <= pinned


def test_what_is_imported_is_declared(project):
    """By the packages themselves: the lock has more, and so has the environment of the tests."""
    ours = [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]
    names = {name.partition(".")[0] for path in ours for name in imported(ast.parse(path.read_text()))}
    by_name = packages_distributions()
    of_others = {
        name: {canonical(one) for one in by_name[name]} for name in names - {"shockmesh", *sys.stdlib_module_names}
    }
    assert [name for name, of in of_others.items() if not of & requirements(project, "npe", "icechunk")] == []


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module
            yield node.module


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "dependencies",
    ["as here", *(pytest.param(of, marks=pytest.mark.slow) for of in ("as locked", "the lowest that are admitted"))],
)
def test_the_wheel_runs_a_sweep_in_an_environment_of_its_own(tmp_path, dependencies):
    def run(*command: object, cwd: Path = tmp_path) -> str:
        done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run(sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path, ROOT)
    (wheel,) = tmp_path.glob("shockmesh-*.whl")
    venv.create(tmp_path / "env")
    python, shockmesh = tmp_path / "env/bin/python", tmp_path / "env/bin/shockmesh"
    if dependencies == "as here":  # a path file does not make what is installed there editable known
        (packages,) = (tmp_path / "env").glob("lib/python*/site-packages")
        (packages / "here.pth").write_text(str(Path(ray.__file__).parent.parent))
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet")
    if dependencies == "as locked":
        run(*pip, "--constraint", ROOT / "requirements.lock", wheel)
    elif dependencies == "the lowest that are admitted":
        run(*pip, "uv")
        uv = (tmp_path / "env/bin/uv", "pip", "install", "--quiet", "--python", python)
        run(*uv, "--resolution", "lowest-direct", "--requirements", ROOT / "pyproject.toml")
    run(*pip, "--no-deps", wheel)
    assert run(shockmesh, "--version").strip().startswith("shockmesh 0.")
    assert Path(run(python, "-c", "import shockmesh.cluster.cli as c; print(c.__file__)").strip()).is_relative_to(
        tmp_path
    )
    run(shockmesh, "example", "chain", tmp_path / "chain")
    files = ("links.csv", "chain.zarr", "--firms", "firms.csv", "--per", "day")
    run(shockmesh, "import", "links", *files, cwd=tmp_path / "chain")
    run(shockmesh, "run", "outage.yaml", "--out", "run", "--quiet", cwd=tmp_path / "chain")
    with open_run(tmp_path / "chain/run") as found:
        assert float(found.output.isel(member=0).sum()) == pytest.approx(150 - 117)
    if dependencies != "as here":  # a table, a network, a sweep and a calibration
        run(python, "-c", f"import sys; sys.path.insert(0, {str(ROOT / 'tests')!r}); import stores; stores.write()")
