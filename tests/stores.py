"""Stores of every kind for later versions to open: `python tests/stores.py` adds those of this one to tests/data."""

import json
import socket
import tarfile
from collections.abc import Callable, Iterator
from contextlib import chdir
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from shockmesh.cluster.cli import main
from shockmesh.io.networks.store import read_network
from shockmesh.io.posteriors import open_posterior
from shockmesh.io.results import open_run
from shockmesh.io.tables.store import Header, Rows, open_table, write_table

DATA = Path(__file__).parent / "data"
LEFT_OUT = ("log", "checkpoint")  # folders and files of a run on which nothing depends once it is complete
HEADER = Header(
    ["AA", "BB"], ["s1", "s2"], ["C"], "million USD / year", "two regions", "made up", "CC0", "none", (2020,)
)
SPECS = {
    "sweep": """\
economy: network.zarr
horizon: {days: 5}
shocks: [{name: storm, kind: recovery, where: {region: AA}, loss: 0.6, recovery_days: 3}]
sweep: {seed: 7, members: 3, vary: {shocks.storm.loss: {uniform: [0.5, 0.9]}}}
record: {output: [region, sector], final_consumption: [region]}
resources: {members_per_block: 2}
""",
    "calibration": """\
economy: network.zarr
horizon: {days: 5}
shocks: [{name: storm, kind: recovery, loss: 0.6, recovery_days: 3}]
observe: [{file: series.csv, by: sector, noise: 0.02}]
infer: {parameters: {model.inventory_days: {spread: {all: 0.5, firm: 0.3}}}, steps: 2, draws: 3, guide: mean_field}
sweep: {seed: 7}
""",
}
SERIES = "day,s1,s2\n0,0.9,0.8\n1,0.8,0.9\n2,0.9,0.9\n3,1,1\n4,1,1\n"


def write() -> None:
    """A table, the network made from it, a sweep and a calibration on that, in the folder where we are."""
    flows = np.random.default_rng(7).uniform(1, 9, (2, 2, 2, 2))
    rows = [Rows(region, flows[i], 9 * flows[i, :, :, :1]) for i, region in enumerate(HEADER.regions)]
    write_table("table.zarr", HEADER, lambda year: rows)
    Path("series.csv").write_text(SERIES)
    _do("generate", "table.zarr", "network.zarr", "--firms", "12", "--seed", "7")
    for name, text in SPECS.items():
        Path(f"{name}.yaml").write_text(text)
        _do("run", f"{name}.yaml", "--out", name, "--address", "local")


def _do(*command: str) -> None:
    if main([*command, "--quiet"]):
        raise RuntimeError(" ".join(command))


def of_table(folder: Path) -> dict[str, Any]:
    with open_table(folder / "table.zarr") as table:
        return {"regions": table.region.values.tolist(), "unit": table.attrs["units"]} | _numbers(table)


def of_network(folder: Path) -> dict[str, Any]:
    network = read_network(folder / "network.zarr")
    numbers = {name: getattr(network, name) for name in ("supplier", "buyer", "amount", "final_demand", "region")}
    return {"sectors": list(network.sectors), "unit": network.unit} | {
        name: values.tolist() for name, values in numbers.items()
    }


def of_sweep(folder: Path) -> dict[str, Any]:
    with open_run(folder / "sweep") as run:
        return {"status": run.status.values.tolist(), "loss": run["shocks.storm.loss"].values.tolist()} | _numbers(run)


def of_calibration(folder: Path) -> dict[str, Any]:
    tree = open_posterior(folder / "calibration")
    return {
        group: _numbers(tree[group].to_dataset()) for group in ("posterior", "posterior_predictive", "observed_data")
    }


def _numbers(dataset: Any) -> dict[str, Any]:
    return {str(name): values.values.tolist() for name, values in dataset.data_vars.items()}


KINDS: dict[str, tuple[str, Callable[[Path], dict[str, Any]]]] = {
    "table": ("table.zarr", of_table),
    "network": ("network.zarr", of_network),
    "sweep": ("sweep", of_sweep),
    "calibration": ("calibration", of_calibration),
}
"""What is kept of each kind: its folder, and the labels and numbers that whoever opens it must find."""


def keep(out: Path) -> None:
    """Write the stores to `out`, in one archive, and what is in them as numbers.json."""
    with TemporaryDirectory() as folder, chdir(folder):
        write()
        out.mkdir(parents=True, exist_ok=True)
        (out / "numbers.json").write_text(json.dumps({kind: of(Path()) for kind, (_, of) in KINDS.items()}), "utf-8")
        with tarfile.open(out / "stores.tar.xz", "w:xz") as packed:
            for path in _files():
                text = _without_names(path.read_bytes(), Path.cwd()) if path.suffix == ".json" else path.read_bytes()
                about = tarfile.TarInfo(str(path))
                about.size = len(text)
                packed.addfile(about, BytesIO(text))


def _files() -> Iterator[Path]:
    paths = (path for name, _ in KINDS.values() for path in sorted(Path(name).rglob("*")))
    return (path for path in paths if path.is_file() and not set(path.parts) & set(LEFT_OUT))


def _without_names(text: bytes, folder: Path) -> bytes:
    """Without those of this machine: its folders, and its own."""
    return text.replace(f"{folder}/".encode(), b"").replace(f"{socket.gethostname()}:".encode(), b"host:")


if __name__ == "__main__":
    keep(DATA / f"stores-{version('shockmesh')}")
