"""How much each firm matters: the derivative of the total loss with respect to every firm's parameters and shocks.

One backward pass through a rollout gives all of them at once, where one failure per firm (see `esri.py`) takes as many
rollouts as there are firms. It is local: it tells what a little more capacity, stock or shock at a firm would do in
this scenario. A capacity or a shock that never binds has exactly no effect; and at the unshocked steady state without
spare capacity every minimum is a tie, so ask where something binds (a loss at every firm that is to be ranked).
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from shockmesh.kernels.devices.layout import Layout
from shockmesh.kernels.devices.segments import segments
from shockmesh.kernels.mechanisms.shocks import Scenario
from shockmesh.kernels.model import Parameters, Switches
from shockmesh.kernels.rollout import baseline, rollout

type Flow = Literal["output", "value_added", "final_consumption"]


class Sensitivity(NamedTuple):
    """The total loss of each member, and its derivatives: the same trees, every leaf (…, firm, member)."""

    loss: Float[Array, " member"]  # Σ over days and firms of baseline − flow [the network's unit × days]
    parameters: Parameters  # ∂ loss / ∂ each parameter of each firm
    scenario: Scenario  # ∂ loss / ∂ each field of each shock at each firm


def sensitivity(
    layout: Layout, switches: Switches, parameters: Parameters, scenario: Scenario, *, days: int, loss: Flow = "output"
) -> Sensitivity:
    """The total loss of a flow over `days` days and its derivatives with respect to every firm's numbers.

    A parameter or shock that firms share is treated as one number per firm, so that each firm has its derivative.

    Raises:
        ValueError: as `rollout`.
    """
    return sensitivity_function(layout, switches, days=days, loss=loss)(parameters, scenario)


def sensitivity_function(
    layout: Layout, switches: Switches, *, days: int, loss: Flow = "output", states: int | None = None
) -> Callable[[Parameters, Scenario], Sensitivity]:
    """`sensitivity` as a compiled function of parameters and scenario, to be called for many batches of members.

    `states` as in `rollout`.
    """
    record = {loss: segments(np.zeros(layout.n_firms, np.int32), 1)}

    def total(inputs: tuple[Parameters, Scenario], layout: Layout) -> tuple[Array, Array]:
        records = rollout(layout, switches, *inputs, days=days, record=record, states=states)
        losses = days * baseline(layout, record)[loss][0] - records[loss][:, 0].sum(axis=0)
        return losses.sum(), losses  # members are independent: the derivative of the sum is each member's own

    derivative = jax.jit(jax.value_and_grad(total, has_aux=True))

    def function(parameters: Parameters, scenario: Scenario) -> Sensitivity:
        of_links = {name: getattr(scenario, name) for name in ("cuts", "tariffs", "closures")}  # no firm's own
        alike = replace(parameters, routes=()), replace(scenario, **dict.fromkeys(of_links, ()))
        model, shocks = per_firm(layout, alike)
        inputs = replace(model, routes=parameters.routes), replace(shocks, **of_links)
        (_, losses), gradient = derivative(inputs, layout)
        return Sensitivity(losses, *gradient)

    return function


def per_firm[Tree](layout: Layout, tree: Tree) -> Tree:
    """A tree of numbers (…, firm|1, member|1) with one number for each firm and member."""
    members = max(leaf.shape[-1] for leaf in jax.tree.leaves(tree))
    return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (*leaf.shape[:-2], layout.n_firms, members)), tree)


def importance(found: Sensitivity, parameters: Parameters) -> Float[Array, "firm member"]:
    """Loss avoided per relative increase of a firm's capacity over the whole horizon: −κ ∂loss/∂κ [loss's unit]."""
    return -parameters.capacity * found.parameters.capacity
