"""What a run needs of this machine, checked: each finding is a line, with what to do about it."""

import os
import shutil
import socket
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from shockmesh.cluster.planning.amounts import human_bytes
from shockmesh.cluster.planning.plan import physical_memory, usable_cpus
from shockmesh.cluster.running.executors import close_to_others, token_file

PACKAGES = ("shockmesh", "jax", "jaxlib", "numpy", "numpyro", "ray", "zarr", "xarray")
FREE_BYTES = 2_000_000_000  # of disk and of memory: with less, a warning
SHARED = Path("/dev/shm")
LONGEST_SOCKET_FOLDER = 50  # characters: Ray's sockets below it must fit in 107

type Verdict = Literal["ok", "warn", "bad"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    verdict: Verdict
    found: str
    advice: str = ""

    def line(self) -> str:
        return f"{self.found}{f' – {self.advice}' if self.advice else ''}"


def examine() -> list[Finding]:
    """Everything that a run needs of this machine. A check that raises is a bad finding."""
    checks = (
        _python, _packages, _lock, _devices, _numbers, _kernels, _cores, _disk, _shared_memory, _host, _temporary,
        _credentials, _token, _ray,
    )  # fmt: skip
    return [finding for check in checks for finding in _safely(check)]


def _safely(check: Callable[[], Iterator[Finding]]) -> list[Finding]:
    try:
        return list(check())
    except Exception as error:
        return [Finding(check.__name__.strip("_"), "bad", f"{type(error).__name__}: {error}".splitlines()[0])]


def _python() -> Iterator[Finding]:
    good = sys.version_info >= (3, 12)
    yield Finding("python", "ok" if good else "bad", sys.version.split()[0], "" if good else "3.12 or later is needed")


def _packages() -> Iterator[Finding]:
    for name in PACKAGES:
        try:
            yield Finding(name, "ok", version(name))
        except PackageNotFoundError:
            yield Finding(name, "bad", "missing", "install shockmesh again")


def _lock() -> Iterator[Finding]:
    """In a clone: whether what is installed is what was tested."""
    lock = Path(__file__).resolve().parents[2] / "requirements.lock"
    if not lock.is_file():
        return
    pins = dict(line.split("==", 1) for line in lock.read_text("utf-8").splitlines() if "==" in line)
    other = [
        f"{name} {version(name)} for {pins[name]}"
        for name in PACKAGES
        if pins.get(name, version(name)) != version(name)
    ]
    yield Finding("versions", "warn" if other else "ok", ", ".join(other) or "as locked", "make setup" if other else "")


def _devices() -> Iterator[Finding]:
    import jax

    devices = jax.devices()
    yield Finding("devices", "ok", f"{len(devices)} × {devices[0].device_kind}")
    if shutil.which("nvidia-smi") and devices[0].platform == "cpu":
        yield Finding("GPU", "warn", "JAX does not see this machine's", "install jax[cuda13], or unset JAX_PLATFORMS")


def _numbers() -> Iterator[Finding]:
    """Whether each device computes what is known exactly: some compilers gave wrong numbers without an error."""
    import jax
    from shockmesh.kernels.self_test import compare

    for device in jax.local_devices():
        compared = compare(device)
        wrong = [number for number in compared if not number.right]
        said = ", ".join(f"{of.what} {of.found:.6g} where {of.expected:.6g} is right" for of in wrong)
        right = f"an economy known exactly: {', '.join(f'{of.what} {of.found:.6g}' for of in compared)}"
        advice = "do not trust results of this device: install another jax or driver" if wrong else ""
        yield Finding(f"numbers of {device}", "bad" if wrong else "ok", said or right, advice)


def _kernels() -> Iterator[Finding]:
    """Who computes days on CPUs, where a spec does not say."""
    from shockmesh.kernels.native import library

    why = library.missing()
    found = f"native, {library.variant()}" if why is None else f"XLA; native kernels: {why}"
    yield Finding("kernels", "warn" if why and library.LIBRARY.exists() else "ok", found)


def _cores() -> Iterator[Finding]:
    yield Finding("cores", "ok", f"{usable_cpus()} of {os.cpu_count()}, load {os.getloadavg()[0]:.2g}")
    yield Finding("memory", "ok", human_bytes(physical_memory()))


def _disk() -> Iterator[Finding]:
    with tempfile.NamedTemporaryFile(dir=Path.cwd()) as file:
        file.write(b"written")
    yield _room("disk", Path.cwd(), "runs are written here unless --out says otherwise")


def _shared_memory() -> Iterator[Finding]:
    if SHARED.is_dir():
        yield _room("shared memory", SHARED, "Ray keeps networks there: give the container a larger /dev/shm")


def _room(what: str, folder: Path, advice: str) -> Finding:
    free = shutil.disk_usage(folder).free
    short = free < FREE_BYTES
    return Finding(what, "warn" if short else "ok", f"{human_bytes(free)} free in {folder}", advice if short else "")


def _host() -> Iterator[Finding]:
    """Gangs over several machines meet at the address of the host's name."""
    name = socket.gethostname()
    try:
        address = socket.gethostbyname(name)
    except OSError:
        yield Finding("host name", "warn", f"{name} has no address", "put it into /etc/hosts: gangs need it")
        return
    loopback = address.startswith("127.")
    advice = "gangs over several machines need another" if loopback else ""
    yield Finding("host name", "ok", f"{name} is {address}", advice)


def _temporary() -> Iterator[Finding]:
    folder = os.environ.get("RAY_TMPDIR", tempfile.gettempdir())
    long = len(folder) > LONGEST_SOCKET_FOLDER
    yield Finding(
        "temporary folder", "warn" if long else "ok", folder, "set RAY_TMPDIR to a short path" if long else ""
    )


def _credentials() -> Iterator[Finding]:
    """Whether there are some, never what they are."""
    names = ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
    given = [name for name in names if os.environ.get(name)]
    yield Finding("credentials", "ok", f"set: {', '.join(given)}" if given else "none in the environment")


def _token() -> Iterator[Finding]:
    """The token of local clusters: whoever reads it may join them and run programs as this user."""
    file = token_file()
    if file is not None and file.exists():
        mode = stat.S_IMODE(file.stat().st_mode)
        shared = bool(mode & 0o077)
        advice = f"others may read it: chmod 600 {file}" if shared else ""
        yield Finding("token", "warn" if shared else "ok", f"{file}, mode {mode:o}", advice)


def _ray() -> Iterator[Finding]:
    """A local cluster of one core, started and ended."""
    close_to_others()
    import ray
    from shockmesh.cluster.running.ray_executor import ray_cluster

    with ray_cluster(None, 1):
        yield Finding("ray starts", "ok", f"{int(ray.cluster_resources()['CPU'])} core")
