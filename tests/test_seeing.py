"""What is seen of a run: its log, its numbers, its view. All from the same events."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console
from shockmesh.cluster.cli import main
from shockmesh.cluster.running.execute import LocalExecutor, Note, execute
from shockmesh.cluster.seeing.events import BlockDone, BlockGivenUp, GangEnded, GangFormed
from shockmesh.cluster.seeing.metrics import COUNTERS, GAUGES
from shockmesh.cluster.seeing.progress import Progress
from shockmesh.io import runlog
from shockmesh.io.networks.store import write_network
from shockmesh.io.results import ResultsError
from shockmesh.io.runlog import RunLog, RunLogError, read_log

MANIFEST = '{"shockmesh_schema": "run/1"}'
BOARD = Path(__file__).parent.parent / "deploy" / "grafana.json"
SPEC = """
economy: net.zarr
horizon: {days: 6}
shocks: [{name: storm, kind: recovery, loss: 0.5, recovery_days: 6}]
sweep: {seed: 2, members: 5, vary: {shocks.storm.loss: {uniform: [0.2, 0.9]}}}
resources: {members_per_block: 2, gangs: 1}
"""


@pytest.fixture
def spec(tmp_path: Path, random_network: Callable) -> Path:
    write_network(random_network(), tmp_path / "net.zarr")
    (tmp_path / "storm.yaml").write_text(SPEC)
    return tmp_path / "storm.yaml"


def test_the_log_of_a_run_says_what_happened(spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "run")
    assert main(["run", str(spec), "--out", out, "--address", "local", "--quiet"]) == 0
    assert main(["logs", out]) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [of["event"] for of in records] == ["run_began", *["block_done"] * 3, "run_ended"]
    assert [(of["block"], of["members"]) for of in records[1:4]] == [(0, [0, 2]), (1, [2, 4]), (2, [4, 5])]
    assert all(of["run"] == out and of["bytes"] > 0 and of["gang"] == 0 for of in records[1:4])
    assert (records[-1]["done"], records[-1]["of"]) == (5, 5)
    assert [of["time"] for of in records] == sorted(of["time"] for of in records)


def test_a_log_that_cannot_be_written_ends_nothing(
    spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(runlog, "replace", full)
    assert main(["run", str(spec), "--out", str(tmp_path / "run"), "--address", "local"]) == 0
    assert "the log cannot be written: the disk: No space left on device" in capsys.readouterr().err
    assert read_log(tmp_path / "run") == []


def test_a_log_is_kept_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "RUN.json").write_text(MANIFEST)
    monkeypatch.setattr(runlog, "PART_BYTES", 100)
    log = RunLog(tmp_path)
    for k in range(7):
        log.write({"k": k}, now=True)
    log.write({"k": 7}, now=False)
    assert [of["k"] for of in read_log(tmp_path)] == [*range(7)]
    log.flush()
    assert [of["k"] for of in read_log(tmp_path)] == [*range(8)]
    assert len([*(tmp_path / "log").iterdir()]) > 1


def test_what_is_no_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=r"RUN\.json"):
        read_log(tmp_path)
    (tmp_path / "RUN.json").write_text(MANIFEST)
    assert read_log(tmp_path) == []
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "one.jsonl").write_text('{"time": 1')
    with pytest.raises(RunLogError, match=r"one\.jsonl"):
        read_log(tmp_path)


def test_outcomes_are_told_once_each() -> None:
    seen: list[object] = []

    def work(block: int, shared: None) -> Callable[[], Note]:
        if block == 1:
            raise ValueError("bad")
        return lambda: {"members": [block, block + 1], "failed": [], "seconds": 2.0, "bytes": 8}

    execute(range(3), LocalExecutor(work), tell=seen.append)
    done = [BlockDone(0, block, (block, block + 1), (), 2.0, 8) for block in (0, 2)]
    assert seen == [done[0], BlockGivenUp(0, 1, "ValueError: bad"), done[1]]


def test_the_view_shows_every_gang(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress()
    for gang in range(20):
        progress.tell(GangFormed(gang, (f"host{gang}:7", f"host{gang}:8"), 3.0))
    for gang in (1, 1, 2):
        progress.tell(BlockDone(gang, 0, (0, 8), (), 2.0, 8))
    progress.tell(GangEnded(3, "its node is gone"))
    console = Console(width=100)
    with console.capture() as shown:
        console.print(progress.view())
    lines = shown.get().splitlines()
    assert any(re.search(r"gang 1 +host1:7, host1:8 +16 members +4 members/s", line) for line in lines)
    assert any(re.search(r"gang 4 .* 0 members +first block", line) for line in lines)
    assert not any("gang 3 " in line for line in lines)
    assert "  and 3 more" in lines
    assert "gang 3 ended: its node is gone" in capsys.readouterr().err


def test_the_board_draws_numbers_that_there_are() -> None:
    board = json.loads(BOARD.read_text())
    asked = {name for panel in board["panels"] for target in panel["targets"] for name in NAMES.findall(target["expr"])}
    counters = {f"ray_shockmesh_{name}_total" for name in COUNTERS}
    gauges = {f"ray_shockmesh_{name}" for name in GAUGES}
    assert asked == counters | gauges | {"ray_shockmesh_block_seconds_bucket"}


NAMES = re.compile(r"\bray_shockmesh_\w+")
