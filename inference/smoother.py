"""Ensemble smoother with multiple data assimilation (Emerick, Reynolds 2013): calibration without derivatives.

    z_m ← z_m + C_zd (C_dd + α C_e)⁻¹ (d + √α e_m − g(z_m))        repeated for `rounds`, α = rounds

with covariances over the ensemble. The update is computed in the space of the members: it decomposes the members'
deviations in the data, and needs no matrix of latent numbers. A few hundred members are overconfident.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray
from shockmesh.inference.problem import Predictions, Problem, predictions, prior_draws


def smooth(
    problem: Problem, keys: PRNGKeyArray, *, rounds: int = 4, batch: int = 100
) -> dict[str, Float[Array, "group member"]]:
    """An ensemble of one member for each key; costs `rounds` simulations of each.

    Raises:
        ValueError: the members are not whole batches.
    """
    if len(keys) % batch:
        raise ValueError(f"members = {len(keys)}: must be a multiple of the batch, {batch}")
    latents = prior_draws(problem, jax.vmap(partial(jax.random.fold_in, data=0))(keys))
    for number in range(rounds):
        parts = [
            _simulate(problem, {site: z[:, k : k + batch] for site, z in latents.items()})
            for k in range(0, len(keys), batch)
        ]
        noise_keys = jax.vmap(partial(jax.random.fold_in, data=number + 1))(keys)
        latents = _update(latents, jnp.concatenate(parts, axis=1), noise_keys, float(rounds))
    return latents


def residuals(problem: Problem, found: Predictions) -> Float[Array, "datum member"]:
    """Residuals in units of √w times the noise; 0 where nothing is fitted."""
    width = problem.loss.temperature**0.5
    parts = [
        jnp.where(seen.fitted, problem.loss.off(seen, values) / width, 0).reshape(-1, values.shape[-1])
        for experiment, series in zip(problem.experiments, found, strict=True)
        for seen, values in zip(experiment.seen, series, strict=True)
    ]
    return jnp.concatenate(parts)


@jax.jit
def _simulate(problem: Problem, latents: dict[str, Array]) -> Float[Array, "datum member"]:
    return residuals(problem, predictions(problem, latents))


@jax.jit
def _update(
    latents: dict[str, Array], off: Float[Array, "datum member"], keys: PRNGKeyArray, inflation: float
) -> dict[str, Array]:
    """One assimilation with C_e = I: data are in units of noise."""
    members = off.shape[1]
    noise = jax.vmap(lambda key: jax.random.normal(key, off.shape[:1], off.dtype))(keys).T
    fitted = jnp.any(off != 0, axis=1, keepdims=True)
    wanted = -(off + jnp.where(fitted, jnp.sqrt(inflation) * noise, 0))
    spread = (off - off.mean(axis=1, keepdims=True)) / jnp.sqrt(members - 1)
    left, size, right = jnp.linalg.svd(spread, full_matrices=False)
    weights = right.T @ ((size / (size**2 + inflation))[:, None] * (left.T @ wanted)) / jnp.sqrt(members - 1)
    return {site: z + (z - z.mean(axis=1, keepdims=True)) @ weights for site, z in latents.items()}
