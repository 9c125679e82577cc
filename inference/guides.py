"""Guides: families of distributions over the latent numbers that variational inference searches.

Every guide starts at the prior, a standard normal. Those of NumPyro are taken as they are; `AutoStructuredNormal` is
ours. A total or a sector's series pins down a few directions of many latent numbers together (their sum, say) and
leaves the rest alone: the posterior's precision is a diagonal plus a low rank, and its covariance is not. So this
guide stretches

    z = m + d ⊙ A ε,      A = Π_k (I + (s_k − 1) v_k v_kᵀ)      |v_k| = 1 within each neighbourhood, s_k > 0

where a neighbourhood is the latent numbers that one series sees (a sector's firms and its common effect). Numbers
that several neighbourhoods share form one of their own; the last stretches run over everything. Sampling and density
cost O(latent numbers × stretches), and log |det| = Σ log d + Σ log s. A direction may become narrower than the diagonal
(s < 1) or wider (s > 1). Directions start as gradients of the loss at draws from the prior, for there the data say
something. A number that no data touch never has a part in a direction.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array, Float, Int
from numpyro.distributions import constraints
from numpyro.distributions.constraints import positive
from numpyro.distributions.transforms import AffineTransform, ComposeTransform, IndependentTransform, Transform
from numpyro.infer import autoguide, init_to_value
from shockmesh.inference.choices import GUIDES, GuideName
from shockmesh.inference.model import model
from shockmesh.inference.problem import Problem, batch_value_and_gradient, member_keys, prior_draws


class Stretch(Transform):
    """x → x + (s − 1) v (v · x) within each group, |v| = 1 there: one direction of each group is stretched by s."""

    domain = constraints.real_vector  # pyright: ignore[reportIncompatibleMethodOverride, reportAssignmentType]
    codomain = constraints.real_vector  # pyright: ignore[reportIncompatibleMethodOverride, reportAssignmentType]

    def __init__(
        self, direction: Float[Array, " latent"], stretch: Float[Array, " group"], group: Int[Array, " latent"]
    ) -> None:
        square = jax.ops.segment_sum(direction**2, group, len(stretch))
        self.direction = direction / jnp.sqrt(jnp.where(square > 0, square, 1))[group]
        self.stretch, self.group = stretch, group

    def _along(self, x: Float[Array, "*draw latent"], by: Float[Array, " group"]) -> Float[Array, "*draw latent"]:
        dot = jax.ops.segment_sum(jnp.moveaxis(x * self.direction, -1, 0), self.group, len(self.stretch))
        return x + (jnp.moveaxis(dot, 0, -1) * (by - 1))[..., self.group] * self.direction

    def __call__(self, x: Float[Array, "*draw latent"]) -> Float[Array, "*draw latent"]:
        return self._along(x, self.stretch)

    def _inverse(self, y: Float[Array, "*draw latent"]) -> Float[Array, "*draw latent"]:
        return self._along(y, 1 / self.stretch)

    def log_abs_det_jacobian(
        self, x: Float[Array, "*draw latent"], y: Float[Array, "*draw latent"], intermediates: None = None
    ) -> Float[Array, "*draw"]:
        return jnp.broadcast_to(jnp.log(self.stretch).sum(), x.shape[:-1])

    def tree_flatten(self) -> tuple[tuple[Array, ...], tuple[tuple[str, ...], dict]]:
        return (self.direction, self.stretch, self.group), (("direction", "stretch", "group"), {})


class AutoStructuredNormal(autoguide.AutoContinuous):
    """A normal guide with a few stretched directions in each neighbourhood of latent numbers, and over all of them.

    Args:
        directions: where the stretches start; the first half within neighbourhoods, the rest over all numbers.
        neighbourhood: each latent number's neighbourhood. Latent numbers are in the order of NumPyro's flattened sites.
    """

    def __init__(
        self,
        model: Callable[..., None],
        directions: Float[Array, "stretch latent"],
        neighbourhood: Int[np.ndarray, " latent"],
        **options: Any,
    ) -> None:
        self._directions = directions
        local, common = (neighbourhood, int(neighbourhood.max()) + 1), (np.zeros_like(neighbourhood), 1)
        half = len(directions) // 2
        self._groups = [local] * half + [common] * (len(directions) - half)
        super().__init__(model, **options)

    def _get_posterior(self) -> dist.TransformedDistribution:
        return dist.TransformedDistribution(self.get_base_dist(), self._transforms(numpyro.param))

    def _transforms(self, param: Callable[..., Any]) -> list[Transform]:
        transforms: list[Transform] = []
        for k, (start, (group, n)) in enumerate(zip(self._directions, self._groups, strict=True)):
            direction = jnp.where(start == 0, 0, param(f"{self.prefix}_direction_{k}", start))
            stretch = param(f"{self.prefix}_stretch_{k}", jnp.ones(n), constraint=positive)
            transforms.append(Stretch(direction, stretch, jnp.asarray(group, jnp.int32)))
        loc = param(f"{self.prefix}_loc", self._init_latent)
        scale = param(f"{self.prefix}_scale", jnp.ones(self.latent_dim), constraint=positive)
        return [*transforms, IndependentTransform(AffineTransform(loc, scale), 1)]

    def get_base_dist(self) -> dist.Distribution:
        return dist.Normal(jnp.zeros(self.latent_dim), 1).to_event(1)

    def get_transform(self, params: dict[str, Array]) -> Transform:
        return ComposeTransform(self._transforms(lambda name, *_, **__: params[name]))

    def median(self, params: dict[str, Array]) -> dict[str, Array]:
        return self._unpack_and_constrain(params[f"{self.prefix}_loc"], params)


def make_guide(
    name: GuideName, problem: Problem, neighbourhood: Int[np.ndarray, " firm"], *, rank: int = 4
) -> autoguide.AutoContinuous:
    """A guide over a problem's latent numbers, starting at the prior.

    Args:
        neighbourhood: of each firm, for the structured guide; for example the series that sees it.
        rank: factors of the low-rank guide; stretches of the structured one, local and common each; layers of the flow.

    Raises:
        ValueError: no guide of this name.
    """
    sites = problem.sites
    start = init_to_value(values={site: jnp.zeros(size, problem.dtype) for site, size in sites.items()})
    match name:
        case "mean_field":
            return autoguide.AutoDiagonalNormal(model, init_loc_fn=start, init_scale=1.0)
        case "low_rank":
            return autoguide.AutoLowRankMultivariateNormal(model, init_loc_fn=start, init_scale=1.0, rank=rank)
        case "structured":
            groups, directions = latent_neighbourhoods(problem, neighbourhood), loss_gradients(problem, 2 * rank)
            return AutoStructuredNormal(model, directions, groups, init_loc_fn=start)
        case "flow":
            return autoguide.AutoIAFNormal(model, init_loc_fn=start, num_flows=rank)
        case _:
            raise ValueError(f"guide {name!r}: there are {', '.join(GUIDES)}")


def loss_gradients(problem: Problem, draws: int) -> Float[Array, "draw latent"]:
    """The gradient of the loss at some draws from the prior, scaled to length 1; sites one after the other."""
    _, gradient = jax.jit(batch_value_and_gradient)(problem, prior_draws(problem, member_keys(0, range(draws))))
    flat = jnp.concatenate([gradient[site] for site in sorted(gradient)]).T
    return flat / jnp.maximum(jnp.linalg.norm(flat, axis=1, keepdims=True), jnp.finfo(flat.dtype).tiny)


def latent_neighbourhoods(problem: Problem, neighbourhood: Int[np.ndarray, " firm"]) -> Int[np.ndarray, " latent"]:
    """Each latent number's neighbourhood: that of the firms it acts on; a common one where it acts on several."""
    shared = int(neighbourhood.max()) + 1
    by_site: dict[str, np.ndarray] = {}
    for field in problem.fields:
        for effect in field.effects:
            site, firms, n = field.site(effect), np.asarray(effect.groups.index), effect.groups.n
            first, last = np.full(n, shared), np.full(n, -1)
            np.minimum.at(first, firms, neighbourhood)
            np.maximum.at(last, firms, neighbourhood)
            by_site[site] = np.where(first == last, first, shared)
            if effect.spread_doubt:
                by_site[f"{site}.spread"] = np.array([shared])
    found = np.concatenate([by_site[site] for site in sorted(by_site)])
    return np.unique(found, return_inverse=True)[1]
