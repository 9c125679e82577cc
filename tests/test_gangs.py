"""A simulation over the devices of a gang gives what one device gives, whatever happens to the gang."""

import logging
import math
import os
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Timer
from typing import Any

import numpy as np
import pytest
import ray
from drivers import alive, wait_for
from ray._raylet import GcsClient  # pyright: ignore[reportAttributeAccessIssue]
from ray.cluster_utils import Cluster
from ray.core.generated.autoscaler_pb2 import DrainNodeReason  # pyright: ignore[reportAttributeAccessIssue]
from shockmesh.cluster.running import ray_executor
from shockmesh.cluster.running.execute import Tally, execute
from shockmesh.cluster.running.gang import Gang
from shockmesh.cluster.running.ray_executor import PATIENCE_SECONDS, QUIET_RAY, RayExecutor, ray_cluster
from shockmesh.cluster.running.run import create, run
from shockmesh.cluster.seeing.events import BlockDone, BlockLost, Event, GangFormed, GangLeaves, Tell, silent
from shockmesh.io.networks.store import write_network
from shockmesh.io.results import finalise, open_run, verify

SPEC = """
economy: economy.zarr
horizon: {days: 15}
shocks:
  - {name: storm, kind: recovery, where: {share: 0.3}, loss: 0.6, onset: 2, recovery_start: 4, recovery_days: 5}
  - {name: rain, kind: table, file: rain.csv}
  - {name: outages, kind: failures, where: {sector: S2}, loss: 0.4, days_between_failures: 5, repair_days: 2}
sweep:
  seed: 3
  members: 7
  vary: {shocks.storm.loss: {uniform: [0.2, 0.9]}, model.inventory_days: {uniform: [4, 9]}}
record: {output: [sector], inventory: [], final_consumption: [firm]}
resources: {members_per_block: 2, gangs: 1}
"""
LOG = logging.getLogger(__name__)
TOLERANCE = {"float64": 1e-12, "float32": 1e-5}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, random_network) -> Path:
    """A spec and its economy, and what it gives on one device in each precision."""
    folder = tmp_path_factory.mktemp("gangs")
    write_network(random_network(firms=80, links=400), folder / "economy.zarr")
    (folder / "rain.csv").write_text("sector,day,factor\nS0,3,0.8\nS1,5,0.9\nS0,9,1\n")
    (folder / "storm.yaml").write_text(SPEC)
    for precision in TOLERANCE:
        started(folder, folder / precision, 1, f"precision={precision}", address="local")
    return folder


def started(folder: Path, path: Path, devices: int, *overrides: str, address: str | None = None) -> None:
    given = [f"resources.devices_per_gang={devices}", *overrides]
    summary = run(folder / "storm.yaml", path, given, address=address, quiet=True)
    assert summary.complete, summary.text()


def assert_same(path: Path, folder: Path, precision: str) -> None:
    assert verify(path) == []
    with open_run(path) as one, open_run(folder / precision) as other:
        assert one.sizes == other.sizes
        for name in ("output", "inventory", "final_consumption", "output_baseline"):
            scale = float(np.abs(other[name]).max())
            np.testing.assert_allclose(
                one[name], other[name], rtol=TOLERANCE[precision], atol=TOLERANCE[precision] * scale
            )


@pytest.mark.parametrize(("devices", "precision"), [(2, "float64"), (4, "float64"), (8, "float32")])
def test_the_devices_of_one_process(folder, tmp_path, devices, precision):
    started(folder, tmp_path / "run", devices, f"precision={precision}", address="local")
    assert_same(tmp_path / "run", folder, precision)


def test_more_devices_than_there_are(folder, tmp_path):
    summary = run(
        folder / "storm.yaml", tmp_path / "run", ["resources.devices_per_gang=9"], address="local", quiet=True
    )
    assert summary.stopped == (
        "resources.devices_per_gang: 9: this process has 8; with JAX_NUM_CPU_DEVICES=9 it simulates as many"
    )


# On a real cluster: one machine plays several nodes; a rank is a process that talks to the others by gloo.

LONG = """
economy: economy.zarr
horizon: {days: 300}
shocks:
  - {name: storm, kind: recovery, where: {share: 0.3}, loss: 0.6, onset: 2, recovery_start: 4, recovery_days: 50}
sweep: {seed: 3, members: 28, vary: {shocks.storm.loss: {uniform: [0.2, 0.9]}}}
record: {output: [sector], final_consumption: [firm]}
resources: {members_per_block: 1, gangs: 1, devices_per_gang: 2}
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A node of one core, to which this process is connected; tests add others."""
    quick = {"health_check_period_ms": 500, "health_check_timeout_ms": 1000, "health_check_failure_threshold": 4}
    spare = {"prestart_worker_first_driver": False}  # workers that no gang would use
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore")
        for name, value in QUIET_RAY.items():
            patch.setenv(name, value)
        head = {"num_cpus": 0, "include_dashboard": False, "_system_config": quick | spare}
        nodes = Cluster(initialize_head=True, head_node_args=head)
        add_node(nodes, 1)
        ray.init(address=nodes.address, logging_level=logging.ERROR, log_to_driver=False)
        yield nodes
        ray.shutdown()
        nodes.shutdown()


def add_node(nodes: Cluster, cores: int) -> str:
    """Ray's name of it. A node that joins is a new program, to which JAX's threads do not matter."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"os\.fork", RuntimeWarning)
        return nodes.add_node(num_cpus=cores, object_store_memory=100_000_000).node_id


def make_room(nodes: Cluster, cores: int) -> None:
    """Have so many cores, by nodes of two."""
    while ray.cluster_resources().get("CPU", 0) < cores:
        add_node(nodes, 2)


@pytest.fixture(scope="module")
def undisturbed(folder) -> Path:
    """The long spec, run on two devices of this process."""
    (folder / "long.yaml").write_text(LONG)
    assert run(folder / "long.yaml", folder / "long", address="local", quiet=True).complete
    return folder / "long"


def assert_equal(path: Path, undisturbed: Path) -> None:
    finalise(path)
    assert verify(path) == []
    with open_run(path) as one, open_run(undisturbed) as other:
        assert one.sizes == other.sizes
        for name in ("output", "final_consumption"):
            np.testing.assert_array_equal(one[name], other[name])


type Strike = Callable[[Gang], None]


@dataclass
class Attack:
    """Strikes at a gang, a while after it has done some blocks, and what follows, by this process's clock."""

    strike: Strike
    after: int  # blocks
    delay: float = 0.0  # seconds
    gang: Gang | None = None
    struck: float = 0.0
    found: float = 0.0  # the gang was given up
    recovered: float = 0.0  # the next block was done
    done: int = 0  # blocks, when it was found

    def watch(self, executor: RayExecutor, tally: Tally) -> None:
        if len(tally.done) >= self.after and not self.struck:
            self.struck = math.inf
            Timer(self.delay, self._hit, [executor.gangs[0]]).start()
        if self.gang and self.gang not in executor.gangs and not self.found:
            self.found, self.done = time.monotonic(), len(tally.done)
        if self.found and len(tally.done) > self.done and not self.recovered:
            self.recovered = time.monotonic()

    def _hit(self, gang: Gang) -> None:
        while not gang.places:  # it forms
            time.sleep(0.01)
        self.struck, self.gang = time.monotonic(), gang
        self.strike(gang)

    def survivors(self, within: float = 10.0) -> list[int]:
        """Processes of the gang that was struck that do not end; Ray needs a while to end one that is stopped."""
        assert self.gang is not None
        end, left = time.monotonic() + within, [place.process for place in self.gang.places]
        while time.monotonic() < end and any(map(alive, left)):
            time.sleep(0.1)
        return [*filter(alive, left)]


def attacked(
    spec: Path, path: Path, attacks: list[Attack], *overrides: str, patience: float = PATIENCE_SECONDS,
    tell: Tell = silent,
) -> Tally:  # fmt: skip
    """Run a spec to its end under one attack after the other."""

    def watch(executor: RayExecutor, tally: Tally) -> None:
        over = [attack for attack in attacks if attack.recovered]
        if len(over) < len(attacks):
            attacks[len(over)].watch(executor, tally)

    job, network = create(spec, path, overrides)
    with ray_cluster(None, 0) as own:
        executor = RayExecutor(job, network, job.plan.workers, own, tell, patience)
        try:
            return execute(range(job.plan.blocks), executor, partial(watch, executor), tell)
        finally:
            executor.close()


def signalled(rank: int, number: signal.Signals) -> Strike:
    return lambda gang: os.kill(gang.places[rank].process, number)


def raising(rank: int) -> Strike:
    """Let one rank, and no other, raise an exception at its next block."""

    def spoil(worker: Any) -> None:
        worker._work = None

    return lambda gang: gang.ranks[rank].__ray_call__.remote(spoil)


@pytest.mark.ray
@pytest.mark.parametrize("gangs", ["auto", pytest.param("one more than fit", marks=pytest.mark.slow)])
def test_nodes_that_join_are_used(cluster, undisturbed, tmp_path, monkeypatch, gangs):
    monkeypatch.setattr(ray_executor, "LOOK_SECONDS", 0.5)
    cores = int(ray.cluster_resources()["CPU"])
    asked = {"gangs": gangs if gangs == "auto" else cores + 1, "devices_per_gang": 1, "memory": "2 GB"}
    settings = [f"resources.{name}={value}" for name, value in asked.items()]
    job, network = create(undisturbed.parent / "long.yaml", tmp_path / "run", settings)
    with ray_cluster(None, 0) as own:
        executor = RayExecutor(job, network, job.plan.workers, own)
        try:
            wait_for_gangs(executor, cores)
            node = add_node(cluster, 1)
            wait_for_gangs(executor, cores + 1)
            assert node in {gang.places[0].node for gang in executor.gangs}
            assert not executor.gone((node,))
            remove(cluster, node)
            wait_for(lambda: executor.gone((node,)), 60, "news that the node is gone")
        finally:
            executor.close()


def wait_for_gangs(executor: RayExecutor, formed: int) -> None:
    def are_there() -> bool:
        executor.outcomes()
        return executor.idle >= formed

    wait_for(are_there, 90, f"{formed} gangs")
    assert executor.idle == formed


@pytest.mark.ray
def test_the_ranks_of_a_gang(cluster, folder, tmp_path):
    """Three ranks do not fit on one node of two cores."""
    make_room(cluster, 3)
    started(folder, tmp_path / "run", 3, "precision=float64")
    assert_same(tmp_path / "run", folder, "float64")


@dataclass
class Struck:
    """A run whose gang was attacked in every way, one after the other, and what was told of it."""

    path: Path
    attacks: dict[str, Attack]
    tally: Tally
    told: list[Event]


@pytest.fixture(scope="module")
def struck(cluster, undisturbed) -> Struck:
    """However the nodes are chosen, there is room for another gang once two of them are gone."""
    make_room(cluster, 6)
    attacks = {
        "a rank is killed": Attack(signalled(1, signal.SIGKILL), after=1),
        "one rank raises": Attack(raising(1), after=0),
        "its node is to be taken away": Attack(lambda gang: drain(gang.places[0].node), after=0),
        "its node goes": Attack(lambda gang: remove(cluster, gang.places[0].node), after=0),
    }
    told = list[Event]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ray_executor, "LOOK_SECONDS", 0.1)
        path = undisturbed.parent / "struck"
        tally = attacked(undisturbed.parent / "long.yaml", path, [*attacks.values()], tell=told.append)
    return Struck(path, attacks, tally, told)


def drain(node: str) -> None:
    """Give notice that a node will be taken away, as an autoscaler does."""
    client = GcsClient(address=ray.get_runtime_context().gcs_address)
    reason = DrainNodeReason.Value("DRAIN_NODE_REASON_PREEMPTION")
    assert client.drain_node(node, reason, "spot", int(1000 * (time.time() + 600)))[0]


def remove(nodes: Cluster, name: str) -> None:
    """Take a node away, with all that runs there."""
    (node,) = [node for node in nodes.worker_nodes if node.node_id == name]
    nodes.remove_node(node, allow_graceful=False)


@pytest.mark.ray
def test_a_gang_that_is_struck_is_formed_anew_and_no_bit_differs(struck, undisturbed):
    assert (set(struck.tally.done), struck.tally.given_up) == (set(range(28)), {})
    assert [event.gang for event in struck.told if isinstance(event, GangFormed)] == [0, 1, 2, 3, 4]
    assert_equal(struck.path, undisturbed)


FOUND = {"a rank is killed": 5, "one rank raises": 10, "its node is to be taken away": 30, "its node goes": 30}


@pytest.mark.ray
@pytest.mark.parametrize(("what", "within"), FOUND.items(), ids=FOUND)
def test_a_gang_that_is_struck_is_found_and_ends(struck, what, within):
    attack = struck.attacks[what]
    assert 0 < attack.found - attack.struck < within
    assert not attack.survivors()


@pytest.mark.ray
def test_a_gang_leaves_a_node_that_is_to_be_taken_away(struck):
    """It ends after the block it is at, without a charge."""
    (left,) = [i for i, event in enumerate(struck.told) if isinstance(event, GangLeaves)]
    gang = struck.attacks["its node is to be taken away"].gang.number
    assert struck.told[left].gang == gang
    lost = [event for event in struck.told if isinstance(event, BlockLost) and event.gang == gang]
    assert [(event.charged, event.message) for event in lost] == [(False, ray_executor.LEFT)] * len(lost)
    assert len([event for event in struck.told[left:] if isinstance(event, BlockDone) and event.gang == gang]) <= 1


@pytest.mark.slow
def test_a_worker_that_hangs_is_replaced(cluster, undisturbed, tmp_path):
    """Alone it has no rank that would miss it; the driver's patience ends it."""
    make_room(cluster, 2)
    attack = Attack(signalled(0, signal.SIGSTOP), after=1)
    alone = "resources.devices_per_gang=1"
    tally = attacked(undisturbed.parent / "long.yaml", tmp_path / "run", [attack], alone, patience=2.0)
    assert (set(tally.done), tally.given_up) == (set(range(28)), {})
    assert 2 < attack.found - attack.struck < 60
    assert not attack.survivors()


def trials() -> Iterator[tuple[str, Attack]]:
    """What happens to which rank, at a random moment of a random block, or as the gang forms."""
    moments = np.random.default_rng()
    for rank in (0, 1):
        kill, stop = signalled(rank, signal.SIGKILL), signalled(rank, signal.SIGSTOP)
        for name, strike, times in (("killed", kill, 6), ("stopped", stop, 2), ("raises", raising(rank), 2)):
            for _ in range(times):
                yield f"rank {rank} {name}", Attack(strike, int(moments.integers(1, 6)), moments.uniform(0, 1))
        for _ in range(2):
            yield f"rank {rank} killed, forming", Attack(kill, 0, moments.uniform(0, 3))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_whatever_happens_at_whatever_moment(cluster, folder, tmp_path):
    """24 trials, each a whole run. `--log-cli-level=INFO` shows the table."""
    make_room(cluster, 4)
    (folder / "longer.yaml").write_text(LONG.replace("days: 300", "days: 2000").replace("members: 28", "members: 12"))
    assert run(folder / "longer.yaml", folder / "longer", address="local", quiet=True).complete
    for i, (name, attack) in enumerate(trials()):
        start = time.monotonic()
        tally = attacked(folder / "longer.yaml", tmp_path / str(i), [attack])
        seconds = time.monotonic() - start
        LOG.info(
            "%s | after %d blocks and %.2f s | found after %.2f s | next block after %.2f s | run %.1f s | %d again",
            name, attack.after, attack.delay, attack.found - attack.struck, attack.recovered - attack.found, seconds,
            tally.lost,
        )  # fmt: skip
        assert (set(tally.done), tally.given_up) == (set(range(12)), {})
        assert attack.struck < attack.found
        assert not attack.survivors()
        assert_equal(tmp_path / str(i), folder / "longer")
