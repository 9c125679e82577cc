"""Where blocks run: in this process, or on Ray actors; and how a run is interrupted."""

import _thread
import os
import secrets
import signal
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

from shockmesh.cluster.running.execute import Executor, LocalExecutor, WorkersError
from shockmesh.cluster.running.work import Job, make_work
from shockmesh.cluster.seeing.events import Tell
from shockmesh.cluster.seeing.listeners import on_ray
from shockmesh.kernels.network import FirmNetwork

IN_PROCESS = "local"  # the address that means: no Ray, this process
AGAIN_SECONDS = 0.05  # until the place where an exception is ignored is left
CLOSED = {
    "RAY_AUTH_MODE": "token",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # despite its name: has Ray listen to 127.0.0.1 only, also on Linux
}


@contextmanager
def executor_of(job: Job, network: FirmNetwork, address: str | None, tell: Tell) -> Generator[Executor]:
    """The workers of a job, which end with the context; `tell` hears what becomes of gangs.

    A run that is over before workers would have started stays in this process, unless a cluster is there or named.
    """
    if address == IN_PROCESS or (address is None and job.plan.brief and not on_ray()):
        _check_devices(job.plan.devices)
        yield LocalExecutor(make_work(job, network))
        return
    if address is None:
        close_to_others()
    from shockmesh.cluster.running.ray_executor import RayExecutor, ray_cluster

    with ray_cluster(address, job.plan.workers * job.plan.devices) as options:
        executor = RayExecutor(job, network, job.plan.workers, options, tell)
        try:
            yield executor
        finally:
            executor.close()


def close_to_others() -> None:
    """Have the cluster that this process will start ask for a token, and listen to this machine only.

    Ray reads its settings when it is imported.
    """
    _make_token(token_file())
    if "ray" not in sys.modules:
        os.environ.update({name: value for name, value in CLOSED.items() if name not in os.environ})


def token_file() -> Path | None:
    """Where Ray looks for the token of this user's clusters; None where the environment says otherwise."""
    elsewhere = any(os.environ.get(name) for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"))
    open_to_all = os.environ.get("RAY_AUTH_MODE", "token") != "token"
    return None if elsewhere or open_to_all else Path.home() / ".ray/auth_token"


def _make_token(file: Path | None) -> None:
    """A token that only its user may read. (Ray would make one that everybody may.)"""
    if file is None or file.exists():
        return
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=file.parent) as made:  # of mode 0600
        made.write(secrets.token_hex(32).encode())
        made.flush()
        with suppress(FileExistsError):  # another run was faster
            os.link(made.name, file)


def _check_devices(wanted: int) -> None:
    import jax

    if len(jax.devices()) < wanted:
        rule = f"this process has {len(jax.devices())}; with JAX_NUM_CPU_DEVICES={wanted} it simulates as many"
        raise WorkersError(f"resources.devices_per_gang: {wanted}: {rule}")


@contextmanager
def interruptible() -> Generator[None]:
    """Let SIGTERM end a run as Ctrl-C does, and let neither get lost."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        with _heard():
            yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _heard() -> Generator[None]:
    """Send a signal again whose exception was raised where Python ignores it.

    A signal that comes while garbage is collected is handled in JAX's callback there, and what that raises is ignored.
    """
    before = sys.unraisablehook

    def again(lost: "sys.UnraisableHookArgs") -> None:
        if issubclass(lost.exc_type, KeyboardInterrupt | SystemExit):
            threading.Timer(AGAIN_SECONDS, _thread.interrupt_main, [signal.SIGTERM]).start()
        else:
            before(lost)

    sys.unraisablehook = again
    try:
        yield
    finally:
        sys.unraisablehook = before
