"""A run from a spec to a store, in this process: what it keeps, what `resume` redoes, what it refuses."""

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from shockmesh.cluster.cli import main
from shockmesh.cluster.running import execute as execution
from shockmesh.cluster.running import provenance
from shockmesh.cluster.running import run as runs
from shockmesh.cluster.running.run import ResumeError, RunSummary, status, status_text
from shockmesh.cluster.seeing.progress import Pace, duration
from shockmesh.io.networks.store import write_network
from shockmesh.io.results import ResultsError, committed, open_run, read_manifest, verify
from shockmesh.io.stores import engines

run = cast(Callable[..., RunSummary], runs.run)  # of sweeps
resume = cast(Callable[..., RunSummary], runs.resume)

SPEC = """
economy: economy.zarr
horizon: {days: 12}
shocks:
  - {name: storm, kind: recovery, where: {share: 0.3}, loss: 0.6, onset: 2, recovery_start: 4, recovery_days: 5}
sweep: {seed: 3, members: 7, vary: {shocks.storm.loss: {uniform: [0.2, 0.9]}}}
record: {output: [sector], final_consumption: []}
resources: {members_per_block: 2, gangs: 1}
"""


@pytest.fixture
def spec(tmp_path, random_network) -> Path:
    write_network(random_network(firms=60, links=300), tmp_path / "economy.zarr")
    (tmp_path / "storm.yaml").write_text(SPEC)
    return tmp_path / "storm.yaml"


def stop_after(monkeypatch: pytest.MonkeyPatch, blocks: int) -> None:
    """Let the in-process worker be interrupted, as by Ctrl-C, once it has done some blocks."""
    finish = execution.LocalExecutor.outcomes
    left = [blocks]

    def outcomes(self: execution.LocalExecutor) -> list[execution.Outcome]:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        return finish(self)

    monkeypatch.setattr(execution.LocalExecutor, "outcomes", outcomes)


def stamps(path: Path) -> dict[Path, tuple[int, int]]:
    files = [file for file in path.rglob("c/[0-9]*") if file.is_file()] + list((path / "journal").glob("[0-9]*"))
    return {file: (file.stat().st_ino, file.stat().st_mtime_ns) for file in files if "status" not in file.parts}


def test_a_run_is_whole_and_says_where_it_comes_from(spec, tmp_path):
    summary = run(spec, tmp_path / "run", address="local", quiet=True)
    assert (summary.complete, summary.committed, summary.members, summary.failed) == (True, 7, 7, ())
    assert "7 of 7 members" in summary.text()
    assert f"shockmesh report {tmp_path / 'run'}" in summary.text()
    said = read_manifest(tmp_path / "run")
    assert said["seed"] == 3
    assert set(said["versions"]) >= {"shockmesh", "jax", "ray", "zarr", "python"}
    assert len(said["inputs"]["economy"]["sha256"]) == 64
    assert said["spec"]["shocks"][0]["name"] == "storm"
    with open_run(tmp_path / "run") as ds:
        assert ds.attrs["fingerprint"] == said["fingerprint"]
        assert ds.sizes["member"] == 7
        assert np.isfinite(ds.output).all()
        assert (ds["shocks.storm.loss"] >= 0.2).all()
    assert verify(tmp_path / "run") == []


def test_resume_does_only_what_is_missing(spec, tmp_path, monkeypatch):
    run(spec, tmp_path / "whole", address="local", quiet=True)
    with monkeypatch.context() as patch:
        stop_after(patch, blocks=2)
        summary = run(spec, tmp_path / "run", address="local", quiet=True)
    assert (summary.interrupted, summary.complete, summary.committed) == (True, False, 4)
    assert f"interrupted; go on with: shockmesh resume {tmp_path / 'run'}" in summary.text()
    before = stamps(tmp_path / "run")
    spec.write_text("not a spec any more")  # RUN.json rules
    summary = resume(tmp_path / "run", address="local", quiet=True)
    assert (summary.complete, summary.simulated) == (True, 3)
    after = stamps(tmp_path / "run")
    assert {file: after[file] for file in before} == before
    with open_run(tmp_path / "run") as one, open_run(tmp_path / "whole") as other:
        np.testing.assert_array_equal(one.output, other.output)
    again = resume(tmp_path / "run", address="local", quiet=True)
    assert (again.complete, again.simulated) == (True, 0)
    assert "members, complete already, nothing was done, " in again.text()
    assert stamps(tmp_path / "run") == after


@pytest.fixture(scope="module")
def whole(tmp_path_factory, random_network) -> Path:
    """A run that is complete."""
    folder = tmp_path_factory.mktemp("whole")
    write_network(random_network(firms=60, links=300), folder / "economy.zarr")
    (folder / "storm.yaml").write_text(SPEC)
    run(folder / "storm.yaml", folder / "run", address="local", quiet=True)
    return folder / "run"


@pytest.fixture
def damaged(whole, tmp_path) -> Path:
    """A copy of it, to be damaged."""
    return Path(shutil.copytree(whole, tmp_path / "run"))


def test_lost_shards_are_told_and_their_blocks_done_again(whole, damaged, capsys):
    shutil.rmtree(damaged / "results.zarr/output/c/1")
    (damaged / "results.zarr/final_consumption/c/2/0").write_bytes(b"cut")
    said = status(damaged)
    assert (said["done"], said["of"], said["state"]) == (3, 7, "not complete")
    assert f"{damaged}/results.zarr/output/c/1/0/0: missing, though block 1 is committed" in said["lost"]
    assert main(["verify", str(damaged)]) == 2
    assert "final_consumption/c/2/0: 3 bytes of" in capsys.readouterr().out
    summary = resume(damaged, address="local", quiet=True)
    assert (summary.complete, summary.simulated, len(summary.again)) == (True, 4, 2)
    assert "2 files of committed blocks were lost; the blocks were done again:" in summary.text()
    assert main(["verify", str(damaged)]) == 0
    assert "all is as it was committed" in capsys.readouterr().out
    with open_run(damaged) as one, open_run(whole) as other:
        np.testing.assert_array_equal(one.output, other.output)
        np.testing.assert_array_equal(one.final_consumption, other.final_consumption)


def _without(file: str, *names: str) -> Callable[[Path], object]:
    """Takes names out of a JSON file."""

    def change(folder: Path) -> None:
        said = json.loads((folder / file).read_text("utf-8"))
        (folder / file).write_text(json.dumps({name: of for name, of in said.items() if name not in names}), "utf-8")

    return change


def _edited(folder: Path) -> None:
    said = json.loads((folder / "RUN.json").read_text("utf-8"))
    said["spec"]["horizon"]["days"] = 13
    (folder / "RUN.json").write_text(json.dumps(said), "utf-8")


@pytest.mark.parametrize(
    ("damage", "verbs", "says"),
    [
        (_without("RUN.json", "spec"), ["status", "resume"], "RUN.json: spec: missing, or not as it was written"),
        (_without("RUN.json", "plan", "inputs"), ["status", "resume"], "RUN.json: plan, inputs: missing"),
        (_without("journal/2.json", "members"), ["status", "resume", "verify"], "2.json: members: missing; delete it"),
        (_without("journal/2.json", "finished"), ["status"], "2.json: finished: missing; delete it"),
        (_edited, ["resume"], "RUN.json: fingerprint: is not that of what the file says; restore what was changed"),
    ],
    ids=["no spec", "no plan", "half a marker", "no finish", "edited"],
)
def test_a_damaged_folder_is_told_in_a_sentence(damaged, damage, verbs, says, capsys):
    damage(damaged)
    for verb in verbs:
        assert main([verb, str(damaged), *(["--address", "local"] if verb == "resume" else [])]) == 2
        assert says in capsys.readouterr().err


def test_another_economy_or_version_is_refused(spec, tmp_path, random_network, monkeypatch):
    run(spec, tmp_path / "run", address="local", quiet=True)
    monkeypatch.setattr(provenance, "version", lambda name: "9.9")
    with pytest.raises(ResumeError, match="started with another version of jax, version of jaxlib, version of numpy"):
        resume(tmp_path / "run", address="local", quiet=True)
    monkeypatch.undo()
    (tmp_path / "economy.zarr").rename(tmp_path / "old.zarr")
    write_network(random_network(firms=60, links=300, seed=1), tmp_path / "economy.zarr")
    with pytest.raises(ResumeError, match="started with another input economy; start a new run"):
        resume(tmp_path / "run", address="local", quiet=True)


def test_a_block_that_fails_is_reported_and_the_rest_is_there(spec, tmp_path, monkeypatch):
    from shockmesh.cluster.running.batch import Simulator

    simulate = Simulator.simulate

    def failing(self: Simulator, members: range) -> dict[str, np.ndarray]:
        found = simulate(self, members)
        if members[0] == 2:
            raise MemoryError("too large")
        if members[0] == 4:
            found["output"] = found["output"].copy()
            found["output"][1] = np.nan
        return found

    monkeypatch.setattr(Simulator, "simulate", failing)
    summary = run(spec, tmp_path / "run", address="local", quiet=True)
    assert summary.given_up == {1: "MemoryError: too large"}
    assert summary.failed == (5,)
    assert not summary.complete
    assert "block 1 was given up: MemoryError: too large" in summary.text()
    assert "numbers that are not finite in members 5" in summary.text()
    with open_run(tmp_path / "run") as ds:
        assert ds.member.values.tolist() == [0, 1, 4, 5, 6]
        assert ds.status.values.tolist() == [1, 1, 1, 2, 1]


def test_status_of_a_run_that_goes_on(spec, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        stop_after(patch, blocks=1)
        run(spec, tmp_path / "run", address="local", quiet=True)
    told = status(tmp_path / "run")
    assert (told["done"], told["of"], told["unit"], told["state"]) == (2, 7, "members", "not complete")
    assert (told["failed"], told["members_per_second"] > 0, told["seconds_since_commit"] >= 0) == (0, True, True)
    said = status_text(told)
    assert (said["members"], said["state"]) == ("2 of 7", "not complete")
    assert said["last commit"].endswith(" ago")
    with pytest.raises(ResultsError, match=r"no run here \(RUN.json is missing\)"):
        status(tmp_path)


def test_nothing_is_written_for_a_spec_that_does_not_fit(spec, tmp_path, capsys):
    spec.write_text(SPEC.replace("share: 0.3", "region: Atlantis"))
    assert main(["run", str(spec), "--out", str(tmp_path / "run"), "--address", "local"]) == 2
    assert "storm.yaml:5: shocks.storm.where.region" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_folder_left_by_a_crash_is_refused(spec, tmp_path, capsys):
    (tmp_path / "run" / "journal").mkdir(parents=True)
    assert main(["run", str(spec), "--out", str(tmp_path / "run"), "--address", "local"]) == 2
    refused = "exists already; a run is written once, to a new folder; what is there ended before it began: delete it"
    assert refused in capsys.readouterr().err
    for verb in ("resume", "status"):
        assert main([verb, str(tmp_path / "run")]) == 2
        assert "(RUN.json is missing); it ended before it began: delete the folder" in capsys.readouterr().err


def test_a_folder_that_cannot_be_made_is_named(spec, tmp_path, capsys):
    (tmp_path / "file").touch()
    assert main(["run", str(spec), "--out", str(tmp_path / "file" / "run"), "--address", "local"]) == 2
    assert capsys.readouterr().err == f"{tmp_path / 'file' / 'run' / 'journal'}: Not a directory\n"


def test_a_full_disk_ends_the_run_with_a_sentence(spec, tmp_path, monkeypatch, capsys):
    path, flush = tmp_path / "run", engines.flush_file

    def flush_until_full(file: Path) -> None:
        if committed(path) == {0}:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        flush(file)

    spec.write_text(SPEC.replace("members: 7", "members: 20"))
    with monkeypatch.context() as patch:
        patch.setattr(engines, "flush_file", flush_until_full)
        assert main(["run", str(spec), "--out", str(path), "--address", "local"]) == 3
    out = capsys.readouterr().out
    why = f"{path}/results.zarr: No space left on device"
    assert f"block 3 was given up: {why}" in out
    assert f"stopped early: 3 blocks in a row failed; the last: {why}" in out
    assert committed(path) == {0}
    assert resume(path, address="local", quiet=True).complete


def test_an_interrupt_before_the_run_began(spec, tmp_path, monkeypatch, capsys):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("shockmesh.cluster.planning.prepare.on_economy", interrupt)
    assert main(["run", str(spec), "--out", str(tmp_path / "run"), "--address", "local"]) == 130
    assert capsys.readouterr().err == "interrupted\n"
    assert not (tmp_path / "run").exists()


def test_an_interrupted_run_exits_with_3(spec, tmp_path, monkeypatch):
    stop_after(monkeypatch, blocks=1)
    assert main(["run", str(spec), "--out", str(tmp_path / "run"), "--address", "local", "--quiet"]) == 3
    assert committed(tmp_path / "run") == {0}


def test_the_manifest_is_json_without_machine_names(spec, tmp_path):
    run(spec, tmp_path / "run", address="local", quiet=True)
    said = json.loads((tmp_path / "run" / "RUN.json").read_text())
    assert said["shockmesh_schema"] == "run/1"
    assert said["plan"]["blocks"] == 4


@pytest.mark.parametrize(
    ("pace", "line"),
    [
        (Pace(0, 8, 10**6, 3.0), "0 of 8 members (0 %), 3 s; compiling and simulating the first blocks"),
        (
            Pace(4, 8, 10**6, 2.0),
            "4 of 8 members (50 %), 2 members/s, 2 M link-steps/s, 2 s so far, 2 s left",
        ),
        (
            Pace(6, 8, 10**6, 200.0, before=4),
            "6 of 8 members (75 %), 0.01 members/s, 10 k link-steps/s, 3 min 20 s so far, 3 min 20 s left",
        ),
    ],
)
def test_the_line_of_progress(pace, line):
    assert pace.line() == line


@pytest.mark.parametrize(("seconds", "said"), [(0.2, "0 s"), (59.4, "59 s"), (75, "1 min 15 s"), (4000, "1 h 6 min")])
def test_durations(seconds, said):
    assert duration(seconds) == said
