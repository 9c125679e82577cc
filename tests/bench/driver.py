"""What the driver of a sweep spends on a block, and what a run of so many blocks costs to open.

    shockmesh bench driver [--workers 1000] [--blocks 10000] [--json] [--out FILE]

No kernels: the workers are simulated by a few Ray actors, each of which plays many and answers a block after half a
second. All else is real: Ray's calls, the executor, the policy, the log and the line of progress. `driver_ms` is
processor time of the driver's thread. The journal is laid out beside it, a marker and a shard for each block.
"""

import argparse
import asyncio
import json
import logging
import os
import platform
import resource
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import ray
from shockmesh.cluster.running import ray_executor
from shockmesh.cluster.running.execute import Tally, execute
from shockmesh.cluster.running.executors import close_to_others
from shockmesh.cluster.running.gang import Gang
from shockmesh.cluster.seeing.events import Event
from shockmesh.cluster.seeing.listeners import record
from shockmesh.cluster.seeing.progress import Pace, Progress
from shockmesh.io.results import create_run, finalise, open_run, write_block
from shockmesh.io.runlog import RunLog
from shockmesh.io.stores.journal import JOURNAL, PACKED, marker_path
from shockmesh.io.stores.template import Template, Variable

MEMBERS, SECONDS, HOSTS = 10, 0.5, 4  # of a block; that it takes; actors that play the workers


class Host:
    """Plays many workers."""

    async def run(self, turn: int, block: int, shared: Any) -> dict[str, Any]:
        await asyncio.sleep(SECONDS)
        return {"members": (block * MEMBERS, (block + 1) * MEMBERS), "failed": (), "seconds": SECONDS, "bytes": 1000}


def played_by(hosts: Sequence[Any]) -> type[Gang]:
    """Gangs of one that are formed from the start, their blocks run by hosts."""

    class Played(Gang):
        def __init__(self, number: int, *_: Any) -> None:
            self.number, self.since, self.ranks, self.places = number, time.monotonic(), [hosts[number % HOSTS]], []
            self.formed, self.leaves, self.calls, self._turns = True, False, deque(), count()

        def end(self) -> None:
            pass

    return Played


def driven(folder: Path, workers: int, blocks: int) -> dict[str, float]:
    """Processor time of the driver for a block [ms], growth of its memory [bytes], and blocks a second."""
    plan = SimpleNamespace(devices=1, block_seconds=SECONDS, worker_bytes=1, blocks=blocks)
    job: Any = SimpleNamespace(plan=plan, spec={"resources": {"gangs": workers}})
    hosts = [ray.remote(Host).options(num_cpus=0, max_concurrency=1000).remote() for _ in range(HOSTS)]  # pyright: ignore
    ray_executor.Gang = played_by(hosts)
    log, start = RunLog(folder), time.monotonic()

    def tell(event: Event) -> None:
        log.write(record("run", event), now=False)

    with Progress(quiet=True) as progress:

        def watch(tally: Tally) -> None:
            done = len(tally.done) * MEMBERS
            progress.show(Pace(done, blocks * MEMBERS, 1, time.monotonic() - start))

        executor = ray_executor.RayExecutor(job, None, workers, {}, tell)  # pyright: ignore
        before, spent = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.thread_time()
        tally = execute(range(blocks), executor, watch, tell)
        spent, seconds = time.thread_time() - spent, time.monotonic() - start
    grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    assert len(tally.done) == blocks
    return {"driver_ms": 1e3 * spent / blocks, "grown_bytes": grown, "blocks_per_second": blocks / seconds}


def laid_out(run: Path, blocks: int) -> None:
    """A run whose blocks are all committed, each a copy of the first."""
    output = Variable("output", (), "USD / day", "output", np.ones([], np.float32))
    create_run(run, {"spec": {}}, Template(blocks * MEMBERS, MEMBERS, 5, (output,), {}, {}, {}))
    noted = {"finished": 1.0, "seconds": SECONDS, "worker": "played", "failed": []}
    write_block(run, 0, {"output": np.ones((MEMBERS, 5), np.float32)}, noted)
    marker = json.loads(marker_path(run, 0).read_text())
    ((first, stamp),) = marker["shards"].items()
    for block in range(1, blocks):
        shard = first.replace("/c/0/", f"/c/{block}/")
        (run / shard).parent.mkdir(parents=True)
        (run / shard).write_bytes((run / first).read_bytes())
        members = [block * MEMBERS, (block + 1) * MEMBERS]
        copy = marker | {"block": block, "shards": {shard: stamp}, "members": members}
        (run / JOURNAL / f"{block}.json").write_text(json.dumps(copy, indent=1))


def seconds_of(what: Callable[[], object]) -> float:
    start = time.perf_counter()
    what()
    return time.perf_counter() - start


def opened(run: Path) -> dict[str, float]:
    """Seconds to open a run whose markers nobody has packed, to finalise it, and to open it then."""
    found = {"open_s": seconds_of(lambda: open_run(run).close()), "finalise_s": seconds_of(lambda: finalise(run))}
    packed = (run / JOURNAL / PACKED).stat().st_size
    return found | {"open_packed_s": seconds_of(lambda: open_run(run).close()), "packed_bytes": packed}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="shockmesh bench driver", description=str(__doc__).partition("\n")[0])
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--blocks", type=int, default=10_000)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--out", type=Path, help="also write the JSON there")
    args = parser.parse_args(arguments)
    about = {
        "device": f"{os.cpu_count()} cores, {platform.machine()}, load {os.getloadavg()[0]:.3g}",
        "versions": {"ray": ray.__version__, "python": platform.python_version()},
        "workers": args.workers, "blocks": args.blocks, "members": args.blocks * MEMBERS,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        laid_out(Path(folder, "run"), args.blocks)
        journal = opened(Path(folder, "run"))
        close_to_others()
        with ray.init(num_cpus=args.workers, include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False):
            driver = driven(Path(folder), args.workers, args.blocks)
    measured = driver | journal
    lines = [f"{key}: {value}" for key, value in about.items()] + [f"{key}: {of:.4g}" for key, of in measured.items()]
    found = json.dumps(about | measured, indent=1)
    sys.stdout.write((found if args.json else "\n".join(lines)) + "\n")
    if args.out:
        args.out.write_text(found)
