"""The NumPyro model of a calibration: standard normal latent numbers, and the loss as a factor.

    from numpyro.infer import MCMC, NUTS, SVI, Trace_ELBO
    SVI(model, guide, optimiser, Trace_ELBO(num_particles=8)).run(key, 300, problem)

Everything of NumPyro works on it: guides, SVI, HMC, handlers. Particles and chains that NumPyro vectorises become
members of one rollout."""

from typing import Any

import numpyro
import numpyro.distributions as dist
from shockmesh.inference.problem import Problem, loss


def model(problem: Problem) -> None:
    """p(z) exp(−loss(z) / temperature) (Bissiri, Holmes, Walker 2016, eq. 2)."""
    latents: dict[str, Any] = {
        site: numpyro.sample(site, dist.Normal(0, 1).expand([size]).to_event(1))
        for site, size in sorted(problem.sites.items())
    }
    numpyro.factor("loss", -loss(problem, latents) / problem.loss.temperature)
