"""Randomised maximum likelihood: an ensemble whose members are each pulled from a draw of the prior to perturbed data.

    z_m = argmin ½ |z − z⁰_m|² + loss(r(z) − √w ε_m) / w        z⁰_m ~ prior, ε_m ~ N(0, 1)

(Kitanidis 1995; Oliver, He, Reynolds 1996). r are residuals in units of noise: absolute, relative or of logarithms. The
error grows with the temperature w, so that members spread as p(z) exp(−loss / w) does. They do so exactly where r is
linear in z and the penalty is squared. Members are independent: they may be one batched rollout, or many batches on
many machines. Member m draws with fold_in(seed, m) alone."""

from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, PRNGKeyArray
from shockmesh.inference.problem import Experiment, Latents, Problem, batch_value_and_gradient, prior_draws
from shockmesh.inference.svi import NEGLIGIBLE


class Ensemble(NamedTuple):
    """Members pulled to the data."""

    latents: dict[str, Float[Array, "group member"]]
    objective: Float[Array, "step member"]  # ½ |z − z⁰|² + loss / w before each step
    failed: Bool[Array, " member"]  # it met a number that is not finite, and stays where it was before


@dataclass(frozen=True)
class Pull:
    """How members are pulled: Adam steps with one cycle of rates, gradients of each member clipped."""

    steps: int = 30
    rate: float = 0.2
    clip: float = 100.0


def pull(problem: Problem, keys: PRNGKeyArray, how: Pull = Pull()) -> Ensemble:
    """One member for each key."""
    return _pull(problem, keys, how)


@partial(jax.jit, static_argnums=2)
def _pull(problem: Problem, keys: PRNGKeyArray, how: Pull) -> Ensemble:
    start = prior_draws(problem, jax.vmap(partial(jax.random.fold_in, data=0))(keys))
    return pull_from(perturbed(problem, jax.vmap(partial(jax.random.fold_in, data=1))(keys)), start, start, how)


def pull_from(problem: Problem, anchor: Latents, start: Latents, how: Pull) -> Ensemble:
    """Pull members from `start`, each tied to its `anchor`, a draw of the prior. Data may differ by member."""
    optimiser = optax.adam(optax.cosine_onecycle_schedule(how.steps, how.rate, pct_start=0.2), eps=NEGLIGIBLE)

    def one(carry: tuple[Latents, optax.OptState, Array], _: None) -> tuple[tuple, Array]:
        latents, state, failed = carry
        objective, gradient = _objective(problem, anchor, latents)
        norm = jnp.sqrt(sum((part**2).sum(axis=0) for part in gradient.values()))
        bad = ~jnp.isfinite(objective + norm)
        clipped = jax.tree.map(lambda part: jnp.where(bad, 0, part * jnp.minimum(1, how.clip / norm)), gradient)
        updates, state = optimiser.update(clipped, state)
        updates = jax.tree.map(lambda part: jnp.where(bad | failed, 0, part), updates)
        return (optax.apply_updates(latents, updates), state, failed | bad), objective

    members = jax.tree.leaves(start)[0].shape[-1]
    carry = (dict(start), optimiser.init(dict(start)), jnp.zeros(members, bool))
    (latents, _, failed), objective = jax.lax.scan(one, carry, length=how.steps)
    return Ensemble(latents, objective, failed)


def perturbed(problem: Problem, keys: PRNGKeyArray) -> Problem:
    """The problem with data that differ by member: each adds a draw of the noise, times √w, to what was seen."""
    width = problem.loss.temperature**0.5

    def of(number: int, experiment: Experiment) -> Experiment:
        seen = [
            replace(part, error=width * _noise(keys, number, k, part.values.shape[:2], problem.dtype))
            for k, part in enumerate(experiment.seen)
        ]
        return replace(experiment, seen=tuple(seen))

    return replace(problem, experiments=tuple(of(number, one) for number, one in enumerate(problem.experiments)))


def _noise(
    keys: PRNGKeyArray, experiment: int, series: int, shape: tuple[int, ...], dtype: jnp.dtype
) -> Float[Array, "period series member"]:
    def one(key: PRNGKeyArray) -> Array:
        return jax.random.normal(jax.random.fold_in(jax.random.fold_in(key, experiment), series), shape, dtype)

    return jnp.moveaxis(jax.vmap(one)(keys), 0, -1)


def _objective(problem: Problem, anchor: Latents, latents: Latents) -> tuple[Float[Array, " member"], Latents]:
    """½ |z − z⁰|² + loss / w of each member, and its gradient."""
    loss, gradient = batch_value_and_gradient(problem, latents)
    away = jax.tree.map(jnp.subtract, latents, dict(anchor))
    distance = 0.5 * sum((part**2).sum(axis=0) for part in away.values())
    weight = 1 / problem.loss.temperature
    return distance + weight * loss, jax.tree.map(lambda part, pull: part + weight * pull, away, gradient)
