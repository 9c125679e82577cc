"""Runs as Ray jobs: a spec, the files that it names and this package's wheel are shipped; a cluster's head runs them.

A job is `shockmesh run SPEC --out OUT --continue --address auto` in a folder with the spec, its small inputs and the
unpacked wheel; workers find the package there too, so the cluster needs our dependencies but not us. OUT is on shared
storage, or in an object store: submitting the same spec to the same OUT again goes on where the last job ended.
Ray itself reads tokens (RAY_AUTH_MODE=token, RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH).
"""

import asyncio
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ray.job_submission import JobDetails, JobStatus, JobSubmissionClient
from shockmesh.cluster.running.provenance import input_files
from shockmesh.cluster.spec.load import load_spec

ROOT = Path(__file__).resolve().parents[2]
POLL_SECONDS = 1.0


class JobError(ValueError):
    """A cluster that cannot be reached, or a job that is not there. The message names the address and the rule."""


def submit(spec_path: str | Path, address: str, out: str, overrides: Sequence[str] = ()) -> str:
    """Ship a spec to a cluster and start it there; the job's id.

    Args:
        address: http://HOST:8265, the dashboard of the cluster's head.
        out: the run's folder, where all nodes reach it: an absolute path, or a prefix of an object store.

    Raises:
        SpecError: before anything is sent. JobError: the cluster is not to be had, or `out` is not shared.
    """
    if "://" not in out and not Path(out).is_absolute():
        raise JobError(
            f"--out {out}: a job's folder must be an absolute path that all nodes share, or s3://bucket/prefix"
        )
    spec_file = Path(spec_path)
    load_spec(spec_file, overrides)
    client = _client(address)
    job = f"{spec_file.stem}-{uuid.uuid4().hex[:8]}"
    settings = [part for override in overrides for part in ("--set", override)]
    command = ["python", "-m", "shockmesh.cluster.cli", "run", spec_file.name, "--out", out, *settings]
    with tempfile.TemporaryDirectory() as folder:
        pack(spec_file, Path(folder), overrides)
        _asking(
            address,
            lambda: client.submit_job(
                entrypoint=shlex.join([*command, "--continue", "--address", "auto"]),
                submission_id=job,
                runtime_env={"working_dir": folder},
                metadata={"spec": spec_file.name, "out": out},
            ),
        )
    return job


def pack(spec_file: Path, folder: Path, overrides: Sequence[str] = ()) -> None:
    """Lay out what a job needs: the spec, its inputs beside or below it, and this package.

    Inputs elsewhere, by an absolute path or in an object store, stay where they are: the nodes must reach them.
    """
    home = spec_file.resolve().parent
    shutil.copy2(spec_file, folder / spec_file.name)
    for file in sorted({path for path in input_files(load_spec(spec_file, overrides)) if "://" not in path}):
        found = Path(file)
        if found.is_relative_to(home) and found.exists():
            target = folder / found.relative_to(home)
            target.parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if found.is_dir() else shutil.copy2)(found, target)
    for wheel in _wheel(folder):
        with zipfile.ZipFile(wheel) as packed:
            packed.extractall(folder)
        wheel.unlink()


def _wheel(folder: Path) -> list[Path]:
    """The wheel of the clone that runs. None for an installed package: then the cluster's own is used."""
    if not (ROOT / "pyproject.toml").is_file():
        return []
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise JobError(f"{ROOT}: no wheel can be built of it: {done.stderr.strip().splitlines()[-1]}")
    return [*folder.glob("shockmesh-*.whl")]


def follow(job: str, address: str) -> int:
    """Print a job's log until it ends; its exit code."""

    async def tail() -> None:
        async for lines in client.tail_job_logs(job):
            sys.stdout.write(lines)
            sys.stdout.flush()

    client = _client(address)
    _details(client, job, address)
    asyncio.run(tail())
    while not (found := _details(client, job, address)).status.is_terminal():
        time.sleep(POLL_SECONDS)
    return exit_code(found)


def exit_code(found: JobDetails) -> int:
    """That of the job's own process; 1 where Ray could not start it or it was stopped."""
    if found.status == JobStatus.SUCCEEDED:
        return 0
    return found.driver_exit_code or 1


def job_log(job: str, address: str) -> str:
    """What a job has printed so far."""
    client = _client(address)
    _details(client, job, address)
    return _asking(address, lambda: client.get_job_logs(job))


def job_status(job: str, address: str) -> dict[str, Any]:
    """How far a job is."""
    found = _details(_client(address), job, address)
    facts: dict[str, Any] = {
        "state": found.status.value.lower(),
        "entrypoint": found.entrypoint,
        **(found.metadata or {}),
    }
    if found.status.is_terminal():
        facts["exit code"] = exit_code(found)
    if found.status == JobStatus.FAILED and found.message:
        facts["message"] = found.message.strip().splitlines()[-1]
    return facts


def _client(address: str) -> JobSubmissionClient:
    if not address.startswith(("http://", "https://")):
        raise JobError(f"--address {address}: the dashboard of a cluster's head is wanted, such as http://HOST:8265")
    return _asking(address, lambda: JobSubmissionClient(address))


def _details(client: JobSubmissionClient, job: str, address: str) -> JobDetails:
    found = [of for of in _asking(address, client.list_jobs) if job in (of.submission_id, of.job_id)]
    if not found:
        raise JobError(f"{address}: job {job}: no such job there")
    return found[0]


def _asking[T](address: str, ask: Callable[[], T]) -> T:
    """Ask a cluster; what goes wrong becomes a sentence."""
    try:
        return ask()
    except Exception as error:  # Ray raises ConnectionError, RuntimeError and classes of its own
        raise JobError(f"{address}: {_why(str(error))}") from error


def _why(text: str) -> str:
    if "401" in text or "403" in text or "oken" in text:
        return "refused: set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH (or RAY_AUTH_TOKEN) to the cluster's token"
    if "onnect" in text:
        return "no cluster answers there"
    return next(_lines(text), "refused")


def _lines(text: str) -> Iterator[str]:
    return (line.strip() for line in text.splitlines() if line.strip())
