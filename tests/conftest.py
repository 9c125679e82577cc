"""Fixtures that several test files share: precisions, random networks, a dense second implementation."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import jax
import numpy as np
import pytest
from shockmesh.kernels.model import Switches
from shockmesh.kernels.network import FirmNetwork, firm_network

jax.config.update("jax_num_cpu_devices", 8)  # simulated devices for the sharding tests; all else runs on the first


@pytest.fixture(params=["float64", "float32"])
def precision(request: pytest.FixtureRequest) -> Iterator[np.dtype]:
    """Run a test in both precisions; float64 is switched on for the test alone."""
    with jax.enable_x64(request.param == "float64"):
        yield np.dtype(request.param)


@pytest.fixture
def float64() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


@pytest.fixture
def random_network() -> Callable[..., FirmNetwork]:
    """A balanced random network whose firms all add value: firms, links and sectors as asked, by seed."""

    def make(firms: int = 30, links: int = 120, sectors: int = 4, seed: int = 0) -> FirmNetwork:
        rng = np.random.default_rng(seed)
        pairs = np.unique(rng.integers(0, firms, (links, 2)), axis=0)
        pairs = pairs[pairs[:, 0] != pairs[:, 1]]
        amount = rng.uniform(0.1, 1, len(pairs))
        sales = np.bincount(pairs[:, 0], amount, firms)
        inputs = np.bincount(pairs[:, 1], amount, firms)
        final_demand = np.maximum(inputs * rng.uniform(1.2, 2, firms) - sales, 0.1)
        names = [f"S{k}" for k in range(sectors)]
        return firm_network(
            pairs[:, 0], pairs[:, 1], amount, final_demand, sector=rng.integers(0, sectors, firms), sectors=names
        )

    return make


@dataclass(frozen=True)
class DenseModel:
    """The model of one member in plain NumPy with N × N matrices: rows sell, columns buy. Float64 throughout."""

    network: FirmNetwork
    switches: Switches
    inventory_days: np.ndarray
    adjustment_days: np.ndarray
    capacity: np.ndarray

    def run(self, productivity: np.ndarray, final_demand: np.ndarray) -> dict[str, np.ndarray]:
        """Output and final consumption [time, firm] under paths of productivity and final demand [time, firm]."""
        net, n = self.network, self.network.n_firms
        base = np.zeros((n, n))
        base[net.supplier, net.buyer] = net.amount
        product_of = net.sector
        stock, orders = base * self.inventory_days, base.copy()
        outputs, consumptions = [], []
        for z, demand_of_day in zip(productivity, final_demand, strict=True):
            demand = orders.sum(1) + demand_of_day
            limit = np.full(n, np.inf)
            pooled, needed = np.zeros_like(base), np.zeros_like(base)
            for product in np.unique(product_of):
                rows = product_of == product
                pooled[rows], needed[rows] = stock[rows].sum(0), base[rows].sum(0)
                uses = base[rows].sum(0) > 0
                limit[uses] = np.minimum(limit[uses], (stock[rows].sum(0)[uses] / base[rows].sum(0)[uses]))
            output = np.minimum(np.minimum(demand, z * self.capacity * net.output), limit * net.output)
            if self.switches.rationing == "proportional":
                fill = output / demand
                consumption = fill * demand_of_day
            else:
                received = orders.sum(1)
                fill = np.minimum(np.divide(output, received, out=np.ones(n), where=received > 0), 1)
                consumption = np.clip(output - received, 0, demand_of_day)
            activity = output / net.output
            use = np.divide(stock, pooled, out=np.zeros_like(base), where=pooled > 0) * needed * activity
            stock = np.maximum(stock + fill[:, None] * orders - use, 0)
            level = {"fixed": np.ones(n), "demand": demand / net.output, "output": activity}
            target = base * self.inventory_days * level[self.switches.order_target]
            expected = base * level[self.switches.order_basis]
            orders = np.maximum(expected + (target - stock) / self.adjustment_days, 0)
            outputs.append(output)
            consumptions.append(consumption)
        return {"output": np.array(outputs), "final_consumption": np.array(consumptions)}


@pytest.fixture
def dense_model() -> type[DenseModel]:
    return DenseModel
