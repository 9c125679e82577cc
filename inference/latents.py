"""Latent fields: what is unknown about the firms, as standard normal numbers that a model turns into its parameters.

A field is one number per firm around its median, the number that the model would use without data:

    value_i = T⁻¹(T(median_i) + Σ_k σ_k z_k[group_k(i)])        z_k ~ N(0, 1), one per group of effect k

with T by the field's support: the logarithm above a lower bound, the logit for a share. Effects at several levels
(all firms, region, series, sector, firm) make a hierarchical prior; where a spread is itself unknown,
σ_k ← σ_k exp(s z).
All latent numbers are standard normal a priori, so that a guide starts at the prior and a number that no data touch
stays there."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from shockmesh.kernels.devices.segments import Segments, look_up
from shockmesh.kernels.mechanisms.shocks import Scenario
from shockmesh.kernels.model import Parameters

type Support = Literal["positive", "above_one", "share"]
type Latents = Mapping[str, Float[Array, "group *member"]]

BOUNDS: dict[Support, tuple[float, float]] = {
    "positive": (0.0, float("inf")),
    "above_one": (1.0, float("inf")),
    "share": (0.0, 1.0),
}


@partial(jax.tree_util.register_dataclass, data_fields=["groups"], meta_fields=["level", "spread", "spread_doubt"])
@dataclass(frozen=True)
class Effect:
    """How far groups of firms stray from the median, and the firms of each group."""

    level: str  # what a group is: all, region, series, sector, firm
    groups: Segments  # firms → groups
    spread: float  # σ, on the scale of T
    spread_doubt: float = 0.0  # s: σ itself is uncertain by a factor exp(± s); 0 takes σ as known


@partial(jax.tree_util.register_dataclass, data_fields=["effects"], meta_fields=["name", "target", "support", "like"])
@dataclass(frozen=True)
class LatentField:
    """One unknown number per firm, and which number of the model it is.

    target: ("parameters", a field of Parameters), with a position where that holds several, or (a field of Scenario,
        position, a field of that shock).
    like: the field whose latent numbers this one uses in place of its own. What is learned of one moves the other, each
        from its own median. Both have the same effects.
    """

    name: str
    target: tuple[str, str] | tuple[str, str, int] | tuple[str, int, str]
    support: Support
    effects: tuple[Effect, ...]
    like: str = ""

    def site(self, effect: Effect) -> str:
        """The site of an effect's latent numbers."""
        return f"{self.like or self.name}.{effect.level}"

    def sizes(self) -> dict[str, int]:
        """How many latent numbers each site of this field has."""
        sites = {self.site(effect): effect.groups.n for effect in self.effects}
        return sites | {f"{self.site(effect)}.spread": 1 for effect in self.effects if effect.spread_doubt}

    def values(self, latents: Latents, median: Float[Array, "#firm #member"]) -> Float[Array, "firm member"]:
        """The field at some latent numbers, each site (group, member).

        A firm whose median lies on a bound of the support (a shock that does not hit it) keeps it.
        """
        low, high = BOUNDS[self.support]
        inside = (median > low) & (median < high)
        safe = jnp.where(inside, median, 0.5 if self.support == "share" else low + 1)
        strayed = sum((self._stray(effect, latents) for effect in self.effects), start=jnp.zeros((), median.dtype))
        if self.support == "share":
            value = jax.nn.sigmoid(jnp.log(safe) - jnp.log1p(-safe) + strayed)
        else:
            value = low + (safe - low) * jnp.exp(strayed)
        return jnp.where(inside, value, median)

    def _stray(self, effect: Effect, latents: Latents) -> Float[Array, "firm member"]:
        site = self.site(effect)
        spread = effect.spread
        if effect.spread_doubt:
            spread = spread * jnp.exp(effect.spread_doubt * latents[f"{site}.spread"])
        return look_up(spread * latents[site], effect.groups)


def get(parameters: Parameters, scenario: Scenario, field: LatentField) -> Float[Array, "#firm #member"]:
    """The number of the model that a field stands for."""
    match field.target:
        case ("parameters", str(name)):
            return getattr(parameters, name)
        case ("parameters", str(name), int(position)):
            return getattr(parameters, name)[position]
        case (kind, int(position), str(name)):
            return getattr(getattr(scenario, kind)[position], name)
        case _:
            raise ValueError(f"{field.name}: target {field.target}: names no number of a model")


def put(
    parameters: Parameters, scenario: Scenario, field: LatentField, value: Float[Array, "firm member"]
) -> tuple[Parameters, Scenario]:
    """The model with a field's values in their place."""
    match field.target:
        case ("parameters", str(name)):
            return replace(parameters, **{name: value}), scenario
        case ("parameters", str(name), int(position)):
            several = [jnp.broadcast_to(of, value.shape) for of in getattr(parameters, name)]
            several[position] = value
            return replace(parameters, **{name: jnp.stack(several)}), scenario
        case (kind, int(position), str(name)):
            shocks = list(getattr(scenario, kind))
            shocks[position] = replace(shocks[position], **{name: value})
            return parameters, replace(scenario, **{kind: tuple(shocks)})
        case _:
            raise ValueError(f"{field.name}: target {field.target}: names no number of a model")
