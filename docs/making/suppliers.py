"""The table of `docs/how-to/other-suppliers.md`: ten car makers stop for 30 days, and suppliers change or not.

    python docs/making/suppliers.py world2014-20k.zarr

prints what a run of each spec loses of a year's output. The network is `make demo`'s, generated with `--candidates 3`.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from shockmesh.cluster.running.run import run
from shockmesh.cluster.spec.reference import flow
from shockmesh.io.networks.store import read_network
from shockmesh.io.results import open_run

SOON = {"search_days": 7, "switching_days": 7}
AT_ONCE = {"search_days": 0, "switching_days": 1, "satisfaction_days": 1}
MODELS: dict[str, dict[str, Any]] = {
    "hamid2025": {},
    "defaults": {"suppliers": {}},
    "in 7 days": {"suppliers": SOON},
    "at once": {"suppliers": AT_ONCE},
    "in 7 days, present suppliers alone": {"suppliers": SOON | {"pull": 0}},
    "30 days of stock": {"inventory_days": 30},
    "30 days of stock, in 7 days": {"inventory_days": 30, "suppliers": SOON},
    "hallegatte2014": {"preset": "hallegatte2014"},
    "hallegatte2014, in 7 days": {"preset": "hallegatte2014", "suppliers": SOON},
}


def main(network: str) -> None:
    economy = read_network(network)
    cars = np.flatnonzero(economy.sector == economy.sectors.index("C29"))
    ten = economy.firm[cars[np.argsort(-economy.output[cars])][:10]]
    rows = "".join(f"{firm},10,0\n{firm},40,1\n" for firm in ten)
    for name, model in MODELS.items():
        sys.stdout.write(f"| {name} | {100 * _lost(network, model, f'firm,day,factor\n{rows}'):.3f} % |\n")
        sys.stdout.flush()


def _lost(network: str, model: dict[str, Any], factors: str) -> float:
    """The part of a year's output that is lost."""
    stop = {"name": "stop", "kind": "table", "file": "stop.csv"}
    spec = {"economy": network, "model": model, "horizon": {"days": 365}, "shocks": [stop], "record": {"output": []}}
    with TemporaryDirectory() as folder:
        Path(folder, "stop.csv").write_text(factors, "utf-8")
        Path(folder, "spec.yaml").write_text(flow(spec), "utf-8")
        run(Path(folder, "spec.yaml"), Path(folder, "run"), address="local", quiet=True)
        with open_run(Path(folder, "run")) as opened:
            return float((1 - opened.output / opened.output_baseline).mean())


if __name__ == "__main__":
    main(str(Path(sys.argv[1]).resolve()))
