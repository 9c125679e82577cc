"""The table of `docs/choosing/presets.md`: the same two shocks under every preset, and one mechanism at a time.

    python docs/making/consequences.py world2014-20k.zarr

prints what a run of each spec loses of output, over 180 days and on its deepest day. The network is `make demo`'s.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from shockmesh.cluster.running.run import run
from shockmesh.cluster.spec.reference import flow
from shockmesh.io.results import open_run
from shockmesh.kernels.model import PRESETS

SECTORS = ["C13-C15", "C29", "F", "G45", "G47", "H51", "I", "R_S"]
SHOCKS = {
    "lockdown": {"where": {"region": ["ESP", "GBR", "ITA"], "sector": SECTORS}, "loss": 0.5},
    "cars": {"where": {"region": "DEU", "sector": "C29"}, "loss": 1.0},
}
COURSE = {"name": "shock", "kind": "recovery", "onset": 10, "recovery_start": 60, "recovery_days": 30}
PRODUCTION = ("linear", "ces", "threshold", "strongly_critical", "half_critical", "weakly_critical")
MODELS: dict[str, dict[str, Any]] = {
    **{f"preset: {name}": {"preset": name} for name in PRESETS},
    **{f"production: {name}": {"production": name} for name in PRODUCTION},
    **{f"rationing: {name}": {"rationing": name} for name in ("final_demand_last", "water_filling")},
    **{f"capacity: {number}": {"capacity": number} for number in (1.0, 1.1)},
    **{f"inventory_days: {days}": {"inventory_days": days} for days in (5, 15, 30, 60)},
}


def main(network: str) -> None:
    for name, model in MODELS.items():
        shown = [cell for shock in SHOCKS.values() for cell in _losses(network, model, shock)]
        sys.stdout.write(f"| `{name}` | {' | '.join(shown)} |\n")
        sys.stdout.flush()


def _losses(network: str, model: dict[str, Any], shock: dict[str, Any]) -> tuple[str, str]:
    spec = {
        "economy": network,
        "model": model,
        "horizon": {"days": 180},
        "shocks": [COURSE | shock],
        "record": {"output": []},
    }
    with TemporaryDirectory() as folder:
        file = Path(folder, "spec.yaml")
        file.write_text(flow(spec), "utf-8")
        run(file, Path(folder, "run"), address="local", quiet=True)
        with open_run(Path(folder, "run")) as opened:
            share = (1 - opened.output / opened.output_baseline).values.squeeze()
    return f"{100 * share.mean():.2f} %", f"{100 * share.max():.2f} %"


if __name__ == "__main__":
    main(str(Path(sys.argv[1]).resolve()))
