"""Link-steps per second of the kernels beside peers that compute the same, measured in the same run.

    shockmesh bench kernels [--firms 20000] [--small 3000] [--regions 44] [--days 60] [--repeat 5]
                            [--quick] [--json] [--out FILE]

On a network of --firms, ten links each: a Numba loop, shockmesh with 1, 8 and 32 members. On one of --small firms,
small peers: dense matrices in JAX, with pools summed by segments or, as is usual, by a product with a
matrix of 0 and 1 that says who sells what, both with 1 and 8 members; a Python object for each firm with NumPy arrays
(`agents.py`); the Numba loop's text in plain Python; shockmesh with 1, 8 and 32 members. On a table of --regions times
56 industries that all trade: BoARIO and `hallegatte2014`, each in a process of its own, with its peak memory, and in
brackets that without what it had imported.

Where the native kernels are built (`make native`), they are measured beside XLA's.

Compile time is excluded; every figure is the median of the repeats, taken in turn. One link-step is one link of one
member advanced one day.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numba
import numpy as np
from jaxtyping import Array, Float
from shockmesh.kernels.devices.layout import lay_out
from shockmesh.kernels.devices.segments import segments
from shockmesh.kernels.mechanisms.courses import Recovery
from shockmesh.kernels.mechanisms.shocks import Scenario
from shockmesh.kernels.model import Parameters, Switches
from shockmesh.kernels.native import library
from shockmesh.kernels.native.evening import Kernel
from shockmesh.kernels.network import FirmNetwork
from shockmesh.kernels.rollout import rollout

sys.path.insert(0, str(Path(__file__).parent))
import agents
import numba_loop
import table
from networks import random_network

OURS = "shockmesh, 1 member"


def ours(
    network: FirmNetwork, loss: np.ndarray, members: int, days: int, kernel: Kernel = "xla"
) -> Callable[[], np.ndarray]:
    layout, total = lay_out(network), segments(np.zeros(network.n_firms, int), 1)
    one = jnp.ones((1, 1))
    model = Parameters(jnp.full((1, members), 9.0), 6 * one, 1.25 * one)
    scenario = Scenario((Recovery(jnp.asarray(loss[:, None], jnp.float32), 5 * one, 20 * one, 0.05 * one),))
    program: Any = partial(rollout, layout, Switches(), days=days, record={"output": total}, kernel=kernel)
    run = jax.jit(lambda model: program(model, scenario))
    return lambda: np.asarray(run(model)["output"][:, 0, 0])


def peer(network: FirmNetwork, loss: np.ndarray, days: int, run: Callable[..., np.ndarray]) -> Callable[[], np.ndarray]:
    net, single = numba_loop.csr(network), np.float32
    return lambda: run(net, days, single(9), 6.0, single(1.25), loss.astype(single), 5.0, 20.0, 0.05)


def dense(
    network: FirmNetwork, loss: np.ndarray, days: int, members: int = 1, *, one_hot: bool = False
) -> Callable[[], np.ndarray]:
    """Stocks and orders as supplier × buyer matrices; pools as sums over the suppliers of a product; members by `vmap`.

    These and their spreading to suppliers are segment sums and look-ups, or `one_hot` products with a (sector,
    supplier) matrix.
    """
    use = np.zeros((network.n_firms, network.n_firms), np.float32)
    use[network.supplier, network.buyer] = network.amount
    baseline, final, lost = (
        jnp.asarray(values, jnp.float32) for values in (network.output, network.final_demand, loss)
    )
    sector, n_sectors = jnp.asarray(network.sector), len(network.sectors)

    sells = jnp.asarray(np.arange(n_sectors)[:, None] == network.sector, jnp.float32) if one_hot else None

    def pooled(links: Float[Array, "firm firm"]) -> Float[Array, "sector firm"]:
        return jax.ops.segment_sum(links, sector, n_sectors) if sells is None else sells @ links

    def spread(pools: Float[Array, "sector firm"]) -> Float[Array, "firm firm"]:
        return pools[sector] if sells is None else sells.T @ pools

    def step(
        use: Array, inventory_days: Array, state: tuple[Array, Array], day: Array
    ) -> tuple[tuple[Array, Array], Array]:
        stock, orders = state
        remaining = jnp.where(day >= 5, jnp.exp(-0.05 * jnp.maximum(day - 20, 0)), 0)
        demand = orders.sum(1) + final
        held, used = pooled(stock), pooled(use)
        cover = jnp.where(used > 0, held / jnp.where(used > 0, used, 1), jnp.inf).min(0)
        output = jnp.minimum(demand, jnp.minimum(1.25 * (1 - lost * remaining), cover) * baseline)
        fill = jnp.where(demand > 0, output / jnp.where(demand > 0, demand, 1), 0)
        kept = jnp.where(held > 0, 1 - used * (output / baseline) / jnp.where(held > 0, held, 1), 1)
        stock = jnp.maximum(stock * spread(kept), 0) + fill[:, None] * orders
        wanted = demand / baseline + inventory_days / 6
        return (stock, jnp.maximum(use * wanted - stock / 6, 0)), output.sum()

    @jax.jit
    @partial(jax.vmap, in_axes=(None, 0))
    def run(use: Float[Array, "firm firm"], inventory_days: Float[Array, ""]) -> Float[Array, " day"]:
        start = inventory_days * use, use
        return jax.lax.scan(partial(step, use, inventory_days), start, jnp.arange(days, dtype=jnp.float32))[1]

    on_device, of_members = jnp.asarray(use), jnp.full(members, 9.0)
    return lambda: np.asarray(run(on_device, of_members)[0])


@dataclass(frozen=True)
class Case:
    """One program to time: what it runs gives the total output of each day."""

    run: Callable[[], np.ndarray]
    days: int
    members: int = 1


def large_cases(network: FirmNetwork, loss: np.ndarray, days: int) -> dict[str, Case]:
    cases = {
        "numba, 1 thread": Case(peer(network, loss, days, numba_loop.run_serial), days),
        f"numba, {numba.get_num_threads()} threads": Case(peer(network, loss, days, numba_loop.run_threaded), days),
    }
    return cases | our_cases(network, loss, days)


def our_cases(network: FirmNetwork, loss: np.ndarray, days: int) -> dict[str, Case]:
    """One simulation, and batches as a sweep has them: by XLA, and by the native kernels where they are built."""
    kernels: dict[str, Kernel] = {"shockmesh": "xla"} if library.missing() else {"shockmesh": "xla", "native": "native"}
    return {
        f"{who}, {n} member{'s' * (n > 1)}": Case(ours(network, loss, n, days, kernel), days, n)
        for who, kernel in kernels.items()
        for n in (1, 8, 32)
    }


def small_cases(network: FirmNetwork, loss: np.ndarray, days: int) -> dict[str, Case]:
    few, firms = min(days, 12), agents.firms_of(network, loss)
    return {
        "dense matrices in JAX": Case(dense(network, loss, few), few),
        "dense, one-hot, in JAX": Case(dense(network, loss, few, one_hot=True), few),
        "dense, 8 members": Case(dense(network, loss, few, 8), few, 8),
        "dense, one-hot, 8 members": Case(dense(network, loss, few, 8, one_hot=True), few, 8),
        "an object for each firm": Case(lambda: agents.run(firms, few, 9.0, 6.0, 1.25, 5.0, 20.0, 0.05), few),
        "the loop in plain Python": Case(peer(network, loss, few, numba_loop.run_python), few),
    } | our_cases(network, loss, days)


def measure(cases: dict[str, Case], repeat: int) -> dict[str, float]:
    """Median seconds of each case, taken in turn so that a drifting machine hurts all alike."""
    reference = cases[OURS].run()
    for name, case in cases.items():
        np.testing.assert_allclose(case.run(), reference[: case.days], rtol=1e-4, err_msg=f"{name} disagrees")
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(repeat):
        for name, case in cases.items():
            start = time.perf_counter()
            case.run()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(of_case) for name, of_case in seconds.items()}


def rows_of(network: FirmNetwork, cases: dict[str, Case], repeat: int) -> list[dict[str, Any]]:
    """A row for each case; `to_shockmesh` is over one member of ours on the same network, `to_xla` over as many."""
    medians = measure(cases, repeat)
    rate = {name: network.n_links * case.days * case.members / medians[name] for name, case in cases.items()}
    return [
        {
            "case": name, "firms": network.n_firms, "links": network.n_links, "days": case.days,
            "members": case.members, "seconds": medians[name], "link_steps_per_second": rate[name],
            "to_shockmesh": rate[name] / rate[OURS],
            "to_xla": rate[name] / rate[name.replace("native", "shockmesh")],
        }
        for name, case in cases.items()
    ]  # fmt: skip


def _memory(row: dict[str, Any]) -> str:
    if "peak_bytes" not in row:
        return ""
    return f"   {row['peak_bytes'] / 1e6:.0f} MB ({(row['peak_bytes'] - row['import_bytes']) / 1e6:.0f} MB)"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="shockmesh bench kernels", description=str(__doc__).partition("\n")[0])
    sizes = (("firms", 20_000), ("small", 3_000), ("regions", 44), ("days", 60), ("repeat", 5))
    for name, default in sizes:
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--quick", action="store_true", help="a tenth of the networks")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--out", type=Path, help="also write the JSON there")
    args = parser.parse_args(arguments)
    part = 10 if args.quick else 1
    load, rows = os.getloadavg()[0], []
    for firms, cases_of in ((args.firms // part, large_cases), (args.small // part, small_cases)):
        network = random_network(firms, 10 * firms)
        loss = np.random.default_rng(1).uniform(0, 1, network.n_firms) * (network.sector < 10)
        rows += rows_of(network, cases_of(network, loss, args.days), args.repeat)
    rows += table.rows_of_table(max(1, args.regions // part), args.days, args.repeat)
    about = {
        "device": f"{jax.devices()[0].device_kind}, {os.cpu_count()} cores, {platform.machine()}, load {load:.3g}",
        "versions": {"jax": jax.__version__, "numba": numba.__version__, "python": platform.python_version()},
        "firms": rows[0]["firms"], "links": rows[0]["links"], "days": args.days, "repeat": args.repeat,
    }  # fmt: skip
    lines = [" ".join(f"{key}: {value}" for key, value in about.items())]
    for row in rows:
        rate, size = row["link_steps_per_second"] / 1e6, f"{row['firms']:,} firms, {row['links']:,} links"
        figures = f"{row['seconds']:9.4f} s {rate:9.3f} M link-steps/s   × {row['to_shockmesh']:.3g}"
        beside = f", of as many by XLA × {row['to_xla']:.3g}" if row["case"].startswith("native") else ""
        lines.append(f"{size:32} {row['case']:25} {figures}{beside}{_memory(row)}")
    found = json.dumps(about | {"rows": rows}, indent=1)
    sys.stdout.write((found if args.json else "\n".join(lines)) + "\n")
    if args.out:
        args.out.write_text(found)


if __name__ == "__main__":
    main()
