"""A calibration problem: what is unknown, what was seen, and the loss between, for a batch of latent numbers at once.

`losses` and `predictions` take latent numbers as sites (group, member) and simulate all members together, which is
what ensembles and rejection samplers want. `loss` takes one draw, sites (group,): it is what a NumPyro model is
conditioned on. Under `vmap` (particles, chains) its draws become members of one rollout, and its gradient comes with
its value from one pass forwards and one backwards."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap
from jaxtyping import Array, Float, PRNGKeyArray
from shockmesh.inference.latents import LatentField, Latents, get, put
from shockmesh.inference.losses import GAUSSIAN, Loss, Observed, predicted
from shockmesh.kernels.devices.layout import Layout
from shockmesh.kernels.devices.segments import Segments
from shockmesh.kernels.mechanisms.shocks import Scenario
from shockmesh.kernels.model import Parameters, Switches
from shockmesh.kernels.native.evening import Kernel
from shockmesh.kernels.rollout import rollout


@partial(jax.tree_util.register_dataclass, data_fields=["scenario", "seen"], meta_fields=["days", "fitted_days"])
@dataclass(frozen=True)
class Experiment:
    """A shock whose consequences were seen. Each variable is observed once."""

    scenario: Scenario
    seen: tuple[Observed, ...]
    days: int
    fitted_days: int | None = None  # the first days, which reach all values that are fitted; None: all days


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["layout", "parameters", "experiments", "fields"],
    meta_fields=["switches", "loss", "kernel"],
)
@dataclass(frozen=True)
class Problem:
    """An economy with unknown numbers, and what was seen of it in one shock or in several. Make one with `problem`."""

    layout: Layout
    switches: Switches
    parameters: Parameters  # medians of what is unknown, values of what is known
    experiments: tuple[Experiment, ...]
    fields: tuple[LatentField, ...]
    loss: Loss = GAUSSIAN
    kernel: Kernel = "auto"  # see `rollout`

    @property
    def sites(self) -> dict[str, int]:
        """Every site of latent numbers and its size."""
        return {site: size for field in self.fields for site, size in field.sizes().items()}

    @property
    def dtype(self) -> jnp.dtype:
        return self.layout.output.dtype


def problem(
    layout: Layout,
    switches: Switches,
    parameters: Parameters,
    experiments: Sequence[Experiment],
    fields: Sequence[LatentField],
    loss: Loss = GAUSSIAN,
    kernel: Kernel = "auto",
) -> Problem:
    """A calibration problem, checked.

    Raises:
        ValueError: nothing unknown or nothing seen, a name used twice, a temperature that is not positive.
    """
    if not experiments or not all(experiment.seen for experiment in experiments):
        raise ValueError("experiments: at least one, each with something seen")
    for experiment in experiments:
        _unique("observed variable", [seen.variable for seen in experiment.seen])
    if not fields:
        raise ValueError("fields: nothing is unknown")
    _unique("field", [field.name for field in fields])
    for field in fields:
        _unique(f"level of {field.name}", [effect.level for effect in field.effects])
    if not loss.temperature > 0:
        raise ValueError(f"temperature = {loss.temperature}: must be > 0")
    return Problem(layout, switches, parameters, tuple(experiments), tuple(fields), loss, kernel)


def _unique(what: str, names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{what} given twice: {', '.join(twice)}")


type Predictions = tuple[tuple[Float[Array, "period series member"], ...], ...]  # by experiment, by observed


def prior_draws(problem: Problem, keys: PRNGKeyArray) -> dict[str, Float[Array, "group member"]]:
    """One draw from the prior for each key. A draw depends on its key and the sites' names alone."""
    sites = problem.sites

    def one(key: PRNGKeyArray) -> dict[str, Float[Array, " group"]]:
        parts = jax.random.split(key, len(sites))
        return {
            site: jax.random.normal(part, (size,), problem.dtype)
            for part, (site, size) in zip(parts, sorted(sites.items()), strict=True)
        }

    return jax.tree.map(lambda values: values.T, jax.vmap(one)(keys))


def member_keys(seed: int, members: Sequence[int] | range) -> PRNGKeyArray:
    """A key for each member: fold_in(seed, member)."""
    return jax.vmap(partial(jax.random.fold_in, jax.random.key(seed)))(jnp.asarray(list(members), jnp.uint32))


def inputs(problem: Problem, scenario: Scenario, latents: Latents) -> tuple[Parameters, Scenario]:
    """Parameters and scenario at some latent numbers (group, member)."""
    parameters = problem.parameters
    for field in problem.fields:
        values = field.values(latents, get(parameters, scenario, field))
        parameters, scenario = put(parameters, scenario, field, values)
    return parameters, scenario


def field_values(problem: Problem, latents: Latents, experiment: int = 0) -> dict[str, Float[Array, "firm member"]]:
    """Every field's values at some latent numbers (group, member), as an experiment sees them."""
    scenario = problem.experiments[experiment].scenario
    return {field.name: field.values(latents, get(problem.parameters, scenario, field)) for field in problem.fields}


def predictions(problem: Problem, latents: Latents) -> Predictions:
    """What each member says of everything seen."""
    return tuple(_predict(problem, experiment, latents, experiment.days) for experiment in problem.experiments)


def _predict(problem: Problem, experiment: Experiment, latents: Latents, days: int) -> tuple[Array, ...]:
    parameters, scenario = inputs(problem, experiment.scenario, latents)
    record: Mapping[str, Segments | None] = {seen.variable: seen.groups for seen in experiment.seen}
    program = partial(rollout, days=days, record=record, kernel=problem.kernel)
    series = program(problem.layout, problem.switches, parameters, scenario)
    return tuple(predicted(problem.layout, seen, series[seen.variable]) for seen in experiment.seen)


def losses(problem: Problem, latents: Latents, *, held_out: bool = False) -> Float[Array, " member"]:
    """The loss of each member, latents (group, member): over the fitted values, or over those held out.

    Days after the last that is fitted are simulated for the held-out values alone.
    """
    if held_out:
        return score(problem, predictions(problem, latents), held_out=True)
    found = [_predict(problem, of, latents, of.fitted_days or of.days) for of in problem.experiments]
    return score(problem, tuple(found))


def score(problem: Problem, found: Predictions, *, held_out: bool = False) -> Float[Array, " member"]:
    """The loss of predictions, by member."""
    pairs = zip(problem.experiments, found, strict=True)
    parts = [
        problem.loss(seen, values, held_out)
        for experiment, series in pairs
        for seen, values in zip(experiment.seen, series, strict=True)
    ]
    return jnp.sum(jnp.stack(parts), axis=0)


def loss(problem: Problem, latents: Latents) -> Float[Array, ""]:
    """The loss of one draw, sites (group,); differentiable by the latent numbers; `vmap` makes draws members."""
    leaves, structure = jax.tree.flatten(problem)
    return _batched_loss(structure)(leaves, dict(latents))


@cache
def _batched_loss(structure: Any) -> Callable[[list[Array], dict[str, Array]], Float[Array, ""]]:
    """`loss` of problems of one structure, given as leaves. The gradient is computed with the value, in one batch."""

    @custom_vmap
    def value(leaves: list[Array], latents: dict[str, Array]) -> Array:
        return losses(jax.tree.unflatten(structure, leaves), _one_member(latents))[0]

    @value.def_vmap
    def _(size: int, batched: list, leaves: list[Array], latents: dict[str, Array]) -> tuple[Array, bool]:
        return losses(jax.tree.unflatten(structure, leaves), _members_last(size, batched, latents)), True

    @custom_vmap
    def value_and_gradient(leaves: list[Array], latents: dict[str, Array]) -> tuple[Array, dict[str, Array]]:
        found, gradient = batch_value_and_gradient(jax.tree.unflatten(structure, leaves), _one_member(latents))
        return found[0], {site: part[:, 0] for site, part in gradient.items()}

    @value_and_gradient.def_vmap
    def _(size: int, batched: list, leaves: list[Array], latents: dict[str, Array]) -> tuple[tuple, tuple]:
        members = _members_last(size, batched, latents)
        found, gradient = batch_value_and_gradient(jax.tree.unflatten(structure, leaves), members)
        return (found, {site: part.T for site, part in gradient.items()}), (True, dict.fromkeys(gradient, True))

    def backward(gradient: dict[str, Array], cotangent: Array) -> tuple[None, dict[str, Array]]:
        return None, {site: cotangent * part for site, part in gradient.items()}

    differentiable = jax.custom_vjp(value)
    differentiable.defvjp(value_and_gradient, backward)
    return differentiable


def batch_value_and_gradient(
    problem: Problem, latents: Latents
) -> tuple[Float[Array, " member"], dict[str, Float[Array, "group member"]]]:
    """The loss of each member and its derivative by its own latent numbers, sites (group, member)."""

    def total(latents: dict[str, Array]) -> tuple[Array, Array]:
        found = losses(problem, latents)
        return found.sum(), found  # members are independent: the derivative of the sum is each member's own

    (_, found), gradient = jax.value_and_grad(total, has_aux=True)(dict(latents))
    return found, gradient


def _one_member(latents: Latents) -> dict[str, Array]:
    return {site: values[:, None] for site, values in latents.items()}


def _members_last(size: int, batched: list, latents: Latents) -> dict[str, Array]:
    """Draws (draw, group) as members (group, draw). Only latent numbers can be batched."""
    leaves_batched, sites_batched = batched
    if any(leaves_batched):
        raise ValueError("loss: only the latent numbers can be batched, not the problem")
    return {
        site: values.T if sites_batched[site] else jnp.broadcast_to(values[:, None], (len(values), size))
        for site, values in latents.items()
    }
