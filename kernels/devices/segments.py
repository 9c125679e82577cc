"""Sums over, and look-ups into, groups of rows: the two cross operations of a step, each the other's adjoint.

An array of items (links, pools, firms) has shape (item, member), members innermost. `Segments` says to which group
each item belongs: links to suppliers, links to a buyer's product pools, pools to buyers, firms to industries.
`Exchange` is the same for links whose suppliers may live on other shards: its sums push partial sums to the owners, its
look-ups pull values from them, with one all-to-all each.
`Sellers` and `Pools` are the same for links that are a `Table`: numbers of links are then `Separable`, and a sum over
links is a matrix product.

`segment_sum` adds in item order on the CPU, so it is deterministic there bit for bit. A GPU would add atomically, in
any order. There groups read their items (`gathers.py`), and sums and look-ups are each other's transpose by hand, so
that neither pass has a scatter.

The barriers make the compiler compute each group value once. Without the one in a look-up it would compute a group's
value anew for every item; the one in a sum prevents the same in the backward pass.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, overload

import jax
import jax.numpy as jnp
import numpy as np
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array, Bool, Float, Int
from shockmesh.kernels.devices.adjoint import linear
from shockmesh.kernels.devices.gathers import Gathers, gathers

GROUPED = "grouped"  # names the results of sums, minima and exchanges: few numbers that cost much to compute anew


@partial(
    jax.tree_util.register_dataclass, data_fields=["index", "reads"], meta_fields=["n", "is_sorted", "is_identity"]
)
@dataclass(frozen=True)
class Segments:
    """Which of `n` groups each item belongs to. Make one with `segments`."""

    index: Int[Array, " item"]
    n: int
    is_sorted: bool  # items of one group are neighbours, groups ascending
    is_identity: bool  # item i is group i: sums and look-ups are free
    reads: Gathers | None = None  # the same groups for a device that scatters in any order

    def sum(self, values: Float[Array, "item member"]) -> Float[Array, "group member"]:
        return values if self.is_identity else _kept(self.linear_sum(values), values)

    def linear_sum(self, values: Float[Array, "item member"]) -> Float[Array, "group member"]:
        """The sum without the name `GROUPED`, for tangents."""
        if self.reads is None:
            sums = _scattered(jax.ops.segment_sum, values, self)
        else:
            sums = linear(_read_sums, _read_items, self, values)
        return jax.lax.optimization_barrier(sums)

    def added(self, base: Float[Array, "group member"], values: Float[Array, "item member"]) -> Array:
        """Numbers of groups, to which each group's items are added: where few have any, cheaper than their sums."""
        if self.is_identity or self.reads is not None:
            return base + self.sum(values)
        return base.at[self.index].add(values, indices_are_sorted=self.is_sorted, mode="promise_in_bounds")

    def any(self, flags: Bool[Array, "..."]) -> Bool[Array, ""]:
        return flags.any()

    def look_up(self, values: Float[Array, "group member"]) -> Float[Array, "item member"]:
        if self.is_identity:
            return values
        computed = jax.lax.optimization_barrier(values)
        return _read_items(self, computed) if self.reads is None else linear(_read_items, _read_sums, self, computed)


def _scattered(reduce: Callable[..., Array], values: Float[Array, "item member"], groups: Segments) -> Array:
    return reduce(values, groups.index, groups.n, indices_are_sorted=groups.is_sorted, mode="promise_in_bounds")


def _read_sums(groups: Segments, values: Float[Array, "item member"]) -> Float[Array, "group member"]:
    assert groups.reads is not None
    return groups.reads.sum(values)


def _read_items(groups: Segments, values: Float[Array, "group member"]) -> Float[Array, "item member"]:
    return values.at[groups.index].get(mode="promise_in_bounds", indices_are_sorted=groups.is_sorted)


@partial(jax.tree_util.register_dataclass, data_fields=["of_supplier", "of_pool"], meta_fields=[])
@dataclass(frozen=True)
class Separable:
    """Numbers of all links, each the product of a number of its supplier and one of its pool.

    They are relative to Z⁰, which the table's sums multiply in: the baseline flows are Separable(1, 1).
    """

    of_supplier: Float[Array, "firm #member"]
    of_pool: Float[Array, "pool #member"]

    def __mul__(self, other: "Separable | Float[Array, '1 #member']") -> "Separable":
        """Link by link. An array is a number that all links share."""
        if isinstance(other, Separable):
            return Separable(self.of_supplier * other.of_supplier, self.of_pool * other.of_pool)
        return Separable(self.of_supplier * jnp.ones_like(other), self.of_pool * other)

    __rmul__ = __mul__


Links = Any  # numbers of links: Float[Array, "link member"], or Separable where the links are a table


@partial(jax.tree_util.register_dataclass, data_fields=["amount", "seat", "cell"], meta_fields=[])
@dataclass(frozen=True)
class Table:
    """Links where nearly every firm of a product sells to every buyer: Z⁰ as one matrix for each product."""

    amount: Float[Array, "product seat buyer"]  # Z⁰, 0 where there is no link and at seats without a supplier
    seat: Segments  # firms → their place among the firms of their product, product by product
    cell: Segments  # pools → all pairs of buyer and product, buyer by buyer

    def to_suppliers(self, values: Float[Array, "pool member"]) -> Float[Array, "firm member"]:
        """Σ over a supplier's links of Z⁰ times the pool's number."""
        products, seats, buyers = self.amount.shape
        cells = self.cell.sum(values).reshape(buyers, products, -1)
        sums = jnp.einsum("psb,bpm->psm", self.amount, cells, precision="highest")
        return self.seat.look_up(sums.reshape(products * seats, -1))

    def to_pools(self, values: Float[Array, "firm member"]) -> Float[Array, "pool member"]:
        """Σ over a pool's links of Z⁰ times the supplier's number."""
        products, seats, buyers = self.amount.shape
        placed = self.seat.sum(values).reshape(products, seats, -1)
        sums = jnp.einsum("psb,psm->bpm", self.amount, placed, precision="highest")
        return self.cell.look_up(sums.reshape(buyers * products, -1))


@partial(jax.tree_util.register_dataclass, data_fields=["table"], meta_fields=[])
@dataclass(frozen=True)
class Sellers:
    """Links of a table → firms that sell."""

    table: Table

    def sum(self, values: Separable) -> Float[Array, "firm member"]:
        return values.of_supplier * self.table.to_suppliers(values.of_pool)

    def look_up(self, values: Float[Array, "firm member"]) -> Separable:
        return Separable(values, jnp.ones((self.table.cell.index.shape[0], values.shape[1]), values.dtype))

    def any(self, flags: Bool[Array, "..."]) -> Bool[Array, ""]:
        return flags.any()


@partial(jax.tree_util.register_dataclass, data_fields=["table"], meta_fields=[])
@dataclass(frozen=True)
class Pools:
    """Links of a table → pools."""

    table: Table

    def sum(self, values: Separable) -> Float[Array, "pool member"]:
        return values.of_pool * self.table.to_pools(values.of_supplier)

    def look_up(self, values: Float[Array, "pool member"]) -> Separable:
        return Separable(jnp.ones((self.table.seat.index.shape[0], values.shape[1]), values.dtype), values)


@partial(jax.tree_util.register_dataclass, data_fields=["slot", "serve"], meta_fields=["axis"])
@dataclass(frozen=True)
class Exchange:
    """Groups of items on one shard, where a group may be owned by another shard of mesh axis `axis`.

    Slots 0 … n − 1 are the shard's own groups; then come, owner by owner, `ghosts` slots for groups of every shard.
    Only meaningful inside `shard_map`.
    """

    slot: Segments  # items → own groups and ghosts, n + shards · ghosts
    serve: Segments  # (shard, ghost) → own group that this shard sees as a ghost there; unused ones → the last, a dummy
    axis: str

    def sum(self, values: Float[Array, "item member"]) -> Float[Array, "group member"]:
        """Σ of each own group's items on all shards: partial sums of ghosts are pushed to their owners."""
        partial_sums, own = self.slot.sum(values), self.serve.n
        return partial_sums[:own] + self.serve.sum(self._swap(partial_sums[own:]))

    def look_up(self, values: Float[Array, "group member"]) -> Float[Array, "item member"]:
        """Each item's group value: ghosts' values are pulled from their owners."""
        ghosts = self._swap(self.serve.look_up(values))
        return self.slot.look_up(jnp.concatenate([values, ghosts]))

    def whole(self, parts: Float[Array, "..."]) -> Float[Array, "..."]:
        """Σ over all shards of what each of them has."""
        return checkpoint_name(jax.lax.psum(parts, self.axis), GROUPED)

    def greatest(self, values: Float[Array, "..."]) -> Float[Array, "..."]:
        """The greatest that any shard has."""
        return jax.lax.pmax(values, self.axis)

    def any(self, flags: Bool[Array, "..."]) -> Bool[Array, ""]:
        """Whether any flag is set on any shard."""
        return jax.lax.psum(flags.any().astype(jnp.int32), self.axis) > 0

    def _swap(self, rows: Float[Array, "row member"]) -> Float[Array, "row member"]:
        return checkpoint_name(jax.lax.all_to_all(rows, self.axis, split_axis=0, concat_axis=0, tiled=True), GROUPED)


def segments(index: Int[np.ndarray, " item"], n: int) -> Segments:
    """Groups of items.

    Raises:
        ValueError: an index lies outside 0 ≤ index < n.
    """
    if len(index) and not (index.min() >= 0 and index.max() < n):
        raise ValueError(f"segments: index {index.min()} … {index.max()} outside 0 ≤ index < {n}")
    is_identity = len(index) == n and bool(np.array_equal(index, np.arange(n)))
    is_sorted = bool(np.all(index[1:] >= index[:-1]))
    return groups_on_device(index, n, is_sorted=is_sorted, is_identity=is_identity)


def groups_on_device(
    index: Int[np.ndarray, " item"], n: int, *, is_sorted: bool = False, is_identity: bool = False, shards: int = 1
) -> Segments:
    """Groups of items of one shard, or of several one after the other, as the default device sums them best."""
    reads = None if is_identity or scatters_in_order() else gathers(index.reshape(shards, -1), n)
    return Segments(jnp.asarray(index, jnp.int32), n, is_sorted, is_identity, reads)


def scatters_in_order() -> bool:
    """Whether the default device adds to a group in the order of its items."""
    return jax.default_backend() == "cpu"


def _kept(grouped: Float[Array, "group member"], items: Float[Array, "item member"]) -> Float[Array, "group member"]:
    """Name a result worth its memory in the backward pass: one with at most half as many groups as items."""
    return checkpoint_name(grouped, GROUPED) if 2 * grouped.size <= items.size else grouped


def segment_sum(values: Links, groups: Segments | Exchange | Sellers | Pools) -> Float[Array, "group member"]:
    """Σ of each group's items; 0 for an empty group."""
    return groups.sum(values)


@overload
def look_up(values: Float[Array, "#group member"], groups: Segments) -> Float[Array, "#item member"]: ...
@overload
def look_up(values: Float[Array, "#group member"], groups: Segments | Exchange | Sellers | Pools) -> Links: ...
def look_up(values: Float[Array, "#group member"], groups: Segments | Exchange | Sellers | Pools) -> Links:
    """Each item's group value. A value shared by all groups (leading size 1) is passed on as it is."""
    return values if values.shape[0] == 1 else groups.look_up(values)


def anywhere(flags: Bool[Array, "..."], groups: Segments | Exchange | Sellers) -> Bool[Array, ""]:
    """Whether any flag is set, here or on another shard of the groups."""
    return groups.any(flags)


def total(values: Float[Array, "group member"], groups: Segments | Exchange | Sellers) -> Float[Array, "1 member"]:
    """Σ over all groups, those of other shards too."""
    return whole(values.sum(axis=0, keepdims=True), groups)


def whole(parts: Float[Array, "..."], groups: Segments | Exchange | Sellers) -> Float[Array, "..."]:
    """Σ over all shards of what each of them has, such as its part of a sum by region."""
    return groups.whole(parts) if isinstance(groups, Exchange) else parts


def greatest(values: Float[Array, "..."], groups: Segments | Exchange | Sellers) -> Float[Array, "..."]:
    """The greatest that any shard has; NaN where one has that. Not to be differentiated."""
    return groups.greatest(values) if isinstance(groups, Exchange) else values


@jax.custom_jvp
def safe_ratio(over: Float[Array, "..."], under: Float[Array, "..."]) -> Float[Array, "..."]:
    """over / under; 0, in value and in gradient, where under is 0 or so small that its square is 0."""
    some = under > jnp.finfo(under.dtype).tiny ** 0.5
    return jnp.where(some, over / jnp.where(some, under, 1), 0)


@safe_ratio.defjvp
def _safe_ratio_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    ratio, under = safe_ratio(*primals), primals[1]
    return ratio, safe_ratio(tangents[0] - ratio * tangents[1], under)


def at_most(one: Float[Array, "..."], other: Float[Array, "..."]) -> Bool[Array, "..."]:
    """one ≤ other, up to round-off."""
    return one <= other + jnp.abs(other) * jnp.finfo(other.dtype).eps ** 0.75


@jax.custom_jvp
def lesser(first: Float[Array, "..."], second: Float[Array, "..."]) -> Float[Array, "..."]:
    """The lesser of two. At a tie, up to round-off, it has the derivative of the first, so round-off does not decide.

    So pass as second what can only grow from the tie: a capacity at its bound, beside demand.
    """
    return jnp.minimum(first, second)


@lesser.defjvp
def _lesser_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    return lesser(*primals), jnp.where(at_most(*primals), *tangents)


def segment_min(values: Float[Array, "item member"], groups: Segments) -> Float[Array, "group member"]:
    """min of each group's items; +∞ for an empty group. Ties up to round-off share the derivative equally."""
    if groups.is_identity:
        return values
    return _kept(_segment_min(values, *jax.tree.flatten(groups)), values)


@partial(jax.custom_jvp, nondiff_argnums=(2,))
def _segment_min(
    values: Float[Array, "item member"], leaves: list[Array], structure: Any
) -> Float[Array, "group member"]:
    groups: Segments = jax.tree.unflatten(structure, leaves)
    return _scattered(jax.ops.segment_min, values, groups) if groups.reads is None else groups.reads.min(values)


@_segment_min.defjvp
def _segment_min_jvp(
    structure: Any, primals: tuple[Array, list[Array]], tangents: tuple[Array, Any]
) -> tuple[Float[Array, "group member"], Float[Array, "group member"]]:
    (values, leaves), (tangent, _) = primals, tangents
    groups: Segments = jax.tree.unflatten(structure, leaves)
    least = _kept(_segment_min(values, leaves, structure), values)
    binding: Bool[Array, "item member"] = at_most(values, look_up(least, groups))
    count = segment_sum(binding.astype(values.dtype), groups)
    share = jnp.where(binding, tangent, 0)
    return least, groups.linear_sum(share) / jnp.maximum(count, 1)
