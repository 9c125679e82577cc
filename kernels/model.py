"""What a model is: switches of the one step, parameters, and the presets that name a published model.

Every parameter is an array (firm|1, member|1): one number for all, one per member, one per firm, or both.
"""

from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Literal

import jax
from jaxtyping import Array, Float

OrderTarget = Literal["fixed", "demand", "output"]
OrderBasis = Literal["demand", "output"]
Rationing = Literal["proportional", "final_demand_last"]


@dataclass(frozen=True)
class Switches:
    """The mechanisms of a step. Each switch selects one small function in `step.py`.

    order_target: stock that a buyer aims at: n Z⁰ (fixed), n a D (demand) or n a x (output).
    order_basis: what current use is expected from: today's demand D or today's output x.
    rationing: who goes short: all buyers alike (proportional), or final demand first (final_demand_last).
    """

    order_target: OrderTarget = "fixed"
    order_basis: OrderBasis = "demand"
    rationing: Rationing = "proportional"


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["inventory_days", "adjustment_days", "capacity"],
    meta_fields=[],
)
@dataclass(frozen=True)
class Parameters:
    """Numbers of the model, each (firm|1, member|1)."""

    inventory_days: Float[Array, "#firm #member"]  # n, target stock [days of use], ≥ 1
    adjustment_days: Float[Array, "#firm #member"]  # τ, days to close an inventory gap, ≥ 1
    capacity: Float[Array, "#firm #member"]  # κ, largest output as a multiple of x⁰, ≥ 1


@dataclass(frozen=True)
class Preset:
    """A published model: its switches, its default numbers, and where it is from."""

    switches: Switches
    defaults: MappingProxyType[str, float] = field(compare=False)
    citation: str


def _preset(switches: Switches, citation: str, **defaults: float) -> Preset:
    return Preset(switches, MappingProxyType(defaults), citation)


PRESETS: MappingProxyType[str, Preset] = MappingProxyType(
    {
        "hamid2025": _preset(
            Switches(),
            "Hamid, Moran, Mungo, Quera-Bofarull, Towers (2025), arXiv 2511.05231",
            inventory_days=9.0,
            adjustment_days=6.0,
            capacity=1.25,
        ),
        "inoue_todo2019": _preset(
            Switches(order_target="output", order_basis="output", rationing="proportional"),
            "Inoue, Todo (2019), Nature Sustainability 2:841; PLoS ONE 14(3):e0213648",
            inventory_days=10.0,
            adjustment_days=6.0,
            capacity=1.0,
        ),
    }
)
