"""Economies whose buyers have candidates, and suppliers that change in plain NumPy, pool by pool."""

from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp
import numpy as np
from priced import economy, given_to, numbers
from shockmesh.kernels.model import Parameters
from shockmesh.kernels.network import FirmNetwork, with_candidates

RANGES = {
    "satisfaction_days": (1, 6), "sensitivity": (0.3, 3), "pull": (0.3, 3), "search_days": (0.2, 3.7),
    "switching_days": (1.5, 6), "turnover": (0.001, 0.02),
}  # fmt: skip


def with_some(network: FirmNetwork, per_pool: int = 2, seed: int = 0) -> FirmNetwork:
    """Up to so many candidates for each pool, any firms that sell its product."""
    rng, drawn = np.random.default_rng(seed), []
    links = set(zip(network.supplier.tolist(), network.buyer.tolist(), strict=True))
    for buyer, product in sorted(set(zip(network.buyer.tolist(), network.product.tolist(), strict=True))):
        others = [j for j in np.flatnonzero(network.sector == product) if j != buyer and (j, buyer) not in links]
        drawn += [(j, buyer, product) for j in rng.permutation(others)[:per_pool]]
    return with_candidates(network, *np.array(drawn).T)


def sourced(firms: int = 30, seed: int = 0) -> FirmNetwork:
    return with_some(economy(firms, seed))


def sourcing_numbers(network: FirmNetwork, seed: int = 1, members: int = 1, **given: Any) -> Parameters:
    """Numbers that differ by firm and member, but those given."""
    rng, shape = np.random.default_rng(seed + 10), (network.n_firms, members)
    drawn = {name: rng.uniform(*of, shape) for name, of in RANGES.items()}
    own = {name: given.pop(name) for name in list(given) if name in RANGES}
    drawn |= given_to(own)
    return replace(
        numbers(network, seed, members, **given), **{name: jnp.asarray(of, float) for name, of in drawn.items()}
    )


@dataclass(frozen=True)
class DenseSuppliers:
    """Leontief production, orders by link, proportional rationing, and suppliers that change; rows sell."""

    network: FirmNetwork
    numbers: dict[str, np.ndarray]  # of each firm, by the names of `Parameters`

    def pools(self) -> list[tuple[np.ndarray, int, np.ndarray]]:
        """The suppliers of each pool, its buyer, and which of the suppliers are candidates."""
        net, found = self.network, []
        for buyer, product in sorted(set(zip(net.buyer.tolist(), net.product.tolist(), strict=True))):
            own = net.supplier[(net.buyer == buyer) & (net.product == product)]
            more = net.candidates.supplier[(net.candidates.buyer == buyer) & (net.candidates.product == product)]
            found.append((np.concatenate([own, more]), buyer, np.arange(len(own) + len(more)) >= len(own)))
        return found

    def run(self, productivity: np.ndarray, final_demand: np.ndarray) -> dict[str, np.ndarray]:
        """Output and what switched, under paths of productivity and final demand [time, firm]."""
        net, of, n = self.network, self.numbers, self.network.n_firms
        base, pools = np.zeros((n, n)), self.pools()
        base[net.supplier, net.buyer] = net.amount
        total, share, trust = np.zeros_like(base), np.zeros_like(base), np.ones_like(base)
        for who, i, _ in pools:
            total[who, i] = base[who, i].sum()
            share[who, i] = base[who, i] / base[who, i].sum()
        at_rest, stock, use = share.copy(), base * of["inventory_days"], np.ones(n)
        searched, days = [0] * len(pools), {"output": [], "switched": []}
        for day, (z, consumers) in enumerate(zip(productivity, final_demand, strict=True)):
            asked = share * total
            orders = np.maximum(asked * use + (of["inventory_days"] * asked - stock) / of["adjustment_days"], 0)
            demand = orders.sum(1) + consumers
            limit = np.full(n, np.inf)
            for who, i, _ in pools:
                limit[i] = min(limit[i], stock[who, i].sum() / total[who, i][0])
            most = np.minimum(z * of["capacity"], limit)
            output = np.minimum(demand, most * net.output)
            fill = np.where(demand > 0, output / np.where(demand > 0, demand, 1), most > 0)
            for who, i, _ in pools:
                stock[who, i] *= 1 - total[who, i][0] * output[i] / net.output[i] / stock[who, i].sum()
            stock += fill[:, None] * orders
            days["output"].append(output)
            days["switched"].append(np.maximum(asked - base, 0).sum(0))
            for pool, (who, i, candidate) in enumerate(pools):
                trust[who, i] += (fill[who] - trust[who, i]) / of["satisfaction_days"][i]
                missing = (share[who, i] * (1 - trust[who, i])).sum()
                by_size = candidate * net.output[who]
                by_size = by_size / max(by_size.sum(), 1e-300)
                ended = 1 - (1 - of["turnover"][i]) ** day if candidate.any() else 0
                usual = at_rest[who, i] + ended * (by_size - at_rest[who, i])
                wanted = (usual + of["pull"][i] * missing * by_size) * trust[who, i] ** of["sensitivity"][i]
                searched[pool] += searched[pool] > 0 or missing > 1e-12
                pace = np.clip(searched[pool] - of["search_days"][i], 0, 1) / of["switching_days"][i]
                share[who, i] += pace * (wanted / wanted.sum() - share[who, i])
                if candidate.any():
                    share[who, i] += of["turnover"][i] * (by_size - share[who, i])
            use = demand / net.output
        return {name: np.array(values) for name, values in days.items()}
