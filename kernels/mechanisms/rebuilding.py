"""Capital and homes destroyed, and rebuilt by those who are asked for it.

A damage to capital takes away productivity and adds claims to the orders of its links; homes add to final demand. What
was delivered of either is taken off what is left to build, and nothing else is remembered overnight.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial, reduce
from operator import mul
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from shockmesh.kernels.devices.layout import Layout
from shockmesh.kernels.devices.segments import Links, look_up, safe_ratio, segment_sum, total


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["loss", "capital_days", "builder", "cost", "onset", "rebuild_start", "rebuild_days", "pool"],
    meta_fields=[],
)
@dataclass(frozen=True)
class Damage:
    """Capital destroyed and rebuilt (Hallegatte 2008, 2014; an EventKapitalRebuild of BoARIO).

    A firm that lost the share δ of its capital K makes as much less, and asks its suppliers that build for goods worth
    cost · δ K in all, 1 / τ of what is missing each day, beside its other orders. What they deliver restores the
    capital. Suppliers share by builder, within a product by baseline flow. A firm i that buys from none is not
    rebuilt; or, with a `pool`, by all who build together: beside final demand they are asked for A = Σ_i R_i / τ_i,
    each for its part w_j, and serve the same share of it, s_j; each such firm has Σ_j w_j s_j of what it asks for.
    K is in days of the firm's value added, 1460 for the usual ratio of 4 years (Hallegatte 2008).
    Of several damages each takes its share of what the others leave standing, Π (1 − δ) in all; each is rebuilt at the
    cost of its own δ K.
    """

    loss: Float[Array, "#firm #member"]  # δ, share of the capital that is destroyed, 0 … 1
    capital_days: Float[Array, "#firm #member"]  # K [days of value added]
    builder: Float[Array, "#firm #member"]  # a supplier's product's part in rebuilding, ≥ 0; only ratios matter
    cost: Float[Array, "#firm #member"]  # of a unit of capital
    onset: Float[Array, "#firm #member"]  # [day]
    rebuild_start: Float[Array, "#firm #member"]  # [day]
    rebuild_days: Float[Array, "#firm #member"]  # τ [days]
    pool: Float[Array, "firm 1"] | None = None  # w, each firm's part of the pool, ≥ 0, Σ w = 1; None: there is none


@partial(jax.tree_util.register_dataclass, data_fields=["worth", "rebuild_start", "rebuild_days"], meta_fields=[])
@dataclass(frozen=True)
class HouseholdDamage:
    """Homes destroyed and rebuilt (the households_impact of a BoARIO event): demand without a loss of production.

    Households ask each firm j for R_j / τ a day beside their usual demand, from the start on; R_j(0) = W_j, and what
    they get is taken off. It is served as final demand is, and both get the same share; the usual demand is recorded.
    """

    worth: Float[Array, "#firm #member"]  # W, what is asked of each firm in all [the network's unit × days], ≥ 0
    rebuild_start: Float[Array, "#firm #member"]  # [day]
    rebuild_days: Float[Array, "#firm #member"]  # τ [days]

    def pace(self, day: Float[Array, ""]) -> Float[Array, "#firm #member"]:
        """Part of R that is asked for on a day [1/day]."""
        return jnp.where(day >= self.rebuild_start, 1 / self.rebuild_days, 0)


class Rebuilding(NamedTuple):
    """One damage on one day."""

    ruined: Float[Array, "firm #member"]  # share of the capital that is lost for good
    lost: Float[Array, "#firm #member"]  # share of the capital that is lost per unit of outstanding demand
    pace: Float[Array, "#firm #member"]  # part of the outstanding demand that is asked for [1/day]
    pool: Float[Array, "firm 1"] | None = None  # w of `Damage`


class Works(NamedTuple):
    """Of each damage by link, of homes by firm [the network's unit × days]: what is left, asked for or done today.

    Pooled is what each damaged firm asks of the pool of all who build; None of a damage without a pool.
    """

    capital: tuple[Float[Array, "link member"], ...] = ()
    homes: tuple[Float[Array, "firm member"], ...] = ()
    pooled: tuple[Float[Array, "firm member"] | None, ...] = ()


def initial_works(layout: Layout, damages: Sequence[Damage], homes: Sequence[HouseholdDamage], members: int) -> Works:
    """All that is asked for before anything is rebuilt; a firm without output builds nothing."""
    shape = layout.n_firms, members
    return Works(
        tuple(outstanding(layout, damage, members) for damage in damages),
        tuple(jnp.broadcast_to(jnp.where(layout.output > 0, of.worth, 0), shape) for of in homes),
        tuple(_of_the_pool(layout, damage, members) for damage in damages),
    )


def works_today(
    layout: Layout, left: Works, rebuilding: Sequence[Rebuilding], repairing: Sequence[Float[Array, "#firm #member"]]
) -> Works:
    """The part of what is left that is asked for today."""
    return Works(
        tuple(of * look_up(work.pace, layout.buyer) for of, work in zip(left.capital, rebuilding, strict=True)),
        tuple(of * pace for of, pace in zip(left.homes, repairing, strict=True)),
        tuple(None if of is None else of * work.pace for of, work in zip(left.pooled, rebuilding, strict=True)),
    )


def asked_of_pools(layout: Layout, asked: Works, rebuilding: Sequence[Rebuilding]) -> list[Float[Array, "firm member"]]:
    """What each damage with a pool asks of each firm of it."""
    pooled = zip(asked.pooled, rebuilding, strict=True)
    return [work.pool * total(of, layout.supplier) for of, work in pooled if of is not None and work.pool is not None]


def productivity_left(
    layout: Layout, productivity: Float[Array, "..."], left: Works, rebuilding: Sequence[Rebuilding]
) -> Float[Array, "..."]:
    """z, times the share of capital that stands after each damage."""
    damages = zip(left.capital, left.pooled, rebuilding, strict=True)
    lost = (work.ruined + work.lost * _both(segment_sum(of, layout.buyer), pooled) for of, pooled, work in damages)
    return reduce(mul, (_floor(1 - share) for share in lost), productivity)


def _both(of_links: Array, pooled: Array | None) -> Array:
    return of_links if pooled is None else of_links + pooled


def works_done(
    layout: Layout, asked: Works, share: Links, served: Float[Array, "firm member"], rebuilding: Sequence[Rebuilding]
) -> Works:
    """What is delivered of what is asked for.

    Args:
        share: of each link's claims that is met.
        served: of each firm's final demand, homes included, that is met.
    """
    pooled = (
        None if of is None or work.pool is None else of * total(work.pool * served, layout.supplier)
        for of, work in zip(asked.pooled, rebuilding, strict=True)
    )
    return Works(tuple(share * of for of in asked.capital), tuple(served * of for of in asked.homes), tuple(pooled))


def beyond_repair(layout: Layout, damage: Damage) -> Float[Array, "firm #member"]:
    """The share of a firm's capital that nobody can rebuild."""
    if damage.pool is not None:
        return jnp.zeros_like(damage.loss * layout.output)
    return damage.loss * (1 - segment_sum(_building_shares(layout, damage), layout.buyer))


def rebuilding(
    layout: Layout, damage: Damage, ruined: Float[Array, "firm #member"], day: Float[Array, ""]
) -> Rebuilding:
    """A damage on a day; `ruined` is what `beyond_repair` gives."""
    here = (day >= damage.onset).astype(day.dtype)
    return Rebuilding(
        ruined=here * ruined,
        lost=here * safe_ratio(jnp.ones_like(layout.output), _price(layout, damage)),
        pace=here * jnp.where(day >= damage.rebuild_start, 1 / damage.rebuild_days, 0),
        pool=None
        if damage.pool is None
        else jnp.where(layout.output > 0, damage.pool, 0),  # dummies of shards have none
    )


def outstanding(layout: Layout, damage: Damage, members: int) -> Float[Array, "link member"]:
    """What rebuilding asks of each link before anything is rebuilt [the network's unit × days]."""
    worth = look_up(damage.loss * _price(layout, damage), layout.buyer)
    return jnp.broadcast_to(_building_shares(layout, damage) * worth, (layout.n_links, members))


def _of_the_pool(layout: Layout, damage: Damage, members: int) -> Float[Array, "firm member"] | None:
    """What firms that buy from nobody who builds ask of the pool before anything is rebuilt."""
    if damage.pool is None:
        return None
    alone = segment_sum(_building_shares(layout, damage), layout.buyer) == 0
    worth = jnp.where(alone, damage.loss * _price(layout, damage), 0)
    return jnp.broadcast_to(worth, (layout.n_firms, members))


def _price(layout: Layout, damage: Damage) -> Float[Array, "firm #member"]:
    """What all the capital of a firm costs to rebuild [the network's unit × days]."""
    return damage.cost * damage.capital_days * jnp.maximum(layout.value_added_share, 0) * layout.output


def _building_shares(layout: Layout, damage: Damage) -> Float[Array, "link #member"]:
    """Each link's share of its buyer's rebuilding; all 0 for a buyer without a supplier that builds."""
    weight = look_up(damage.builder, layout.supplier) * layout.amount / look_up(layout.pool_amount, layout.pool)
    return safe_ratio(weight, look_up(segment_sum(weight, layout.buyer), layout.buyer))


@jax.custom_jvp
def _floor(left: Array) -> Array:
    """Remove round-off below 0. The exact number is never below 0, so the derivative is that of `left` itself."""
    return jnp.maximum(left, 0)


_floor.defjvp(lambda primals, tangents: (_floor(*primals), *tangents))
