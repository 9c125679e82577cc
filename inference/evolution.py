"""The most likely latent numbers without derivatives: CMA-ES (Hansen, Ostermeier 2001), a generation as one rollout.

Minimises ½ |z|² + loss(z) / w with a diagonal covariance (sep-CMA-ES; Ros, Hansen 2008), which is linear in the number
of latent numbers. It gives one best point and no spread.
"""

from typing import NamedTuple

import cma
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from shockmesh.inference.problem import Problem, losses


class Evolved(NamedTuple):
    """The best point that was met."""

    latents: dict[str, Float[Array, "group 1"]]
    objective: float
    evaluations: int


def evolve(problem: Problem, evaluations: int, *, seed: int = 0, generation: int = 32, width: float = 0.5) -> Evolved:
    """Search from the prior's middle, `generation` members at once, until so many evaluations are spent."""
    sites = problem.sites
    ends = np.cumsum([sites[site] for site in sorted(sites)])[:-1]

    def unpacked(points: np.ndarray) -> dict[str, Array]:
        parts = np.split(points.astype(problem.dtype), ends, axis=0)
        return {site: jnp.asarray(part) for site, part in zip(sorted(sites), parts, strict=True)}

    stream = np.random.RandomState(seed + 1)  # cma would seed, and draw from, the stream that all of NumPy shares
    options = {"seed": np.nan, "randn": stream.randn, "popsize": generation, "CMA_diagonal": True, "verbose": -9}
    options["maxfevals"] = evaluations
    search = cma.CMAEvolutionStrategy(np.zeros(sum(sites.values())), width, options)
    spent = 0
    while spent + generation <= evaluations and not search.stop():
        points = np.stack(search.ask(), axis=1)
        found = np.nan_to_num(np.asarray(_objective(problem, unpacked(points)), np.float64), nan=np.inf)
        search.tell(list(points.T), found.tolist())
        spent += generation
    best = np.asarray(search.result.xbest)
    return Evolved(unpacked(best[:, None]), float(search.result.fbest), spent)


@jax.jit
def _objective(problem: Problem, latents: dict[str, Array]) -> Float[Array, " member"]:
    """½ |z|² + loss / w, which is least at the most likely point."""
    distance = 0.5 * sum((z**2).sum(axis=0) for z in latents.values())
    return distance + losses(problem, latents) / problem.loss.temperature
