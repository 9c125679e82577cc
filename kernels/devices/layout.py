"""How a firm network lies on a device: arrays in link order, and the groups that a step sums over."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int
from shockmesh.kernels.devices.segments import (
    Exchange,
    Links,
    Pools,
    Segments,
    Sellers,
    Separable,
    Table,
    look_up,
    segments,
)
from shockmesh.kernels.model import Switches
from shockmesh.kernels.network import FirmNetwork, ranks, with_candidate_links

BLOCK = 2**17  # links put into a table at a time


class Delayed(NamedTuple):
    """Goods that are on the way for some days, on the host: see `mechanisms/delays.py`."""

    links: Int[np.ndarray, " row"]  # of the network, ascending
    final: Float[np.ndarray, " firm"]  # share of each firm's final goods, 0 … 1
    slots: int  # days of a fixed delay, stages of an Erlang delay; ≥ 1
    is_fixed: bool


class Routed(NamedTuple):
    """Goods that go by a route with a capacity, on the host: see `mechanisms/queues.py`."""

    links: Int[np.ndarray, " row"]  # of the network, ascending
    final: Float[np.ndarray, " firm"]  # share of each firm's final goods, 0 … 1


@partial(jax.tree_util.register_dataclass, data_fields=["link", "buyer", "firm", "share"], meta_fields=[])
@dataclass(frozen=True)
class Goods:
    """Rows of some goods: one for each link, then one for each firm with final goods among them."""

    link: Segments  # rows of links → links
    buyer: Segments  # rows of links → firms that buy
    firm: Segments  # rows of final goods → firms
    share: Float[Array, "row 1"]  # of the firm's final goods

    @property
    def n_links(self) -> int:
        """Rows of links."""
        return self.link.index.shape[0]

    def rows(self, of_links: Links, of_firms: Float[Array, "firm #member"]) -> Float[Array, "row #member"]:
        """Numbers of links and of firms, by row."""
        return jnp.concatenate([look_up(of_links, self.link), self.share * look_up(of_firms, self.firm)])

    def added(
        self, of_links: Links, of_firms: Float[Array, "firm member"], by_row: Float[Array, "row member"]
    ) -> tuple[Links, Float[Array, "firm member"]]:
        """Numbers of links and of firms, and those by row beside them."""
        links, firms = jnp.split(by_row, [self.n_links])
        return self.link.added(of_links, links), self.firm.added(of_firms, firms)


@partial(
    jax.tree_util.register_dataclass, data_fields=["link", "buyer", "firm", "share"], meta_fields=["slots", "is_fixed"]
)
@dataclass(frozen=True)
class Delay(Goods):
    """Goods that are on the way."""

    slots: int  # days of a fixed delay, stages of an Erlang delay
    is_fixed: bool


class Candidacy(NamedTuple):
    """What candidates would carry in place of the links of their pools: see `suppliers.py`."""

    amount: Any  # the pool's Z⁰, by the candidates' output; of a pool without any its links' own, (link, 1)
    some: Any  # 1 of a pool with candidates, else 0, (pool, 1)


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["amount", "pool_amount", "output", "final_demand", "value_added_share", "supplier", "buyer", "pool",
                 "pool_buyer", "region", "criticality", "product_days", "candidacy", "delays", "routes"],
    meta_fields=[],
)  # fmt: skip
@dataclass(frozen=True)
class Layout:
    """A network on a device. Links are sorted by buyer, product, supplier; firms keep the network's order.

    The links of a dense network may be a table: see `segments.Table` and `suits_table`.
    A pool is one buyer's links of one product: they are substitutes, so stocks are summed over a pool.
    Flows are in the network's unit per day.
    """

    amount: Links  # Z⁰ of each link, (link, 1)
    pool_amount: Float[Array, "pool 1"]  # Z⁰ of each pool
    output: Float[Array, "firm 1"]  # x⁰
    final_demand: Float[Array, "firm 1"]  # C
    value_added_share: Float[Array, "firm 1"]  # v = 1 − inputs / x⁰
    supplier: Segments | Exchange | Sellers  # links → firms that sell
    buyer: Segments  # links → firms that buy; none where the links are a table
    pool: Segments | Pools  # links → pools
    pool_buyer: Segments  # pools → firms that buy
    region: Segments  # firms → regions; of a shard's firms, where there are several
    criticality: Float[Array, "pool 1"] | None = None  # χ, how much the buyer needs the product, 0 … 1
    product_days: Float[Array, "pool 1"] | None = None  # n of the product [days of use], see `lay_out`
    candidacy: Candidacy | None = None  # None where no link is a candidate's
    delays: tuple[Delay, ...] = ()
    routes: tuple[Goods, ...] = ()

    @property
    def n_firms(self) -> int:
        return self.output.shape[0]

    @property
    def n_links(self) -> int:
        return self.amount.shape[0]


def lay_out(
    network: FirmNetwork,
    dtype: DTypeLike = jnp.float32,
    criticality: Float[np.ndarray, "product sector"] | None = None,
    product_days: Float[np.ndarray, " product"] | None = None,
    delays: Sequence[Delayed] = (),
    routes: Sequence[Routed] = (),
    *,
    as_table: bool = False,
) -> Layout:
    """Put a network on the default device, with numbers in `dtype`.

    Args:
        as_table: keep the links as a table, for the models of `suits_table`: no number is then kept by link.
        criticality: χ of each product for buyers of each sector, 0 … 1, for the production functions that read it.
        product_days: target stock of each product [days of use], for all who buy it: see `inventories.py`. ∞ means
            never short; 0 means the buyer's own `inventory_days`.
        delays: which goods are on the way for how long: see `mechanisms/delays.py`.
        routes: which goods go by routes with a capacity: see `mechanisms/queues.py`.

    Raises:
        ValueError: criticality of another shape than (products, sectors), or beyond 0 … 1; fewer days than products,
            or days that are neither 0 nor ≥ 1.
    """
    links = _table(network, dtype) if as_table else _links(network, dtype)
    candidates = candidates_of(network)
    inputs = np.bincount(links.pool_buyer, links.pool_amount, network.n_firms)
    inputs_share = np.divide(inputs, network.output, out=np.zeros(network.n_firms), where=network.output > 0)
    return Layout(
        amount=links.amount,
        pool_amount=_column(links.pool_amount, dtype),
        output=_column(network.output, dtype),
        final_demand=_column(network.final_demand, dtype),
        value_added_share=_column(1 - inputs_share, dtype),
        supplier=links.supplier,
        buyer=segments(links.buyer, network.n_firms),
        pool=links.pool,
        pool_buyer=segments(links.pool_buyer, network.n_firms),
        region=segments(network.region, len(network.regions)),
        criticality=None
        if criticality is None
        else _column(criticality_of(network, criticality, links.pool_product, links.pool_buyer), dtype),
        product_days=None
        if product_days is None
        else _column(product_days_of(network, product_days, links.pool_product), dtype),
        candidacy=None
        if candidates is None
        else Candidacy(
            _column(candidates.amount, dtype),
            _column(candidates.some[pools_of(network.buyer, network.product)[1]], dtype),
        ),
        delays=tuple(Delay(*_goods(network, of, product_days, dtype), of.slots, of.is_fixed) for of in delays),
        routes=tuple(Goods(*_goods(network, of, product_days, dtype)) for of in routes),
    )


def _goods(
    network: FirmNetwork, goods: Delayed | Routed, product_days: np.ndarray | None, dtype: DTypeLike
) -> tuple[Segments, Segments, Segments, Array]:
    """What `Goods` has."""
    links, firms = rows_of(network, goods, product_days)
    return (
        segments(links, network.n_links),
        segments(network.buyer[links], network.n_firms),
        segments(firms, network.n_firms),
        _column(goods.final[firms], dtype),
    )


def rows_of(
    network: FirmNetwork, goods: Delayed | Routed, product_days: Float[np.ndarray, " product"] | None
) -> tuple[Int[np.ndarray, " row"], Int[np.ndarray, " final_row"]]:
    """The links of some goods, without those of products that are never short, and the firms with final goods."""
    links = goods.links
    if product_days is not None:
        links = links[np.isfinite(product_days_of(network, product_days, network.product[links]))]
    return links, np.flatnonzero(goods.final * network.final_demand)


class _Grouped(NamedTuple):
    """The links of a layout and their groups."""

    amount: Links
    supplier: Segments | Sellers
    buyer: Int[np.ndarray, " link"]
    pool: Segments | Pools
    pool_amount: Float[np.ndarray, " pool"]
    pool_buyer: Int[np.ndarray, " pool"]
    pool_product: Int[np.ndarray, " pool"]


def _links(network: FirmNetwork, dtype: DTypeLike) -> _Grouped:
    pool, first = pools_of(network.buyer, network.product)
    return _Grouped(
        _column(network.amount, dtype),
        segments(network.supplier, network.n_firms),
        network.buyer,
        segments(pool, len(first)),
        np.bincount(pool, network.amount, len(first)),
        network.buyer[first],
        network.product[first],
    )


def _table(network: FirmNetwork, dtype: DTypeLike) -> _Grouped:
    """One matrix for each product, with a seat for each supplier, and as many seats as the largest product needs."""
    seat, (products, seats) = _seats(network)
    amount = np.zeros((products * seats, network.n_firms), dtype)
    for start in range(0, network.n_links, BLOCK):
        some = slice(start, start + BLOCK)
        amount[seat[network.supplier[some]], network.buyer[some]] = network.amount[some]
    amount = amount.reshape(products, seats, network.n_firms)
    bought = amount.sum(axis=1, dtype=np.float64).T
    buyer, product = np.nonzero(bought)
    cell = segments(np.ravel_multi_index((buyer, product), bought.shape), bought.size)
    table = Table(jnp.asarray(amount), segments(seat, products * seats), cell)
    one = Separable(jnp.ones((network.n_firms, 1), dtype), jnp.ones((len(buyer), 1), dtype))
    no_links = np.zeros(0, np.int32)
    return _Grouped(one, Sellers(table), no_links, Pools(table), bought[buyer, product], buyer, product)


def _seats(network: FirmNetwork) -> tuple[Int[np.ndarray, " firm"], tuple[int, int]]:
    """Each firm's seat, product · seats + its rank among firms of its product; the numbers of products and of seats."""
    product = _product_of_firm(network)
    counts = np.bincount(product)
    return product * counts.max() + ranks(product), (len(counts), int(counts.max()))


def _product_of_firm(network: FirmNetwork) -> Int[np.ndarray, " firm"]:
    """What each firm sells; its sector where it sells nothing."""
    product = network.sector.astype(np.int32)
    product[network.supplier] = network.product
    return product


def linked(network: FirmNetwork, switches: Switches) -> FirmNetwork:
    """The network with the links that a model needs: where suppliers change, those of candidates too, of amount 0."""
    return with_candidate_links(network) if switches.switching else network


def suits_table(network: FirmNetwork, switches: Switches, *, by_link: bool = False) -> bool:
    """Whether a layout as a table holds all that the model needs, and little else.

    The model needs no number of a single link if stocks are kept by pool, rationing treats all links of a supplier
    alike, prices are fixed and suppliers too; `by_link` says that a scenario has cuts or damages, which differ by link.
    The network suits if links fill a tenth of the table or more, and each firm sells one product.
    """
    if by_link or switches.reads_links or not network.n_links:
        return False
    one_product = np.array_equal(_product_of_firm(network)[network.supplier], network.product)
    return 10 * network.n_links >= table_cells(network) and one_product


def table_cells(network: FirmNetwork) -> int:
    """Numbers of a table that holds the network's links: products × suppliers of the largest product × firms."""
    suppliers = np.bincount(_product_of_firm(network))
    return len(suppliers) * int(suppliers.max()) * network.n_firms


def criticality_of(
    network: FirmNetwork,
    criticality: Float[np.ndarray, "product sector"],
    product: Int[np.ndarray, " row"],
    buyer: Int[np.ndarray, " row"],
) -> Float[np.ndarray, " row"]:
    """χ of products for the firms that buy them.

    Raises:
        ValueError: another shape than (products, sectors), or a number beyond 0 … 1.
    """
    products, sectors = int(network.product.max(initial=-1)) + 1, len(network.sectors)
    if criticality.ndim != 2 or criticality.shape[0] < products or criticality.shape[1] != sectors:
        raise ValueError(f"criticality: shape {criticality.shape}, expected ({products} products, {sectors} sectors)")
    if not ((criticality >= 0) & (criticality <= 1)).all():
        raise ValueError(f"criticality: {criticality.min():g} … {criticality.max():g}: must be ≥ 0 and ≤ 1")
    return criticality[product, network.sector[buyer]]


def product_days_of(
    network: FirmNetwork, days: Float[np.ndarray, " product"], product: Int[np.ndarray, " row"]
) -> Float[np.ndarray, " row"]:
    """Days of stock of products.

    Raises:
        ValueError: fewer numbers than products, or one that is neither 0 nor ≥ 1.
    """
    products = int(network.product.max(initial=-1)) + 1
    if days.ndim != 1 or len(days) < products:
        raise ValueError(f"product_days: shape {days.shape}, expected ({products} products,)")
    if not ((days == 0) | (days >= 1)).all():
        raise ValueError(f"product_days: {days.min():g} … {days.max():g}: must be 0 or ≥ 1")
    return days[product]


def candidates_of(network: FirmNetwork) -> Candidacy | None:
    """The candidates among links, those of amount 0, with numbers of all links; None if there are none."""
    candidate = network.amount == 0
    if not candidate.any():
        return None
    pool, first = pools_of(network.buyer, network.product)
    size = np.where(candidate, network.output[network.supplier], 0)
    total, amount = (np.bincount(pool, of, len(first))[pool] for of in (size, network.amount))
    scale = np.divide(amount, total, out=np.zeros(len(pool)), where=total > 0)
    return Candidacy(np.where(total > 0, size * scale, network.amount), (total > 0).astype(np.float64))


def pools_of(
    buyer: Int[np.ndarray, " link"], product: Int[np.ndarray, " link"]
) -> tuple[Int[np.ndarray, " link"], Int[np.ndarray, " pool"]]:
    """The pool of each link, and the first link of each pool, of links sorted by buyer and product."""
    new = np.ones(len(buyer), bool)
    new[1:] = (buyer[1:] != buyer[:-1]) | (product[1:] != product[:-1])
    return np.cumsum(new) - 1, np.flatnonzero(new)


def _column(values: np.ndarray, dtype: DTypeLike) -> Float[Array, "item 1"]:
    return jnp.asarray(values[:, None], dtype)
