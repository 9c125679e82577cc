"""Jobs on a separate head with token authentication: submitted, followed, looked at, gone on with, refused."""

import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest
from drivers import start
from shockmesh.cluster.cli import main
from shockmesh.cluster.verbs.jobs import JobError, submit
from shockmesh.io.networks.store import write_network
from shockmesh.io.results import committed, open_run
from shockmesh.io.stores import journal

pytestmark = [pytest.mark.ray, pytest.mark.timeout(280)]
SPEC = """
economy: net.zarr
horizon: {days: 10}
shocks: [{name: storm, kind: recovery, loss: 0.5, recovery_days: 6}]
sweep: {seed: 2, members: 4, vary: {shocks.storm.loss: {uniform: [0.2, 0.9]}}}
resources: {members_per_block: 2, gangs: 1}
"""


@dataclass(frozen=True)
class Head:
    """A Ray head of one node, in processes of its own."""

    address: str
    token: Path
    metrics: str


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture(scope="module")
def head(short_folder: Path) -> Iterator[Head]:
    folder, dashboard, metrics = short_folder, free_port(), free_port()
    token = folder / "token"
    token.write_text(secrets.token_hex(32))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "XLA_"))} | {
        "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token), "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_metrics_report_interval_ms": "300", "RAY_worker_niceness": "0",
        "RAY_prestart_worker_first_driver": "0",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "JAX_PLATFORMS": "cpu",
    }  # fmt: skip
    command = [
        str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", "--num-cpus=2",
        f"--port={free_port()}", f"--metrics-export-port={metrics}",
        "--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}", f"--ray-client-server-port={free_port()}",
        f"--dashboard-agent-listen-port={free_port()}", f"--temp-dir={folder}", "--object-store-memory=150000000",
    ]  # fmt: skip
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        found = Head(f"http://127.0.0.1:{dashboard}", token, f"http://127.0.0.1:{metrics}/metrics")
        end = time.monotonic() + 90
        while not answers(found):
            assert time.monotonic() < end, (folder / "log").read_text()
            time.sleep(0.3)
        yield found
        process.terminate()
        process.wait(30)


def answers(head: Head) -> bool:
    request = urllib.request.Request(f"{head.address}/api/jobs/")
    request.add_header("Authorization", f"Bearer {head.token.read_text()}")
    try:
        with urllib.request.urlopen(request, timeout=5):
            return True
    except OSError:
        return False


@pytest.fixture
def spec(tmp_path: Path, random_network: Callable) -> Path:
    write_network(random_network(), tmp_path / "net.zarr")
    (tmp_path / "storm.yaml").write_text(SPEC)
    return tmp_path / "storm.yaml"


@pytest.fixture
def shockmesh(head: Head, processes: ForkServerContext, tmp_path: Path) -> Callable[..., str]:
    """The command line as a user of the head calls it; what it says."""
    environment = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(head.token)}

    def call(*words: object, code: int = 0) -> str:
        called = start(processes, *words, "--address", head.address, folder=tmp_path, environment=environment)
        found, out, error = called.end(200)
        assert found == code, out + error
        return out + error

    return call


def test_a_spec_is_shipped_followed_and_gone_on_with(
    head: Head, shockmesh: Callable[..., str], spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    told = shockmesh("submit", spec, "--out", out)
    assert "4 of 4 members" in told
    assert committed(out) == {0, 1}
    with open_run(out) as found:
        assert "git_commit" not in found.attrs  # the wheel's code ran, not the clone's
    job = told.split()[1]
    numbers = urllib.request.urlopen(head.metrics, timeout=5).read().decode()
    counted = [line for line in numbers.splitlines() if line.startswith("ray_shockmesh_members_done_total")]
    assert any(f'run="{out}"' in line and line.endswith(" 4.0") for line in counted), counted
    assert main(["logs", str(out)]) == 0
    events = [json.loads(line)["event"] for line in capsys.readouterr().out.splitlines()]
    assert events == ["run_began", "gang_formed", "block_done", "block_done", "run_ended"]
    assert "succeeded" in shockmesh("status", job)
    assert "4 of 4 members" in shockmesh("logs", job)
    journal.marker_path(out, 1).unlink()
    assert "2 members in" in shockmesh("submit", spec, "--out", out)
    assert committed(out) == {0, 1}


def test_a_job_that_fails_gives_its_exit_code(shockmesh: Callable[..., str], spec: Path, tmp_path: Path) -> None:
    out = tmp_path / "taken"
    out.mkdir()
    (out / "file").touch()
    assert "exists already" in shockmesh("submit", spec, "--out", out, code=2)


def test_without_the_token_nothing_is_answered(head: Head) -> None:
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"{head.address}/api/jobs/", timeout=5)


def test_the_dashboard_is_bound_to_this_machine(head: Head) -> None:
    port, own = int(head.address.rpartition(":")[2]), socket.gethostbyname(socket.gethostname())
    others = [address for address in {own, "127.0.0.2"} if address != "127.0.0.1"]
    for address in others:
        with pytest.raises(OSError, match=r"refused|timed"):
            socket.create_connection((address, port), 2).close()


def test_what_is_refused(head: Head, shockmesh: Callable[..., str], spec: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "run")
    with pytest.raises(JobError, match="absolute path that all nodes share"):
        submit(spec, head.address, "run")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # it does not listen, and no cluster of another test can
        with pytest.raises(JobError, match="no cluster answers there"):
            submit(spec, f"http://127.0.0.1:{taken.getsockname()[1]}", out)
    with pytest.raises(JobError, match="the dashboard of a cluster's head is wanted"):
        submit(spec, "ray://somewhere:10001", out)
    assert "no such job" in shockmesh("status", "no-such-job", code=2)
