"""Rollouts that every mechanism takes part in, and how one is compared with another."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from shockmesh.kernels import rollout as kernels
from shockmesh.kernels.devices.segments import segments
from shockmesh.kernels.mechanisms.courses import Recovery, Table
from shockmesh.kernels.mechanisms.rebuilding import Damage
from shockmesh.kernels.mechanisms.routes import RouteCut
from shockmesh.kernels.mechanisms.shocks import Scenario
from shockmesh.kernels.model import Parameters, Switches
from shockmesh.kernels.network import FirmNetwork
from shockmesh.kernels.rollout import Record

# Whole, not by operations; and by XLA's step even where the native library is built: laws that hold to the last bit
# compare what it has a kernel for with what it has none for.
rollout = jax.jit(partial(kernels.rollout, kernel="xla"), static_argnames=("switches", "days", "states"))

DAYS, MEMBERS = 12, 4

EVERY_SWITCH = [
    Switches("output", "output"),
    Switches("demand", "demand", "final_demand_last"),
    Switches("demand", "output", "water_filling", "capacity", "half_critical", "hiring", "labour_income"),
    Switches("output", "demand", "final_demand_last", "baseline", "ces", "overproduction"),
    Switches("potential", "output", "proportional", "capacity", "threshold", "overproduction"),
]

type Inputs = tuple[Parameters, Scenario]


def inputs_of(network: FirmNetwork, precision: np.dtype) -> Inputs:
    rng, n = np.random.default_rng(0), network.n_firms

    def array(low: float, high: float, *shape: int) -> jax.Array:
        return jnp.asarray(rng.uniform(low, high, shape), precision)

    model = Parameters(
        array(1, 12, n, MEMBERS), array(2, 8, 1, 1), array(1, 1.4, n, 1), elasticity=array(0.2, 0.9, n, 1),
        inventory_threshold=array(0.5, 1, 1, MEMBERS), base_capacity=array(1, 1.1, n, 1),
        overproduction_days=array(5, 9, 1, 1), hiring_days=array(8, 30, n, 1), firing_days=array(5, 15, 1, 1),
        household_share=jnp.full((n, 1), 0.7, precision), consumption_persistence=jnp.full((1, 1), 0.9, precision),
        benefit_share=jnp.full((1, MEMBERS), 0.2, precision),
    )  # fmt: skip
    hit = jnp.asarray(rng.random((n, 1)) < 0.3, precision)
    lockdown = Recovery(
        array(0, 1, n, MEMBERS) * hit, array(2.5, 2.5, 1, 1), array(8.5, 8.5, 1, 1), array(0.05, 0.2, 1, MEMBERS)
    )
    course = Recovery(array(0.5, 1, 1, MEMBERS), array(3.5, 3.5, 1, 1), array(9.5, 9.5, 1, 1), array(0.1, 0.1, 1, 1))
    route = RouteCut(hit, 1 - hit, course, final=array(0.1, 0.9, n, 1))
    ends = array(0.2, 1, n, 1), array(0.2, 1, n, 1)  # no two inputs tie: round-off would decide whose derivative it is
    detour = RouteCut(
        *ends, replace(course, onset=array(1.5, 1.5, 1, 1)), array(1.5, 6, 1, MEMBERS), array(0.1, 0.9, n, MEMBERS)
    )
    quake = Damage(
        array(0, 0.4, n, MEMBERS), array(20, 90, n, 1), array(0, 2, n, 1), array(1, 1.2, 1, 1), array(2.5, 2.5, 1, 1),
        array(4.5, 4.5, 1, 1), array(9, 20, 1, 1),
    )  # fmt: skip
    return model, Scenario((lockdown,), (Table(array(0.8, 1, 5, n, 1)),), (route, detour), (quake,))


def record_of(network: FirmNetwork) -> Record:
    by_sector = segments(network.sector, len(network.sectors))
    return {"output": by_sector, "final_consumption": None, "inventory": segments(np.zeros(network.n_firms, int), 1)}


def loss_of(run: Callable[..., dict[str, jax.Array]]) -> Callable[[Inputs], jax.Array]:
    return lambda inputs: mean_square(run(*inputs))


def mean_square(records: dict[str, jax.Array]) -> jax.Array:
    return jnp.stack([(values**2).mean() for values in records.values()]).sum()


def assert_close(found: Any, expected: Any, tolerance: float) -> None:
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        scale = np.abs(other).max()
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance * scale)


def both_ways(run: Callable[..., dict[str, jax.Array]], inputs: Inputs) -> tuple[list[Any], list[Any]]:
    """The numbers of the records, and of the gradient of their loss, on the host."""

    def loss_and_records(inputs: Inputs) -> tuple[jax.Array, dict[str, jax.Array]]:
        found = run(*inputs)
        return mean_square(found), found

    program = jax.value_and_grad(loss_and_records, has_aux=True)
    (_, records), gradients = jax.jit(program)(inputs)
    return jax.device_get(jax.tree.leaves(records)), jax.device_get(jax.tree.leaves(gradients))
