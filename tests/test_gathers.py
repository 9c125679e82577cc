"""Sums by reading are the plain segment operations, in value and in every derivative, and scatter nothing."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rollouts import DAYS, EVERY_SWITCH, assert_close, both_ways, inputs_of, record_of, rollout
from shockmesh.kernels.devices.gathers import WIDTHS, Gathers, gathers
from shockmesh.kernels.devices.layout import lay_out
from shockmesh.kernels.devices.partition import partition
from shockmesh.kernels.devices.segments import Segments, groups_on_device, look_up, segment_min, segment_sum, segments
from shockmesh.kernels.model import Switches
from shockmesh.kernels.shard import mesh_of, shard, sharded_rollout

pytestmark = pytest.mark.usefixtures("quickly")


def plain(index: np.ndarray, n: int) -> Segments:
    return Segments(jnp.asarray(index, jnp.int32), n, is_sorted=False, is_identity=False)


def columns(index: np.ndarray, members: int = 2) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (len(index), members))


@jax.jit
def both_sums_and_minima(reads: Gathers, scattered: Segments, values: jax.Array) -> tuple[jax.Array, ...]:
    return reads.sum(values), reads.min(values), segment_sum(values, scattered), segment_min(values, scattered)


@given(st.integers(1, 3), st.integers(1, 9), st.integers(0, 300), st.integers(1, 5), st.integers(0, 2**31))
@settings(max_examples=15, deadline=None)
def test_every_shard_of_any_groups_sums_as_plain_segments(shards, n, items, skew, seed):
    index = (n * np.random.default_rng(seed).random((shards, items)) ** skew).astype(int)
    reads = gathers(index, n)
    for number, of_shard in enumerate(index):
        own = jax.tree.map(lambda leaf, at=number: leaf.reshape(shards, -1, *leaf.shape[1:])[at], reads)
        with jax.enable_x64(True):
            sums, least, *expected = both_sums_and_minima(own, plain(of_shard, n), jnp.asarray(columns(of_shard)))
            np.testing.assert_allclose(sums, expected[0], rtol=1e-13, atol=1e-13)
            np.testing.assert_array_equal(least, expected[1])


def test_a_hub_of_many_rows_takes_a_level_more_for_each_widest_row():
    index = np.r_[np.full(2 * WIDTHS[-1] ** 2 + 1, 1), 0, 3]
    reads, values = gathers(index[None], 5), np.arange(len(index), dtype=np.float32)[:, None] % 7
    assert len(reads.levels) == 3
    np.testing.assert_array_equal(reads.sum(jnp.asarray(values)), segment_sum(jnp.asarray(values), plain(index, 5)))


GROUPS = {
    "one each but one": np.r_[0, 1, 1, 2],
    "every width": np.r_[np.repeat(np.arange(6), [1, 4, 5, 64, 65, 130]), 0],
}


@pytest.mark.parametrize("name", GROUPS)
@pytest.mark.parametrize("operation", [segment_sum, segment_min, look_up])
def test_derivatives_are_those_of_plain_segments(float64, as_on_a_gpu, name, operation):
    index = GROUPS[name]
    n = int(index.max()) + 2  # the last group is empty
    reading, expected = groups_on_device(index, n), plain(index, n)
    values = jnp.asarray(columns(np.arange(n) if operation is look_up else index))

    def loss(values: jax.Array, groups: Segments) -> jax.Array:
        found = operation(values, groups)
        return (jnp.where(jnp.isfinite(found), found, 0) ** 3).sum(axis=0)

    def of_each_draw(values: jax.Array, groups: Segments) -> jax.Array:
        return jax.vmap(jax.grad(lambda draw: loss(draw[:, None], groups)[0]), in_axes=1, out_axes=1)(values)

    for derivative in map(jax.jit, (jax.jacrev(loss), jax.jacfwd(loss), of_each_draw)):
        found, of_plain = derivative(values, reading), derivative(values, expected)
        np.testing.assert_allclose(found, of_plain, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("switches", EVERY_SWITCH[1:4], ids=str)
def test_rollouts_and_gradients_are_those_of_plain_segments(float64, random_network, monkeypatch, switches):
    network = random_network(firms=60, links=300, seed=2)
    inputs = inputs_of(network, np.dtype("f8"))
    critical = np.random.default_rng(1).choice([0, 0.5, 1], (len(network.sectors), len(network.sectors)))

    def run() -> Any:
        layout, record = lay_out(network, "f8", critical), record_of(network)
        return both_ways(lambda *of: rollout(layout, switches, *of, days=DAYS, record=record), inputs)

    expected = run()
    monkeypatch.setattr("shockmesh.kernels.devices.segments.scatters_in_order", lambda: False)
    assert_close(run(), expected, 1e-11)


def test_shards_read_alike(float64, random_network, as_on_a_gpu):
    network = random_network(firms=60, links=300, seed=4)
    inputs, switches = inputs_of(network, np.dtype("f8")), Switches()
    in_shards = shard(network, partition(network, 2), "f8")
    layout, record = lay_out(network, "f8"), record_of(network)

    def parts(*inputs: Any) -> dict[str, jax.Array]:
        return sharded_rollout(in_shards, mesh_of(2, 2), switches, *inputs, days=DAYS, record=record)

    def whole(*inputs: Any) -> dict[str, jax.Array]:
        return rollout(layout, switches, *inputs, days=DAYS, record=record)

    found, expected = (both_ways(run, inputs) for run in (parts, whole))
    assert_close(found, expected, 1e-11)


def test_groups_are_read_where_a_device_adds_in_any_order(as_on_a_gpu):
    assert segments(np.array([0, 0, 1]), 2).reads is not None
    assert segments(np.arange(3), 3).reads is None  # nothing is added


def test_groups_are_scattered_to_where_a_device_adds_in_order():
    assert segments(np.array([0, 0, 1]), 2).reads is None
