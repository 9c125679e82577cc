"""Blocks on Ray actors: one actor per device or share of the cores, replaced when it dies.

An actor simulates on one core (or one GPU) and writes its shards itself; only small notes travel. Actors are not
detached, so a driver that is killed takes them along; the journal says what was committed.
"""

import logging
import os
import socket
import warnings
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import ray
import ray.exceptions
from shockmesh.cluster.execute import ATTEMPTS, Outcome, WorkersError
from shockmesh.cluster.work import BlockWork, Job
from shockmesh.kernels.network import FirmNetwork

LOST = (ray.exceptions.RayActorError, ray.exceptions.ObjectLostError, ray.exceptions.OutOfMemoryError)
QUEUE = 2  # blocks per actor: one at work, one waiting, so that no actor waits for the driver
POLL_SECONDS = 0.5
CONNECT_SECONDS = 10.0
WORKER_ENVIRONMENT = {  # one core, or most of one GPU
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "OMP_NUM_THREADS": "1",
    "XLA_PYTHON_CLIENT_MEM_FRACTION": "0.85",
}
QUIET_RAY = {"RAY_IGNORE_UNHANDLED_ERRORS": "1", "RAY_USAGE_STATS_ENABLED": "0"}  # nothing is sent anywhere


@contextmanager
def ray_cluster(address: str | None, cores: int) -> Generator[dict[str, Any]]:
    """A connection to a cluster, or a local one for the time of the run; one that exists already is left as it is.

    Yields the options of actors: those of a local cluster inherit their environment from it, which spares Ray from
    preparing processes anew.

    Raises:
        WorkersError: Ray does not start, or there is none at the address.
    """
    for_others: dict[str, Any] = {"runtime_env": {"env_vars": WORKER_ENVIRONMENT}}
    if ray.is_initialized():
        yield for_others
        return
    _reach(address)
    local: dict[str, Any] = {"num_cpus": cores, "include_dashboard": False} if address is None else {}
    with warnings.catch_warnings(), _environment(QUIET_RAY | (WORKER_ENVIRONMENT if local else {})):
        # Ray's children are new programs: they do not inherit JAX's threads, which the warning is about.
        warnings.filterwarnings("ignore", r"os\.fork\(\) was called", RuntimeWarning)
        try:
            ray.init(address=address or "local", logging_level=logging.ERROR, log_to_driver=False, **local)
        except Exception as error:  # Ray raises bare Exception, RuntimeError, ConnectionError …
            ray.shutdown()
            raise WorkersError(f"Ray at {address or 'this machine'} does not start: {_why(error)}") from error
    try:
        yield {} if local else for_others
    finally:
        ray.shutdown()


def _reach(address: str | None) -> None:
    """See that something listens at host:port; Ray itself would try for minutes."""
    host, _, port = (address or "").rpartition(":")
    if not host or not port.isdecimal() or "/" in host:
        return
    try:
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
    except OSError as error:
        raise WorkersError(f"no Ray cluster at {address}: {error.strerror or error}") from error


@contextmanager
def _environment(values: dict[str, str]) -> Generator[None]:
    """Set variables that are not set, for a while."""
    new = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(new)
    try:
        yield
    finally:
        for name in new:
            del os.environ[name]


@ray.remote(max_restarts=0, max_task_retries=0)
class Worker:
    """One actor: a compiled simulator."""

    def __init__(self, job: Job, network: FirmNetwork) -> None:
        self._job, self._network = job, network

    def prepare(self) -> None:
        self._work = BlockWork(self._job, self._network)

    def run(self, block: int) -> dict[str, Any]:
        return self._work(block)


class RayExecutor:
    """Keeps `workers` actors busy with at most `QUEUE` blocks each; an actor gets its first once it is prepared.

    So actors that the cluster has no room for yet hold nothing up, and one that cannot be prepared costs no block.
    """

    def __init__(self, job: Job, network: FirmNetwork, workers: int, options: dict[str, Any]) -> None:
        gpus = int(ray.cluster_resources().get("GPU", 0))
        self._job, self._network = job, ray.put(network)
        self._options: dict[str, Any] = {"num_cpus": 1, "num_gpus": 1 if gpus else 0, **options}
        self._starting: dict[Any, Any] = {}  # reference → actor
        self._queues: dict[Any, deque[tuple[Any, int]]] = {}  # actor → (reference, block), oldest first
        self._stillborn = 0  # actors in a row that died while they were prepared
        for _ in range(min(workers, gpus) if gpus else workers):
            self._start()

    @property
    def room(self) -> int:
        return sum(QUEUE - len(queue) for queue in self._queues.values())

    def submit(self, block: int) -> None:
        actor = min(self._queues, key=lambda actor: len(self._queues[actor]))
        self._queues[actor].append((actor.run.remote(block), block))

    def outcomes(self) -> list[Outcome]:
        at_work = {reference: actor for actor, queue in self._queues.items() for reference, _ in queue}
        waited = [*self._starting, *at_work]
        ready, _ = ray.wait(waited, num_returns=1, timeout=POLL_SECONDS) if waited else ([], [])
        for reference in ready:
            if reference in self._starting:
                self._started(reference)
        return [found for it in ready if it in at_work for found in self._outcome(at_work[it], it)]

    def close(self) -> None:
        for actor in (*self._starting.values(), *self._queues):
            ray.kill(actor)
        self._starting.clear()
        self._queues.clear()

    def _start(self) -> None:
        actor: Any = Worker.options(**self._options).remote(self._job, self._network)  # pyright: ignore
        self._starting[actor.prepare.remote()] = actor

    def _started(self, reference: Any) -> None:
        """Take in an actor that is prepared; replace one that failed, unless that happened too often."""
        actor = self._starting.pop(reference)
        try:
            ray.get(reference)
        except (*LOST, ray.exceptions.RayTaskError) as error:
            self._stillborn += 1
            ray.kill(actor)
            if self._stillborn < ATTEMPTS:
                self._start()
            elif not self._queues and not self._starting:
                why = f"{self._stillborn} in a row failed to start; the last: {_why(error)}"
                raise WorkersError(f"no workers: {why}") from error
        else:
            self._queues[actor], self._stillborn = deque(), 0

    def _outcome(self, actor: Any, reference: Any) -> list[Outcome]:
        """What a finished reference means; a dead actor is replaced and all its blocks are lost."""
        queue = self._queues[actor]
        block = next(block for waiting, block in queue if waiting == reference)
        try:
            note: Any = ray.get(reference)
        except LOST as error:
            del self._queues[actor]
            ray.kill(actor)
            self._start()
            return [Outcome(lost, "lost", message=_why(error), charged=i == 0) for i, (_, lost) in enumerate(queue)]
        except ray.exceptions.RayTaskError as error:
            queue.remove((reference, block))
            return [Outcome(block, "error", message=_why(error))]
        queue.remove((reference, block))
        return [Outcome(block, "done", note)]


def _why(error: Exception) -> str:
    """What an actor raised, or the first line of what Ray says of its death."""
    if isinstance(error, ray.exceptions.RayTaskError):
        return f"{type(error.cause).__name__}: {error.cause}"
    return str(error).partition("\n")[0]
