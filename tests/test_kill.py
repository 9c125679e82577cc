"""Failures on a real Ray cluster: a killed worker or driver, a polite end, no workers. Results stay the same bits."""

import json
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray
from drivers import alive, kill_raylet, let_join, start, wait_for
from shockmesh.cluster.planning.plan import make_plan, sizes_of
from shockmesh.cluster.running.execute import execute
from shockmesh.cluster.running.ray_executor import RayExecutor, ray_cluster
from shockmesh.cluster.running.run import resume, run
from shockmesh.cluster.running.work import Job
from shockmesh.cluster.spec.load import load_spec
from shockmesh.io.networks.store import write_network
from shockmesh.io.results import committed, open_run, verify
from shockmesh.io.stores import journal

pytestmark = [pytest.mark.ray, pytest.mark.timeout(240)]

SPEC = """
economy: economy.zarr
horizon: {days: 3000}
shocks:
  - {name: storm, kind: recovery, where: {share: 0.3}, loss: 0.6, onset: 2, recovery_start: 4, recovery_days: 50}
sweep: {seed: 3, members: 48, vary: {shocks.storm.loss: {uniform: [0.2, 0.9]}}}
record: {output: [sector], inventory: []}
resources: {members_per_block: 2, gangs: 1}
"""
BLOCKS = 24


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """The spec, its economy, and a run that nothing disturbed, in this process."""
    folder = tmp_path_factory.mktemp("kill")
    write_network(_network(), folder / "economy.zarr")
    (folder / "storm.yaml").write_text(SPEC)
    assert run(folder / "storm.yaml", folder / "quiet", address="local", quiet=True).complete
    return folder


def _network():
    from shockmesh.kernels.network import firm_network

    rng = np.random.default_rng(0)
    pairs = np.unique(rng.integers(0, 300, (1500, 2)), axis=0)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    sector = rng.integers(0, 5, 300)
    names = [f"S{k}" for k in range(5)]
    return firm_network(*pairs.T, np.ones(len(pairs)), rng.uniform(5, 9, 300), sector=sector, sectors=names)


def worker_of(path: Path, block: int) -> int:
    """The process id of the worker that has committed a block."""
    return int(journal.read_marker(path, block)["worker"].rpartition(":")[2])


def assert_equal_to_quiet(path: Path, quiet: Path) -> None:
    assert verify(path) == []
    with open_run(path) as one, open_run(quiet / "quiet") as other:
        assert one.sizes == other.sizes
        for name in ("output", "inventory", "shocks.storm.loss"):
            np.testing.assert_array_equal(one[name], other[name])


@pytest.fixture(scope="module")
def cluster() -> Iterator[dict[str, Any]]:
    """A cluster of this process, of one core; the options of its actors."""
    with ray_cluster(None, 1) as options:
        yield options


@dataclass(frozen=True)
class Killed:
    """A run whose driver was killed, and what was there once its workers had ended."""

    path: Path
    done: set[int]  # blocks
    written: dict[Path, int]  # when each of their files was


@pytest.fixture(scope="module")
def killed(quiet: Path, processes: ForkServerContext) -> Killed:
    path = quiet / "killed"
    driver = start(processes, "run", "storm.yaml", "--out", path, folder=quiet)
    wait_for(lambda: len(committed(path)) >= 2, 90, "the first blocks")
    driver.send(signal.SIGKILL)
    workers = {worker_of(path, block) for block in committed(path)}
    wait_for(lambda: not any(map(alive, workers)), 40, "the end of the driver's workers")
    done = committed(path)
    files = [file for block in done for file in path.glob(f"results.zarr/**/c/{block}/**/*") if file.is_file()]
    return Killed(path, done, {file: file.stat().st_mtime_ns for file in files})


def test_a_killed_driver_is_resumed_without_repeating_and_a_killed_worker_loses_nothing(cluster, killed, quiet):
    path, victims = killed.path, list[int]()

    def kill_a_worker() -> None:
        new = committed(path) - killed.done
        victims.append(max(worker_of(path, block) for block in new))
        os.kill(victims[0], signal.SIGKILL)

    assert 0 < len(killed.done) < BLOCKS
    with meanwhile(lambda: len(committed(path)) >= len(killed.done) + 2, kill_a_worker):
        summary = resume(path, quiet=True)
    assert summary.complete
    assert "48 of 48 members" in summary.text()
    assert f"{48 - 2 * len(killed.done)} members in" in summary.text()
    assert {worker_of(path, block) for block in committed(path) - killed.done} - {*victims}
    assert len(killed.written) >= 2 * len(killed.done)
    assert all(file.stat().st_mtime_ns == before for file, before in killed.written.items())
    assert_equal_to_quiet(path, quiet)


@contextmanager
def meanwhile(condition: Callable[[], bool], act: Callable[[], None]) -> Generator[None]:
    """Act in a thread once something is so, beside what is done here."""

    def wait_and_act() -> None:
        wait_for(condition, 90, "the moment")
        act()

    thread = threading.Thread(target=wait_and_act)
    thread.start()
    yield
    thread.join()


@pytest.mark.parametrize("polite", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_polite_end_says_how_to_go_on(quiet, processes, polite):
    path = quiet / polite.name
    driver = start(processes, "run", "storm.yaml", "--out", path, folder=quiet)
    wait_for(lambda: len(committed(path)) >= 1, 90, "the first block")
    driver.send(polite)
    code, out, error = driver.end(60)
    assert code == 3, error
    assert f"interrupted; go on with: shockmesh resume {path}" in out.replace("\n", " ")
    workers = {worker_of(path, block) for block in committed(path)}
    wait_for(lambda: not any(map(alive, workers)), 30, "the end of the workers")
    assert verify(path) == []


@pytest.mark.slow
def test_a_driver_that_loses_its_node_says_how_to_go_on(quiet, processes):
    """Ray would end it with code 1 and no word as soon as it used a value."""
    path = quiet / "node"
    driver = start(processes, "run", "storm.yaml", "--out", path, folder=quiet)
    wait_for(lambda: len(committed(path)) >= 1, 90, "the first block")
    kill_raylet(driver.pid)
    code, out, error = driver.end(60)
    assert code == 3, error
    said = " ".join(out.split())
    assert "stopped early: Ray's processes on this machine have ended (Connection refused)" in said
    assert f"go on with: shockmesh resume {path}" in said
    assert verify(path) == []


def test_workers_that_cannot_start_end_the_run(cluster, quiet):
    spec = load_spec(quiet / "storm.yaml")
    plan = make_plan(spec, sizes_of(spec, _network()))
    broken = spec.model_dump(mode="json") | {"record": {"output": ["galaxy"]}}
    executor = RayExecutor(Job(quiet / "none", broken, plan), _network(), 1, cluster)
    tally = execute(range(4), executor)
    executor.close()
    assert executor.outcomes() == []
    assert tally.stopped.startswith("no workers: 3 in a row failed to start; the last: SpecError: ")
    assert "galaxy" in tally.stopped
    assert not tally.done


@pytest.mark.timeout(30)
def test_no_cluster_at_the_address(quiet, monkeypatch):
    monkeypatch.setattr(ray, "is_initialized", lambda: False)  # other tests have one
    summary = run(quiet / "storm.yaml", quiet / "nowhere", address="127.0.0.1:1", quiet=True)
    assert summary.stopped == "no Ray cluster at 127.0.0.1:1: Connection refused"
    assert f"go on with: shockmesh resume {quiet / 'nowhere'}" in summary.text()


def test_without_its_token_which_is_secret_nobody_joins_a_local_cluster(processes, tmp_path):
    joining = processes.Process(target=let_join, args=(tmp_path,))
    joining.start()
    joining.join(200)
    told = json.loads((tmp_path / "told.json").read_text())
    assert (told["address"], told["mode"]) == ("127.0.0.1", "0o100600")
    assert told["joins"] == [0, 1]
    assert "InvalidAuthToken" in told["error"]
