"""Decisions: where to spend a budget, so that the loss over an ensemble of scenarios is least.

    min over y ≥ 0, Σ y = B of  Σ_m p_m L_m(y)      y: money at each option; p: weights of members, or of the worst

By entropic mirror descent, y ← B softmax(θ), θ ← θ − η g / |g − ḡ|∞ with g = ∂L/∂y (Beck & Teboulle 2003, Operations
Research Letters 31): projected (sub)gradients in the geometry of the simplex, whose steps hardly hang on how many
options there are. It starts from each of the allocations to be beaten, and keeps the best point of any step. A loss is
piecewise smooth and need not be convex, so the point is a good one, not proved to be the best.

The multiplier of the budget is the marginal worth, the loss that another unit of money avoids: −Σ y g / B, equal to −g
at every option that gets money. Where the loss has a kink both are between its one-sided derivatives, so they are
averaged over the last steps.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float
from shockmesh.kernels.devices.layout import Layout
from shockmesh.kernels.devices.segments import segments
from shockmesh.kernels.mechanisms.shocks import Scenario
from shockmesh.kernels.model import Parameters, Switches
from shockmesh.kernels.rollout import baseline, rollout
from shockmesh.kernels.sensitivity import Flow

RATE = 1.0  # of the first step: shares change by a factor of e at most
LAST = 0.25  # part of the steps over which worth is averaged

type Objective = Callable[[Float[np.ndarray, " option"]], tuple[float, Float[np.ndarray, " option"]]]
type Added = dict[str, Float[Array, " firm"]]


class Decision(NamedTuple):
    """Where the money goes."""

    spending: Float[np.ndarray, " option"]  # sums to the budget
    loss: float  # of the objective
    worth: float  # loss avoided by another unit of money
    worth_of: Float[np.ndarray, " option"]  # the same of money at one option alone
    losses: Float[np.ndarray, " step"]  # before each step, from the start that ended best


def decide(
    objective: Objective, budget: float, starts: Mapping[str, Float[np.ndarray, " option"]], steps: int = 60
) -> Decision:
    """Spend a budget.

    Args:
        objective: the loss of some spending, and its derivatives.
        starts: allocations to begin at, each > 0 at every option and summing to the budget.
    """
    found = [_descend(objective, budget, start, steps) for start in starts.values()]
    return min(found, key=lambda decision: decision.loss)


def _descend(objective: Objective, budget: float, start: Float[np.ndarray, " option"], steps: int) -> Decision:
    optimiser = optax.sgd(optax.cosine_decay_schedule(RATE, steps))
    logs: Any = jnp.log(jnp.asarray(start / budget))
    state = optimiser.init(logs)
    best, least, losses, worths = start, np.inf, [], []
    for step in range(steps):
        share = np.asarray(jax.nn.softmax(logs), np.float64)
        loss, gradient = objective(budget * share)
        losses.append(loss)
        best, least = (budget * share, loss) if loss < least else (best, least)
        mean = float(share @ gradient)
        if step >= (1 - LAST) * steps:
            worths.append((-mean, -gradient))
        widest = np.abs(gradient - mean)[share > 0].max(initial=0.0)
        if widest == 0:
            worths = [(-mean, -gradient)]
            break
        update, state = optimiser.update(jnp.asarray((gradient - mean) / widest), state)
        logs = optax.apply_updates(logs, update)
    return Decision(
        best, least, float(np.mean([worth for worth, _ in worths])), np.mean([of for _, of in worths], axis=0),
        np.array(losses),
    )  # fmt: skip


def tail_weights(
    losses: Float[np.ndarray, " member"], weights: Float[np.ndarray, " member"], share: float
) -> Float[np.ndarray, " member"]:
    """The weights of the worst members, that share of all weight, scaled to sum to 1: CVaR as a mean.

    >>> tail_weights(np.array([3.0, 1.0, 2.0]), np.full(3, 1 / 3), 0.5).round(3).tolist()
    [0.667, 0.0, 0.333]
    """
    order = np.argsort(-losses, kind="stable")
    reached = np.cumsum(weights[order]) / weights.sum()
    kept = np.diff(np.minimum(reached, share), prepend=0.0) / share
    found = np.zeros_like(kept)
    found[order] = kept
    return found


def ensemble_gradient(
    layout: Layout, switches: Switches, *, days: int, loss: Flow, states: int | None = None
) -> Callable[[Parameters, Scenario, Added, Float[Array, " member"]], tuple[Float[Array, " member"], Added]]:
    """A compiled function: the loss of each member, and the derivatives of their weighted sum by what each firm gets.

    What is added is by name of a parameter, in its unit, the same in all members. Losses are Σ baseline − flow over
    days and firms [the network's unit × days]. `states` as in `rollout`.
    """
    record = {loss: segments(np.zeros(layout.n_firms, np.int32), 1)}

    def total(added: Added, parameters: Parameters, scenario: Scenario, weights: Array, layout: Layout) -> tuple:
        given = {name: getattr(parameters, name) + more[:, None] for name, more in added.items()}
        records = rollout(
            layout, switches, replace(parameters, **given), scenario, days=days, record=record, states=states
        )
        losses = days * baseline(layout, record)[loss][0] - records[loss][:, 0].sum(axis=0)
        return (weights * losses).sum(), losses

    derivative = jax.jit(jax.value_and_grad(total, has_aux=True))

    def function(
        parameters: Parameters, scenario: Scenario, added: Added, weights: Array
    ) -> tuple[Float[Array, " member"], Added]:
        (_, losses), gradient = derivative(added, parameters, scenario, weights, layout)
        return losses, gradient

    return function
