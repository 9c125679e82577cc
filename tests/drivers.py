"""Drivers as processes of their own, to be killed, and waiting for what becomes of them."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path


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
