"""Blocks on Ray actors: one actor per device or share of the cores, replaced when it dies.

An actor simulates on one core (or one GPU) and writes its shards itself; only small notes travel. Actors are not
detached, so a driver that is killed takes them along; the journal says what was committed.
"""

import logging
import os
import warnings
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from typing import Any

import ray
import ray.exceptions
from shockmesh.cluster.execute import Outcome
from shockmesh.cluster.work import BlockWork, Job
from shockmesh.kernels.network import FirmNetwork

LOST = (ray.exceptions.RayActorError, ray.exceptions.ObjectLostError, ray.exceptions.OutOfMemoryError)
QUEUE = 2  # blocks per actor: one at work, one waiting, so that no actor waits for the driver
POLL_SECONDS = 0.5
ONE_CORE = {
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "OMP_NUM_THREADS": "1",
    "JAX_PLATFORMS": "cpu",
}
ONE_GPU = {"XLA_PYTHON_CLIENT_MEM_FRACTION": "0.85"}


@contextmanager
def ray_cluster(address: str | None, cores: int) -> Generator[None]:
    """A connection to a cluster, or a local one for the time of the run; one that exists already is left as it is."""
    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_IGNORE_UNHANDLED_ERRORS", "1")
    local: dict[str, Any] = {"num_cpus": cores, "include_dashboard": False} if address is None else {}
    with warnings.catch_warnings():
        # Ray's children are new programs: they do not inherit JAX's threads, which the warning is about.
        warnings.filterwarnings("ignore", r"os\.fork\(\) was called", RuntimeWarning)
        ray.init(address=address or "local", logging_level=logging.ERROR, log_to_driver=False, **local)
    try:
        yield
    finally:
        ray.shutdown()


@ray.remote(max_restarts=0, max_task_retries=0)
class Worker:
    """One actor: a compiled simulator, made with the first block, so that what fails in making it fails that block."""

    def __init__(self, job: Job, network: FirmNetwork) -> None:
        self._make = partial(BlockWork, job, network)
        self._work: BlockWork | None = None

    def run(self, block: int) -> dict[str, Any]:
        self._work = self._work or self._make()
        return self._work(block)


class RayExecutor:
    """Keeps `workers` actors busy with at most `QUEUE` blocks each."""

    def __init__(self, job: Job, network: FirmNetwork, workers: int) -> None:
        gpus = int(ray.cluster_resources().get("GPU", 0))
        self._job, self._network = job, ray.put(network)
        self._options: dict[str, Any] = {
            "num_cpus": 1,
            "num_gpus": 1 if gpus else 0,
            "runtime_env": {"env_vars": ONE_GPU if gpus else ONE_CORE},
        }
        self._queues: dict[Any, deque[tuple[Any, int]]] = {}  # actor → (reference, block), oldest first
        for _ in range(min(workers, gpus) if gpus else workers):
            self._start()

    @property
    def room(self) -> int:
        return sum(QUEUE - len(queue) for queue in self._queues.values())

    def submit(self, block: int) -> None:
        actor = min(self._queues, key=lambda actor: len(self._queues[actor]))
        self._queues[actor].append((actor.run.remote(block), block))

    def outcomes(self) -> list[Outcome]:
        references = {reference: actor for actor, queue in self._queues.items() for reference, _ in queue}
        ready, _ = ray.wait(list(references), num_returns=1, timeout=POLL_SECONDS)
        return [outcome for reference in ready for outcome in self._outcome(references[reference], reference)]

    def close(self) -> None:
        for actor in self._queues:
            ray.kill(actor)
        self._queues.clear()

    def _start(self) -> None:
        actor = Worker.options(**self._options).remote(self._job, self._network)  # pyright: ignore
        self._queues[actor] = deque()

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
            why = str(error).partition("\n")[0]
            return [Outcome(lost, "lost", message=why, charged=i == 0) for i, (_, lost) in enumerate(queue)]
        except ray.exceptions.RayTaskError as error:
            queue.remove((reference, block))
            return [Outcome(block, "error", message=f"{type(error.cause).__name__}: {error.cause}")]
        queue.remove((reference, block))
        return [Outcome(block, "done", note)]
