"""What a worker does with a block: simulate its members, then commit them and say a few numbers.

The two steps are apart, so that a worker's device can begin the next block meanwhile. All executors use this.
"""

import asyncio
import os
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np
from jaxtyping import Int
from shockmesh.cluster.planning.plan import Plan
from shockmesh.cluster.running.batch import Simulator, failed_members
from shockmesh.cluster.running.execute import Note, Work
from shockmesh.cluster.spec.load import parse_spec
from shockmesh.io.results import write_block
from shockmesh.io.stores.checkpoints import write_arrays
from shockmesh.io.stores.places import Place
from shockmesh.io.stores.seals import MEMBERS
from shockmesh.kernels.network import FirmNetwork


@dataclass(frozen=True)
class Job:
    """What every worker of a run needs to know, besides the network."""

    run: Place
    spec: dict[str, Any]  # as resolved
    plan: Plan
    shard_of: Int[np.ndarray, " firm"] | None = None  # which device of a gang each firm lives on


class Overlap:
    """Commits each block while the next is computed. Both go in the order of the turns, each in its own thread."""

    def __init__(self, work: Work) -> None:
        self._work, self._computer, self._writer = work, ThreadPoolExecutor(1), ThreadPoolExecutor(1)
        self._turn, self._turned = 0, asyncio.Condition()

    async def run(self, turn: int, block: int, shared: Any) -> Note:
        """Compute and commit a block, once the blocks of all earlier turns (0, 1, …) have begun."""
        loop = asyncio.get_running_loop()
        async with self._turned:
            await self._turned.wait_for(lambda: self._turn == turn)
            computed = loop.run_in_executor(self._computer, self._work, block, shared)
            self._turn += 1
            self._turned.notify_all()
        return await loop.run_in_executor(self._writer, await computed)


class BlockWork:
    """Holds the compiled simulator of a job; called with a block number, simulates that block.

    In a gang every process does the same and has the same results; the first commits them.
    """

    def __init__(self, job: Job, network: FirmNetwork) -> None:
        self._job = job
        self._simulator = Simulator(parse_spec(job.spec), network, job.plan.members_per_block, job.shard_of)
        self._simulator.prepare()

    def __call__(self, block: int, shared: None = None) -> Callable[[], Note]:
        start, members = time.time(), self._job.plan.block(block)
        arrays = self._simulator.simulate(members)
        seconds = time.time() - start

        def commit() -> Note:
            if jax.process_index() != 0:
                return {}
            note: Note = {
                "failed": failed_members(arrays, members),
                "seconds": seconds,
                "finished": time.time(),
                "worker": f"{socket.gethostname()}:{os.getpid()}",
                "members": [members.start, members.stop],
                "bytes": sum(of.nbytes for of in arrays.values()),
            }
            return note | {"draft": write_block(self._job.run, block, arrays, note)}

        return commit


class EnsembleWork:
    """Holds the problem of a calibration; called with a block number, pulls that block of members to the data.

    A block is committed when its file is there; a block pulled twice has the same numbers.
    """

    def __init__(self, job: Job, network: FirmNetwork) -> None:
        from shockmesh.cluster.calibrating.calibration import bind_calibration

        self._job, self._spec = job, parse_spec(job.spec)
        self._bound = bind_calibration(self._spec, network)

    def __call__(self, block: int, shared: None = None) -> Callable[[], Note]:
        from shockmesh.cluster.calibrating.fit import pull_members

        start, members = time.time(), self._job.plan.block(block)
        arrays = pull_members(self._spec, self._bound, members)
        seconds = time.time() - start

        def commit() -> Note:
            write_arrays(self._job.run / MEMBERS / f"{block}.npz", arrays)
            return {
                "failed": [members[i] for i in np.flatnonzero(arrays["failed"])],
                "seconds": seconds,
                "finished": time.time(),
                "members": [members.start, members.stop],
                "bytes": sum(of.nbytes for of in arrays.values()),
            }

        return commit


class ParticleWork:
    """Holds a problem and its guide; called with a block and the guide's state, differentiates those particles."""

    def __init__(self, job: Job, network: FirmNetwork) -> None:
        from shockmesh.cluster.calibrating.calibration import bind_calibration
        from shockmesh.cluster.calibrating.fit import make_method
        from shockmesh.inference.svi import particle_gradients

        self._plan, spec = job.plan, parse_spec(job.spec)
        self._x64 = spec.precision == "float64"
        bound = bind_calibration(spec, network)
        with jax.enable_x64(self._x64):
            method = make_method(spec, bound)
        self._problem, self._gradients = bound.problem, jax.jit(partial(particle_gradients, method))

    def __call__(self, block: int, state: Any) -> Callable[[], Note]:
        particles = np.asarray(self._plan.block(block % self._plan.blocks))
        with jax.enable_x64(self._x64):
            state = jax.tree.map(jax.numpy.asarray, state)
            losses, gradient = jax.device_get(self._gradients(self._problem, state, particles))
        return lambda: {"losses": losses, "gradient": gradient}


def make_work(job: Job, network: FirmNetwork) -> Work:
    """What the spec of a job asks of a worker."""
    infer = job.spec.get("infer")
    if infer is None:
        return BlockWork(job, network)
    if infer["method"] == "rml":
        return EnsembleWork(job, network)
    return ParticleWork(job, network)
