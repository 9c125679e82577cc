"""Drivers as processes of their own, to be killed, and waiting for what becomes of them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from uuid import uuid4

from shockmesh.cluster.cli import main
from shockmesh.cluster.running.executors import close_to_others, token_file


@dataclass(frozen=True)
class Driver:
    """The command line in a process and a session of its own, and the folder of what it says."""

    process: ForkServerProcess
    said: Path

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def end(self, within: float) -> tuple[int | None, str, str]:
        """Wait for its end: its exit code (None: it goes on), what it told, and its errors."""
        self.process.join(within)
        return self.process.exitcode, (self.said / "out").read_text(), (self.said / "err").read_text()


def start(
    processes: ForkServerContext, *words: object, folder: Path, environment: Mapping[str, str] | None = None
) -> Driver:
    """The command line, in a folder and with more variables of the environment."""
    said = folder / f"said {uuid4().hex}"
    said.mkdir()
    process = processes.Process(target=drive, args=([*map(str, words)], folder, said, environment or {}))
    process.start()
    return Driver(process, said)


def let_join(home: Path) -> None:
    """Start a local cluster as a user does whose files all may read; join it with its token, and without."""
    for name in [name for name in os.environ if name.startswith("RAY_")]:
        del os.environ[name]
    os.environ["HOME"] = str(home)
    os.umask(0o022)
    close_to_others()  # before Ray is imported
    from ray import get_runtime_context
    from shockmesh.cluster.running.ray_executor import ray_cluster

    with ray_cluster(None, 1):
        address = get_runtime_context().gcs_address
        join = [sys.executable, "-c", f"import ray; ray.init({address!r}, log_to_driver=False)"]
        ends = [
            subprocess.run(join, env=os.environ | token, capture_output=True, text=True, check=False)
            for token in ({}, {"RAY_AUTH_MODE": "disabled"})
        ]
    token = token_file()
    assert token is not None
    found = {"address": address.split(":")[0], "mode": oct(token.stat().st_mode), "error": ends[1].stderr}
    (home / "told.json").write_text(json.dumps(found | {"joins": [end.returncode for end in ends]}))


def wait_for(condition: Callable[[], bool], seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what} took more than {seconds} s"
        time.sleep(0.05)


def alive(process: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


def drive(words: list[str], folder: Path, said: Path, environment: Mapping[str, str]) -> None:
    """The command line in this process, a session of its own, in a folder; what it says goes to files."""
    os.setsid()
    os.chdir(folder)
    os.environ.update(environment)  # Ray, which reads it when it is imported, is not yet
    for number, name in ((1, "out"), (2, "err")):
        with (said / name).open("wb") as file:
            os.dup2(file.fileno(), number)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main(words))


def workers_under(pid: int) -> list[int]:
    """Process ids of the Ray actors among a process's descendants."""
    parent, name = {}, {}
    for process, (above, _, title) in _processes().items():
        parent[process], name[process] = above, title

    def below(child: int) -> bool:
        return child == pid or (child in parent and below(parent[child]))

    return [child for child in parent if b"ray::Rank" in name[child] and below(child)]


def session(leader: int) -> dict[int, bytes]:
    """The processes of a session that are alive, and their command lines."""
    return {pid: title for pid, (_, led_by, title) in _processes().items() if led_by == leader and alive(pid)}


def _processes() -> dict[int, tuple[int, int, bytes]]:
    """Parent, session and command line of every process."""
    found = dict[int, tuple[int, int, bytes]]()
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError):
            said = (entry / "stat").read_text().rpartition(")")[2].split()
            found[int(entry.name)] = (int(said[1]), int(said[3]), (entry / "cmdline").read_bytes())
    return found


def kill_raylet(leader: int) -> None:
    """Kill the manager of the node that a session has started."""

    def raylets() -> list[int]:
        return [process for process, title in session(leader).items() if b"raylet/raylet" in title]

    wait_for(lambda: bool(raylets()), 60, "a raylet")
    os.kill(raylets()[0], signal.SIGKILL)
