"""Neural posterior estimation: a flow learns the latent numbers from simulated data, then reads what was seen.

Simulations of the prior with noise are pairs (z, data). A conditional flow q(z | summary of the data) is fitted to
them by likelihood, and approximates the posterior for any data (Papamakarios, Murray 2016; Greenberg, Nonnenmacher,
Macke 2019). No loss and no gradient of the simulator is used. A few thousand simulations teach it a few dozen numbers,
such as effects of sectors, but not a number for each firm: other sites stay at their prior. Needs the extra `npe`.
"""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flowjax.distributions import Normal
from flowjax.flows import masked_autoregressive_flow
from flowjax.train import fit_to_data
from jaxtyping import Array, Float, PRNGKeyArray
from shockmesh.inference.problem import Problem, member_keys, predictions, prior_draws
from shockmesh.inference.smoother import residuals

RATE, EPOCHS, PATIENCE = 1e-3, 200, 20  # of the flow's training


def estimate(
    problem: Problem,
    sites: Sequence[str],
    seed: int,
    simulations: int,
    draws: int,
    *,
    summaries: int = 40,
    batch: int = 100,
) -> dict[str, Float[Array, "group draw"]]:
    """Draws of the posterior of some sites; all others are drawn from the prior. Costs `simulations`.

    The data are summarised by their first principal components over the simulations, `summaries` of them at most.

    Raises:
        ValueError: the simulations are not whole batches, or a site is none of the problem's.
    """
    if simulations % batch:
        raise ValueError(f"simulations = {simulations}: must be a multiple of the batch, {batch}")
    if unknown := sorted(set(sites) - {*problem.sites}):
        raise ValueError(f"sites: {', '.join(unknown)}: must be among {', '.join(problem.sites)}")
    latents, data = _simulate(problem, sites, seed, simulations, batch)
    condition, seen = _summarise(data, summaries)
    flow_key, fit_key, draw_key = jax.random.split(jax.random.key(seed), 3)
    width = latents.shape[1]
    flow = masked_autoregressive_flow(flow_key, base_dist=Normal(jnp.zeros(width)), cond_dim=len(seen), flow_layers=4)
    flow, _ = fit_to_data(
        fit_key, flow, (latents, condition), learning_rate=RATE, max_epochs=EPOCHS, max_patience=PATIENCE,
        show_progress=False,
    )  # fmt: skip
    found = flow.sample(draw_key, (draws,), condition=seen).T
    ends = np.cumsum([problem.sites[site] for site in sites])[:-1]
    return prior_draws(problem, member_keys(seed, range(draws))) | dict(zip(sites, jnp.split(found, ends), strict=True))


def _simulate(
    problem: Problem, sites: Sequence[str], seed: int, simulations: int, batch: int
) -> tuple[Float[Array, "simulation number"], Float[Array, "simulation datum"]]:
    """Latent numbers of the prior, and data minus what was seen, in units of noise, with noise."""

    @jax.jit
    def one(keys: PRNGKeyArray) -> tuple[Array, Array]:
        latents = prior_draws(problem, jax.vmap(partial(jax.random.fold_in, data=0))(keys))
        off = residuals(problem, predictions(problem, latents))
        noise = jax.vmap(lambda key: jax.random.normal(jax.random.fold_in(key, 1), off.shape[:1], off.dtype))(keys)
        return jnp.concatenate([latents[site] for site in sites]).T, jnp.where(off.T != 0, off.T + noise, 0)

    parts = [one(member_keys(seed, range(start, start + batch))) for start in range(0, simulations, batch)]
    latents, data = (jnp.concatenate(part) for part in zip(*parts, strict=True))
    return latents, data


def _summarise(
    data: Float[Array, "simulation datum"], summaries: int
) -> tuple[Float[Array, "simulation summary"], Float[Array, " summary"]]:
    """Standardised principal components of the simulated data, and of what was seen, whose residual is 0."""
    middle = data.mean(axis=0)
    _, size, axes = jnp.linalg.svd(data - middle, full_matrices=False)
    kept = min(summaries, int(jnp.sum(size > 1e-6 * size[0])))
    scale = np.sqrt(len(data)) / size[:kept]
    return (data - middle) @ axes[:kept].T * scale, -middle @ axes[:kept].T * scale
