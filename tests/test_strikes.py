"""A sweep, an ensemble and a fit, struck at any moment: resumed, each ends in the bits of an undisturbed run.

63 strikes, each at a whole run on a Ray cluster (some without one). `--log-cli-level=INFO` shows the table.
"""

import logging
import re
import time
import warnings
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerContext
from pathlib import Path
from random import Random
from uuid import uuid4

import pytest
from drivers import start, wait_for
from ray.cluster_utils import Cluster
from shockmesh.cluster.running.ray_executor import QUIET_RAY
from shockmesh.cluster.running.run import resume, run
from shockmesh.io.networks.store import write_network
from shockmesh.io.results import verify
from shockmesh.io.stores import checkpoints
from strikes import (
    KINDS,
    STRIKES,
    Kind,
    Scene,
    Strike,
    filler,
    small_disk,
    wait_for_moment,
    write_inputs,
)

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(1800)]
LOG = logging.getLogger(__name__)
WORKERS_END, AGENTS_END = 40, 100  # seconds after a driver's death


@dataclass(frozen=True)
class Ground:
    """What all strikes share: specs and inputs, runs that nothing disturbed, a cluster, new processes."""

    folder: Path
    cluster: str
    processes: ForkServerContext
    scenes: list[Scene] = field(default_factory=list)

    def address(self, where: str) -> list[str]:
        return {"shared": ["--address", self.cluster], "own": [], "local": ["--address", "local"]}[where]

    def start(self, words: list[object], path: Path, draw: Random) -> tuple[Scene, Path]:
        """A driver, and the folder of what it says."""
        driver = start(self.processes, *words, folder=self.folder)
        self.scenes.append(Scene(path, driver.process, draw))
        return self.scenes[-1], driver.said


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """A node of two cores; this process is not connected to it."""
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore")
        for name, value in QUIET_RAY.items():
            patch.setenv(name, value)
        nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
        yield str(nodes.address)
        nodes.shutdown()


@pytest.fixture(scope="module")
def ground(short_folder: Path, processes: ForkServerContext, random_network: Callable, cluster: str) -> Ground:
    write_network(random_network(firms=60, links=240), short_folder / "economy.zarr")
    write_inputs(short_folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoints, "KEPT", 1000)
        for name in KINDS:
            assert run(short_folder / f"{name}.yaml", short_folder / name, address="local", quiet=True).complete
    return Ground(short_folder, cluster, processes)


@pytest.mark.parametrize("name", STRIKES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_run_that_is_struck_ends_in_the_same_bits(ground: Ground, kind: str, name: str) -> None:
    strike, moments = STRIKES[name], list[int]()
    for trial, where in enumerate(strike.where):
        began, draw = time.monotonic(), Random(f"{kind}, {name}, {trial}")
        with disk(ground, name) as path:
            scene, said = ground.start(
                ["run", ground.folder / f"{kind}.yaml", "--out", path, *ground.address(where)], path, draw
            )
            pieces, known = struck(scene, strike, said, KINDS[kind])
            ended = time.monotonic()
            filler(path).unlink(missing_ok=True)
            assert verify(path) == []
            resumed(ground, path, where, trial)
            assert_same(path, ground.folder / kind, KINDS[kind], known)
        moments.append(pieces)
        LOG.info(
            "%s | %s | %s | after %d of %d pieces | ended with %d after %.1f s, complete after %.1f s",
            kind, name, where, pieces, KINDS[kind].of, scene.driver.exitcode, ended - began, time.monotonic() - began,
        )  # fmt: skip
    assert sum(0 < pieces < KINDS[kind].of for pieces in moments) >= len(moments) / 2, moments


def test_no_process_is_left(ground: Ground) -> None:
    """Of none of the runs above, agents of Ray's included."""
    wait_for(lambda: not any(scene.left() for scene in ground.scenes), AGENTS_END, "the end of all processes")


@contextmanager
def disk(ground: Ground, name: str) -> Generator[Path]:
    """Where a run is to be: a disk of its own if it is to be filled."""
    folder = ground.folder / uuid4().hex
    if name != "the disk is full":
        yield folder
        return
    with small_disk(folder):
        yield folder / "run"


def struck(scene: Scene, strike: Strike, said: Path, kind: Kind) -> tuple[int, dict[str, bytes]]:
    """Strike at a run, and see how it ends; how far it was, and what it had committed."""
    wait_for_moment(scene, kind)
    assert scene.driver.is_alive(), (said / "err").read_text()
    pieces, known = kind.done(scene.run), kind.kept(scene.run)
    strike.hit(scene)
    scene.driver.join(240)
    out, err = ((said / name).read_text() for name in ("out", "err"))
    assert scene.driver.exitcode in strike.ends, f"exit code {scene.driver.exitcode}\n{out}\n{err}"
    assert "Traceback" not in err, err
    assert "Raylet is terminated" not in out, out  # standard output is for results
    assert re.search(strike.says.format(run=re.escape(str(scene.run))), out), f"{out}\n{err}"
    wait_for(lambda: not any(b"ray::Rank" in title for title in scene.left().values()), WORKERS_END, "the workers' end")
    return pieces, known


def resumed(ground: Ground, path: Path, where: str, trial: int) -> None:
    """Complete a run: where it began, or in this process."""
    if trial % 3:
        assert resume(path, address="local", quiet=True).complete
        return
    scene, said = ground.start(["resume", path, *ground.address(where)], path, Random(0))
    scene.driver.join(240)
    assert scene.driver.exitcode == 0, (said / "err").read_text() + (said / "out").read_text()


def assert_same(path: Path, quiet: Path, kind: Kind, known: dict[str, bytes]) -> None:
    """Nothing is wrong, all numbers are those of the quiet run, and what was committed stayed as it was."""
    assert verify(path) == []
    found, expected = kind.numbers(path), kind.numbers(quiet)
    last = [f"{step}.npz " for step in kind.pieces(path)]
    assert last == [f"{step}.npz " for step in kind.pieces(quiet)[-len(last) :]]
    assert [name for name in found if found[name] != expected[name]] == []
    assert all(".npz" in name and not name.startswith(tuple(last)) for name in expected.keys() - found.keys())
    kept, quietly = kind.kept(path), kind.kept(quiet)
    assert [name for name in known if kept.get(name, known[name]) != known[name]] == []
    data = [name for name in known if not name.startswith("journal/")]
    assert [name for name in data if known[name] != quietly[name]] == []
    assert kind.folder == "checkpoints" or known.keys() <= kept.keys()
