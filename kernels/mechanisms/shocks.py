"""Shocks: what happens to firms and links on day t.

A scenario holds any number of shocks of eight kinds; those on one firm or link multiply. All are pytrees of arrays
(firm|1, member|1), so that a sweep's members are one batch, gradients flow into every field, and shards hold their own.

    productivity, final_demand   a factor over time on what a firm can make, on what consumers ask of it; on the former
                                 also of random failures
    cuts                         a share of the orders between two groups of firms that does not get through, or of the
                                 goods that make a detour and come later
    damages                      capital destroyed, and rebuilt by suppliers who are asked for it
    homes                        what households lost, and ask of those who build
    tariffs                      what buyers pay beside the price of what they buy from a group of firms
    costs                        a factor over time on the price of a firm's value added
    closures                     a factor over time on the capacity of a route
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from shockmesh.kernels.devices.layout import Layout
from shockmesh.kernels.devices.segments import look_up
from shockmesh.kernels.mechanisms.courses import Failures, Recovery, Rise, Table, total_factor
from shockmesh.kernels.mechanisms.queues import Closure, open_today
from shockmesh.kernels.mechanisms.rebuilding import Damage, HouseholdDamage, Rebuilding, beyond_repair, rebuilding
from shockmesh.kernels.mechanisms.routes import RouteCut, Routes, exposed, routes_today


@partial(jax.tree_util.register_dataclass, data_fields=["origin", "destination", "rise"], meta_fields=[])
@dataclass(frozen=True)
class Tariff:
    """A tariff or tax: destinations pay (1 + τ) p for what they buy from origins, and τ p of it is revenue.

    On the part of a link that both ends are in, τ = origin · destination · rate. It acts only where prices are not
    fixed (`prices.py`). Departures: it is on deliveries, those that rebuild capital included; none is on goods for
    final demand.
    """

    origin: Float[Array, "#firm #member"]  # how far a firm's sales are taxed, 0 … 1
    destination: Float[Array, "#firm #member"]  # how far a firm's purchases are, 0 … 1
    rise: Rise  # of each destination


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["productivity", "final_demand", "cuts", "damages", "homes", "tariffs", "costs", "closures"],
    meta_fields=[],
)
@dataclass(frozen=True)
class Scenario:
    """The shocks of a batch of members."""

    productivity: tuple[Recovery | Table | Failures, ...] = ()
    final_demand: tuple[Recovery | Table, ...] = ()
    cuts: tuple[RouteCut, ...] = ()
    damages: tuple[Damage, ...] = ()
    homes: tuple[HouseholdDamage, ...] = ()
    tariffs: tuple[Tariff, ...] = ()
    costs: tuple[Rise, ...] = ()  # of value added
    closures: tuple[Closure, ...] = ()


class Standing(NamedTuple):
    """The part of a scenario that is the same on every day."""

    exposed: tuple[Float[Array, "#link #member"], ...]  # how far each link goes by the route of each cut, 0 … 1
    ruined: tuple[Float[Array, "firm #member"], ...]  # share of a firm's capital that no supplier can rebuild
    taxed: tuple[Float[Array, "#link #member"], ...]  # how far each tariff is on each link, 0 … 1


class Day(NamedTuple):
    """What a scenario does on one day."""

    productivity: Float[Array, "..."]  # z, (firm|1, member|1), or () if no shock acts
    final_demand: Float[Array, "firm #member"]  # C
    rebuilding: tuple[Rebuilding, ...] = ()
    repairing: tuple[Float[Array, "#firm #member"], ...] = ()  # part of each R that households ask for [1/day]
    routes: Routes = Routes()
    duty: Float[Array, "#link #member"] | None = None  # log (1 + τ), see `duty`; None: 0
    value_added_price: Float[Array, "..."] | None = None  # w, (firm|1, member|1); None: 1
    is_open: tuple[Float[Array, "..."], ...] = ()  # z of each route with a capacity, (1, member|1) or ()


def standing(layout: Layout, scenario: Scenario) -> Standing:
    """What is the same on every day of a scenario."""
    cuts, damages = scenario.cuts, scenario.damages
    return Standing(
        tuple(exposed(layout, cut.origin, cut.destination) for cut in cuts),
        tuple(beyond_repair(layout, of) for of in damages),
        tuple(exposed(layout, tariff.origin, tariff.destination) for tariff in scenario.tariffs),
    )


def today(layout: Layout, scenario: Scenario, fixed: Standing, day: Float[Array, ""]) -> Day:
    """What the scenario does on a day; `fixed` is its `standing` part."""
    damages = zip(scenario.damages, fixed.ruined, strict=True)
    return Day(
        total_factor(scenario.productivity, day),
        layout.final_demand * total_factor(scenario.final_demand, day),
        tuple(rebuilding(layout, damage, ruined, day) for damage, ruined in damages),
        tuple(of.pace(day) for of in scenario.homes),
        routes_today(scenario.cuts, fixed.exposed, day),
        duty(layout, fixed.taxed, [tariff.rise.today(day) for tariff in scenario.tariffs]),
        total_factor(scenario.costs, day) if scenario.costs else None,
        open_today(layout, scenario.closures, day),
    )


def duty(
    layout: Layout,
    taxed: Sequence[Float[Array, "#link #member"]],
    rates: Sequence[Float[Array, "#firm #member"]],
) -> Float[Array, "#link #member"] | None:
    """Log (1 + τ) of each link, all tariffs on it together; None: there are none.

    Args:
        taxed: how far each tariff is on each link, see `Standing`.
        rates: what each tariff is at the firm that buys, as a share of the price.
    """
    duties = [jnp.log1p(share * look_up(rate, layout.buyer)) for share, rate in zip(taxed, rates, strict=True)]
    return sum(duties[1:], duties[0]) if duties else None
