"""Approximate Bayesian computation: draws of the prior, the closest kept. The baseline that gradients have to beat.

Draw i uses fold_in(seed, i), as member i of any ensemble, so that results do not depend on the batches. A batch is one
rollout, so tens of thousands of draws of a small economy take a minute.
"""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int
from shockmesh.inference.problem import Problem, losses, member_keys, prior_draws


class Accepted(NamedTuple):
    """The draws of the prior with the least loss, the closest first."""

    draws: Int[np.ndarray, " kept"]
    loss: Float[np.ndarray, " kept"]
    evaluations: int


def prior_losses(problem: Problem, seed: int, draws: int, *, batch: int = 100) -> Float[np.ndarray, " draw"]:
    """The loss of draws 0 … draws − 1 of the prior; infinite where a number was not finite."""
    evaluate = jax.jit(lambda keys: losses(problem, prior_draws(problem, keys)))
    parts = [
        np.asarray(evaluate(member_keys(seed, range(start, start + batch)))) for start in range(0, draws, batch)
    ]  # the last batch is whole too: one program
    return np.nan_to_num(np.concatenate(parts)[:draws], nan=np.inf)


def accept(found: Float[np.ndarray, " draw"], kept: int) -> Accepted:
    """Rejection (Pritchard et al. 1999): the `kept` draws of the least loss."""
    order = np.argsort(found, kind="stable")[:kept]
    return Accepted(order, found[order], len(found))
