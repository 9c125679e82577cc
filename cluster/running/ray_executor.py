"""Blocks on Ray actors, in gangs of one or more; an actor has a core or a GPU. A gang is replaced when it fails.

Gangs write their results themselves; only small notes travel. Actors are not detached, so a driver that is killed takes
them along; the journal says what was committed.
"""

import logging
import os
import socket
import sys
import time
import warnings
from collections.abc import Generator
from contextlib import contextmanager, redirect_stdout
from typing import Any

import ray
from ray._private.worker import global_worker
from shockmesh.cluster.running.execute import Outcome, WorkersError
from shockmesh.cluster.running.gang import FAILED, LOST, Gang, why
from shockmesh.cluster.running.work import Job
from shockmesh.cluster.seeing.events import GangEnded, GangFormed, GangLeaves, Tell, silent
from shockmesh.kernels.network import FirmNetwork

QUEUE = 2  # blocks per gang: one at work, one waiting or being committed, so that no device waits for the driver
PATIENCE_SECONDS, PATIENCE = 120.0, 10.0
POLL_SECONDS = 0.5
LOOK_SECONDS = 2.0  # between looks at the nodes: which have joined, which will go
CONNECT_SECONDS = 10.0
STILLBORN = 3  # gangs in a row that die while they form, before no more are tried
LEFT = "its node is to be taken away"
WORKER_ENVIRONMENT = {  # one core, or most of one GPU
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "OMP_NUM_THREADS": "1",
    "XLA_PYTHON_CLIENT_MEM_FRACTION": "0.85",
}
QUIET_RAY = {"RAY_IGNORE_UNHANDLED_ERRORS": "1", "RAY_USAGE_STATS_ENABLED": "0"}  # nothing is sent anywhere


@contextmanager
def ray_cluster(address: str | None, cores: int) -> Generator[dict[str, Any]]:
    """A connection to a cluster, or a local one for the time of the run; one that exists already is left as it is.

    Yields the options of actors. Those of a local cluster inherit its environment, so that Ray need not start a new
    process for each.

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
            raise WorkersError(f"Ray at {address or 'this machine'} does not start: {why(error)}") from error
    with redirect_stdout(sys.stderr):  # a node that dies prints what it logged last; standard output is for results
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


class RayExecutor:
    """Keeps `workers` gangs busy with at most `QUEUE` blocks each; a gang gets its first once it is prepared.

    So a gang for which the cluster has no room yet delays nothing, and one that cannot be prepared costs no block. A
    gang that fails is ended and replaced. So is one that has been at a step or a block for more than `patience` seconds
    and more than `PATIENCE` times the longest block so far (at first, the plan's estimate).

    With `resources.gangs: auto` there are as many gangs as the cluster has room for, also on nodes that join later;
    else as many as were asked for, and those without room wait for it. A gang on a node that is to be taken away
    leaves: it ends after the block it is at, and another is started at once.

    Raises:
        WorkersError: the cluster is too small for one gang.
    """

    def __init__(
        self,
        job: Job,
        network: FirmNetwork,
        workers: int,
        options: dict[str, Any],
        tell: Tell = silent,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        gpus = int(ray.cluster_resources().get("GPU", 0))
        self._job, self._network, self._size = ray.put(job), ray.put(network), job.plan.devices
        self._auto, self._plan = job.spec["resources"]["gangs"] == "auto", job.plan
        self._options: dict[str, Any] = {"num_cpus": 1, "num_gpus": 1 if gpus else 0, **options}
        self._shared: Any = None
        self._patience, self._longest = patience, float(job.plan.block_seconds)
        self._seen = False  # a block that was done
        self.gangs: list[Gang] = []
        self._tell, self._started = tell, 0
        self._stillborn = 0  # gangs in a row that died while they formed
        _check_room(self._size, gpus)
        self._looked, self._wanted = time.monotonic(), 0 if self._auto and gpus else workers
        for _ in range(self._wanted):
            self._start()
        self._grow()

    @property
    def room(self) -> int:
        return sum(QUEUE - len(gang.calls) for gang in self._formed)

    @property
    def idle(self) -> int:
        return sum(not gang.calls for gang in self._formed)

    def gone(self, nodes: tuple[str, ...]) -> bool:
        return bool({node["NodeID"] for node in ray.nodes() if not node["Alive"]} & {*nodes})

    def share(self, value: Any) -> None:
        require_node()
        self._shared = ray.put(value)

    def submit(self, block: int) -> None:
        min(self._formed, key=lambda gang: len(gang.calls)).submit(block, self._shared)

    def outcomes(self) -> list[Outcome]:
        require_node()
        if time.monotonic() - self._looked > LOOK_SECONDS:
            self._looked = time.monotonic()
            self._heed_notices()
            self._grow()
        waited = {reference: gang for gang in self.gangs if gang.calls for reference in gang.calls[0].unanswered}
        heard = list[Outcome]()
        for reference in _answered([*waited]):
            if waited[reference] in self.gangs:  # else another of its ranks has ended it
                heard += self._heard(waited[reference], reference)
        return heard + [found for gang in [*self.gangs] if self._overdue(gang) for found in self._hung(gang)]

    def close(self) -> None:
        for gang in self.gangs:
            gang.end()
        self.gangs.clear()

    @property
    def _formed(self) -> list[Gang]:
        """The gangs that take blocks."""
        return [gang for gang in self.gangs if gang.formed and not gang.leaves]

    def _grow(self) -> None:
        """Start gangs where nodes have joined."""
        if self._auto:
            room = min(_devices(self._plan.worker_bytes) // self._size, self._plan.blocks)
            for _ in range(room - self._wanted):
                self._start()
            self._wanted = max(self._wanted, room)

    def _heed_notices(self) -> None:
        """Gangs whose nodes are to be taken away leave; one that has no block ends at once."""
        leaving = nodes_that_leave()
        for gang in [*self.gangs]:
            if not gang.leaves and any(place.node in leaving for place in gang.places):
                gang.leaves = True
                self._tell(GangLeaves(gang.number, LEFT))
                self._start()
                if not gang.formed or not gang.calls:
                    self._end(gang, LEFT)

    def _start(self) -> None:
        self.gangs.append(Gang(self._started, self._size, self._job, self._network, self._options))
        self._started += 1

    def _heard(self, gang: Gang, reference: Any) -> list[Outcome]:
        """What the answer of a rank means."""
        forming = not gang.formed
        try:
            call = gang.answered(reference)
        except FAILED as error:
            return self._failed(gang, error) if gang.formed else self._not_formed(gang, why(error))
        if gang.formed and forming:
            self._stillborn = 0
            places = tuple(f"{place.address}:{place.process}" for place in gang.places)
            self._tell(GangFormed(gang.number, places, time.monotonic() - gang.since))
        if call is None or call.block is None:
            return []
        seconds = time.monotonic() - call.since
        self._longest, self._seen = max(self._longest if self._seen else 0.0, seconds), True
        return self._let_go(gang, Outcome(call.block, "done", ray.get(call.references[0]), gang=gang.number))

    def _failed(self, gang: Gang, error: Exception) -> list[Outcome]:
        """A block raised in a rank, or a rank is lost. Only a gang of one goes on after an exception."""
        if isinstance(error, LOST):
            return self._drop(gang, why(error))
        if len(gang.ranks) == 1:
            return self._let_go(gang, _raised(gang, error))
        broken = gang.broke(error)
        if broken:
            return self._drop(gang, why(broken))
        raised = _raised(gang, error)
        return [raised, *self._drop(gang, "its gang ended", charged=False)]

    def _let_go(self, gang: Gang, over: Outcome) -> list[Outcome]:
        """A block is over: if the gang leaves, it goes now, and blocks that it has not begun go elsewhere."""
        return [over, *(self._drop(gang, LEFT, charged=False) if gang.leaves else [])]

    def _overdue(self, gang: Gang) -> bool:
        if not gang.calls or gang.calls[0].waits_for_room:
            return False
        return time.monotonic() - gang.calls[0].since > max(self._patience, PATIENCE * self._longest)

    def _hung(self, gang: Gang) -> list[Outcome]:
        message = f"no answer for {time.monotonic() - gang.calls[0].since:.0f} s"
        return self._drop(gang, message) if gang.formed else self._not_formed(gang, message)

    def _drop(self, gang: Gang, message: str, charged: bool = True) -> list[Outcome]:
        """End a gang and start another; all its blocks are lost, the one at work by its fault."""
        self._end(gang, message)
        if not gang.leaves:  # else another was started then
            self._start()
        blocks = [call.block for call in gang.calls if call.block is not None]
        nodes = tuple(place.node for place in gang.places)
        return [
            Outcome(lost, "lost", message=message, charged=charged and i == 0, nodes=nodes, gang=gang.number)
            for i, lost in enumerate(blocks)
        ]

    def _not_formed(self, gang: Gang, message: str) -> list[Outcome]:
        """Replace a gang that failed to form, unless that happened too often."""
        self._stillborn += 1
        self._end(gang, message)
        if self._stillborn < STILLBORN:
            self._start()
        elif not self.gangs:
            raise WorkersError(f"no workers: {self._stillborn} in a row failed to start; the last: {message}")
        return []

    def _end(self, gang: Gang, message: str) -> None:
        self.gangs.remove(gang)
        gang.end()
        self._tell(GangEnded(gang.number, message))


def require_node() -> None:
    """See that Ray's own processes still run on this machine, whose shared memory a driver needs.

    Without them Ray ends a driver that reads or writes a value: at once, with code 1, and without a word.

    Raises:
        WorkersError: they do not.
    """
    node = global_worker.node
    if node is None:  # through Ray's client: its driver is elsewhere
        return
    try:
        with socket.socket(socket.AF_UNIX) as to_node:
            to_node.connect(node.raylet_socket_name)
    except OSError as error:
        raise WorkersError(f"Ray's processes on this machine have ended ({error.strerror or error})") from error


def nodes_that_leave() -> set[str]:
    """Ray's names of the nodes that are to be taken away: spot instances with a notice, pods that are being deleted.

    Ray has no public call for it; where this one does not work any more, nodes go without notice.
    """
    try:
        from ray._private.state import state

        return {*state.get_draining_nodes()}
    except Exception:
        return set()


def _answered(references: list[Any]) -> list[Any]:
    """Wait a little for one; all that have been answered by then, for a look at thousands costs milliseconds."""
    if not references:
        return []
    ray.wait(references, num_returns=1, timeout=POLL_SECONDS)
    return ray.wait(references, num_returns=len(references), timeout=0)[0]


def _devices(memory: int) -> int:
    """GPUs of the cluster; if there are none, cores, as far as each node has the memory for a worker on each."""
    gpus = int(ray.cluster_resources().get("GPU", 0))
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return gpus or sum(min(int(of.get("CPU", 0)), int(of.get("memory", 0)) // memory) for of in nodes)


def _check_room(size: int, gpus: int) -> None:
    kind, has = ("GPU", gpus) if gpus else ("CPU", int(ray.cluster_resources().get("CPU", 0)))
    if size > max(1, has):
        raise WorkersError(f"resources.devices_per_gang: {size}: the cluster has {has} {kind}s")


def _raised(gang: Gang, error: Exception) -> Outcome:
    block = gang.calls.popleft().block
    assert block is not None
    return Outcome(block, "error", message=why(error), gang=gang.number)
