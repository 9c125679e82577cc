"""Hamiltonian Monte Carlo: the gold standard that guides and ensembles are compared with on a small economy.

Exact up to Monte Carlo error, and costly: hundreds of gradients a draw. NumPyro's NUTS (Hoffman, Gelman 2014) on
`model`, its chains members of one rollout.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from numpyro.diagnostics import summary
from numpyro.infer import MCMC, NUTS, init_to_value
from shockmesh.inference.model import model
from shockmesh.inference.problem import Latents, Problem

DEPTH = 7  # of a trajectory's tree: 2⁷ − 1 gradients at most


@dataclass(frozen=True)
class Chains:
    """What HMC found, and whether to believe it."""

    latents: Latents  # site → (group, draw), chain after chain
    r_hat: float  # the largest of any latent number; 1 where chains agree (Vehtari et al. 2021: below 1.01 is good)
    divergences: int  # of all draws; 0 is good
    evaluations: int  # gradients of all chains, without warm-up


def sample(problem: Problem, seed: int = 0, *, draws: int = 500, warmup: int = 500, chains: int = 4) -> Chains:
    """`draws` of each chain from p(z) exp(−loss(z) / temperature)."""
    medians = {site: jnp.zeros(size, problem.dtype) for site, size in problem.sites.items()}
    kernel = NUTS(partial(model, problem), init_strategy=init_to_value(values=medians), max_tree_depth=DEPTH)
    run = MCMC(
        kernel, num_warmup=warmup, num_samples=draws, num_chains=chains, chain_method="vectorized", progress_bar=False
    )
    run.run(jax.random.key(seed), extra_fields=("diverging", "num_steps"))
    found, extra = run.get_samples(group_by_chain=True), run.get_extra_fields()
    r_hat = max(float(np.max(of["r_hat"])) for of in summary(found, group_by_chain=True).values())
    latents = {site: of.reshape(-1, of.shape[-1]).T for site, of in found.items()}
    return Chains(latents, r_hat, int(extra["diverging"].sum()), int(extra["num_steps"].sum()))
