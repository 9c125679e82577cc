"""Members per second of a sweep over those of the bare kernel on the same cores, measured one after the other.

    shockmesh bench sweeps [--members 1000] [--firms 20000] [--days 60] [--workers 2] [--repeat 5] [--json]
                           [--out FILE]

The lockdown of the packaged `world2014`, swept by `shockmesh run` on a Ray cluster of its own. The bare kernel is the
same compiled rollout on inputs that lie ready, in as many processes at once as the sweep has workers, one thread each:
nothing is drawn, copied or committed; it is timed before and after every sweep. "few" records 144 numbers a day, "many"
4,972 (by region × sector). A worker's rate leaves out its first block, which it compiles for; `seconds` are those of
the whole command, with start and compilation.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import jax
import ray
import yaml

RECORDS = {
    "few": {"output": ["sector"], "value_added": ["region"], "final_consumption": ["region"]},
    "many": {"output": ["region", "sector"], "value_added": ["region", "sector"], "final_consumption": ["region"]},
}
BLOCKS = 12  # that the bare kernel is timed for
SHOCKMESH = (sys.executable, "-m", "shockmesh.cluster.cli")


def bare(spec_file: Path, block: int, repeat: int) -> float:
    """Median seconds of a block of members in this process."""
    from shockmesh.cluster.running.batch import Simulator
    from shockmesh.cluster.spec.load import load_spec
    from shockmesh.io.networks.store import read_network
    from shockmesh.kernels.rollout import rollout

    spec = load_spec(spec_file)
    simulator = Simulator(spec, read_network(spec.economy), block)
    switches, days = spec.model.switches, spec.horizon.days
    run = jax.jit(lambda layout, record, *inputs: rollout(layout, switches, *inputs, days=days, record=record))
    given, seconds = (simulator.layout(), simulator.record, *simulator.inputs(range(block))), list[float]()
    for _ in range(repeat + 1):
        start = time.perf_counter()
        jax.block_until_ready(run(*given))
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])


def bare_rate(spec_file: Path, block: int, repeat: int, workers: int) -> float:
    """Members per second of as many processes at once."""
    from shockmesh.cluster.running.ray_executor import WORKER_ENVIRONMENT

    command = [sys.executable, __file__, "bare", str(spec_file), str(block), str(repeat)]
    environment = os.environ | WORKER_ENVIRONMENT
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(workers)]
    return sum(block / float(process.communicate()[0]) for process in running)


def swept(spec_file: Path, out: Path, workers: int) -> dict[str, Any]:
    """A sweep's whole seconds, its block, and the members per second of its workers after the first block of each."""
    from shockmesh.io.runlog import read_log

    start = time.perf_counter()
    command = [*SHOCKMESH, "run", str(spec_file), "--out", str(out), "--quiet", "--set", f"resources.gangs={workers}"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    seconds, ends, sizes = time.perf_counter() - start, defaultdict(list), list[int]()
    for event in read_log(out):
        if event["event"] == "block_done":
            first, end = event["members"]
            ends[event["gang"]].append((datetime.fromisoformat(event["time"]).timestamp(), end - first))
            sizes.append(end - first)
    rate = sum(sum(size for _, size in of[1:]) / (of[-1][0] - of[0][0]) for of in ends.values())
    return {"seconds": seconds, "block": max(sizes), "blocks": len(sizes), "members_per_second": rate}


def economy(folder: Path, firms: int) -> Path:
    """A packaged table's economy with as many firms."""
    table, found = folder / "table.zarr", folder / "economy.zarr"
    for verb in (
        ("example", "world2014", folder / "example"),
        ("import", "wiod2016", "example", table),
        ("generate", table, found, "--firms", firms, "--seed", 7),
    ):
        subprocess.run([*SHOCKMESH, *map(str, verb)], check=True, stdout=subprocess.DEVNULL)
    return found


def rows(folder: Path, args: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each record and repeat: a sweep, and the bare kernel before and after it."""
    given = {"economy": str(economy(folder, args.firms)), "horizon": {"days": args.days}}
    given = yaml.safe_load((folder / "example" / "lockdown.yaml").read_text()) | given
    given["sweep"]["members"] = args.members
    found: list[dict[str, Any]] = []
    for name, record in RECORDS.items():
        spec_file, block = folder / f"{name}.yaml", 32
        spec_file.write_text(yaml.safe_dump(given | {"record": record}))
        before = bare_rate(spec_file, block, BLOCKS, args.workers)
        for i in range(args.repeat):
            sweep = swept(spec_file, folder / f"{name}-{i}", args.workers)
            after = bare_rate(spec_file, sweep["block"], BLOCKS, args.workers)
            kernel = (before + after) / 2
            around = sweep["block"] * args.workers * (1 / sweep["members_per_second"] - 1 / kernel)
            found.append(
                {"record": name, "members": args.members, **sweep, "bare_members_per_second": kernel,
                 "to_bare": sweep["members_per_second"] / kernel, "seconds_around_a_block": around}
            )  # fmt: skip
            before = after
    return found


def lines_of(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Medians over the repeats, and the range of the ratio."""
    names = ("block", "seconds", "members_per_second", "bare_members_per_second", "to_bare", "seconds_around_a_block")
    lines = ["record  members  block  whole s  members/s  bare members/s  of bare (from, to)  s around a block"]
    for record in RECORDS:
        same = [row for row in rows if row["record"] == record]
        block, whole, rate, kernel, ratio, around = (statistics.median(row[name] for row in same) for name in names)
        ratios = sorted(row["to_bare"] for row in same)
        lines.append(
            f"{record:6} {same[0]['members']:8} {block:6.0f} {whole:8.1f} {rate:10.1f} {kernel:15.1f} "
            f"{ratio:8.1%} ({ratios[0]:.0%}, {ratios[-1]:.0%}) {around:12.3f}"
        )
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="shockmesh bench sweeps", description=str(__doc__).partition("\n")[0])
    for name, default in (("members", 1000), ("firms", 20_000), ("days", 60), ("workers", 2), ("repeat", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--out", type=Path, help="also write the JSON there")
    args = parser.parse_args(arguments)
    about = {
        "device": f"{jax.devices()[0].device_kind}, {os.cpu_count()} cores, {platform.machine()}, "
                  f"load {os.getloadavg()[0]:.3g}",
        "versions": {"jax": jax.__version__, "ray": ray.__version__, "python": platform.python_version()},
        "firms": args.firms, "days": args.days, "workers": args.workers,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        measured = rows(Path(folder), args)
    lines = [" ".join(f"{key}: {value}" for key, value in about.items()), *lines_of(measured)]
    found = json.dumps(about | {"rows": measured}, indent=1)
    sys.stdout.write((found if args.json else "\n".join(lines)) + "\n")
    if args.out:
        args.out.write_text(found)


if __name__ == "__main__":
    if sys.argv[1:2] == ["bare"]:
        sys.stdout.write(str(bare(Path(sys.argv[2]), *map(int, sys.argv[3:]))))
    else:
        main()
