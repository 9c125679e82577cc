"""Input-output tables in memory, made up: as given, or at random and in balance; and industries as firms."""

import numpy as np
import xarray as xr
from shockmesh.kernels.network import FirmNetwork, firm_network

Z_DIMS = ("region_from", "sector_from", "region_to", "sector_to")


def dataset(flows: np.ndarray, final: np.ndarray, output: np.ndarray | None = None) -> xr.Dataset:
    """A table of Z (region, sector, region, sector) and final demand (region, sector); output closes the rows."""
    regions, sectors = [f"R{k}" for k in range(flows.shape[0])], [f"S{k}" for k in range(flows.shape[1])]
    output = flows.sum((2, 3)) + final if output is None else output
    final = np.stack([final * 0.75, final * 0.25], -1)[:, :, None, :]
    final = np.concatenate([final, np.zeros((*final.shape[:2], len(regions) - 1, 2))], 2)
    return xr.Dataset(
        {
            "Z": (Z_DIMS, flows, {"units": "million USD / year"}),
            "Y": ((*Z_DIMS[:3], "category"), final),
            "value_added": (("region_to", "sector_to"), output - flows.sum((0, 1))),
            "output": (("region", "sector"), output),
        },
        coords={name: regions if "region" in name else sectors for name in (*Z_DIMS, "region", "sector")},
        attrs={"title": "a random table", "source": "made up", "license": "CC0 1.0"},
    )


def random_table(
    regions: int = 3, sectors: int = 4, seed: int = 0, density: float = 1.0, shape: float = 2.0
) -> xr.Dataset:
    """A table in balance: lognormal cells, own industry and own region favoured, inputs 20 to 80 % of output."""
    rng = np.random.default_rng(seed)
    n = regions * sectors
    flows = rng.lognormal(3, shape, (n, n)) * (rng.random((n, n)) < density)
    flows *= 1 + 5 * np.kron(np.eye(regions), np.ones((sectors, sectors)))
    output = np.maximum(flows.sum(0) / rng.uniform(0.2, 0.8, n), flows.sum(1)) + 1e-3
    final = output - flows.sum(1)
    cube = flows.reshape(regions, sectors, regions, sectors)
    return dataset(cube, final.reshape(regions, sectors))


def of_industries(flows: np.ndarray, final: np.ndarray, sector: np.ndarray, sectors: list[str]) -> FirmNetwork:
    """Industries (supplier, buyer) with final demand (industry), one firm each, which may buy from itself."""
    supplier, buyer = np.nonzero(flows)
    return firm_network(supplier, buyer, flows[supplier, buyer], final, sector=sector, sectors=sectors)
