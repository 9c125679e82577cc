"""A toy economy of 24 firms, specs of it, and what it can be told of factors by day."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from shockmesh.cluster.spec.load import Spec, parse_spec
from shockmesh.kernels.network import FirmNetwork, firm_network

DAYS = 12
REGIONS, SECTORS = ("ESP", "FRA", "GBR"), ("A01", "C10", "G47", "I")

type MakeSpec = Callable[..., Spec]

# file name, its text → factors [day, firm of f0 f1 …] from the third on all ones
TABLES = {
    "long": "firm,day,factor\nf0,2,0.5\nf0,4,1\nf1,1,0\n",
    "wide, days down": "day,f0,f1\n0,1,1\n1,1,0\n2,0.5,0\n4,1,0\n",
    "wide, firms down": "firm,0,1,2,4\nf0,1,1,0.5,1\nf1,1,0,0,0\n",
}


def toy_network() -> FirmNetwork:
    """24 firms; no firm of FRA is in I, so that the rectangle of regions and sectors has a hole."""
    rng = np.random.default_rng(5)
    n = 24
    pairs = np.unique(rng.integers(0, n, (90, 2)), axis=0)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    amount = rng.uniform(0.2, 1, len(pairs))
    inputs, sales = (np.bincount(pairs[:, side], amount, n) for side in (1, 0))
    region, sector = np.arange(n) % 3, np.arange(n) // 3 % 4
    sector = np.where((region == 1) & (sector == 3), 0, sector)
    return firm_network(
        pairs[:, 0], pairs[:, 1], amount, np.maximum(1.5 * inputs - sales, 0.1), region=region, sector=sector,
        firm=np.array([f"f{i}" for i in range(n)]), regions=REGIONS, sectors=SECTORS, attrs={"title": "toy"},
    )  # fmt: skip


def spec_maker(folder: Path) -> MakeSpec:
    """Makes a spec of 12 days: a strike with the given keys, and anything else at the top level."""

    def spec(strike: dict[str, Any] | None = None, **top: Any) -> Spec:
        shock = {"name": "strike", "kind": "recovery", "loss": 0.5, **(strike or {})}
        whole = {"economy": ".", "horizon": {"days": DAYS}, "shocks": [shock], "precision": "float64", **top}
        return parse_spec(whole, folder=folder)

    return spec


def expected_factors() -> np.ndarray:
    factors = np.ones((5, 24))
    factors[2:4, 0], factors[1:, 1] = 0.5, 0
    return factors
