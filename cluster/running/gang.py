"""A gang: the Ray actors, one to a device, that together hold one simulation. They form, work and end together.

A gang of one is an actor with the whole network. The ranks of a larger gang each hold a shard, join one
`jax.distributed` mesh and run the same program on the same blocks in the same order; the first commits. A gang is never
repaired: its processes are ended, and new ones form a new gang.
"""

import os
import socket
import time
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import jax
import ray
import ray.exceptions
from ray.util import get_node_ip_address
from ray.util.placement_group import placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy
from shockmesh.cluster.running.execute import Note, told
from shockmesh.cluster.running.work import Job, Overlap, make_work
from shockmesh.kernels.network import FirmNetwork

LOST = (ray.exceptions.RayActorError, ray.exceptions.ObjectLostError, ray.exceptions.OutOfMemoryError)
FAILED = (*LOST, ray.exceptions.RayTaskError)
HEARTBEAT_SECONDS = 10  # ranks that miss one of them for so long end themselves
JOIN_SECONDS = 60
GRACE_SECONDS = 2.0  # after a rank's exception the others answer within this, unless they wait for it


@dataclass(frozen=True, order=True)
class Place:
    """Where a process is. In this order neighbours are on one machine."""

    address: str
    node: str  # Ray's name for it
    gpus: tuple[str, ...]
    process: int


@ray.remote(max_restarts=0, max_task_retries=0)
class Rank:
    """One process of a gang: a compiled simulator of the network or of its shard."""

    def __init__(self, job: Job, network: FirmNetwork) -> None:
        self._job, self._network = job, network
        self._alone, self._broken = True, False
        self._overlap = Overlap(self._compute)

    def place(self) -> Place:
        gpus = tuple(str(gpu).zfill(4) for gpu in ray.get_gpu_ids())
        return Place(get_node_ip_address(), ray.get_runtime_context().get_node_id(), gpus, os.getpid())

    def coordinator(self) -> str:
        """An address of this machine that is free now."""
        with socket.socket() as free:
            free.bind(("", 0))
            return f"{get_node_ip_address()}:{free.getsockname()[1]}"

    def join(self, coordinator: str, rank: int, ranks: int) -> None:
        """Become a rank of a mesh of as many processes, each with one device. Returns once all are there."""
        gpus = bool(ray.get_gpu_ids())
        jax.config.update("jax_platforms", "cuda,cpu" if gpus else "cpu")
        jax.config.update("jax_num_cpu_devices", 1)
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(
            coordinator, ranks, rank, cluster_detection_method="deactivate", local_device_ids=[0] if gpus else None,
            initialization_timeout=JOIN_SECONDS, heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
        )  # fmt: skip
        self._alone = False

    def prepare(self) -> None:
        self._work = make_work(self._job, self._network)

    async def run(self, turn: int, block: int, shared: Any) -> Note:
        """Simulate a block and commit it. Calls arrive in any order: turns count them as they were made."""
        return await self._overlap.run(turn, block, shared)

    def _compute(self, block: int, shared: Any) -> Callable[[], Note]:
        """A block, not committed.

        A rank that failed must not take part in another block: the others may still wait in the collectives of the
        block before, and would get the numbers of this one.
        """
        if self._broken:
            raise RuntimeError("this rank failed at an earlier block")
        self._broken = not self._alone
        commit = self._work(block, shared)
        self._broken = False
        return commit


@dataclass
class Call:
    """A call of every rank: over once all have answered, failed once one has failed."""

    references: list[Any]
    block: int | None = None  # None: a step of the gang's formation
    waits_for_room: bool = False  # in the cluster: it may take any time
    since: float = field(default_factory=time.monotonic)  # when it was made, or became the first in the queue

    def __post_init__(self) -> None:
        self.unanswered = list(self.references)


class Gang:
    """The driver's side of a gang: its actors and the calls they have not answered, oldest first."""

    def __init__(self, number: int, size: int, job: Any, network: Any, options: dict[str, Any]) -> None:
        self.number, self.since = number, time.monotonic()
        self._group = None
        placed = [options] * size
        if size > 1:
            needs = {"CPU": float(options["num_cpus"]), "GPU": float(options["num_gpus"])}
            self._group = placement_group([{name: n for name, n in needs.items() if n}] * size, strategy="PACK")
            placed = [
                {**options, "scheduling_strategy": PlacementGroupSchedulingStrategy(self._group, i)}
                for i in range(size)
            ]
        self.ranks: list[Any] = [Rank.options(**own).remote(job, network) for own in placed]  # pyright: ignore
        self.places: list[Place] = []
        self.formed, self.leaves = False, False
        self._turns = count()
        self._formation = self._form()
        self.calls = deque([next(self._formation)])

    def submit(self, block: int, shared: Any) -> None:
        """Give every rank a block, and what all blocks share."""
        turn = next(self._turns)
        self.calls.append(Call([rank.run.remote(turn, block, shared) for rank in self.ranks], block))

    def answered(self, reference: Any) -> Call | None:
        """Take in a rank's answer to the first call; the call, if it is a block that is over.

        Raises:
            RayError: the rank failed.
        """
        call = self.calls[0]
        ray.get(reference)
        call.unanswered.remove(reference)
        if call.unanswered:
            return None
        self.calls.popleft()
        if call.block is None:
            self._go_on(ray.get(call.references))
            return None
        if self.calls:
            self.calls[0].since = time.monotonic()
        return call

    def broke(self, error: Exception) -> Exception | None:
        """After a rank's exception: what broke the gang, or None if the work itself failed and left no rank waiting."""
        call = self.calls[0]
        ray.wait(call.references, num_returns=len(call.references), timeout=GRACE_SECONDS)
        failures = [error, *filter(None, map(_failure, call.references))]
        lost = [failure for failure in failures if isinstance(failure, LOST)]
        silent = ray.wait(call.references, num_returns=len(call.references), timeout=0)[1]
        return lost[0] if lost else error if silent or any(map(_of_collectives, failures)) else None

    def end(self) -> None:
        """End every process."""
        for rank in self.ranks:
            ray.kill(rank)
        if self._group is not None:
            remove_placement_group(self._group)

    def _form(self) -> Generator[Call, list[Any], None]:
        """The steps of a formation, each begun once every rank has answered the one before."""
        places: list[Place] = yield Call([rank.place.remote() for rank in self.ranks], waits_for_room=True)
        in_order = sorted(range(len(places)), key=places.__getitem__)
        self.places, self.ranks = [places[i] for i in in_order], [self.ranks[i] for i in in_order]
        size = len(self.ranks)
        if size > 1:
            (address,) = yield Call([self.ranks[0].coordinator.remote()])
            yield Call([rank.join.remote(address, i, size) for i, rank in enumerate(self.ranks)])
        yield Call([rank.prepare.remote() for rank in self.ranks])

    def _go_on(self, answers: list[Any]) -> None:
        try:
            self.calls.append(self._formation.send(answers))
        except StopIteration:
            self.formed = True


def why(error: Exception) -> str:
    """What an actor raised, or the first line of what Ray says of its death."""
    if isinstance(error, ray.exceptions.RayTaskError):
        return told(error.cause)
    return str(error).partition("\n")[0]


def _failure(reference: Any) -> Exception | None:
    """How a call that is over failed, if it did."""
    ready, _ = ray.wait([reference], timeout=0)
    try:
        ray.get(ready)
    except FAILED as error:
        return error
    return None


def _of_collectives(error: Exception) -> bool:
    """Whether an exception may come from another rank's end. JAX's runtime has one class for all its errors."""
    cause = getattr(error, "cause", None)
    return isinstance(cause, jax.errors.JaxRuntimeError)
