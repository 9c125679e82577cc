"""Particles of variational inference on workers: each step sends them the guide's state, and averages their gradients.

A step's blocks are groups of particles; block b of step t has the number t · blocks + b, so that a straggler of an
earlier step is never taken for one of this. Particles draw with fold_in(fold_in(seed, step), particle), and blocks are
added in order, so a step does not depend on who computed what, or on workers that were lost meanwhile.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from shockmesh.cluster.calibrating.fit import Steps
from shockmesh.cluster.planning.plan import Plan
from shockmesh.cluster.running.execute import Executor, WorkersError, execute
from shockmesh.inference.svi import Info, State, Variational, take_step


def steps_on(executor: Executor, plan: Plan) -> Callable[[Variational], Steps]:
    """How to take steps on workers.

    Raises:
        WorkersError: a block of particles was given up, or no workers are left.
    """

    def of_method(method: Variational) -> Steps:
        move = jax.jit(lambda state, losses, gradient: take_step(method, state, losses, gradient), donate_argnums=0)

        def take(state: State, steps: int) -> tuple[State, Info]:
            infos: list[Info] = []
            for _ in range(steps):
                losses, gradient = _gather(executor, plan, state)
                state, info = move(state, losses, gradient)
                infos.append(info)
            return state, jax.tree.map(lambda *parts: np.stack(parts), *infos)

        return take

    return of_method


def _gather(executor: Executor, plan: Plan, state: State) -> tuple[np.ndarray, Any]:
    """The loss of every particle of a step, and the mean of their gradients."""
    step = int(state.step)
    executor.share(jax.device_get(state))
    blocks = range(step * plan.blocks, (step + 1) * plan.blocks)
    tally = execute(blocks, executor)
    if len(tally.done) < plan.blocks:
        why = tally.stopped or next(iter(tally.given_up.values()))
        raise WorkersError(f"step {step}: {why}")
    found = [tally.done[block] for block in blocks]
    weights = [len(plan.block(b)) / plan.members for b in range(plan.blocks)]
    mean = jax.tree.map(
        lambda *parts: sum(weight * part for weight, part in zip(weights, parts, strict=True)),
        *(note["gradient"] for note in found),
    )
    return np.concatenate([note["losses"] for note in found]), mean
