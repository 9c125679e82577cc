"""Failures on a real Ray cluster: a killed worker or driver, a polite end, no workers. Results stay the same bits."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from drivers import alive, start, wait_for
from shockmesh.cluster.planning.plan import make_plan, sizes_of
from shockmesh.cluster.running.execute import execute
from shockmesh.cluster.running.ray_executor import RayExecutor, ray_cluster
from shockmesh.cluster.running.run import run
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
resources: {members_per_block: 2, gangs: 2}
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


def workers_of(path: Path) -> set[int]:
    """Process ids of the workers that have committed something."""
    return {int(journal.read_marker(path, block)["worker"].rpartition(":")[2]) for block in committed(path)}


def assert_equal_to_quiet(path: Path, quiet: Path) -> None:
    assert verify(path) == []
    with open_run(path) as one, open_run(quiet / "quiet") as other:
        assert one.sizes == other.sizes
        for name in ("output", "inventory", "shocks.storm.loss"):
            np.testing.assert_array_equal(one[name], other[name])


def test_a_killed_worker_loses_nothing(quiet):
    path = quiet / "worker"
    driver = start("run", "storm.yaml", "--out", path, folder=quiet)
    wait_for(lambda: len(committed(path)) >= 2, 90, "the first blocks")
    victim = max(workers_of(path))
    os.kill(victim, signal.SIGKILL)
    out, error = driver.communicate(timeout=120)
    assert driver.returncode == 0, error
    assert "48 of 48 members" in out
    assert workers_of(path) - {victim}
    assert_equal_to_quiet(path, quiet)


def test_a_killed_driver_is_resumed_without_repeating(quiet):
    path = quiet / "driver"
    driver = start("run", "storm.yaml", "--out", path, folder=quiet)
    wait_for(lambda: len(committed(path)) >= 2, 90, "the first blocks")
    driver.kill()
    driver.communicate()
    workers = workers_of(path)
    wait_for(lambda: not any(map(alive, workers)), 40, "the end of the driver's workers")
    done = committed(path)
    assert 0 < len(done) < BLOCKS
    before = {file: file.stat().st_mtime_ns for file in path.rglob("*") if file.is_file() and "c" in file.parts}
    written = [file for file in before if any(f"/c/{block}/" in str(file) for block in done)]
    again = start("resume", path, folder=quiet)
    out, error = again.communicate(timeout=150)
    assert again.returncode == 0, error
    assert f"{48 - 2 * len(done)} members in" in out
    assert all(file.stat().st_mtime_ns == before[file] for file in written)
    assert_equal_to_quiet(path, quiet)


@pytest.mark.parametrize("polite", [signal.SIGTERM, signal.SIGINT])
def test_a_polite_end_says_how_to_go_on(quiet, polite):
    path = quiet / polite.name
    driver = start("run", "storm.yaml", "--out", path, folder=quiet)
    wait_for(lambda: len(committed(path)) >= 1, 90, "the first block")
    driver.send_signal(polite)
    out, error = driver.communicate(timeout=60)
    assert driver.returncode == 3, error
    assert f"interrupted; go on with: shockmesh resume {path}" in out.replace("\n", " ")
    workers = workers_of(path)
    wait_for(lambda: not any(map(alive, workers)), 30, "the end of the workers")
    assert verify(path) == []


def test_workers_that_cannot_start_end_the_run(quiet):
    spec = load_spec(quiet / "storm.yaml")
    plan = make_plan(spec, sizes_of(spec, _network()))
    broken = spec.model_dump(mode="json") | {"record": {"output": ["galaxy"]}}
    with ray_cluster(None, 2) as options:
        executor = RayExecutor(Job(quiet / "none", broken, plan), _network(), 2, options)
        tally = execute(range(4), executor)
        executor.close()
        assert executor.outcomes() == []
    assert tally.stopped.startswith("no workers: 4 in a row failed to start; the last: SpecError: ")
    assert "galaxy" in tally.stopped
    assert not tally.done


@pytest.mark.timeout(30)
def test_no_cluster_at_the_address(quiet):
    summary = run(quiet / "storm.yaml", quiet / "nowhere", address="127.0.0.1:1", quiet=True)
    assert summary.stopped == "no Ray cluster at 127.0.0.1:1: Connection refused"
    assert f"go on with: shockmesh resume {quiet / 'nowhere'}" in summary.text()


JOIN = """
import os, subprocess, sys
from shockmesh.cluster.running.executors import close_to_others, token_file
os.umask(0o022)
close_to_others()
import ray
from shockmesh.cluster.running.ray_executor import ray_cluster
with ray_cluster(None, 1):
    told = [ray.get_runtime_context().gcs_address.split(":")[0], oct(token_file().stat().st_mode)]
    join = f"import ray; ray.init('{ray.get_runtime_context().gcs_address}', log_to_driver=False)"
    for token in ({}, {"RAY_AUTH_MODE": "disabled"}):
        told.append(subprocess.run([sys.executable, "-c", join], env=os.environ | token).returncode == 0)
print(*told)
"""


def test_without_its_token_which_is_secret_nobody_joins_a_local_cluster(tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    done = subprocess.run(
        [sys.executable, "-c", JOIN],
        env=environment | {"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.stdout.split() == ["127.0.0.1", "0o100600", "True", "False"], done.stderr[-3000:]
    assert "InvalidAuthToken" in done.stderr
