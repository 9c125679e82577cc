"""Economies whose prices move, and their prices in plain NumPy, with N × N matrices: rows sell, columns buy."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from arrays import column
from shockmesh.kernels.mechanisms.courses import Rise
from shockmesh.kernels.mechanisms.shocks import Tariff
from shockmesh.kernels.model import Parameters
from shockmesh.kernels.network import FirmNetwork, firm_network

RANGES = {
    "inventory_days": (3, 9), "adjustment_days": (2, 9), "capacity": (1.1, 1.5), "pass_through": (0.1, 0.9),
    "scarcity": (0.1, 1), "elasticity_within": (0.2, 4), "elasticity_between": (0.1, 1.5),
    "elasticity_final": (0.3, 2), "elasticity": (0.3, 0.9), "base_capacity": (1, 1.1), "overproduction_days": (9, 30),
    "inventory_threshold": (0.3, 0.9), "hiring_days": (5, 30), "firing_days": (3, 15), "household_share": (0.2, 0.9),
    "consumption_persistence": (0.8, 0.95), "benefit_share": (0.1, 0.5),
}  # fmt: skip


WAGES = np.random.default_rng(7).uniform(0.8, 1.5, 30)


def economy(firms: int = 30, seed: int = 0) -> FirmNetwork:
    """A random network of three regions and four sectors whose firms all add value."""
    rng = np.random.default_rng(seed)
    pairs = np.unique(rng.integers(0, firms, (6 * firms, 2)), axis=0)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    amount = rng.uniform(0.1, 1, len(pairs))
    sales, inputs = (np.bincount(pairs[:, side], amount, firms) for side in (0, 1))
    return firm_network(
        pairs[:, 0], pairs[:, 1], amount, np.maximum(inputs * rng.uniform(1.2, 2, firms) - sales, 0.1),
        sector=rng.integers(0, 4, firms), sectors=list("abcd"), region=rng.integers(0, 3, firms), regions=list("xyz"),
    )  # fmt: skip


def numbers(network: FirmNetwork, seed: int = 1, members: int = 1, **given: Any) -> Parameters:
    """Numbers that differ by firm and member, but those given."""
    rng, shape = np.random.default_rng(seed), (network.n_firms, members)
    drawn = {name: rng.uniform(*of, shape) for name, of in RANGES.items()}
    return Parameters.of({name: jnp.asarray(values, float) for name, values in (drawn | given_to(given)).items()})


def given_to(given: dict[str, Any]) -> dict[str, np.ndarray]:
    return {name: np.full((1, 1), value) for name, value in given.items()}


def lasting(rate: Any) -> Rise:
    """A rise from the first day on, for good."""
    return Rise(column(rate), column(-1.0), column(1e6), column(0.0))


def between(network: FirmNetwork, rise: Rise) -> Tariff:
    """A tariff of region y on what comes from region x."""
    return Tariff(column(network.region == 0), column(network.region == 1), rise)


def cost_shares(network: FirmNetwork, tariff: Any = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """A ∘ (1 + τ), rows sell, and v."""
    a = np.zeros((network.n_firms, network.n_firms))
    a[network.supplier, network.buyer] = network.amount / network.output[network.buyer]
    return a * (1 + np.asarray(tariff)), 1 - a.sum(0)


def taxed(network: FirmNetwork, rate: float) -> np.ndarray:
    return rate * np.outer(network.region == 0, network.region == 1)


def single(precision: np.dtype, tree: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf.astype(precision), tree)


def power_mean(values: np.ndarray, shares: np.ndarray, power: float) -> float:
    """(Σ s v^κ)^(1/κ), the geometric mean at κ = 0; shares sum to 1."""
    return float(
        np.exp((shares * np.log(values)).sum()) if power == 0 else (shares * values**power).sum() ** (1 / power)
    )


@dataclass(frozen=True)
class DensePrices:
    """Prices, recipes and money of a network: Leontief production, orders by link, proportional rationing."""

    network: FirmNetwork
    numbers: dict[str, np.ndarray]  # of each firm, by the names of `Parameters`

    @property
    def flows(self) -> np.ndarray:
        base = np.zeros((self.network.n_firms, self.network.n_firms))
        base[self.network.supplier, self.network.buyer] = self.network.amount
        return base

    def pools(self, buyer: int) -> list[np.ndarray]:
        """The suppliers of each product that a firm buys."""
        sells = np.flatnonzero(self.flows[:, buyer])
        return [sells[self.network.sector[sells] == of] for of in np.unique(self.network.sector[sells])]

    def unit_cost(
        self, price: np.ndarray, tariff: np.ndarray, wage: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """u of each firm, what a day of baseline output asks of each link, and P of each link's pool."""
        base, net = self.flows, self.network
        paid, cost = (1 + tariff) * price[:, None], np.ones(net.n_firms)
        asked, index = np.zeros_like(base), np.ones_like(base)
        for i in range(net.n_firms):
            within, between = (self.numbers[f"elasticity_{of}"][i] for of in ("within", "between"))
            pools = self.pools(i)
            amounts = np.array([base[of, i].sum() for of in pools])
            levels = [power_mean(paid[of, i], base[of, i] / base[of, i].sum(), 1 - within) for of in pools]
            shares = np.append(amounts, net.output[i] - amounts.sum()) / net.output[i]
            cost[i] = power_mean(np.append(levels, wage[i]), shares, 1 - between)
            for of, amount, level in zip(pools, amounts, levels, strict=True):
                part = base[of, i] * (paid[of, i] / level) ** -within
                asked[of, i] = amount * (level / cost[i]) ** -between * part / part.sum()
                index[of, i] = level
        return cost, asked, index

    def basket(self, price: np.ndarray, final_demand: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Final demand at some prices, and the price level of each firm's region."""
        found, level = final_demand.copy(), np.ones_like(price)
        for region in np.unique(self.network.region):
            here = self.network.region == region
            weight = self.network.final_demand[here]
            elasticity = (weight * self.numbers["elasticity_final"][here]).sum() / weight.sum()
            shares = final_demand[here] / final_demand[here].sum()
            level[here] = power_mean(price[here], shares, 1 - elasticity)
            found[here] = final_demand[here] * (price[here] / level[here]) ** -elasticity / level[here]
        return found, level

    def run(
        self, productivity: np.ndarray, final_demand: np.ndarray, tariff: np.ndarray, wage: np.ndarray
    ) -> dict[str, np.ndarray]:
        """What is recorded under paths of productivity, final demand, wages [time, firm] and tariffs [time, N, N]."""
        net, base = self.network, self.flows
        days, tau = self.numbers["inventory_days"], self.numbers["adjustment_days"]
        stock, price, use = base * days, np.ones(net.n_firms), np.ones(net.n_firms)
        found: dict[str, list[np.ndarray]] = {}
        for z, asked_of_day, taxed, w in zip(productivity, final_demand, tariff, wage, strict=True):
            cost, asked, index = self.unit_cost(price, taxed, w)
            orders = np.maximum(asked * use + (days * asked - stock) / tau, 0)
            wanted, level = self.basket(price, asked_of_day)
            demand = orders.sum(1) + wanted
            limit = np.full(net.n_firms, np.inf)
            for i in range(net.n_firms):
                limit[i] = min((stock[of, i].sum() / asked[of, i].sum() for of in self.pools(i)), default=np.inf)
            output = np.minimum(demand, np.minimum(z * self.numbers["capacity"], limit) * net.output)
            fill = output / demand
            sold, met = fill[:, None] * orders, fill * wanted
            before = stock.copy()
            for i in range(net.n_firms):
                for of in self.pools(i):
                    used = asked[of, i].sum() * output[i] / net.output[i]
                    stock[of, i] *= 1 - used / stock[of, i].sum()
            stock = stock + sold
            spent = ((1 + taxed) * price[:, None] * sold).sum(0)
            day = {
                "output": output, "final_consumption": met, "price": price, "unit_cost": cost,
                "consumer_price_index": level, "tariff_revenue": (taxed * price[:, None] * sold).sum(0),
                "nominal_output": price * output,
                "nominal_value_added": price * output - spent + (index * (stock - before)).sum(0),
            }  # fmt: skip
            for name, values in day.items():
                found.setdefault(name, []).append(values)
            use = demand / net.output
            premium = 1 + self.numbers["scarcity"] * (1 - fill)
            price = price + self.numbers["pass_through"] * (cost * premium - price)
        return {name: np.array(values) for name, values in found.items()}
