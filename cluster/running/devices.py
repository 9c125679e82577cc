"""A batch of members on one device, or on the devices of a gang: the same arrays go in, the same arrays come out."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jaxtyping import Float, Int
from shockmesh.kernels.devices.layout import Layout
from shockmesh.kernels.mechanisms.shocks import Scenario
from shockmesh.kernels.model import Parameters, Switches
from shockmesh.kernels.native.evening import Kernel
from shockmesh.kernels.rollout import Record, rollout
from shockmesh.kernels.shard import (
    Sharded,
    groups_of_places,
    mesh_of,
    rollout_in_places,
    spread_inputs,
    spread_shards,
)

type Batch = Callable[[Parameters, Scenario], dict[str, np.ndarray]]
"""Simulate members: what is recorded, each (member, group, time) as a store keeps it, on the host."""


def one_device(layout: Layout, record: Record, switches: Switches, days: int, kernel: Kernel = "auto") -> Batch:
    """The whole network on the device where its layout is."""
    program: Any = partial(rollout, switches=switches, days=days, kernel=kernel)
    run = jax.jit(
        lambda layout, record, model, shocks: _turned(program(layout, parameters=model, scenario=shocks, record=record))
    )
    return lambda *inputs: jax.device_get(run(layout, record, *inputs))


def many_devices(sharded: Sharded, record: Record, switches: Switches, days: int) -> Batch:
    """A shard of the network on each device of a mesh: of this process, or of all processes that run this alike.

    Shards, records and inputs are made `on_host`, and a device is given its part. Sums over firms are made on the
    devices; what is recorded of every firm is gathered member by member, so that no device holds more than one whole.

    Raises:
        ValueError: there are fewer devices than shards.
    """
    mesh = mesh_of(sharded.shards)
    layout, groups = spread_shards((sharded.layout, groups_of_places(sharded, record)), mesh)
    program: Any = partial(rollout_in_places, mesh=mesh, switches=switches, days=days)
    run = jax.jit(
        lambda layout, groups, model, shocks: _turned(program(layout, parameters=model, scenario=shocks, record=groups))
    )
    place_of = np.asarray(sharded.place_of)

    def batch(parameters: Parameters, scenario: Scenario) -> dict[str, np.ndarray]:
        found = run(layout, groups, *spread_inputs(sharded, (parameters, scenario), mesh))
        return {name: np.asarray(of) if record[name] else _gathered(of, place_of) for name, of in found.items()}

    return batch


def on_host() -> AbstractContextManager[None]:
    """Make arrays in the host's memory, where the devices hold only parts of them."""
    return jax.default_device(jax.local_devices(backend="cpu")[0])


def _turned(found: Mapping[str, Float[jax.Array, "time group member"]]) -> dict[str, jax.Array]:
    """Days innermost. On a device this is free; a host would need one more pass over all numbers."""
    return {name: values.transpose(2, 1, 0) for name, values in found.items()}


def _gathered(
    values: Float[jax.Array, "member place time"], place_of: Int[np.ndarray, " firm"]
) -> Float[np.ndarray, "member firm time"]:
    """Every firm's numbers, member by member. (An array that spans processes can be indexed, but not iterated over.)"""
    members = (multihost_utils.process_allgather(values[i], tiled=True) for i in range(len(values)))
    return np.stack([member[place_of] for member in members])
