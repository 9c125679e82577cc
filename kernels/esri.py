"""The Economic Systemic Risk Index: what share of the economy stops when one firm does.

Diem, Borsos, Reisch, Kertész, Thurner (2022), Scientific Reports 12:7719, Methods; conventions of its R package
GLcascade. A failed firm stays at 0. Round by round, with d and u the health (share of normal activity) of a firm as
its suppliers and as its customers allow:

    σ_i = min(s_i / Σ_{k in the market of i} s_k d_k, 1)          how hard i is to replace
    d_j ← min(ψ_j, min_p [1 − Σ_{i ∈ p} σ_i (1 − d_i) W_ij / W_pj], 1 − Σ_{i linear} σ_i (1 − d_i) W_ij / W_j)
    u_i ← min(ψ_i, 1 − Σ_j (1 − u_j) W_ij / s_i)

over essential products p (generalised Leontief), all non-essential inputs together being one linear input; W_j are all
inputs of j, s_i is the size of i. ESRI = Σ w_i (1 − min(d_i, u_i)) / Σ w_i. Each member stops by itself, after the
round in which none of its firms moved by more than the tolerance, so an index does not depend on its batch.

Departures from the paper:
  1. inputs are grouped by the product of the link (the supplier's sector, unless the network says otherwise);
  2. essentiality has GLcascade's third level, negligible: the input counts in W_j and its loss does nothing;
  3. `market="none"` is GLcascade's default: no supplier is replaced, σ = 1; "industry" replaces within a region only;
  4. `size="output"` counts final demand as customers that stay. The paper's data have none, so there ("sales") any
     failure slowly drains every firm whose customers all sell to firms: the index depends on the tolerance.
"""

from collections.abc import Iterator
from functools import partial
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int
from shockmesh.kernels.devices.segments import Segments, look_up, segment_min, segment_sum, segments
from shockmesh.kernels.network import FirmNetwork

NEGLIGIBLE, NON_ESSENTIAL, ESSENTIAL = 0, 1, 2
TOLERANCE = 1e-2  # of the paper and of GLcascade
QUEUE = 16  # failures in one program, per failure under way

type Essential = Literal["all", "none"] | Int[np.ndarray, "product sector"]
type Market = Literal["sector", "industry", "none"]
type Size = Literal["sales", "output"]


class Weighted(NamedTuple):
    """A sparse matrix from firms to firms or pools: target ← Σ share · source."""

    share: Float[Array, "link 1"]
    source: Segments
    target: Segments

    def __matmul__(self, values: Float[Array, "source member"]) -> Float[Array, "target member"]:
        return segment_sum(self.share * look_up(values, self.source), self.target)


class Cascade(NamedTuple):
    """A network as the cascade sees it, on the device. Make one with `lay_out_cascade`."""

    essential: Weighted  # suppliers → pools of essential products, shares of the pool
    pool_buyer: Segments  # those pools → firms
    linear: Weighted  # suppliers → firms, non-essential links, shares of all inputs
    customers: Weighted  # buyers → suppliers, shares of the supplier's size
    size: Float[Array, "firm 1"]  # s
    market: Segments | None  # firms → the market that can replace them; None: nobody can


class Health(NamedTuple):
    """Activity that remains, 0 … 1."""

    downstream: Float[Array, "firm member"]  # d, limited by suppliers
    upstream: Float[Array, "firm member"]  # u, limited by customers
    rounds: Int[Array, " member"]  # until nothing moved


def lay_out_cascade(
    network: FirmNetwork,
    essential: Essential = "all",
    *,
    market: Market = "sector",
    size: Size = "sales",
    dtype: DTypeLike = jnp.float32,
) -> Cascade:
    """Put a network on the default device.

    Args:
        essential: "all", "none", or the level of each product for buyers of each sector: 2 essential,
            1 non-essential, 0 negligible.

    Raises:
        ValueError: an essentiality matrix of another shape than (products, sectors), or with other levels.
    """
    level = _levels(network, essential)
    sizes = network.sales if size == "sales" else network.output
    groups = {"none": None, "sector": network.sector, "industry": network.industry}[market]
    needed, linear = level == ESSENTIAL, level == NON_ESSENTIAL
    pool, pool_buyer = _pools(network, needed)

    def weighted(which: np.ndarray, whole: np.ndarray, source: Segments, target: Segments) -> Weighted:
        return Weighted(jnp.asarray((network.amount[which] / whole)[:, None], dtype), source, target)

    firms = partial(segments, n=network.n_firms)
    pool_amount = np.bincount(pool, network.amount[needed], len(pool_buyer))[pool]
    every = np.ones(network.n_links, bool)
    return Cascade(
        weighted(needed, pool_amount, firms(network.supplier[needed]), segments(pool, len(pool_buyer))),
        firms(pool_buyer),
        weighted(linear, network.inputs[network.buyer[linear]], firms(network.supplier[linear]),
                 firms(network.buyer[linear])),
        weighted(every, sizes[network.supplier], firms(network.buyer), firms(network.supplier)),
        jnp.asarray(sizes[:, None], dtype),
        None if groups is None else segments(groups, int(groups.max(initial=0)) + 1),
    )  # fmt: skip


@jax.jit
def propagate(
    cascade: Cascade, limit: Float[Array, "firm member"], *, tolerance: float | Float[Array, ""] = TOLERANCE
) -> Health:
    """The health of every firm when ψ = `limit`, 0 … 1, caps it, for a batch of members.

    It always ends: a round is a monotone map, in floating point too (rounding is monotone), so health only falls.
    """

    def moving(carry: tuple[Health, Bool[Array, " member"]]) -> Bool[Array, ""]:
        return carry[1].any()

    def one_round(carry: tuple[Health, Bool[Array, " member"]]) -> tuple[Health, Bool[Array, " member"]]:
        before, active = carry
        after, change = _round(cascade, limit, before)
        return jax.tree.map(lambda new, old: jnp.where(active, new, old), after, before), active & (change > tolerance)

    members = limit.shape[1]
    start = Health(limit, limit, jnp.zeros(members, jnp.int32))
    return jax.lax.while_loop(moving, one_round, (start, jnp.ones(members, bool)))[0]


def _round(
    cascade: Cascade, limit: Float[Array, "firm member"], health: Health
) -> tuple[Health, Float[Array, " member"]]:
    """The next round, and the largest change of a firm's health in it."""
    down = _downstream(cascade, limit, health.downstream)
    up = jnp.maximum(jnp.minimum(limit, 1 - cascade.customers @ (1 - health.upstream)), 0)
    change = jnp.maximum(jnp.abs(down - health.downstream), jnp.abs(up - health.upstream)).max(axis=0)
    return Health(down, up, health.rounds + 1), change


def _downstream(
    cascade: Cascade, limit: Float[Array, "firm member"], health: Float[Array, "firm member"]
) -> Float[Array, "firm member"]:
    """d of the next round: the scarcest essential product, and all other inputs together."""
    missing = _irreplaceable(cascade, health) * (1 - health)
    scarcest = segment_min(1 - cascade.essential @ missing, cascade.pool_buyer)
    return jnp.maximum(jnp.minimum(jnp.minimum(limit, scarcest), 1 - cascade.linear @ missing), 0)


def _irreplaceable(cascade: Cascade, health: Float[Array, "firm member"]) -> Float[Array, "firm member"]:
    """σ: a firm's size relative to what its market still makes; 1 where the market makes nothing."""
    if cascade.market is None:
        return jnp.ones_like(health)
    made = look_up(segment_sum(cascade.size * health, cascade.market), cascade.market)
    return jnp.where(made > 0, jnp.minimum(cascade.size / jnp.where(made > 0, made, 1), 1), 1)


def esri(
    network: FirmNetwork,
    essential: Essential = "all",
    *,
    batch: int = 32,
    market: Market = "sector",
    size: Size = "sales",
    weights: Float[np.ndarray, " firm"] | None = None,
    tolerance: float = TOLERANCE,
    dtype: DTypeLike = jnp.float32,
) -> Float[np.ndarray, " firm"]:
    """The index of every firm, `batch` failures under way at any time, in about 2.5 · batch · links numbers of memory.

    Args:
        weights: w of each firm's loss; by default its size.

    Raises:
        ValueError: a batch below 1, a tolerance that is not positive, weights of another length, negative or all 0,
            or essentiality as in `lay_out_cascade`.
    """
    cascade = lay_out_cascade(network, essential, market=market, size=size, dtype=dtype)
    weights = np.asarray(cascade.size[:, 0], np.float64) if weights is None else weights
    _check(network, batch, tolerance, weights)
    share = jnp.asarray(weights / weights.sum(), dtype)
    queues = _queues(network.n_firms, QUEUE * batch)
    found = [np.asarray(_losses(cascade, queue, share, tolerance, batch)) for queue in queues]
    return np.concatenate(found)[: network.n_firms]


class Slots(NamedTuple):
    """Failures under way: a member whose cascade has ended makes room for the next failure of the queue."""

    health: Health
    place: Int[Array, " member"]  # of the failure in the queue; beyond its end: nothing to do
    waiting: Int[Array, ""]  # the next failure
    found: Float[Array, " queue"]  # Σ w (1 − health) of each failure that has ended


@partial(jax.jit, static_argnames=("batch",))
def _losses(
    cascade: Cascade,
    queue: Int[Array, " queue"],
    share: Float[Array, " firm"],
    tolerance: float | Float[Array, ""],
    batch: int,
) -> Float[Array, " queue"]:
    """Σ w (1 − health) of each failure in a queue of firms, `batch` of them under way at any time."""
    firms = jnp.arange(len(share))[:, None]

    def limit(place: Int[Array, " member"]) -> Float[Array, "firm member"]:
        return (firms != queue.at[place].get(mode="fill", fill_value=len(share))).astype(share.dtype)

    def one_round(slots: Slots) -> Slots:
        health, change = _round(cascade, limit(slots.place), slots.health)
        lost = share @ (1 - jnp.minimum(health.downstream, health.upstream))
        ended = change <= tolerance
        found = slots.found.at[jnp.where(ended, slots.place, len(queue))].set(lost, mode="drop")
        place = jnp.where(ended, slots.waiting + jnp.cumsum(ended) - 1, slots.place)
        fresh = Health(limit(place), limit(place), jnp.zeros_like(health.rounds))
        health = jax.tree.map(lambda new, old: jnp.where(ended, new, old), fresh, health)
        return Slots(health, place, slots.waiting + ended.sum(), found)

    place = jnp.arange(batch)
    start = Health(limit(place), limit(place), jnp.zeros(batch, jnp.int32))
    slots = Slots(start, place, jnp.asarray(batch), jnp.zeros(len(queue), share.dtype))
    return jax.lax.while_loop(lambda slots: (slots.place < len(queue)).any(), one_round, slots).found


def _queues(n: int, length: int) -> Iterator[Int[np.ndarray, " queue"]]:
    """The firms in queues of one length; the last is filled up with n, which is no firm."""
    for start in range(0, n, length):
        yield np.minimum(np.arange(start, start + length), n)


def _levels(network: FirmNetwork, essential: Essential) -> Int[np.ndarray, " link"]:
    """The level of each link's product for its buyer."""
    if isinstance(essential, str):
        return np.full(network.n_links, {"all": ESSENTIAL, "none": NON_ESSENTIAL}[essential])
    products, sectors = int(network.product.max(initial=-1)) + 1, len(network.sectors)
    if essential.ndim != 2 or essential.shape[0] < products or essential.shape[1] != sectors:
        raise ValueError(f"essential: shape {essential.shape}, expected ({products} products, {sectors} sectors)")
    if not np.isin(essential, (NEGLIGIBLE, NON_ESSENTIAL, ESSENTIAL)).all():
        raise ValueError(f"essential: levels {np.unique(essential)[:5]}, expected 0, 1 or 2")
    return essential[network.product, network.sector[network.buyer]]


def _pools(network: FirmNetwork, which: Bool[np.ndarray, " link"]) -> tuple[np.ndarray, np.ndarray]:
    """The pool (buyer and product) of each of these links, and the buyer of each pool."""
    buyer, product = network.buyer[which], network.product[which]
    first = np.ones(len(buyer), bool)
    first[1:] = (buyer[1:] != buyer[:-1]) | (product[1:] != product[:-1])
    return np.cumsum(first) - 1, buyer[first]


def _check(network: FirmNetwork, batch: int, tolerance: float, weights: np.ndarray) -> None:
    if batch < 1:
        raise ValueError(f"batch = {batch}: at least one failure at a time")
    if not tolerance > 0:
        raise ValueError(f"tolerance = {tolerance}: must be > 0")
    if weights.shape != (network.n_firms,) or not (weights >= 0).all() or not weights.sum() > 0:
        raise ValueError(f"weights: {weights.shape}, expected one of each of {network.n_firms} firms, ≥ 0, not all 0")
