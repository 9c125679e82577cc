"""Shocks: what happens to firms and links on day t.

A scenario holds any number of shocks of seven kinds; those on one firm or link multiply. All are pytrees of arrays
(firm|1, member|1), so that a sweep's members are one batch, gradients flow into every field, and shards hold their own.

    productivity, final_demand   a factor over time on what a firm can make, on what consumers ask of it; on the former
                                 also of random failures
    cuts                         a share of the orders between two groups of firms that does not get through, or of the
                                 goods that make a detour and come later
    damages                      capital destroyed, and rebuilt by suppliers who are asked for it
    homes                        what households lost, and ask of those who build
    tariffs                      what buyers pay beside the price of what they buy from a group of firms
    costs                        a factor over time on the price of a firm's value added
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial, reduce
from operator import mul
from typing import Literal, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from shockmesh.kernels.devices.layout import Layout
from shockmesh.kernels.devices.segments import look_up
from shockmesh.kernels.mechanisms.rebuilding import Damage, HouseholdDamage, Rebuilding, beyond_repair, rebuilding

Course = Literal["exponential", "hyperbolic", "linear", "s_shaped"]


def _s_shaped(elapsed: Array, rate: Array) -> Array:
    """1 / (1 + (2 s)^p) with p = ln(10⁶ τ) / ln(τ / 2), as a logistic function of ln 2 s, which has no overflow."""
    begun = elapsed > 0
    days, past = 1 / jnp.where(begun, rate, 1), jnp.where(begun, elapsed, 1)
    power = jnp.log(1e6 * days) / jnp.log(days / 2)
    return jnp.where(begun, jax.nn.sigmoid(-power * jnp.log(2 * past)), 1)


_REMAINING: dict[Course, Callable[[Array, Array], Array]] = {
    "exponential": lambda elapsed, rate: jnp.exp(-elapsed),
    "hyperbolic": lambda elapsed, rate: 1 / (1 + elapsed),
    "linear": lambda elapsed, rate: jnp.maximum(1 - elapsed, 0),
    "s_shaped": _s_shaped,
}


@runtime_checkable
class Shock(Protocol):
    """Anything with a factor on day t, shape (firm|1, member|1)."""

    def factor(self, day: Float[Array, ""]) -> Float[Array, "#firm #member"]: ...


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["loss", "onset", "recovery_start", "recovery_rate"],
    meta_fields=["course"],
)
@dataclass(frozen=True)
class Recovery:
    """A loss that recovers: z = 1 − δ r(λ (t − t*)⁺) from the onset on, 1 before.

    exponential  r = e^−s         Hamid et al. (arXiv 2511.05231, 2025); the onset is the extension of shared use
    hyperbolic   r = 1 / (1 + s)  the mean of many that recover exponentially, with rates spread exponentially around
                                  the mean λ: ∫ e^−kt e^−k/λ dk / λ; the slow ones are left to the end
    linear       r = [1 − s]⁺     whole again after 1 / λ days, as in BoARIO
    s_shaped     r = 1 / (1 + (2 s)^p), p = ln(10⁶ τ) / ln(τ / 2), τ = 1 / λ > 2 days: slow at first, half after τ / 2;
                                  BoARIO's concave_recovery, τ / (τ + ε t^p), written otherwise
    """

    loss: Float[Array, "#firm #member"]  # δ, share lost, 0 … 1
    onset: Float[Array, "#firm #member"]  # t0 [day]
    recovery_start: Float[Array, "#firm #member"]  # t* [day]
    recovery_rate: Float[Array, "#firm #member"]  # λ [1/day]
    course: Course = field(default="exponential", kw_only=True)

    def factor(self, day: Float[Array, ""]) -> Float[Array, "#firm #member"]:
        return 1 - self.loss * _left(self, day)


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["rate", "onset", "recovery_start", "recovery_rate"],
    meta_fields=["course"],
)
@dataclass(frozen=True)
class Rise:
    """A price that rises, by a share that goes back as a loss recovers: w = 1 + ρ r(λ (t − t*)⁺) from the onset on."""

    rate: Float[Array, "#firm #member"]  # ρ, > −1
    onset: Float[Array, "#firm #member"]  # t0 [day]
    recovery_start: Float[Array, "#firm #member"]  # t* [day]
    recovery_rate: Float[Array, "#firm #member"]  # λ [1/day]
    course: Course = field(default="exponential", kw_only=True)

    def today(self, day: Float[Array, ""]) -> Float[Array, "#firm #member"]:
        """The share by which the price is up."""
        return self.rate * _left(self, day)

    def factor(self, day: Float[Array, ""]) -> Float[Array, "#firm #member"]:
        return 1 + self.today(day)


def _left(shock: Recovery | Rise, day: Float[Array, ""]) -> Float[Array, "#firm #member"]:
    """r of a day: 0 before the onset, 1 until the recovery starts."""
    elapsed = shock.recovery_rate * jnp.maximum(day - shock.recovery_start, 0)
    return jnp.where(day >= shock.onset, _REMAINING[shock.course](elapsed, shock.recovery_rate), 0)


@partial(jax.tree_util.register_dataclass, data_fields=["path"], meta_fields=[])
@dataclass(frozen=True)
class Table:
    """A factor given day by day; the last row holds ever after."""

    path: Float[Array, "time #firm #member"]

    def factor(self, day: Float[Array, ""]) -> Float[Array, "#firm #member"]:
        return self.path[jnp.minimum(day.astype(jnp.int32), self.path.shape[0] - 1)]


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["clock", "loss", "onset", "days_between_failures", "repair_days"],
    meta_fields=[],
)
@dataclass(frozen=True)
class Failures:
    """Random failures, an alternating renewal process: a firm works for an exponential time of mean M = 1 / hazard,
    then is out for D days, over and over (Barlow & Proschan 1965, Mathematical Theory of Reliability, chapter 3).

    The times at work are M E with unit exponentials E = −ln u that are drawn before anything is computed, so that the
    k-th failure is at T_k = t0 + M (E_1 + … + E_k) + (k − 1) D, a smooth function of all numbers, and

        z_t = 1 − δ Σ_k |[T_k, T_k + D] ∩ [t, t + 1]|,    the share of day t during which the firm is out,

    is piecewise linear in T_k and D. So pathwise derivatives (Glasserman 2003, section 7.2) by hazard, D, δ and t0
    exist and are exact; no event is relaxed. Departures and choices:
      1. failures after the last of `clock` do not happen: choose as many as matter within the horizon;
      2. a firm ages whether or not it has work, and every repair takes it D days.
    """

    clock: Float[Array, "failure #firm #member"]  # E_1 + … + E_k, unit exponentials
    loss: Float[Array, "#firm #member"]  # δ, share lost while out, 0 … 1
    onset: Float[Array, "#firm #member"]  # t0, no failure before [day]
    days_between_failures: Float[Array, "#firm #member"]  # M, mean days at work from repair to failure
    repair_days: Float[Array, "#firm #member"]  # D

    def factor(self, day: Float[Array, ""]) -> Float[Array, "#firm #member"]:
        before = jnp.arange(self.clock.shape[0], dtype=day.dtype)[:, None, None]  # k − 1
        fails = self.onset + self.days_between_failures * self.clock + self.repair_days * before
        out = jnp.minimum(fails + self.repair_days, day + 1) - jnp.maximum(fails, day)
        return 1 - self.loss * jnp.minimum(jnp.maximum(out, 0).sum(axis=0), 1)  # beyond 1 by round-off alone


@partial(
    jax.tree_util.register_dataclass, data_fields=["origin", "destination", "course", "detour_days"], meta_fields=[]
)
@dataclass(frozen=True)
class RouteCut:
    """A route that is cut: of the orders from destinations to origins only a factor reaches the supplier.

    Without a detour, what does not get through is not made and not delivered; the buyer orders anew every day, from
    his stock. With one of d days, all orders are made as ever, and the share b of the deliveries Z_e that does not get
    through is on the way for d days on average, a first-order material delay (Sterman 2000, Business Dynamics,
    chapter 11): of the goods T_e on the way a part 1 / d arrives each day, those that left before today,

        S_e ← S_e + (1 − b) Z_e + T_e / d − use_e,    T_e ← T_e − T_e / d + b Z_e

    Goods on the way are the buyer's: they count towards his target stock, as the supply line does (chapter 17), so a
    detour changes no order while stocks last. When the route is open again they still come. Departures and choices:
      1. the target is that of stock and supply line together, and does not grow, as Sterman's desired supply line does,
         by the d days of use that are on the way: a lasting detour leaves n − b d days in stock, and use is limited
         where those are fewer than one;
      2. goods of one day arrive spread over many, at age k days with probability (1 − 1/d)^(k−1) / d; all arrive the
         day after with d = 1;
      3. of several detours on one link each takes its share of what the ones before it leave to the route;
      4. cuts, with a detour or without, are not of what rebuilds capital (`Damage`);
      5. nor of goods for final demand, whose buyers have no place in a network.
    """

    origin: Float[Array, "#firm #member"]  # how far a firm's sales go by the route, 0 … 1
    destination: Float[Array, "#firm #member"]  # how far a firm's purchases do, 0 … 1
    course: Recovery | Table  # factor (1, member|1) of what gets through
    detour_days: Float[Array, "1 #member"] | None = None  # d, mean days that a detour adds, ≥ 1; None: no detour


@partial(jax.tree_util.register_dataclass, data_fields=["origin", "destination", "rise"], meta_fields=[])
@dataclass(frozen=True)
class Tariff:
    """A tariff or tax: destinations pay (1 + τ) p for what they buy from origins, and τ p of it is revenue.

    On the part of a link that both ends are in, τ = origin · destination · rate. It acts only where prices are not
    fixed (`prices.py`). Departures: it is on deliveries, those that rebuild capital included; none is on goods for
    final demand, whose buyers have no place in a network.
    """

    origin: Float[Array, "#firm #member"]  # how far a firm's sales are taxed, 0 … 1
    destination: Float[Array, "#firm #member"]  # how far a firm's purchases are, 0 … 1
    rise: Rise  # of each destination


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["productivity", "final_demand", "cuts", "damages", "homes", "tariffs", "costs"],
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


class Standing(NamedTuple):
    """The part of a scenario that is the same on every day."""

    exposed: tuple[Float[Array, "#link #member"], ...]  # how far each link goes by the route of each cut, 0 … 1
    ruined: tuple[Float[Array, "firm #member"], ...]  # share of a firm's capital that no supplier can rebuild
    taxed: tuple[Float[Array, "#link #member"], ...]  # how far each tariff is on each link, 0 … 1


class Detour(NamedTuple):
    """One detour on one day."""

    share: Float[Array, "#link #member"]  # b, of what a link delivers that makes the detour
    pace: Float[Array, "1 #member"]  # 1 / d, part of what is on the way that arrives [1/day]


class Day(NamedTuple):
    """What a scenario does on one day."""

    productivity: Float[Array, "..."]  # z, (firm|1, member|1), or () if no shock acts
    final_demand: Float[Array, "firm #member"]  # C
    passing: Float[Array, "link #member"] | None = None  # share of a link's orders that gets through; None: all
    rebuilding: tuple[Rebuilding, ...] = ()
    repairing: tuple[Float[Array, "#firm #member"], ...] = ()  # part of each R that households ask for [1/day]
    detours: tuple[Detour, ...] = ()
    duty: Float[Array, "#link #member"] | None = None  # log (1 + τ), see `duty`; None: 0
    value_added_price: Float[Array, "..."] | None = None  # w, (firm|1, member|1); None: 1


def total_factor(shocks: tuple[Recovery | Table | Failures | Rise, ...], day: Float[Array, ""]) -> Float[Array, "..."]:
    """The product of all factors on a day; 1 without a shock."""
    return reduce(mul, (shock.factor(day) for shock in shocks), jnp.ones((), day.dtype))


def standing(layout: Layout, scenario: Scenario) -> Standing:
    """What is the same on every day of a scenario."""
    cuts, damages = scenario.cuts, scenario.damages
    return Standing(
        tuple(_exposed(layout, cut) for cut in cuts),
        tuple(beyond_repair(layout, of) for of in damages),
        tuple(_exposed(layout, tariff) for tariff in scenario.tariffs),
    )


def _exposed(layout: Layout, shock: RouteCut | Tariff) -> Float[Array, "#link #member"]:
    """How far a link goes from the origin to the destination of a shock, 0 … 1."""
    return look_up(shock.origin, layout.supplier) * look_up(shock.destination, layout.buyer)


def today(layout: Layout, scenario: Scenario, fixed: Standing, day: Float[Array, ""]) -> Day:
    """What the scenario does on a day; `fixed` is its `standing` part."""
    cuts = list(zip(fixed.exposed, scenario.cuts, strict=True))
    passing = [1 - of * (1 - cut.course.factor(day)) for of, cut in cuts if cut.detour_days is None]
    damages = zip(scenario.damages, fixed.ruined, strict=True)
    return Day(
        total_factor(scenario.productivity, day),
        layout.final_demand * total_factor(scenario.final_demand, day),
        reduce(mul, passing) if passing else None,
        tuple(rebuilding(layout, damage, ruined, day) for damage, ruined in damages),
        tuple(of.pace(day) for of in scenario.homes),
        tuple(
            Detour(of * (1 - cut.course.factor(day)), 1 / cut.detour_days)
            for of, cut in cuts
            if cut.detour_days is not None
        ),
        duty(layout, fixed.taxed, [tariff.rise.today(day) for tariff in scenario.tariffs]),
        total_factor(scenario.costs, day) if scenario.costs else None,
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
