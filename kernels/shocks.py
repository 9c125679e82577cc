"""Shocks as factors over time: what multiplies a firm's productivity or its final demand on day t.

A scenario holds any number of shocks on each; factors of several shocks on one firm multiply. All are pytrees
of arrays (firm|1, member|1), so that a sweep's members are one batch and gradients flow into every field.
"""

from dataclasses import dataclass
from functools import partial, reduce
from operator import mul
from typing import Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


@runtime_checkable
class Shock(Protocol):
    """Anything with a factor on day t, shape (firm|1, member|1)."""

    def factor(self, day: Float[Array, ""]) -> Float[Array, "#firm #member"]: ...


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["loss", "onset", "recovery_start", "recovery_rate"],
    meta_fields=[],
)
@dataclass(frozen=True)
class Recovery:
    """A loss that recovers exponentially: z = 1 − δ exp(−λ (t − t*)⁺) from the onset on, 1 before.

    Hamid et al. (arXiv 2511.05231, 2025); the onset is the extension of shared use (theirs is 0).
    """

    loss: Float[Array, "#firm #member"]  # δ, share lost, 0 … 1
    onset: Float[Array, "#firm #member"]  # t0 [day]
    recovery_start: Float[Array, "#firm #member"]  # t* [day]
    recovery_rate: Float[Array, "#firm #member"]  # λ [1/day]

    def factor(self, day: Float[Array, ""]) -> Float[Array, "#firm #member"]:
        remaining = jnp.exp(-self.recovery_rate * jnp.maximum(day - self.recovery_start, 0))
        return 1 - self.loss * jnp.where(day >= self.onset, remaining, 0)


@partial(jax.tree_util.register_dataclass, data_fields=["path"], meta_fields=[])
@dataclass(frozen=True)
class Table:
    """A factor given day by day; the last row holds ever after."""

    path: Float[Array, "time #firm #member"]

    def factor(self, day: Float[Array, ""]) -> Float[Array, "#firm #member"]:
        return self.path[jnp.minimum(day.astype(jnp.int32), self.path.shape[0] - 1)]


@partial(jax.tree_util.register_dataclass, data_fields=["productivity", "final_demand"], meta_fields=[])
@dataclass(frozen=True)
class Scenario:
    """The shocks of a batch of members."""

    productivity: tuple[Recovery | Table, ...] = ()
    final_demand: tuple[Recovery | Table, ...] = ()


def total_factor(shocks: tuple[Recovery | Table, ...], day: Float[Array, ""]) -> Float[Array, "..."]:
    """The product of all factors on a day; 1 without a shock."""
    return reduce(mul, (shock.factor(day) for shock in shocks), jnp.ones((), day.dtype))
