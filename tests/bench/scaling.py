"""How time and memory grow with the network: forwards and with the gradient, each size in a process of its own.

    shockmesh bench scaling [--firms 1000 10000 100000 1000000] [--days 30] [--repeat 5] [--json] [--out FILE]

Random networks of ten links a firm, `hamid2025`, one member, float32, total output recorded. The gradient is of the sum
of output by every firm's stocks. Columns: milliseconds of a day forwards, by the clock and of all cores together;
value and gradient over it and the roofline's prediction for a core over what was measured, both in processor time,
which other programs change little; peak memory of each process, measured and as `plan` projects it. Medians, without
compilation.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def run_size(firms: int, days: int, repeat: int, gradient: bool) -> dict[str, Any]:
    """Time and memory of one size in this process."""
    import jax
    import jax.numpy as jnp
    import numpy as np
    from memory import peak_bytes
    from networks import random_network
    from shockmesh.cluster.planning.plan import sizes_of, worker_bytes
    from shockmesh.cluster.spec.models import Spec
    from shockmesh.cluster.spec.unknowns import Infer
    from shockmesh.kernels.devices.layout import Layout, lay_out
    from shockmesh.kernels.devices.roofline import CORE, Work
    from shockmesh.kernels.devices.segments import segments
    from shockmesh.kernels.mechanisms.courses import Recovery
    from shockmesh.kernels.mechanisms.shocks import Scenario
    from shockmesh.kernels.model import Parameters, Switches
    from shockmesh.kernels.rollout import rollout

    network = random_network(firms, 10 * firms)
    layout, one, total = lay_out(network), jnp.ones((1, 1)), segments(np.zeros(firms, int), 1)
    loss = jnp.asarray(np.random.default_rng(1).uniform(0, 1, (firms, 1)) * (network.sector < 10)[:, None], jnp.float32)
    scenario = Scenario((Recovery(loss, 5 * one, 20 * one, 0.05 * one),))

    def output(stocks: jax.Array, layout: Layout) -> jax.Array:
        model = Parameters(stocks, 6 * one, 1.25 * one)
        return rollout(layout, Switches(), model, scenario, days=days, record={"output": total})["output"].sum()

    run = jax.jit(jax.value_and_grad(output) if gradient else output)
    stocks, clock, cores = jnp.full((firms, 1), 9.0), [], []
    for _ in range(repeat + 1):
        start, used = time.perf_counter(), time.process_time()
        jax.block_until_ready(run(stocks, layout))
        clock.append(time.perf_counter() - start)
        cores.append(time.process_time() - used)
    seconds, core_seconds = statistics.median(clock[1:]), statistics.median(cores[1:])
    spec = Spec.model_validate({"economy": "random", "horizon": {"days": days}, "record": {"output": []}})
    spec = spec.model_copy(update={"infer": Infer(parameters={}) if gradient else None})
    work = Work(Switches(), days, 1, 4, firms, network.n_links, layout.pool_amount.shape[0])
    return {
        "links": network.n_links,
        "seconds": seconds,
        "core_seconds": core_seconds,
        "peak_bytes": peak_bytes(),
        "planned_bytes": worker_bytes(spec, sizes_of(spec, network), 1),
        "predicted_to_measured": work.seconds(CORE, gradient=gradient) / core_seconds,
    }


def row_of(firms: int, days: int, repeat: int) -> dict[str, Any]:
    """One size, forwards and with the gradient, one process after the other."""
    found: list[dict[str, Any]] = []
    for way in ("value", "gradient"):
        command = [sys.executable, str(Path(__file__)), way, *map(str, (firms, days, repeat))]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found.append(json.loads(done.stdout.splitlines()[-1]))
    both = {name: [way[name] for way in found] for name in found[0]}
    return {
        "firms": firms,
        "days": days,
        "ms_a_day": 1000 * both["seconds"][0] / days,
        "core_ms_a_day": 1000 * both["core_seconds"][0] / days,
        "gradient_to_forward": both["core_seconds"][1] / both["core_seconds"][0],
        **{name: both[name] for name in ("peak_bytes", "planned_bytes", "predicted_to_measured")},
        "links": found[0]["links"],
        "load": os.getloadavg()[0],
    }


def told(row: dict[str, Any]) -> str:
    """A row as a person reads it."""
    peak, planned = ([number / 1e9 for number in row[name]] for name in ("peak_bytes", "planned_bytes"))
    ahead = row["predicted_to_measured"]
    return (
        f"{row['firms']:>9,} {row['links']:>10,} {row['ms_a_day']:>8.3f} {row['core_ms_a_day']:>8.3f} "
        f"{row['gradient_to_forward']:>8.1f}   {ahead[0]:.2f}, {ahead[1]:.2f}   "
        f"{peak[0]:.2f} of {planned[0]:.2f}, {peak[1]:.2f} of {planned[1]:.2f}   {row['load']:.1f}"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="shockmesh bench scaling", description=str(__doc__).partition("\n")[0])
    parser.add_argument("--firms", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--out", type=Path, help="also write the JSON there")
    args = parser.parse_args(arguments)
    rows = [row_of(firms, args.days, args.repeat) for firms in args.firms]
    about = {"device": f"{os.cpu_count()} cores, {platform.machine()}", "days": args.days, "repeat": args.repeat}
    head = "    firms      links       ms  core ms gradient   predicted    GB: peak of planned, gradient's   load"
    found = json.dumps(about | {"rows": rows}, indent=1)
    sys.stdout.write((found if args.json else "\n".join([head, *map(told, rows)])) + "\n")
    if args.out:
        args.out.write_text(found)


if __name__ == "__main__":
    if sys.argv[1] in ("value", "gradient"):
        size = run_size(*map(int, sys.argv[2:]), gradient=sys.argv[1] == "gradient")
        sys.stdout.write("\n" + json.dumps(size) + "\n")
    else:
        main(sys.argv[1:])
