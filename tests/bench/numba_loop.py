"""The peer of the kernels: the default model as one expert would write it in Numba, a fused loop over firms and links.

Links are grouped by buyer and product (CSR), single precision; one pass over a firm's links finds its input limit, a
second updates stocks and orders while they are in cache. The threaded variant runs firms in parallel and sums orders by
supplier through the transposed index (no atomics). Uncompiled it is the loop of one who writes plain Python.
"""

from typing import NamedTuple

import numba
import numpy as np
from shockmesh.kernels.network import FirmNetwork


class Csr(NamedTuple):
    """Links by buyer and product, and by supplier."""

    supplier: np.ndarray
    amount: np.ndarray
    firm_start: np.ndarray  # first pool of each buyer
    pool_start: np.ndarray  # first link of each pool
    sale_start: np.ndarray  # first sale of each supplier
    sale: np.ndarray  # links in supplier order
    output: np.ndarray
    final_demand: np.ndarray


def csr(network: FirmNetwork) -> Csr:
    new = np.ones(network.n_links, bool)
    new[1:] = (network.buyer[1:] != network.buyer[:-1]) | (network.product[1:] != network.product[:-1])
    pool_start = np.append(np.flatnonzero(new), network.n_links)
    firm_start = np.searchsorted(network.buyer[pool_start[:-1]], np.arange(network.n_firms + 1))
    sale = np.argsort(network.supplier, kind="stable")
    sale_start = np.searchsorted(network.supplier[sale], np.arange(network.n_firms + 1))
    single = (network.amount.astype(np.float32), network.output.astype(np.float32))
    return Csr(
        network.supplier, single[0], firm_start, pool_start, sale_start, sale, single[1],
        network.final_demand.astype(np.float32),
    )  # fmt: skip


def run_python(net, days, inventory_days, tau, kappa, loss, onset, recovery_start, rate):
    n = len(net.output)
    stock, orders = inventory_days * net.amount, net.amount.copy()
    demand, fill, total = np.empty(n, np.float32), np.empty(n, np.float32), np.zeros(days, np.float32)
    output = np.empty(n, np.float32)
    pace = np.float32(1 / tau)
    for day in range(days):
        remaining = np.float32(np.exp(-rate * max(day - recovery_start, 0)) if day >= onset else 0)
        for j in numba.prange(n):
            received = np.float32(0)
            for s in range(net.sale_start[j], net.sale_start[j + 1]):
                received += orders[net.sale[s]]
            demand[j] = received + net.final_demand[j]
            cover = np.float32(np.inf)
            for p in range(net.firm_start[j], net.firm_start[j + 1]):
                held, used = np.float32(0), np.float32(0)
                for e in range(net.pool_start[p], net.pool_start[p + 1]):
                    held += stock[e]
                    used += net.amount[e]
                cover = min(cover, held / used)
            limit = min(kappa * (1 - loss[j] * remaining), cover) * net.output[j]
            output[j] = min(demand[j], limit)
            fill[j] = output[j] / demand[j] if demand[j] > 0 else np.float32(0)
        for i in numba.prange(n):
            activity = output[i] / net.output[i]
            wanted = demand[i] / net.output[i] + pace * inventory_days
            for p in range(net.firm_start[i], net.firm_start[i + 1]):
                held, used = np.float32(0), np.float32(0)
                for e in range(net.pool_start[p], net.pool_start[p + 1]):
                    held += stock[e]
                    used += net.amount[e]
                kept = 1 - used * activity / held if held > 0 else np.float32(1)
                for e in range(net.pool_start[p], net.pool_start[p + 1]):
                    after = max(stock[e] * kept, np.float32(0)) + fill[net.supplier[e]] * orders[e]
                    stock[e] = after
                    orders[e] = max(net.amount[e] * wanted - after * pace, np.float32(0))
        total[day] = output.sum()
    return total


run_serial = numba.njit(run_python, fastmath=True)
run_threaded = numba.njit(run_python, fastmath=True, parallel=True)
