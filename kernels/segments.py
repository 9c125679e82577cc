"""Sums over, and look-ups into, groups of rows: the two cross operations of a step, each the other's adjoint.

An array of items (links, pools, firms) has shape (item, member), members innermost. `Segments` says to which group
each item belongs: links to suppliers, links to a buyer's product pools, pools to buyers, firms to industries.

`segment_sum` adds in item order on the CPU, so it is deterministic there bit for bit.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int


@partial(jax.tree_util.register_dataclass, data_fields=["index"], meta_fields=["n", "is_sorted", "is_identity"])
@dataclass(frozen=True)
class Segments:
    """Which of `n` groups each item belongs to. Make one with `segments`."""

    index: Int[Array, " item"]
    n: int
    is_sorted: bool  # items of one group are neighbours, groups ascending
    is_identity: bool  # item i is group i: sums and look-ups are free


def segments(index: Int[np.ndarray, " item"], n: int) -> Segments:
    """Groups of items.

    Raises:
        ValueError: an index lies outside 0 ≤ index < n.
    """
    if len(index) and not (index.min() >= 0 and index.max() < n):
        raise ValueError(f"segments: index {index.min()} … {index.max()} outside 0 ≤ index < {n}")
    is_identity = len(index) == n and bool(np.array_equal(index, np.arange(n)))
    is_sorted = bool(np.all(index[1:] >= index[:-1]))
    return Segments(jnp.asarray(index, jnp.int32), n, is_sorted, is_identity)


def segment_sum(values: Float[Array, "item member"], groups: Segments) -> Float[Array, "group member"]:
    """Σ of each group's items; 0 for an empty group."""
    if groups.is_identity:
        return values
    return jax.ops.segment_sum(values, groups.index, groups.n, indices_are_sorted=groups.is_sorted)


def look_up(values: Float[Array, "#group member"], groups: Segments) -> Float[Array, "#item member"]:
    """Each item's group value. A value shared by all groups (leading size 1) is passed on as it is."""
    if groups.is_identity or values.shape[0] == 1:
        return values
    return values.at[groups.index].get(mode="promise_in_bounds", indices_are_sorted=groups.is_sorted)


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def segment_min(values: Float[Array, "item member"], groups: Segments) -> Float[Array, "group member"]:
    """min of each group's items; +∞ for an empty group. Ties share the derivative equally."""
    if groups.is_identity:
        return values
    return jax.ops.segment_min(values, groups.index, groups.n, indices_are_sorted=groups.is_sorted)


@segment_min.defjvp
def _segment_min_jvp(
    groups: Segments, primals: tuple[Float[Array, "item member"]], tangents: tuple[Float[Array, "item member"]]
) -> tuple[Float[Array, "group member"], Float[Array, "group member"]]:
    (values,), (tangent,) = primals, tangents
    least = segment_min(values, groups)
    binding: Bool[Array, "item member"] = values == look_up(least, groups)
    count = segment_sum(binding.astype(values.dtype), groups)
    share = jnp.where(binding, tangent, 0)
    return least, segment_sum(share, groups) / jnp.maximum(count, 1)
