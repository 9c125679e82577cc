"""Runs of every kind, small ones, and what strikes at them: what of each must stay, and what must come out."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from random import Random
from typing import IO

import numpy as np
import pytest
from drivers import alive, kill_raylet, session, wait_for, workers_under
from shockmesh.io.posteriors import open_posterior
from shockmesh.io.results import committed, open_run
from shockmesh.io.stores.checkpoints import CHECKPOINTS, numbered, read_arrays
from shockmesh.io.stores.journal import read_marker
from shockmesh.io.stores.seals import MEMBERS

SWEEP = """
economy: economy.zarr
horizon: {days: 3000}
shocks:
  - {name: storm, kind: recovery, where: {share: 0.3}, loss: 0.6, onset: 2, recovery_start: 4, recovery_days: 50}
sweep: {seed: 3, members: 64, vary: {shocks.storm.loss: {uniform: [0.2, 0.9]}}}
record: {output: [sector], inventory: []}
resources: {members_per_block: 2, gangs: 2}
"""
CALIBRATION = """
economy: economy.zarr
horizon: {days: 40}
shocks: [{name: storm, kind: recovery, loss: 0.5, recovery_days: 15}]
observe:
  - {file: series.csv, by: sector, noise: 0.02, window: [0, 30], held_out: [30, 40]}
infer:
  parameters:
    model.inventory_days: {spread: {all: 0.5, firm: 0.3}}
    shocks.storm.loss: {spread: {all: 0.5}}
"""
RML = f"""{CALIBRATION}
  method: rml
  steps: 60
  draws: 48
sweep: {{seed: 3}}
resources: {{members_per_block: 2, gangs: 2}}
"""
SVI = f"""{CALIBRATION}
  method: svi
  guide: mean_field
  steps: 75
  particles: 4
  checkpoint_every: 3
  draws: 8
sweep: {{seed: 3}}
resources: {{gangs: 2}}
"""


def bits(values: np.ndarray) -> bytes:
    return repr(values.tolist()).encode() if values.dtype.kind in "OT" else values.tobytes()


@dataclass(frozen=True)
class Kind:
    """A kind of run, and the pieces that it commits one by one."""

    spec: str
    of: int  # pieces
    pieces: Callable[[Path], list[int]]
    folder: str = ""  # of the pieces, where they are files of arrays

    def done(self, run: Path) -> int:
        """How many pieces a run has committed. Of checkpoints only the last two are kept, named by their step."""
        found = self.pieces(run)
        return max(found, default=0) // 3 if self.folder == CHECKPOINTS else len(found)

    def kept(self, run: Path) -> dict[str, bytes]:
        """Every file that is committed, by name."""
        found, files = dict[str, bytes](), [f"{self.folder}/{piece}.npz" for piece in self.pieces(run)]
        if not self.folder:
            files = [
                name
                for block in self.pieces(run)
                for name in (f"journal/{block}.json", *read_marker(run, block)["shards"])
            ]
        for name in files:
            with suppress(FileNotFoundError):  # an old checkpoint
                found[name] = (run / name).read_bytes()
        return found

    def numbers(self, run: Path) -> dict[str, bytes]:
        """Every number of a run that is complete."""
        if not self.folder:
            with open_run(run) as ds:
                return {str(name): bits(of.values) for name, of in ds.variables.items()}
        with open_posterior(run) as tree:
            found = {
                f"{group.path} {name}": bits(of.values)
                for group in tree.subtree
                for name, of in group.to_dataset().variables.items()
            }
        for file in (run / self.folder).glob("*.npz"):
            found |= {f"{file.name} {name}": bits(values) for name, values in read_arrays(file).items()}
        return found


KINDS = {
    "sweep": Kind(SWEEP, 32, lambda run: sorted(committed(run))),
    "rml": Kind(RML, 24, lambda run: numbered(run / MEMBERS), MEMBERS),
    "svi": Kind(SVI, 25, lambda run: numbered(run / CHECKPOINTS), CHECKPOINTS),
}


def write_inputs(folder: Path) -> None:
    """The specs of all kinds, and a series that falls and comes back."""
    rng = np.random.default_rng(4)
    fall = 1 - 0.2 * np.exp(-np.arange(40)[:, None] / [8, 9, 10, 11]) + rng.normal(0, 0.01, (40, 4))
    rows = [",".join([str(day), *(f"{value:.4f}" for value in values)]) for day, values in enumerate(fall)]
    (folder / "series.csv").write_text("\n".join(["day,S0,S1,S2,S3", *rows, ""]))
    for name, kind in KINDS.items():
        (folder / f"{name}.yaml").write_text(kind.spec)


@dataclass
class Scene:
    """A run at work, its driver, and the luck of the trial."""

    run: Path
    driver: ForkServerProcess
    draw: Random

    @property
    def pid(self) -> int:
        assert self.driver.pid is not None
        return self.driver.pid

    def worker(self) -> int:
        """One of the run's workers; they are actors of this process's cluster, or of the driver's own."""
        wait_for(lambda: bool(workers_under(os.getpid())), 60, "the first worker")
        return self.draw.choice(workers_under(os.getpid()))

    def left(self) -> dict[int, bytes]:
        """Processes of the run that are alive, and their command lines."""
        return session(self.pid) | dict.fromkeys(workers_under(os.getpid()), b"ray::Rank")


def kill_group(scene: Scene) -> None:
    os.killpg(scene.pid, signal.SIGKILL)


def kill_worker(scene: Scene) -> None:
    os.kill(scene.worker(), signal.SIGKILL)


def stop_worker(scene: Scene) -> None:
    os.kill(scene.worker(), signal.SIGSTOP)


def stop_and_kill(scene: Scene) -> None:
    os.kill(scene.pid, signal.SIGSTOP)
    time.sleep(scene.draw.uniform(0, 2))
    os.kill(scene.pid, signal.SIGKILL)


def send(number: signal.Signals) -> Callable[[Scene], None]:
    return lambda scene: os.kill(scene.pid, number)


def fill_disk(scene: Scene) -> None:
    with filler(scene.run).open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        _write_on(file)


def _write_on(file: IO[bytes]) -> None:
    while True:
        file.write(bytes(4096))


def filler(run: Path) -> Path:
    return run.parent / "filler"


@contextmanager
def small_disk(at: Path) -> Generator[Path]:
    """A file system of 4 MB, in memory.

    Nothing else comes as near to a full disk: a limit on the size of files (RLIMIT_FSIZE) counts each file by itself,
    holds for Ray's own files too, and ends in another error.
    """
    at.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(at)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        why = done.stderr.strip()
        pytest.fail(f"a disk to fill must be mounted: run as root, or `unshare --map-root-user --mount`: {why}")
    try:
        yield at
    finally:
        subprocess.run(["umount", "--lazy", str(at)], check=True)


@dataclass(frozen=True)
class Strike:
    """What happens to a run, where each trial runs, and how its driver may end."""

    hit: Callable[[Scene], None]
    where: tuple[str, ...]  # shared: on the cluster of all tests; own: on one of its own; local: without Ray
    ends: tuple[int, ...]
    says: str = ""  # what the driver says at its end


KILLED = (-signal.SIGKILL,)
STRIKES: Mapping[str, Strike] = {
    "the driver's group is killed": Strike(kill_group, ("shared", "local", "own", "shared"), KILLED),
    "a worker is killed": Strike(kill_worker, ("shared", "own", "shared"), (0,)),
    "the raylet is killed": Strike(lambda scene: kill_raylet(scene.pid), ("own", "own", "own"), (0, 3)),
    "a worker is stopped": Strike(stop_worker, ("own", "shared"), (0,)),
    "the driver is stopped, then killed": Strike(stop_and_kill, ("shared", "own"), KILLED),
    "SIGTERM": Strike(send(signal.SIGTERM), ("shared", "own"), (3,), "interrupted; go on with: shockmesh resume {run}"),
    "SIGINT": Strike(send(signal.SIGINT), ("local", "shared"), (3,), "interrupted; go on with: shockmesh resume {run}"),
    "the disk is full": Strike(
        fill_disk, ("shared", "local", "own"), (3,), r"{run}\S*: No space left on device[^$]*shockmesh resume {run}"
    ),
}


def wait_for_moment(scene: Scene, kind: Kind) -> None:
    """Let the run do some of its work, seldom none."""
    after = scene.draw.choice([0, 0, *range(1, kind.of * 2 // 3)])
    wait_for((scene.run / "RUN.json").is_file, 60, "the beginning")
    end = time.monotonic() + 150
    while alive(scene.pid) and kind.done(scene.run) < after:
        assert time.monotonic() < end, f"{after} pieces took more than 150 s"
        time.sleep(0.002)
    time.sleep(scene.draw.uniform(0, 0.05 if after else 3))
