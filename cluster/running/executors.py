"""Where blocks run: in this process, or on Ray actors; and how a run is interrupted."""

import os
import signal
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager

from shockmesh.cluster.running.execute import Executor, LocalExecutor, WorkersError
from shockmesh.cluster.running.work import Job, make_work
from shockmesh.cluster.seeing.events import Tell
from shockmesh.kernels.network import FirmNetwork

IN_PROCESS = "local"  # the address that means: no Ray, this process


@contextmanager
def executor_of(job: Job, network: FirmNetwork, address: str | None, tell: Tell) -> Generator[Executor]:
    """The workers of a job, ended with it; what becomes of gangs is told."""
    if address == IN_PROCESS:
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
    """Have a token asked of whoever joins the cluster that this process will start. Ray reads this when imported."""
    if "ray" not in sys.modules:
        os.environ.setdefault("RAY_AUTH_MODE", "token")


def _check_devices(wanted: int) -> None:
    import jax

    if len(jax.devices()) < wanted:
        rule = f"this process has {len(jax.devices())}; with JAX_NUM_CPU_DEVICES={wanted} it simulates as many"
        raise WorkersError(f"resources.devices_per_gang: {wanted}: {rule}")


@contextmanager
def interruptible() -> Generator[None]:
    """Let SIGTERM end a run as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
