"""Link-steps per second of the kernels, single and batched, beside a Numba loop measured in the same run.

    shockmesh bench kernels [--firms 20000] [--links 200000] [--days 60] [--repeat 5] [--quick] [--json] [--out FILE]

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
from pathlib import Path

import jax
import jax.numpy as jnp
import numba
import numpy as np
from shockmesh.kernels.layout import lay_out
from shockmesh.kernels.model import Parameters, Switches
from shockmesh.kernels.network import FirmNetwork, firm_network
from shockmesh.kernels.rollout import rollout
from shockmesh.kernels.segments import segments
from shockmesh.kernels.shocks import Recovery, Scenario

sys.path.insert(0, str(Path(__file__).parent))
import numba_loop


def random_network(firms: int, links: int, sectors: int = 56) -> FirmNetwork:
    """Suppliers drawn by a heavy-tailed size, buyers evenly; most firms add value."""
    rng = np.random.default_rng(0)
    size = rng.pareto(1.1, firms) + 1
    pairs = np.unique(rng.choice(firms, links, p=size / size.sum()) * firms + rng.integers(0, firms, links))
    supplier, buyer = pairs // firms, pairs % firms
    keep = supplier != buyer
    return firm_network(
        supplier[keep], buyer[keep], rng.uniform(0.1, 1, keep.sum()), rng.uniform(1, 20, firms),
        sector=rng.integers(0, sectors, firms), sectors=[f"S{k}" for k in range(sectors)],
    )  # fmt: skip


def ours(network: FirmNetwork, loss: np.ndarray, members: int, days: int) -> Callable[[], np.ndarray]:
    layout, total = lay_out(network), segments(np.zeros(network.n_firms, int), 1)
    one = jnp.ones((1, 1))
    model = Parameters(jnp.full((1, members), 9.0), 6 * one, 1.25 * one)
    scenario = Scenario((Recovery(jnp.asarray(loss[:, None], jnp.float32), 5 * one, 20 * one, 0.05 * one),))
    run = jax.jit(lambda model: rollout(layout, Switches(), model, scenario, days=days, record={"output": total}))
    return lambda: np.asarray(run(model)["output"][:, 0, 0])


def peer(network: FirmNetwork, loss: np.ndarray, days: int, run: Callable[..., np.ndarray]) -> Callable[[], np.ndarray]:
    net, single = numba_loop.csr(network), np.float32
    return lambda: run(net, days, single(9), 6.0, single(1.25), loss.astype(single), 5.0, 20.0, 0.05)


def measure(cases: dict[str, Callable[[], np.ndarray]], repeat: int) -> dict[str, list[float]]:
    """Seconds of each case, taken in turn so that a drifting machine hurts all alike."""
    results = {name: run() for name, run in cases.items()}
    reference = next(iter(results.values()))
    for name, result in results.items():
        np.testing.assert_allclose(result, reference, rtol=1e-4, err_msg=f"{name} disagrees")
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(repeat):
        for name, run in cases.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="shockmesh bench kernels", description=str(__doc__).partition("\n")[0])
    for name, default in (("firms", 20_000), ("links", 200_000), ("days", 60), ("repeat", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--quick", action="store_true", help="a tenth of the network")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--out", type=Path, help="also write the JSON there")
    args = parser.parse_args(arguments)
    part = 10 if args.quick else 1
    network = random_network(args.firms // part, args.links // part)
    loss = np.random.default_rng(1).uniform(0, 1, network.n_firms) * (network.sector < 10)
    cases = {
        "numba, 1 thread": peer(network, loss, args.days, numba_loop.run_serial),
        f"numba, {numba.get_num_threads()} threads": peer(network, loss, args.days, numba_loop.run_threaded),
    }
    members_of = dict.fromkeys(cases, 1)
    for members in (1, 8, 32):
        cases[f"shockmesh, {members} members"] = ours(network, loss, members, args.days)
        members_of[f"shockmesh, {members} members"] = members
    seconds = measure(cases, args.repeat)
    peer_rate = max(network.n_links * args.days / statistics.median(seconds[name]) for name in list(cases)[:2])
    rows = []
    for name, of_case in seconds.items():
        median = statistics.median(of_case)
        rate = network.n_links * args.days * members_of[name] / median
        rows.append({"case": name, "seconds": median, "link_steps_per_second": rate, "to_best_numba": rate / peer_rate})
    about = {
        "device": f"{jax.devices()[0].device_kind}, {os.cpu_count()} cores, {platform.machine()}",
        "versions": {"jax": jax.__version__, "numba": numba.__version__, "python": platform.python_version()},
        "firms": network.n_firms, "links": network.n_links, "days": args.days, "repeat": args.repeat,
    }  # fmt: skip
    lines = [" ".join(f"{key}: {value}" for key, value in about.items())]
    for row in rows:
        rate, ratio = row["link_steps_per_second"] / 1e6, row["to_best_numba"]
        lines.append(f"{row['case']:24} {row['seconds']:9.3f} s {rate:9.1f} M link-steps/s   × {ratio:.2f}")
    found = json.dumps(about | {"rows": rows}, indent=1)
    sys.stdout.write((found if args.json else "\n".join(lines)) + "\n")
    if args.out:
        args.out.write_text(found)


if __name__ == "__main__":
    main()
