"""Drivers as processes of their own, to be killed, and waiting for what becomes of them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from shockmesh.cluster.cli import main


def start(*arguments: object, folder: Path) -> subprocess.Popen[str]:
    """The command line, in a folder."""
    command = [sys.executable, "-m", "shockmesh.cluster.cli", *map(str, arguments)]
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


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


def drive(words: list[str], said: Path) -> None:
    """The command line in this process, a session of its own; what it says goes to files."""
    os.setsid()
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
