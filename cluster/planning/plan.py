"""The plan: the integers that a spec implies, and a refusal, before anything starts, where they do not fit.

A worker is a device that holds the network, or a gang of devices that hold a shard of it each.

Memory of one device of a worker, in bytes, for E links, N firms (E′, N′ in the largest shard), m members per block,
T days, G recorded numbers per day and member, and w bytes per number (4 or 8):

    process    PROCESS                       interpreter, JAX and Ray
    network    48 E + 96 N                   on the host, and its layout on the device
    state      m w ((6 + 2 D + C + 3 V + P) E′ + (12 + F) N′)  stocks and orders of two days, and what a step needs in
                                             between; what each of D damages still asks for, each of C cuts lets
                                             through, each of V detours has on the way; F failures of a firm; P = 4
                                             where prices move, 5 where suppliers change, and 1 for each tariff
    on the way m w 2 (R + Σ d)               R rows of links and final goods that are delayed, each by d days or stages,
                                             or wait at a route, d = 1
    gradients  m w (2 + 1.2 (D + V) + P′) k E′  a calibration: k = `kept_states`, for its backward pass: those of all
                                             days where `LITTLE` bytes hold them, else about 2 ⌈√T⌉ + 4; P′ = 1.4 where
                                             prices move, 3.6 where suppliers change
    records    3 m T w G                     twice on the device while days are turned innermost, and those of before
    tables     12 T N per table shock        read in float64, kept on the device

A calibration's driver evaluates draws, b = `EVALUATED` at once, and keeps U fields of all d of them, of the prior too:

    driver     PROCESS + 48 E + 96 N + b w ((6 + 2 D + C + 3 V + P) E + (12 + F) N) + 4 d w U N

Measured: a driver with a million unknown numbers of 500,000 firms takes 4.7 GB (formula 5.5); a worker with 200,000
links, m = 16, T = 60 takes 0.52 GB (formula 0.70), with 3 million links 1.56 GB (formula 1.93), without Ray's own
0.1–0.2 GB. A GPU holds the layout (56 E′ + 48 N′, of which 30 E′ are what groups read; or a table's w C) instead of the
first two rows.

Time is that of a block on a core (`kernels/devices/roofline.py`), times the blocks of the busiest worker (where
particles step a guide: of every step), plus the start of the workers and, after a calibration, the simulations of its
draws.
"""

import math
import os
from collections.abc import Collection
from dataclasses import asdict, dataclass, field

import numpy as np
from jaxtyping import Int
from shockmesh.cluster.planning.amounts import human_bytes
from shockmesh.cluster.planning.loads import Drawn, by_link, drawn, kept_numbers, per_link, tariffs_of
from shockmesh.cluster.spec.binding import Bound
from shockmesh.cluster.spec.fields import parse_bytes
from shockmesh.cluster.spec.models import Spec
from shockmesh.cluster.spec.shocks import TableShock
from shockmesh.kernels.devices.layout import linked, pools_of, suits_table, table_cells
from shockmesh.kernels.devices.partition import Cut, cut_of, partition
from shockmesh.kernels.devices.roofline import CORE, Device, Work
from shockmesh.kernels.network import FirmNetwork
from shockmesh.kernels.rollout import LITTLE, affordable_states, kept_states

PROCESS = 600_000_000
START_SECONDS = 10
BLOCKS_PER_WORKER = 2
LARGEST_BLOCK = 32
EVALUATED = 32  # draws of a calibration that are simulated together
LANES = 8
MEMORY_SHARE = 0.8


class PlanError(ValueError):
    """A plan that does not fit. The message names both numbers."""


@dataclass(frozen=True)
class Sizes:
    """The integers of a network."""

    firms: int
    links: int
    pools: int
    regions: int
    sectors: int
    cells: int = 0  # of the table that holds the links, where the model suits one
    drawn: Drawn = field(default_factory=Drawn)
    cut: Cut | None = None  # of the network into shards, where a worker has several devices

    @property
    def of_device(self) -> tuple[int, int]:
        """Firms and links of the largest shard."""
        if self.cut is None:
            return self.firms, self.links
        return self.cut.firms, max(self.cut.links)


@dataclass(frozen=True)
class Plan:
    """The integers of a run."""

    firms: int
    links: int
    days: int
    members: int
    members_per_block: int
    blocks: int
    workers: int
    devices: int  # of one worker
    ghosts: int  # firms that a device sees on another, over all devices
    collectives: int  # all-to-alls of a day between the devices of a worker
    sums: int  # all-reduces of a day between them, of a few numbers
    collective_bytes: int  # that one all-to-all moves, for a block
    worker_bytes: int  # memory that one device of a worker needs
    driver_bytes: int  # memory that the driver of a calibration needs; 0 for a sweep
    memory_bytes: int  # memory that it has
    output_bytes: int  # of the whole result, before compression
    link_steps: int  # links · days · members
    block_seconds: int  # estimate of the time of a block
    seconds: int  # estimate of the wall time

    def as_dict(self) -> dict[str, int]:
        return asdict(self)

    @property
    def brief(self) -> bool:
        """Whether the run is over before workers of its own would have started: it may stay in one process."""
        return self.seconds < START_SECONDS

    def block(self, number: int) -> range:
        """The members of a block."""
        start = number * self.members_per_block
        return range(start, min(start + self.members_per_block, self.members))

    def count(self, blocks: Collection[int]) -> int:
        """How many members some blocks have. Only the last may be shorter."""
        missing = self.blocks * self.members_per_block - self.members
        return len(blocks) * self.members_per_block - missing * (self.blocks - 1 in blocks)


def shards_of(spec: Spec, network: FirmNetwork) -> Int[np.ndarray, " firm"] | None:
    """Which device of a worker each firm lives on; None where a worker is one device.

    Raises:
        PlanError: more devices than firms.
    """
    devices = spec.resources.devices_per_gang
    if devices > network.n_firms:
        raise PlanError(f"resources.devices_per_gang: {devices}: the economy has only {network.n_firms} firms")
    return partition(linked(network, spec.model.switches), devices) if devices > 1 else None


def sizes_of(
    spec: Spec, network: FirmNetwork, shard_of: Int[np.ndarray, " firm"] | None = None, bound: Bound | None = None
) -> Sizes:
    """The integers of a network as a spec's model keeps it, and of its cut into shards; `bound` as in `drawn`."""
    told, network = drawn(spec, network, bound), linked(network, spec.model.switches)
    return Sizes(
        firms=network.n_firms,
        links=network.n_links,
        pools=len(pools_of(network.buyer, network.product)[1]),
        regions=len(network.regions),
        sectors=len(network.sectors),
        cells=table_cells(network) if shard_of is None and kept_as_table(spec, network) else 0,
        drawn=told,
        cut=None if shard_of is None else cut_of(network, shard_of),
    )


def kept_as_table(spec: Spec, network: FirmNetwork) -> bool:
    """Whether a worker that is one device keeps the links as a table: see `suits_table`."""
    return suits_table(
        network, spec.model.switches, by_link=any(by_link(spec)) or bool(spec.model.delays or spec.model.routes)
    )


def make_plan(spec: Spec, sizes: Sizes, *, cpus: int | None = None, memory: int | None = None) -> Plan:
    """Plan a run.

    Args:
        cpus: devices at most, where `resources.gangs` is auto; this machine's if left out.
        memory: bytes of memory of the whole machine, where `resources.memory` is auto; this machine's if left out.

    Raises:
        PlanError: one worker with one member needs more memory than it has, or a calibration's driver does.
    """
    devices = spec.resources.devices_per_gang
    memory = memory or physical_memory()
    workers, available = _workers(spec, sizes, cpus or usable_cpus(), memory)
    _check_driver(spec, sizes, memory)
    block = _block(spec, sizes, workers, available)
    blocks = math.ceil(spec.members / block)
    of_block, of_draws = block_seconds(spec, sizes, block, CORE), evaluation_seconds(spec, sizes, CORE)
    workers, seconds = _time(spec, blocks, min(workers, blocks), of_block, of_draws)
    work = _work(spec, sizes, block)
    return Plan(
        firms=sizes.firms,
        links=sizes.links,
        days=spec.horizon.days,
        members=spec.members,
        members_per_block=block,
        blocks=blocks,
        workers=workers,
        devices=devices,
        ghosts=sum(sizes.cut.ghosts) if sizes.cut else 0,
        collectives=work.collectives,
        sums=work.sums,
        collective_bytes=sizes.cut.exchanged * block * _width(spec) if sizes.cut else 0,
        worker_bytes=worker_bytes(spec, sizes, block),
        driver_bytes=driver_bytes(spec, sizes),
        memory_bytes=available,
        output_bytes=spec.members * spec.horizon.days * _width(spec) * recorded(spec, sizes),
        link_steps=sizes.links * spec.horizon.days * spec.members,
        block_seconds=math.ceil(of_block),
        seconds=seconds,
    )


def worker_bytes(spec: Spec, sizes: Sizes, block: int) -> int:
    """Memory of one device of a worker with `block` members at once: the formula of this module's text."""
    return _process_bytes(sizes) + _block_bytes(spec, sizes, block)


def _process_bytes(sizes: Sizes) -> int:
    """A process that holds the network and its layout."""
    return PROCESS + 48 * sizes.links + 96 * sizes.firms


def driver_bytes(spec: Spec, sizes: Sizes) -> int:
    """Memory that evaluating a calibration's draws takes, by the formula of this module's text; 0 for a sweep."""
    if spec.infer is None:
        return 0
    state = EVALUATED * (per_link(spec) * sizes.links + (12 + sizes.drawn.failures) * sizes.firms)
    state += EVALUATED * 2 * (sizes.drawn.on_the_way + sizes.drawn.rows)
    fields = 4 * spec.infer.draws * len(spec.infer.parameters) * sizes.firms
    return _process_bytes(sizes) + _width(spec) * (state + fields)


def _check_driver(spec: Spec, sizes: Sizes, memory: int) -> None:
    need, available = driver_bytes(spec, sizes), int(memory * MEMORY_SHARE)
    if need > available:
        raise PlanError(
            f"memory: evaluating draws needs {human_bytes(need)} and the machine has {human_bytes(available)}; "
            "use fewer draws (infer.draws), or a machine with more memory"
        )


def device_bytes(spec: Spec, sizes: Sizes, block: int) -> int:
    """The part of `worker_bytes` that lies on a GPU, which has memory of its own."""
    firms, links = sizes.of_device
    layout = _width(spec) * sizes.cells if sizes.cells else 56 * links
    return layout + 48 * firms + _block_bytes(spec, sizes, block)


def _block_bytes(spec: Spec, sizes: Sizes, block: int) -> int:
    width, days = _width(spec), spec.horizon.days
    firms, links = sizes.of_device
    tables = sum(_copies(spec, shock, block) for shock in spec.shocks if isinstance(shock, TableShock))
    here = links / max(1, sizes.links)  # the largest shard's part of what is on the way
    on_the_way = math.ceil(here * sizes.drawn.on_the_way)
    state = per_link(spec) * links + (12 + sizes.drawn.failures) * firms + 2 * (on_the_way + here * sizes.drawn.rows)
    state = block * width * math.ceil(state)
    records = 3 * block * days * width * recorded(spec, sizes)
    gradients = 0
    if spec.infer is not None:
        numbers = links * kept_numbers(spec) + here * sizes.drawn.kept
        gradients = _kept_bytes(days, math.ceil(block * width * numbers), block * width * on_the_way)
    return state + gradients + records + tables * 12 * days * sizes.firms


def _copies(spec: Spec, shock: TableShock, block: int) -> int:
    """How often a table is held: for each member where its loss is swept."""
    return block if any(path.startswith(f"shocks.{shock.name}.loss") for path in spec.sweep.paths) else 1


def _kept_bytes(days: int, state_bytes: int, on_the_way: int) -> int:
    """What a backward pass keeps of all its states; and of what is on the way, in bytes: at every block, and thrice."""
    starts = 3 + math.isqrt(days) if on_the_way else 0
    return state_bytes * kept_states(days, affordable_states(days, state_bytes, LITTLE)) + on_the_way * starts


def block_seconds(spec: Spec, sizes: Sizes, block: int, device: Device) -> float:
    """Time of a block on a device of a worker: a rollout; a gradient for a guide's step; an ensemble's gradients."""
    work = _work(spec, sizes, block)
    if spec.infer is None:
        return work.seconds(device)
    return (spec.infer.steps if spec.infer.method == "rml" else 1) * work.seconds(device, gradient=True)


def evaluation_seconds(spec: Spec, sizes: Sizes, device: Device) -> float:
    """Time in which a calibration's driver simulates its draws, after the fit, and those of the prior.

    Draws of a guide are simulated once more, for their weights.
    """
    if spec.infer is None:
        return 0.0
    times = 3 if spec.infer.method == "svi" else 2
    return times * math.ceil(spec.infer.draws / EVALUATED) * _work(spec, sizes, EVALUATED).seconds(device)


def _work(spec: Spec, sizes: Sizes, block: int) -> Work:
    firms, links = sizes.of_device
    cuts, detours, damages = by_link(spec)
    return Work(
        spec.model.switches, spec.horizon.days, block, _width(spec), firms, links,
        pools=sizes.pools * links // max(1, sizes.links), cells=sizes.cells, cuts=cuts, detours=detours,
        damages=damages, tariffs=tariffs_of(spec), delays=len(spec.model.delays), routes=len(spec.model.routes),
        failures=sizes.drawn.failures,
        rows=sizes.cut.exchanged // len(sizes.cut.links) if sizes.cut else 0,
    )  # fmt: skip


def rounds(spec: Spec, blocks: int, workers: int) -> int:
    """How many blocks the busiest worker has, one after the other, over all steps of a guide."""
    steps = spec.infer.steps if spec.infer is not None and spec.infer.method == "svi" else 1
    return steps * math.ceil(blocks / workers)


def _time(spec: Spec, blocks: int, workers: int, of_block: float, of_draws: float) -> tuple[int, int]:
    """Workers, and seconds with their start; for a brief sweep one without a start, unless the spec asks for gangs."""
    alone, free = math.ceil(blocks * of_block), spec.infer is None and spec.resources.gangs == "auto"
    if free and spec.resources.devices_per_gang == 1 and alone < START_SECONDS:
        return 1, alone
    return workers, START_SECONDS + math.ceil(rounds(spec, blocks, workers) * of_block + of_draws)


def recorded(spec: Spec, sizes: Sizes) -> int:
    """Numbers recorded per day and member."""
    by_dim = {"region": sizes.regions, "sector": sizes.sectors, "firm": sizes.firms}
    return sum(math.prod(by_dim[dim] for dim in dims) for dims in spec.record.values())


def _workers(spec: Spec, sizes: Sizes, cpus: int, memory: int) -> tuple[int, int]:
    """Workers, and the memory of a device of each: as asked for, or as one machine's cores and memory carry."""
    devices = spec.resources.devices_per_gang
    wanted = max(1, cpus // devices) if spec.resources.gangs == "auto" else spec.resources.gangs
    wanted = min(wanted, spec.members)
    need = worker_bytes(spec, sizes, 1) * devices
    if spec.resources.memory == "auto" and spec.resources.gangs == "auto":
        wanted = max(1, min(wanted, int(memory * MEMORY_SHARE) // need))
    if spec.resources.memory == "auto":
        return wanted, int(memory * MEMORY_SHARE) // (wanted * devices)
    return wanted, parse_bytes(spec.resources.memory)


def _block(spec: Spec, sizes: Sizes, workers: int, available: int) -> int:
    """Members per block: enough blocks to keep every worker busy to the end, and no more memory than there is."""
    given = spec.resources.members_per_block
    even = spec.members // (BLOCKS_PER_WORKER * workers)
    lanes = even // LANES * LANES or even  # vector registers hold eight members
    wanted = max(1, min(LARGEST_BLOCK, lanes)) if given == "auto" else min(given, spec.members)
    least = 1 if given == "auto" else wanted
    for block in range(wanted, least - 1, -1):
        if worker_bytes(spec, sizes, block) <= available:
            return block
    need = worker_bytes(spec, sizes, least)
    raise PlanError(
        f"memory: a worker with {least} members at once needs {human_bytes(need)} and has {human_bytes(available)}; "
        "use fewer workers (resources.gangs), record less, or a machine with more memory"
    )


def _width(spec: Spec) -> int:
    return 8 if spec.precision == "float64" else 4


def readable(plan: Plan) -> dict[str, str]:
    """The plan as a person reads it."""
    sums = f", and {plan.sums} sum{'s' * (plan.sums > 1)} of a few numbers" if plan.sums else ""
    gang = {
        "gangs": f"{plan.workers} of {plan.devices} devices, each device with a shard of the network",
        "ghosts": f"{plan.ghosts:,} firms that a device sees on another ({plan.ghosts / plan.firms:.3g} per firm)",
        "collectives": f"{plan.collectives} a day, {human_bytes(plan.collective_bytes)} each{sums}",
        "memory of a device": f"{human_bytes(plan.worker_bytes)} of {human_bytes(plan.memory_bytes)}",
    }
    worker = {
        "workers": "none but this process" if plan.brief else f"{plan.workers}, each with the whole network",
        "memory of a worker": f"{human_bytes(plan.worker_bytes)} of {human_bytes(plan.memory_bytes)}",
    }
    return {
        "firms": f"{plan.firms:,}",
        "links": f"{plan.links:,}",
        "days": f"{plan.days:,}",
        "members": f"{plan.members:,} in {plan.blocks:,} blocks of {plan.members_per_block}",
        **(worker if plan.devices == 1 else gang),
        **({"memory of the driver": f"{human_bytes(plan.driver_bytes)}, for its draws"} if plan.driver_bytes else {}),
        "output": f"{human_bytes(plan.output_bytes)} before compression",
        "link-steps": f"{plan.link_steps:.3g}",
        "time": f"about {plan.seconds:,} s",
    }


def usable_cpus() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def physical_memory() -> int:
    """Bytes of memory of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
