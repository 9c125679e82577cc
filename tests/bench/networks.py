"""The random networks of the benchmarks."""

import numpy as np
from shockmesh.kernels.network import FirmNetwork, firm_network


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
