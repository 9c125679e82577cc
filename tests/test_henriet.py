"""Parity of `henriet2012` with equations written out: not those of its text, which was not found, but of two accounts.

Henriet, Hallegatte, Tabourier (2012), JEDC 36:150, is known here by its abstract. What is written out below is
  (a) the manual of BoARIO on Hallegatte (2014): limits of stocks, target, orders, with ψ = 1;
  (b) the manual and simulator of Inoue & Todo, which says to follow Henriet & Hallegatte (2008), the working paper
      before: one stock for each supplier, proportional rationing, an order that would be negative is none.
Where the two differ:
  1. production: in (a) output falls as soon as a stock is below its target, in (b) only once a stock does not last the
     day; (a) here. (b) is the preset `inoue_todo2019` with 15 days of stock;
  2. orders: in (b) use and target both follow the demand that was met; in (a) use follows output, the target what
     demand and capacity allow; (a) here.
Departures of both sides from (a) and (b):
  3. substitutes: the stocks of one product from several suppliers limit output together, and use is drawn from them in
     proportion; (b) draws each supplier's share of the use from his stock alone, and stops at 0;
  4. capital is not rebuilt: the loss of capacity is given, as in (b).
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from rollouts import rollout
from shockmesh.kernels.devices.layout import lay_out
from shockmesh.kernels.mechanisms.courses import Recovery
from shockmesh.kernels.mechanisms.shocks import Scenario
from shockmesh.kernels.model import PRESETS, Parameters
from shockmesh.kernels.network import FirmNetwork, firm_network

DAYS, ONSET, RECOVERY, RATE = 60, 3, 12, 0.08


def written_out(network: FirmNetwork, loss: np.ndarray, n: float, tau: float) -> np.ndarray:
    """Output [time, firm]. Z and S are [supplier, buyer], a product's rows `of_product`."""
    z = np.zeros((network.n_firms, network.n_firms))
    z[network.supplier, network.buyer] = network.amount
    x0, final_demand = network.output, network.final_demand
    a, of_product = z / x0, [np.flatnonzero(network.sector == product) for product in np.unique(network.sector)]
    stock, orders, outputs = n * z, z, []
    for day in range(DAYS):
        left = np.exp(-RATE * max(day - RECOVERY, 0)) if day >= ONSET else 0
        capacity = (1 - loss * left) * x0
        demand = orders.sum(axis=1) + final_demand
        optimal = np.minimum(demand, capacity)
        output = optimal.copy()
        for rows in of_product:
            held, target = stock[rows].sum(axis=0), n * a[rows].sum(axis=0) * optimal
            short = held < target
            output[short] = np.minimum(output[short], optimal[short] * held[short] / target[short])
        delivered = orders * (output / demand)[:, None]
        for rows in of_product:
            before, use = stock[rows] + delivered[rows], a[rows].sum(axis=0) * output
            share = np.divide(use, before.sum(axis=0), out=np.zeros_like(use), where=use > 0)
            stock[rows] = before * (1 - share)
        orders = np.maximum(a * output + (n * a * optimal - stock) / tau, 0)
        outputs.append(output)
    return np.array(outputs)


@pytest.mark.parametrize("products", [20, 5], ids=["every supplier is needed", "some are substitutes"])
def test_henriet2012_is_what_others_say_of_it(float64, random_network: Any, products: int):
    network = random_network(firms=20, links=80, sectors=products, seed=6)
    if products == 20:
        network = own_products(network)
    rng = np.random.default_rng(2)
    loss = rng.uniform(0.1, 0.6, 20) * (rng.random(20) < 0.3)
    preset, one = PRESETS["henriet2012"], jnp.ones((1, 1))
    model = Parameters.of({name: value * one for name, value in preset.defaults.items()})
    lost = Recovery(jnp.asarray(loss)[:, None], ONSET * one, RECOVERY * one, RATE * one)
    layout = lay_out(network, np.float64)
    found = rollout(layout, preset.switches, model, Scenario((lost,)), days=DAYS, record={"output": None})["output"]
    n, tau = preset.defaults["inventory_days"], preset.defaults["adjustment_days"]
    expected = written_out(network, loss, n, tau)
    assert (expected.min(axis=0) < 0.98 * network.output)[loss == 0].any()
    np.testing.assert_allclose(found[..., 0], expected, rtol=1e-9)


def own_products(network: FirmNetwork) -> FirmNetwork:
    """The same firms and links, each firm with a product of its own."""
    names = [f"S{k}" for k in range(network.n_firms)]
    return firm_network(
        network.supplier, network.buyer, network.amount, network.final_demand,
        sector=np.arange(network.n_firms), sectors=names,
    )  # fmt: skip
