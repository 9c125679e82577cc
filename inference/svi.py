"""Stochastic variational inference: a guide is moved towards the generalised posterior, some particles a step.

The gradient is the sticking-the-landing estimator (Roeder, Wu, Duvenaud 2017): the guide's density is held fixed
while a draw moves. So the gradient has no noise where the guide is right, and a latent number that no data touch
keeps its prior exactly. (A flow's density at a given point is costly: it takes the plain estimator.)
Particle p of step t draws with fold_in(fold_in(seed, t), p): particles may be computed anywhere and averaged."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import optax
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray
from numpyro.distributions import biject_to, constraints
from numpyro.infer.autoguide import AutoContinuous, AutoIAFNormal
from numpyro.infer.util import compute_log_probs, log_density
from shockmesh.inference.model import model
from shockmesh.inference.problem import Problem

type Params = dict[str, Any]  # an array, or a network's tree of arrays, by name

CLIP = 100.0  # largest norm of a gradient
NEGLIGIBLE = 1e-3  # derivatives by standard normal numbers below this do not become full steps of Adam


class State(NamedTuple):
    """What one step hands to the next; with the seed, all of a checkpoint."""

    params: Params  # of the guide, unconstrained
    optimiser: optax.OptState
    step: Int[Array, ""]


class Info(NamedTuple):
    """What happened in a step."""

    loss: Float[Array, "*step"]  # −ELBO, the mean over particles
    bad_particles: Bool[Array, "*step particle"]  # whose loss is not finite; a step with any is not taken
    bad_params: dict[str, Bool[Array, "*step"]]  # by name: its gradient is not finite


@dataclass(frozen=True, eq=False)
class Variational:
    """A guide and its optimiser. Make one with `variational`."""

    guide: AutoContinuous
    constrain: Callable[[Params], Params]
    start: Params
    optimiser: optax.GradientTransformation
    particles: int
    seed: int

    def init(self) -> State:
        """The state before the first step, in arrays of its own, whose memory steps may take over."""
        start = jax.tree.map(jnp.copy, self.start)
        return State(start, self.optimiser.init(start), jnp.zeros((), jnp.int32))


def variational(
    problem: Problem, guide: AutoContinuous, *, steps: int, seed: int = 0, particles: int = 1, rate: float = 0.05
) -> Variational:
    """SVI of `steps` steps: Adam, one cycle of rates up to `rate`, gradients clipped at norm 100."""
    found = numpyro.handlers.trace(numpyro.handlers.seed(guide, jax.random.key(seed))).get_trace(problem)
    sites = {name: site for name, site in found.items() if site["type"] == "param"}
    transforms = {name: biject_to(site["kwargs"].get("constraint", constraints.real)) for name, site in sites.items()}
    start = {name: jax.tree.map(_strong, transforms[name].inv(site["value"])) for name, site in sites.items()}
    schedule = optax.cosine_onecycle_schedule(steps, rate, pct_start=0.2)

    def constrain(params: Params) -> Params:
        return {name: transforms[name](value) for name, value in params.items()}

    optimiser = optax.chain(optax.clip_by_global_norm(CLIP), optax.adam(schedule, eps=NEGLIGIBLE))
    return Variational(guide, constrain, start, optimiser, particles, seed)


def advance(method: Variational, problem: Problem, state: State, steps: int) -> tuple[State, Info]:
    """Take `steps` steps in one compiled program. The same steps taken one by one give the same state.

    The new state takes over the memory of `state`, which cannot be used again.
    """
    return _advance(problem, state, method, steps)


@partial(jax.jit, static_argnums=(2, 3), donate_argnums=1)
def _advance(problem: Problem, state: State, method: Variational, steps: int) -> tuple[State, Info]:
    particles = jnp.arange(method.particles)

    def one(state: State, _: None) -> tuple[State, Info]:
        losses, gradient = particle_gradients(method, problem, state, particles)
        return take_step(method, state, losses, gradient)

    return jax.lax.scan(one, state, length=steps)


def particle_gradients(
    method: Variational, problem: Problem, state: State, particles: Int[Array, " particle"]
) -> tuple[Float[Array, " particle"], Params]:
    """−ELBO of each of some particles of a step, and the gradient of their mean."""
    step_key = jax.random.fold_in(jax.random.key(method.seed), state.step)
    keys = jax.vmap(partial(jax.random.fold_in, step_key))(particles)

    def mean(params: Params) -> tuple[Array, Array]:
        losses = jax.vmap(lambda key: -_elbo(method, problem, params, key))(keys)
        return losses.mean(), losses

    (_, losses), gradient = jax.value_and_grad(mean, has_aux=True)(state.params)
    return losses, gradient


def take_step(
    method: Variational, state: State, losses: Float[Array, " particle"], gradient: Params
) -> tuple[State, Info]:
    """Move the guide by a gradient; stay where it is not finite, and say so."""
    bad_particles = ~jnp.isfinite(losses)
    bad_params = {name: ~_finite(part) for name, part in gradient.items()}
    good = ~bad_particles.any() & ~jnp.any(jnp.stack([*bad_params.values()]))
    updates, optimiser = method.optimiser.update(gradient, state.optimiser, state.params)
    moved = (optax.apply_updates(state.params, updates), optimiser)
    params, optimiser = jax.tree.map(partial(jnp.where, good), moved, (state.params, state.optimiser))
    return State(params, optimiser, state.step + 1), Info(losses.mean(), bad_particles, bad_params)


def _strong(leaf: Array) -> Array:
    """An array of a definite type, which no later step changes."""
    return jax.lax.convert_element_type(leaf, jnp.result_type(leaf))


def _finite(tree: Any) -> Bool[Array, ""]:
    return jnp.all(jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(tree)]))


def _elbo(method: Variational, problem: Problem, params: Params, key: PRNGKeyArray) -> Any:
    """log p(z) − loss(z) / w − log q(z) at a draw z of the guide."""
    constrained = method.constrain(params)
    seeded = numpyro.handlers.seed(method.guide, key)
    log_probs, sites = compute_log_probs(seeded, (problem,), {}, constrained)
    drawn = {name: site["value"] for name, site in sites.items() if site["type"] == "sample"}
    if isinstance(method.guide, AutoIAFNormal):
        log_q = sum(log_probs.values(), start=jnp.zeros(()))
    else:
        fixed = jax.lax.stop_gradient(constrained)
        log_q, _ = log_density(numpyro.handlers.substitute(seeded, data=drawn), (problem,), {}, fixed)
    log_p, _ = log_density(model, (problem,), {}, {site: drawn[site] for site in problem.sites})
    return log_p - log_q


def posterior_draws(
    method: Variational, problem: Problem, state: State, draws: int, seed: int = 0
) -> dict[str, Float[Array, "group draw"]]:
    """Latent numbers drawn from the guide. Draw d uses fold_in(seed, d)."""

    def one(problem: Problem, params: Params, key: PRNGKeyArray) -> dict[str, Array]:
        guide = numpyro.handlers.substitute(numpyro.handlers.seed(method.guide, key), data=params)
        sites = numpyro.handlers.trace(guide).get_trace(problem)
        return {site: sites[site]["value"] for site in problem.sites}

    keys = jax.vmap(partial(jax.random.fold_in, jax.random.key(seed)))(jnp.arange(draws, dtype=jnp.uint32))
    drawn = jax.jit(jax.vmap(one, in_axes=(None, None, 0)))(problem, method.constrain(state.params), keys)
    return jax.tree.map(lambda values: values.T, drawn)


def log_weights(
    method: Variational, problem: Problem, state: State, draws: int, seed: int = 0, *, batch: int = 100
) -> Float[np.ndarray, " draw"]:
    """log p(z) − loss(z) / w − log q(z) at the draws of `posterior_draws`: equal where the guide is the posterior."""
    whole = jnp.arange(-(-draws // batch) * batch, dtype=jnp.uint32)  # the last batch is whole too: one program
    keys = jax.vmap(partial(jax.random.fold_in, jax.random.key(seed)))(whole)
    weigh = jax.jit(jax.vmap(partial(_elbo, method), in_axes=(None, None, 0)))
    parts = [weigh(problem, state.params, keys[start : start + batch]) for start in range(0, len(whole), batch)]
    return np.concatenate(parts)[:draws]
