"""A disk that is full ends a calibration with a sentence, and with room again it ends in the same bits."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from shockmesh.cluster.cli import main
from shockmesh.io.networks.store import write_network
from shockmesh.io.results import verify
from strikes import CALIBRATION, KINDS, write_inputs

FULL = "No space left on device"
METHODS = {"rml": "members", "svi": "checkpoints"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, random_network: Callable) -> Path:
    """A spec and its run by each method."""
    folder = tmp_path_factory.mktemp("disk")
    write_network(random_network(firms=30, links=120), folder / "economy.zarr")
    write_inputs(folder)
    for method in METHODS:
        fit = f"  method: {method}\n  guide: mean_field\n  steps: 5\n  checkpoint_every: 1\n  draws: 5\n"
        (folder / f"{method}.yaml").write_text(f"{CALIBRATION}{fit}resources: {{members_per_block: 1, gangs: 1}}\n")
        assert main(["run", str(folder / f"{method}.yaml"), "-o", str(folder / method), "--address", "local"]) == 0
    return folder


def fill_once(patch: pytest.MonkeyPatch, there: Callable[[], bool]) -> None:
    """Let the disk be full as soon as something is there: no file reaches it any more."""
    flush = os.fsync

    def fsync(file: int) -> None:
        if there() and not Path(f"/proc/self/fd/{file}").is_dir():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        flush(file)

    patch.setattr(os, "fsync", fsync)


CASES = {
    "a member": ("rml", "members/1.npz", "3 blocks in a row failed; the last: {}/members/4.npz"),
    "a checkpoint": ("svi", "checkpoints/2.npz", "{}/checkpoints/3.npz"),
    "an ensemble's posterior": ("rml", "members/4.npz", "{}/"),
    "a guide's posterior": ("svi", "checkpoints/5.npz", "{}/"),
}


@pytest.mark.parametrize(("method", "last", "why"), CASES.values(), ids=CASES)
def test_a_full_disk_ends_a_calibration_with_a_sentence(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], method: str, last: str, why: str
) -> None:
    path, kind = tmp_path / "run", KINDS[method]
    with pytest.MonkeyPatch.context() as patch:
        fill_once(patch, (path / last).is_file)
        assert main(["run", str(folder / f"{method}.yaml"), "-o", str(path), "--address", "local"]) == 3
    out = capsys.readouterr().out
    assert f"stopped early: {why.format(path)}" in out
    assert f": {FULL}\nnot complete; go on with: shockmesh resume {path}\n" in out
    assert (verify(path), [*path.rglob("*.partial")]) == ([], [])
    assert main(["resume", str(path), "--address", "local"]) == 0
    assert kind.numbers(path) == kind.numbers(folder / method)


def test_a_run_that_finds_a_full_disk_names_it(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        fill_once(patch, lambda: True)
        assert main(["run", str(folder / "rml.yaml"), "-o", str(tmp_path / "run"), "--address", "local"]) == 2
    assert capsys.readouterr().err == f"{tmp_path / 'run' / 'RUN.json'}: {FULL}\n"
    assert main(["run", str(folder / "rml.yaml"), "-o", str(tmp_path / "run"), "--address", "local"]) == 0
