"""Sums over groups without scatters: each group reads its items, where a scatter has each item write to its group.

On a GPU a scatter adds atomically, in an order that differs from run to run, and what is to be added has first to be
written to memory. Here it is computed while it is read, and added in an order that is fixed.

A group's items are cut into rows of at most 64, and each row is padded to the next of `WIDTHS`, so that rows of one
width are a matrix of item numbers, summed along its rows. What the rows of a group sum to is summed alike, level after
level: a supplier of a million buyers takes four. Rows of all shards of a network have common shapes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from shockmesh.kernels.network import ranks

WIDTHS = 1, 4, 16, 64  # powers of 4: a place without an item costs only its number, and each width is a kernel


@partial(jax.tree_util.register_dataclass, data_fields=["levels", "place"], meta_fields=[])
@dataclass(frozen=True)
class Gathers:
    """Which items each group reads. Make one with `gathers`."""

    levels: tuple[tuple[Int[Array, "_ _"], ...], ...]  # a matrix for each width; one beyond the last is no item
    place: Int[Array, " group"]  # of a group's only row among those of the last level

    def sum(self, values: Float[Array, "item member"]) -> Float[Array, "group member"]:
        """Σ of each group's items; 0 for an empty group."""
        return self._reduce(values, jnp.sum, 0.0)

    def min(self, values: Float[Array, "item member"]) -> Float[Array, "group member"]:
        """min of each group's items; +∞ for an empty group."""
        return self._reduce(values, jnp.min, jnp.inf)

    def _reduce(self, values: Array, reduce: Callable[..., Array], empty: float) -> Array:
        if not len(values):
            return jnp.full((len(self.place), values.shape[1]), empty, values.dtype)
        for matrices in self.levels:
            read = [values.at[items].get(mode="fill", fill_value=empty) for items in matrices]
            values = jnp.concatenate([reduce(of_rows, axis=1) for of_rows in read])
        return values.at[self.place].get(mode="promise_in_bounds")


def gathers(index: Int[np.ndarray, "shard item"], n: int) -> Gathers:
    """What each of `n` groups on each shard reads, by the group of each item, 0 ≤ index < n; shard after shard.

    Items count within a shard.
    """
    n_items = index.shape[1]
    items = np.argsort(index, axis=1, kind="stable")
    counts = np.stack([np.bincount(of_shard, minlength=n) for of_shard in index])
    levels: list[tuple[Array, ...]] = []
    while True:
        matrices, place = _level(items, counts, n_items)
        levels.append(tuple(jnp.asarray(matrix.reshape(-1, matrix.shape[-1]), jnp.int32) for matrix in matrices))
        counts = _row_counts(counts)
        if counts.max(initial=0) <= 1:
            return Gathers(tuple(levels), jnp.asarray(np.concatenate(place), jnp.int32))
        n_items = sum(matrix.shape[1] for matrix in matrices)
        longest = max(map(len, place))
        items = np.stack([np.pad(of_shard, (0, longest - len(of_shard))) for of_shard in place])


def _level(
    items: Int[np.ndarray, "shard item"], counts: Int[np.ndarray, "shard group"], n_items: int
) -> tuple[list[Int[np.ndarray, "shard _ _"]], list[Int[np.ndarray, " _"]]]:
    """The rows of one level, a matrix for each width that there is; where each shard's rows lie, group by group."""
    of_shards = [_rows(of_shard) for of_shard in counts]
    widths = [width for width in WIDTHS if any((rows.width == width).any() for rows in of_shards)]
    matrices, places = [], [np.zeros(len(rows.width), np.int64) for rows in of_shards]
    before = 0
    for width in widths:
        height = max(int((rows.width == width).sum()) for rows in of_shards)
        matrix = np.full((len(items), height, width), n_items)
        for own, rows, of_shard, place in zip(matrix, of_shards, items, places, strict=True):
            some = np.flatnonzero(rows.width == width)
            at = rows.start[some, None] + np.arange(width)
            full = np.arange(width) < rows.length[some, None]
            own[: len(some)][full] = of_shard[at[full]]
            place[some] = before + np.arange(len(some))
        matrices.append(matrix)
        before += height
    return matrices, places


@dataclass(frozen=True)
class _Rows:
    """The rows that groups are cut into, group by group: where their items start, how many, and the row's width."""

    start: Int[np.ndarray, " row"]
    length: Int[np.ndarray, " row"]
    width: Int[np.ndarray, " row"]


def _rows(counts: Int[np.ndarray, " group"]) -> _Rows:
    longest = WIDTHS[-1]
    group = np.repeat(np.arange(len(counts)), _row_counts(counts))
    done = ranks(group) * longest
    length = np.minimum(counts[group] - done, longest)
    start = (np.cumsum(counts) - counts)[group] + done
    return _Rows(start, length, np.asarray(WIDTHS)[np.searchsorted(WIDTHS, length)])


def _row_counts(counts: Int[np.ndarray, "*shard group"]) -> Int[np.ndarray, "*shard group"]:
    """How many rows a group of so many items is cut into; an empty one has one."""
    return np.maximum(1, -(-counts // WIDTHS[-1]))
