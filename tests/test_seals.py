"""`verify` names every file of a calibration that is missing or damaged, and no other."""

from collections.abc import Callable
from pathlib import Path
from shutil import copytree, rmtree

import numpy as np
import pytest
from shockmesh.cluster.cli import main
from shockmesh.cluster.running.run import run
from shockmesh.io.networks.store import write_network
from shockmesh.io.results import verify
from shockmesh.io.stores.checkpoints import read_arrays, write_arrays
from shockmesh.io.stores.journal import JournalError
from strikes import CALIBRATION, write_inputs

pytestmark = pytest.mark.usefixtures("quickly")

METHODS = {"rml": "checkpoints", "svi": "members"}  # and the folder that it does not have
SEAL = Path("journal/posterior.json")


@pytest.fixture(scope="module", params=METHODS)
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, random_network: Callable) -> Path:
    """A calibration that is complete."""
    folder = tmp_path_factory.mktemp("seals")
    write_network(random_network(firms=30, links=120), folder / "economy.zarr")
    write_inputs(folder)
    method = f"  method: {request.param}\n  guide: mean_field\n  steps: 4\n  checkpoint_every: 1\n  draws: 4\n"
    (folder / "fit.yaml").write_text(f"{CALIBRATION}{method}resources: {{members_per_block: 2, gangs: 1}}\n")
    assert run(folder / "fit.yaml", folder / "run", address="local", quiet=True).complete
    return folder / "run"


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def flip(file: Path) -> None:
    """Change a bit in the middle."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def files_of(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("*") if file.is_file() and file.parent.name != "log")


@pytest.mark.parametrize("damage", [cut, flip, Path.unlink], ids=["cut", "flipped", "gone"])
def test_every_file_that_is_damaged_is_named(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: Callable[[Path], None]
) -> None:
    path = copytree(whole, tmp_path / "run")
    assert (main(["verify", str(path)]), capsys.readouterr().out) == (0, f"{path}: all is as it was committed\n")
    files = files_of(path)
    assert {file.relative_to(path).parts[0] for file in files} == (
        {"RUN.json", "journal", "members", "checkpoints", "posterior.zarr"} - {METHODS[method_of(path)]}
    )
    for file in files:
        content = file.read_bytes()
        damage(file)
        assert main(["verify", str(path)]) == 2
        out, err = capsys.readouterr()
        named = f"{path}: no run here (RUN.json is missing)" if not (path / "RUN.json").exists() else str(file)
        assert [named in line for line in (out + err).splitlines()[:-1] or [err]] == [True], file
        file.write_bytes(content)
    assert verify(path) == []


def method_of(path: Path) -> str:
    return "rml" if (path / "members").is_dir() else "svi"


def test_what_verify_advises_mends(whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = copytree(whole, tmp_path / "run")
    flip(path / "posterior.zarr/posterior/model.inventory_days/c/0/0/0")
    cut(max(path.glob("*/*.npz")))
    assert main(["verify", str(path)]) == 2
    advice = f"delete {path}/posterior.zarr, and `shockmesh resume {path}` does again what is damaged"
    assert advice in capsys.readouterr().out
    rmtree(path / "posterior.zarr")
    assert main(["resume", str(path), "--address", "local"]) == 0
    assert verify(path) == []
    same = {file.relative_to(path): file.read_bytes() for file in files_of(path)}
    assert same == {file.relative_to(whole): file.read_bytes() for file in files_of(whole)}


def test_a_calibration_that_is_not_complete_is_verified_by_its_arrays(whole: Path, tmp_path: Path) -> None:
    path = copytree(whole, tmp_path / "run")
    rmtree(path / "posterior.zarr")
    assert verify(path) == [f"{path}/posterior.zarr: missing"]  # it was there once
    (path / SEAL).unlink()
    assert verify(path) == []
    file = max(path.glob("*/*.npz"))
    cut(file)
    assert verify(path) == [f"{file}: cut short or changed"]


def test_a_posterior_that_was_about_to_take_its_name_is_not_missed(whole: Path, tmp_path: Path) -> None:
    path = copytree(whole, tmp_path / "run")
    (path / "posterior.zarr").rename(path / ".posterior.zarr.0123.partial")
    assert verify(path) == []
    assert main(["resume", str(path), "--address", "local", "--quiet"]) == 0
    assert [*path.glob(".*")] == []  # nothing of it is left


def test_a_seal_that_is_missing_or_damaged(whole: Path, tmp_path: Path) -> None:
    path = copytree(whole, tmp_path / "run")
    (path / SEAL).write_text("[]")
    with pytest.raises(JournalError, match=r"posterior\.json: not as it was written"):
        verify(path)
    (path / SEAL).unlink()
    assert verify(path) == [f"{path / SEAL}: missing, so that nobody knows the check sums of posterior.zarr"]


def test_equal_arrays_make_equal_files(tmp_path: Path) -> None:
    arrays = {"a": np.arange(3.0), "b": np.array(True), "c": np.zeros((0, 2), np.float32)}
    for name in ("one", "other"):
        write_arrays(tmp_path / name / "0.npz", arrays)
    assert (tmp_path / "one/0.npz").read_bytes() == (tmp_path / "other/0.npz").read_bytes()
    found = read_arrays(tmp_path / "one/0.npz")
    assert all(found[name].dtype == of.dtype and np.array_equal(found[name], of) for name, of in arrays.items())
