"""Approximate Bayesian computation: draws of the prior; the closest are kept, or moved closer. Gradients must beat it.

Draw i uses fold_in(seed, i), as member i of any ensemble, so that results do not depend on the batches. A batch is one
rollout, so tens of thousands of draws of a small economy take a minute.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray
from shockmesh.inference.problem import Problem, losses, member_keys, prior_draws


class Accepted(NamedTuple):
    """The draws of the prior with the least loss, the closest first."""

    draws: Int[np.ndarray, " kept"]
    loss: Float[np.ndarray, " kept"]
    evaluations: int


def prior_losses(problem: Problem, seed: int, draws: int, *, batch: int = 100) -> Float[np.ndarray, " draw"]:
    """The loss of draws 0 … draws − 1 of the prior; infinite where a number was not finite."""
    evaluate = jax.jit(lambda problem, keys: losses(problem, prior_draws(problem, keys)))
    parts = [
        np.asarray(evaluate(problem, member_keys(seed, range(start, start + batch))))
        for start in range(0, draws, batch)
    ]  # the last batch is whole too: one program
    return np.nan_to_num(np.concatenate(parts)[:draws], nan=np.inf)


def accept(found: Float[np.ndarray, " draw"], kept: int) -> Accepted:
    """Rejection (Pritchard et al. 1999): the `kept` draws of the least loss."""
    order = np.argsort(found, kind="stable")[:kept]
    return Accepted(order, found[order], len(found))


class Population(NamedTuple):
    """Where a sequential sampler ended."""

    latents: dict[str, Float[Array, "group member"]]
    loss: Float[Array, " member"]  # none above the tolerance
    tolerance: list[float]  # of each round
    accepted: list[float]  # share of moves accepted in each round
    evaluations: int


def sequential(
    problem: Problem, seed: int, members: int, *, rounds: int = 10, keep: float = 0.5, step: float = 0.3
) -> Population:
    """ABC by sequential Monte Carlo (Del Moral, Doucet, Jasra 2012): tolerances fall, members are moved below them.

    Each round keeps the share `keep` of least loss, fills up with copies of it, and moves every member by one step
    z → √(1 − s²) z + s ε, which leaves the prior as it is in any dimension (Cotter et al. 2013), taken where the loss
    stays within the tolerance. The step halves when fewer than a tenth of the moves are taken.
    """
    keys = member_keys(seed, range(members))
    latents = prior_draws(problem, jax.vmap(partial(jax.random.fold_in, data=0))(keys))
    found = np.nan_to_num(np.asarray(jax.jit(losses)(problem, latents)), nan=np.inf)
    tolerances, shares = list[float](), list[float]()
    for number in range(rounds):
        best = np.argsort(found, kind="stable")[: max(1, int(keep * members))]
        copies = np.resize(best, members)  # each of the best equally often, give or take one
        tolerances.append(float(found[best[-1]]))
        round_keys = jax.vmap(partial(jax.random.fold_in, data=number + 1))(keys)
        start = {site: z[:, copies] for site, z in latents.items()}
        latents, moved, taken = _move(problem, start, jnp.asarray(found[copies]), round_keys, tolerances[-1], step)
        found = np.asarray(moved)
        shares.append(float(np.mean(np.asarray(taken))))
        step = step / 2 if shares[-1] < 0.1 else step
    return Population(latents, jnp.asarray(found), tolerances, shares, members * (rounds + 1))


@jax.jit
def _move(
    problem: Problem, latents: dict[str, Array], loss: Array, keys: PRNGKeyArray, tolerance: float, step: float
) -> tuple[dict[str, Array], Array, Array]:
    fresh = prior_draws(problem, keys)
    proposed = {site: jnp.sqrt(1 - step**2) * z + step * fresh[site] for site, z in latents.items()}
    after = losses(problem, proposed)
    taken = after <= tolerance  # false for NaN
    moved = {site: jnp.where(taken, z, latents[site]) for site, z in proposed.items()}
    return moved, jnp.where(taken, after, loss), taken
