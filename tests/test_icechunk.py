"""The engine `icechunk`: one committer, whole blocks, what it refuses. On object stores: tests/test_places.py."""

import pickle
import sys
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from pathlib import Path
from random import Random
from runpy import run_path

import numpy as np
import pytest
from shockmesh.cluster.cli import main
from shockmesh.io.networks.store import write_network
from shockmesh.io.results import (
    ResultsError,
    committed,
    committing,
    create_run,
    finalise,
    notes,
    open_run,
    verify,
    write_block,
)
from shockmesh.io.stores import icechunk_engine
from shockmesh.io.stores.engines import EngineError
from shockmesh.io.stores.template import Template, Variable

CRASHES = 30
DRIVER, ZOMBIE = "driver", "zombie"  # the names under which a process runs this file
BLOCKS, BLOCK, DAYS, SECTORS = 40, 3, 20, 50
SPEC = """
economy: net.zarr
engine: icechunk
horizon: {days: 12}
shocks: [{name: storm, kind: recovery, loss: 0.5, recovery_days: 6}]
sweep: {seed: 2, members: 6, vary: {shocks.storm.loss: {uniform: [0.2, 0.9]}}}
record: {output: [sector], inventory: []}
resources: {members_per_block: 2, gangs: 1}
"""


@pytest.fixture
def spec(tmp_path: Path, random_network: Callable) -> Path:
    write_network(random_network(firms=20, links=80), tmp_path / "net.zarr")
    (tmp_path / "storm.yaml").write_text(SPEC)
    return tmp_path / "storm.yaml"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    lay_out(tmp_path / "run")
    return tmp_path / "run"


def lay_out(path: Path) -> None:
    sectors = np.array([f"S{k}" for k in range(SECTORS)])
    output = Variable("output", ("sector",), "money", "output", np.ones(SECTORS, np.float32))
    create_run(path, {}, Template(BLOCKS * BLOCK, BLOCK, DAYS, (output,), {"sector": sectors}, {}, {}), "icechunk")


def values(block: int) -> np.ndarray:
    return np.random.default_rng(block).normal(size=(BLOCK, DAYS, SECTORS)).astype(np.float32)


def written(path: Path, block: int, numbers: np.ndarray, failed: list[int] | None = None) -> dict:
    """A block, written by a worker; what it hands back."""
    note = {"failed": failed or [], "members": [BLOCK * block, BLOCK * block + BLOCK], "seconds": 1.0}
    return note | {"draft": pickle.loads(pickle.dumps(write_block(path, block, {"output": numbers}, note)))}


def test_a_block_is_seen_once_it_is_committed(run: Path) -> None:
    with open_run(run) as before, committing(run) as commit:
        handed = {block: written(run, block, values(block), [3] if block == 1 else []) for block in (1, 4)}
        commit(handed)
        assert committed(run) == set()  # there is not enough for a snapshot yet
        assert before.sizes["member"] == 0
    assert committed(run) == {1, 4}
    with open_run(run) as after:
        assert before.sizes["member"] == 0
        assert after.member.values.tolist() == [3, 4, 5, 12, 13, 14]
        assert after.status.values.tolist() == [2, 1, 1, 1, 1, 1]
        np.testing.assert_array_equal(after.output, np.concatenate([values(1), values(4)]))
    assert {(*note["members"], *note["failed"]) for note in notes(run)} == {(3, 6, 3), (12, 15)}
    assert not write_block(run, 4, {"output": values(4)}, {})


def test_snapshots_are_for_many_blocks(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(icechunk_engine, "BLOCKS", 3)
    handed = {}
    with committing(run) as commit:
        for block in range(7):
            handed[block] = written(run, block, values(block))
            commit(handed)
            assert committed(run) == set(range((block + 1) // 3 * 3))
        monkeypatch.setattr(icechunk_engine, "SECONDS", 0.0)
        commit(handed)
        assert committed(run) == set(range(7))


def test_one_process_commits(run: Path) -> None:
    with (
        committing(run),
        pytest.raises(EngineError, match=r"run: another process commits to this run; wait for its end"),
        committing(run),
    ):
        pass


def test_what_another_committed_first_stays(run: Path) -> None:
    slow, quick = written(run, 2, values(2) + 1), written(run, 2, values(2))
    for note in (quick, slow):
        with committing(run) as commit:
            commit({2: note})
    with open_run(run) as found:
        np.testing.assert_array_equal(found.output, values(2))
    assert len(notes(run)) == 1


def test_a_damaged_chunk_is_found(run: Path) -> None:
    with committing(run) as commit:
        commit({block: written(run, block, values(block)) for block in range(3)})
    finalise(run)
    assert verify(run) == []
    chunk = sorted((run / "results.icechunk" / "chunks").iterdir())[1]
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 4
    chunk.write_bytes(content)
    assert len(verify(run)) == 1
    chunk.unlink()
    (problem,) = verify(run)
    assert "results.icechunk: output of block" in problem


def test_a_repository_is_laid_out_once(run: Path) -> None:
    (run / "RUN.json").unlink()
    with pytest.raises(ResultsError, match="what is there ended before it began: delete it and run again"):
        lay_out(run)
    with pytest.raises(EngineError, match="another process made a store here meanwhile"):
        icechunk_engine.IcechunkEngine(run).lay_out(lambda store: None)


def test_without_the_package_a_sentence_says_what_to_install(
    spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "icechunk", None)
    icechunk_engine._icechunk.cache_clear()
    assert main(["run", str(spec), "--out", str(tmp_path / "run"), "--address", "local"]) == 2
    told = f"{spec}:3: engine: icechunk: is not installed; pip install 'shockmesh[icechunk]'\n"
    assert capsys.readouterr().err == told
    assert not (tmp_path / "run").exists()


def test_an_engine_that_is_not_known(spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep = ["--out", str(tmp_path / "run"), "--address", "local", "--quiet"]
    assert main(["run", str(spec), *keep, "--set", "engine=granite"]) == 2
    assert "engine" in capsys.readouterr().err
    assert main(["run", str(spec), *keep]) == 0
    manifest = tmp_path / "run" / "RUN.json"
    manifest.write_text(manifest.read_text().replace('"engine": "icechunk"\n}', '"engine": "granite"\n}'))
    assert main(["status", str(tmp_path / "run")]) == 2
    assert "RUN.json: engine: 'granite'; there are zarr, icechunk" in capsys.readouterr().err


@pytest.mark.ray
def test_every_verb_and_the_same_numbers(spec: Path, tmp_path: Path) -> None:
    near, far = str(tmp_path / "zarr"), str(tmp_path / "run")
    assert main(["run", str(spec), "--out", near, "--address", "local", "--set", "engine=zarr"]) == 0
    assert main(["run", str(spec), "--out", far]) == 0  # workers of a Ray cluster
    for verb in ("resume", "status", "describe", "report", "logs"):
        assert main([verb, far]) == 0
    with open_run(near) as expected, open_run(far) as found:
        assert found.sizes == expected.sizes
        for name in ("output", "inventory", "output_baseline", "shocks.storm.loss", "status"):
            np.testing.assert_array_equal(found[name], expected[name])


def drive(path: Path, seed: int) -> None:
    """Write every block that is not there, in an order of one's own, and commit a few at a time."""
    icechunk_engine.BLOCKS = 3
    left, handed = [block for block in range(BLOCKS) if block not in committed(path)], dict[int, dict]()
    with committing(path) as commit:
        for block in Random(seed).sample(left, len(left)):
            handed[block] = written(path, block, values(block))
            commit(handed)


def haunt(path: Path, seed: int) -> None:
    """Write other numbers to blocks that others write, as a worker whose driver has given it up."""
    for block in Random(seed).choices(range(BLOCKS), k=1000):
        write_block(path, block, {"output": -values(block)}, {})


@pytest.mark.timeout(280)
def test_drivers_and_writers_that_are_killed_at_any_moment(processes: ForkServerContext, tmp_path: Path) -> None:
    draw, crashes, runs = Random(7), 0, 0
    while crashes < CRASHES:
        path, known = tmp_path / f"run{runs}", set[int]()
        lay_out(path)
        while len(known) < BLOCKS:
            told = [(name, {"PATH": path, "SEED": draw.randrange(10**6)}) for name in (DRIVER, ZOMBIE)]
            pair = [processes.Process(target=run_path, args=(__file__, given, name)) for name, given in told]
            for process in pair:
                process.start()
            early = draw.random() < 0.25  # as they start, or soon after
            while not early and pair[0].is_alive() and len(committed(path)) == len(known):
                time.sleep(0.02)
            for process in pair:
                process.join(draw.uniform(0.0, 0.5 if early else 0.1))
                process.kill()
                process.join()
                assert process.exitcode in (0, -9)
                crashes += process.exitcode == -9
            found = committed(path)
            assert known <= found
            known = found
            told_of = [member for note in notes(path) for member in range(*note["members"])]
            with open_run(path) as run:
                assert sorted(told_of) == run.member.values.tolist()
                assert run.member.values.tolist() == [
                    BLOCK * block + k for block in sorted(known) for k in range(BLOCK)
                ]
                expected = [values(block) for block in sorted(known)]
                np.testing.assert_array_equal(run.output, np.concatenate(expected) if expected else run.output)
        runs += 1
    assert runs > 0


if __name__ in (DRIVER, ZOMBIE):
    {DRIVER: drive, ZOMBIE: haunt}[__name__](globals()["PATH"], globals()["SEED"])
