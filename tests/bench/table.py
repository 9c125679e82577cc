"""A dense table of industries by BoARIO and by shockmesh, each in a process of its own that measures its memory.

    python table.py boario|shockmesh REGIONS DAYS REPEAT

prints JSON: seconds for all days (BoARIO: of its median day; shockmesh: of its median run, compile time excluded), peak
memory of the process and its memory before the table was made, and the total output of each day.
"""

import json
import statistics
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from memory import peak_bytes

SECTORS, HIT, LOSS, OCCURRENCE, DURATION, TAU = 56, 56, 0.3, 3, 5, 40
MILLION = 10**6


def table(regions: int) -> tuple[np.ndarray, np.ndarray]:
    """Flows of a year between industries, region by region, and final demand; all industries add value."""
    n, rng = regions * SECTORS, np.random.default_rng(0)
    flows = rng.standard_normal((n, n), np.float32)
    np.exp(flows, out=flows)
    np.fill_diagonal(flows, 0)
    return flows, np.maximum(flows.sum(0) * rng.uniform(1.3, 2.5, n) - flows.sum(1), 1)


def by_boario(regions: int, days: int) -> tuple[float, float, np.ndarray]:
    """Memory before [bytes], seconds for all days, total output of each day."""
    import pandas as pd
    import pymrio
    from boario.event import EventKapitalRecover
    from boario.extended_models import ARIOPsiModel
    from boario.simulation import Simulation

    before = peak_bytes()
    flows, final = table(regions)
    names: Any = pd.MultiIndex.from_product(
        [[f"r{k:02}" for k in range(regions)], [f"s{k:02}" for k in range(SECTORS)]], names=["region", "sector"]
    )
    category = pd.MultiIndex.from_product([names.levels[0], ["final demand"]], names=["region", "category"])
    wanted = final[:, None] * (np.arange(len(final))[:, None] // SECTORS == np.arange(regions))
    frames = {"Z": pd.DataFrame(flows.astype(float), names, names), "Y": pd.DataFrame(wanted, names, category)}
    model = ARIOPsiModel(pymrio.IOSystem(**frames).calc_all(), order_type="alt")
    simulation = Simulation(model, n_temporal_units_to_sim=days)
    impact = pd.Series(model.productive_capital * LOSS, index=model.industries).iloc[:HIT]
    simulation.add_event(
        EventKapitalRecover._from_series(
            impact, occurrence=OCCURRENCE, duration=DURATION, recovery_tau=TAU, recovery_function="linear",
            event_monetary_factor=MILLION,
        )
    )  # fmt: skip
    seconds: list[float] = []
    for _ in range(days):
        start = time.perf_counter()
        simulation.next_step()
        seconds.append(time.perf_counter() - start)
    return before, days * statistics.median(seconds), simulation.production_realised.to_numpy().sum(axis=1)


def by_us(regions: int, days: int, repeat: int) -> tuple[float, float, np.ndarray]:
    """Memory before [bytes], seconds for all days, total output of each day."""
    import jax
    import jax.numpy as jnp
    from shockmesh.kernels.devices.layout import Layout, lay_out, suits_table
    from shockmesh.kernels.devices.segments import segments
    from shockmesh.kernels.mechanisms.courses import Recovery
    from shockmesh.kernels.mechanisms.shocks import Scenario
    from shockmesh.kernels.model import PRESETS, Parameters
    from shockmesh.kernels.network import firm_network
    from shockmesh.kernels.rollout import rollout

    one = jnp.ones((1, 1)).block_until_ready()
    before = peak_bytes()
    flows, final = table(regions)
    n, sector = len(final), np.tile(np.arange(SECTORS), regions)
    sells = np.argsort(sector, kind="stable").astype(np.int32)
    others = sells != np.arange(n)[:, None]
    supplier, amount = np.broadcast_to(sells, (n, n))[others], flows[sells].T[others].astype(float)
    buyer = np.repeat(np.arange(n, dtype=np.int32), n - 1)
    del flows
    network = firm_network(supplier, buyer, amount, final, sector=sector, sectors=[f"s{k:02}" for k in range(SECTORS)])
    del supplier, buyer, amount
    preset = PRESETS["hallegatte2014"]
    layout = lay_out(network, as_table=suits_table(network, preset.switches))
    del network
    total = segments(np.zeros(n, int), 1)
    model = Parameters.of({name: number * one for name, number in preset.defaults.items()})
    lost = jnp.asarray(LOSS * (np.arange(n) < HIT), jnp.float32)[:, None]
    course = Recovery(lost, OCCURRENCE * one, (OCCURRENCE + DURATION + 1) * one, one / TAU, course="linear")

    @jax.jit
    def run(layout: Layout) -> jax.Array:
        scenario = Scenario((course,))
        return rollout(layout, preset.switches, model, scenario, days=days, record={"output": total})["output"]

    output, seconds = np.asarray(run(layout))[:, 0, 0], []
    for _ in range(repeat):
        start = time.perf_counter()
        run(layout).block_until_ready()
        seconds.append(time.perf_counter() - start)
    return before, statistics.median(seconds), output


def rows_of_table(regions: int, days: int, repeat: int) -> list[dict[str, Any]]:
    """BoARIO and shockmesh, one process after the other; they must agree."""
    found: dict[str, Any] = {}
    for name in ("boario", "shockmesh"):
        command = [sys.executable, str(Path(__file__)), name, *map(str, (regions, days, repeat))]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found[name] = json.loads(done.stdout.splitlines()[-1])
    output = {name: np.asarray(of.pop("output")) for name, of in found.items()}
    relative = {name: of / of[0] for name, of in output.items()}
    np.testing.assert_allclose(relative["shockmesh"], relative["boario"], rtol=1e-4, err_msg="BoARIO disagrees")
    n = regions * SECTORS
    rows: list[dict[str, Any]] = [
        {"case": case, "firms": n, "links": n * (n - 1), "days": days, "members": 1, **found[name]}
        for name, case in (("boario", "BoARIO, own process"), ("shockmesh", "shockmesh, own process"))
    ]
    for row in rows:
        row["link_steps_per_second"] = row["links"] * days / row["seconds"]
        row["to_shockmesh"] = found["shockmesh"]["seconds"] / row["seconds"]
    return rows


def main(name: str, regions: int, days: int, repeat: int) -> None:
    warnings.simplefilter("ignore")
    before, seconds, output = by_boario(regions, days) if name == "boario" else by_us(regions, days, repeat)
    found = {"seconds": seconds, "peak_bytes": peak_bytes(), "import_bytes": before, "output": output.tolist()}
    sys.stdout.write("\n" + json.dumps(found) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
