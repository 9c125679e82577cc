"""How a firm network lies on a device: arrays in link order, and the groups that a step sums over."""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int
from shockmesh.kernels.network import FirmNetwork
from shockmesh.kernels.segments import Exchange, Segments, segments


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["amount", "pool_amount", "output", "final_demand", "value_added_share", "supplier", "buyer", "pool",
                 "pool_buyer", "criticality"],
    meta_fields=[],
)  # fmt: skip
@dataclass(frozen=True)
class Layout:
    """A network on a device. Links are sorted by buyer, product, supplier; firms keep the network's order.

    A pool is one buyer's links of one product: they are substitutes, so stocks are summed over a pool.
    Flows are in the network's unit per day.
    """

    amount: Float[Array, "link 1"]  # Z⁰ of each link
    pool_amount: Float[Array, "pool 1"]  # Z⁰ of each pool
    output: Float[Array, "firm 1"]  # x⁰
    final_demand: Float[Array, "firm 1"]  # C
    value_added_share: Float[Array, "firm 1"]  # v = 1 − inputs / x⁰
    supplier: Segments | Exchange  # links → firms that sell
    buyer: Segments  # links → firms that buy
    pool: Segments  # links → pools
    pool_buyer: Segments  # pools → firms that buy
    criticality: Float[Array, "pool 1"] | None = None  # χ, how much the buyer needs the product, 0 … 1

    @property
    def n_firms(self) -> int:
        return self.output.shape[0]

    @property
    def n_links(self) -> int:
        return self.amount.shape[0]


def lay_out(
    network: FirmNetwork, dtype: DTypeLike = jnp.float32, criticality: Float[np.ndarray, "product sector"] | None = None
) -> Layout:
    """Put a network on the default device, with numbers in `dtype`.

    Args:
        criticality: χ of each product for buyers of each sector, 0 … 1, for the production functions that read it.

    Raises:
        ValueError: a firm buys inputs but has no baseline output, so that its technology is undefined; criticality of
            another shape than (products, sectors), or beyond 0 … 1.
    """
    idle_buyers = np.flatnonzero((network.output == 0) & (network.inputs > 0))
    if len(idle_buyers):
        named = ", ".join(str(network.firm[i]) for i in idle_buyers[:5])
        raise ValueError(f"network: {len(idle_buyers)} firms buy inputs but have output 0: {named}")
    pool, first = pools_of(network.buyer, network.product)
    inputs_share = np.divide(network.inputs, network.output, out=np.zeros(network.n_firms), where=network.output > 0)
    return Layout(
        amount=_column(network.amount, dtype),
        pool_amount=_column(np.bincount(pool, network.amount, len(first)), dtype),
        output=_column(network.output, dtype),
        final_demand=_column(network.final_demand, dtype),
        value_added_share=_column(1 - inputs_share, dtype),
        supplier=segments(network.supplier, network.n_firms),
        buyer=segments(network.buyer, network.n_firms),
        pool=segments(pool, len(first)),
        pool_buyer=segments(network.buyer[first], network.n_firms),
        criticality=None if criticality is None else _column(criticality_of(network, criticality)[first], dtype),
    )


def criticality_of(
    network: FirmNetwork, criticality: Float[np.ndarray, "product sector"]
) -> Float[np.ndarray, " link"]:
    """χ of each link's product for its buyer.

    Raises:
        ValueError: another shape than (products, sectors), or a number beyond 0 … 1.
    """
    products, sectors = int(network.product.max(initial=-1)) + 1, len(network.sectors)
    if criticality.ndim != 2 or criticality.shape[0] < products or criticality.shape[1] != sectors:
        raise ValueError(f"criticality: shape {criticality.shape}, expected ({products} products, {sectors} sectors)")
    if not ((criticality >= 0) & (criticality <= 1)).all():
        raise ValueError(f"criticality: {criticality.min():g} … {criticality.max():g}: must be ≥ 0 and ≤ 1")
    return criticality[network.product, network.sector[network.buyer]]


def pools_of(
    buyer: Int[np.ndarray, " link"], product: Int[np.ndarray, " link"]
) -> tuple[Int[np.ndarray, " link"], Int[np.ndarray, " pool"]]:
    """The pool of each link, and the first link of each pool, of links sorted by buyer and product."""
    new = np.ones(len(buyer), bool)
    new[1:] = (buyer[1:] != buyer[:-1]) | (product[1:] != product[:-1])
    return np.cumsum(new) - 1, np.flatnonzero(new)


def _column(values: np.ndarray, dtype: DTypeLike) -> Float[Array, "item 1"]:
    return jnp.asarray(values[:, None], dtype)
