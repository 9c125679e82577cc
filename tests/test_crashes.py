"""Exactly once: writers and whole drivers killed at random moments leave no half-written, changed or doubled member."""

import time
from collections.abc import Callable
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from random import Random
from runpy import run_path

import numpy as np
import pytest
from shockmesh.cluster.running.run import create, resume
from shockmesh.io.networks.store import write_network
from shockmesh.io.results import committed, create_run, open_run, verify, write_block
from shockmesh.io.stores import journal
from shockmesh.io.stores.template import Template, Variable

CRASHES = 200
WRITER = "writer"  # the name under which a writer's process runs this file
BLOCKS, BLOCK, DAYS, SECTORS = 60, 3, 40, 50
SPEC = """
economy: net.zarr
horizon: {days: 20}
shocks: [{name: storm, kind: recovery, loss: 0.5, recovery_days: 6}]
sweep: {seed: 2, members: 4000, vary: {shocks.storm.loss: {uniform: [0.2, 0.9]}}}
record: {output: [sector], inventory: []}
resources: {members_per_block: 2, gangs: 1}
"""


def values(block: int) -> np.ndarray:
    return np.random.default_rng(block).normal(size=(BLOCK, DAYS, SECTORS)).astype(np.float32)


def lay_out(path: Path) -> None:
    sectors = np.array([f"S{k}" for k in range(SECTORS)])
    output = Variable("output", ("sector",), "money", "output", np.ones(SECTORS, np.float32))
    create_run(path, {}, Template(BLOCKS * BLOCK, BLOCK, DAYS, (output,), {"sector": sectors}, {}, {}))


def write_all(path: Path, seed: int) -> None:
    """Write every block that is not there, in an order of one's own, as a worker that knows of no other."""
    for block in Random(seed).sample(range(BLOCKS), BLOCKS):
        if block not in committed(path):
            write_block(path, block, {"output": values(block)}, {"failed": [], "writer": seed})


def crash(process: ForkServerProcess, after: float) -> bool:
    """Kill a process after a while; False if it had ended by itself."""
    process.join(after)
    process.kill()
    process.join()
    assert process.exitcode in (0, -9)
    return process.exitcode == -9


def markers(path: Path) -> dict[int, bytes]:
    return {block: journal.marker_path(path, block).read_bytes() for block in committed(path)}


@pytest.mark.timeout(280)
@pytest.mark.parametrize("least", [40, pytest.param(CRASHES, marks=pytest.mark.slow)])
def test_writers_that_are_killed_at_any_moment(processes: ForkServerContext, tmp_path: Path, least: int) -> None:
    draw, crashes, runs = Random(7), 0, 0
    while crashes < least:
        path, known = tmp_path / f"run{runs}", dict[int, bytes]()
        lay_out(path)
        while len(known) < BLOCKS:
            told = [{"PATH": path, "SEED": draw.randrange(10**6)} for _ in range(2)]
            pair = [processes.Process(target=run_path, args=(__file__, each, WRITER)) for each in told]
            for writer in pair:
                writer.start()
            crashes += sum(crash(writer, draw.uniform(0.0, 0.15)) for writer in pair)
            found = markers(path)
            assert known.items() <= found.items()  # what is committed stays, to the byte
            known = found
            assert verify(path) == []
            with open_run(path) as run:
                assert run.member.values.tolist() == [
                    BLOCK * block + k for block in sorted(known) for k in range(BLOCK)
                ]
        with open_run(path) as run:
            np.testing.assert_array_equal(run.output, np.concatenate([values(block) for block in range(BLOCKS)]))
        runs += 1
    assert runs > 0


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_drivers_that_are_killed_at_any_moment(
    processes: ForkServerContext, tmp_path: Path, random_network: Callable
) -> None:
    write_network(random_network(firms=200, links=900), tmp_path / "net.zarr")
    (tmp_path / "storm.yaml").write_text(SPEC)
    draw, quiet, path = Random(3), tmp_path / "quiet", tmp_path / "run"
    for each in (quiet, path):
        create(tmp_path / "storm.yaml", each)
    finish(processes, quiet)
    crashes, known = 0, dict[int, bytes]()
    while crashes < CRASHES:
        driver = processes.Process(target=resume, args=(path, "local", True))
        driver.start()
        early = draw.random() < 0.25  # as it starts, or soon after
        while not early and driver.is_alive() and len(committed(path)) == len(known):
            time.sleep(0.02)
        crashes += crash(driver, draw.uniform(0.0, 2.0 if early else 0.06))
        found = markers(path)
        assert known.items() <= found.items()
        assert verify(path) == []
        known = found
    assert 0 < len(known) < 2000  # blocks: it was always at work
    finish(processes, path)
    assert known.items() <= markers(path).items()
    with open_run(path) as one, open_run(quiet) as other:
        for name in ("output", "inventory", "shocks.storm.loss", "status"):
            np.testing.assert_array_equal(one[name], other[name])


def finish(processes: ForkServerContext, path: Path) -> None:
    driver = processes.Process(target=resume, args=(path, "local", True))
    driver.start()
    driver.join()
    assert (driver.exitcode, len(committed(path))) == (0, 2000)


if __name__ == WRITER:
    write_all(globals()["PATH"], globals()["SEED"])
