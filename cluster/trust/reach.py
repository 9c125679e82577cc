"""What the loss of each shock acts on, and how far it may reach: sentences with numbers, before anything is computed.

A shock takes S_i days' worth of output from firm i: Σ_t [1 − κ z_t]⁺ over the horizon, z the part of its capacity that
is left and κ what it can make at most. What buyer b misses of a product that it needs, Σ_j share_j S_j, its stock of n
days makes up for first; the rest it misses itself, and so do its own buyers:

    S_b = max(S_b of the shock, max over products [Σ_j share_j S_j − n_b]⁺)

Firms with S_b > 0 are those that a shock reaches although everybody holds stocks. Ours, and an estimate: it knows
nothing of rationing, of orders that fall, or of capacity that makes up for losses later. (On the network of `make
demo` it says 1.5 to 3.5 times the loss that is then simulated: docs/choosing/presets.md has the cases.)
"""

from collections.abc import Iterator
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float
from shockmesh.cluster.spec.binding import Bound, BoundAny, BoundShock, BoundTable, ever_hit
from shockmesh.cluster.spec.cautions import SPARE, STOPS, days_of_links, over_members, parameter_over
from shockmesh.cluster.spec.events import BoundEvents
from shockmesh.cluster.spec.models import Spec
from shockmesh.cluster.spec.shocks import ClosureShock, CutShock, DamageShock, FailuresShock, RecoveryShock
from shockmesh.kernels.devices.layout import criticality_of, linked, pools_of
from shockmesh.kernels.mechanisms.courses import Recovery
from shockmesh.kernels.network import FirmNetwork

ROUNDS, STILL = 60, 0.01  # of the search for who is reached; it ends when nobody misses 0.01 days more
REACHED, AMPLIFIED = 0.05, 5.0  # told from this share of output on, and from so many times what the shock takes itself


@dataclass(frozen=True)
class Act:
    """What one shock does to firms, at the median of what a sweep draws."""

    name: str
    hit: Bool[np.ndarray, " firm"]
    days_lost: Float[np.ndarray, " firm"]  # S, days' worth of output


def acts_on(spec: Spec, bound: Bound, network: FirmNetwork) -> Iterator[str]:
    """What the loss of each shock is a share of, and how much that is."""
    for of in bound.shocks:
        if told := _acts_on(spec, bound, of, network):
            yield f"shocks.{of.shock.name}: loss is {told}"


def _acts_on(spec: Spec, bound: Bound, of: BoundAny, network: FirmNetwork) -> str | None:
    shock = of.shock
    if isinstance(of, BoundEvents):
        return (
            f"of {'capacity' if of.shock.on == 'production' else 'final demand'}, as the catalogue says of each event"
        )
    if isinstance(of, BoundTable):
        hit = (np.asarray(of.factors) != 1).any(axis=0)
        of_what = _capacity(spec, bound, hit, network) if of.shock.on == "production" else "of final demand"
        return f"{of_what}, as the file says: {_weight(hit, network)}"
    if isinstance(shock, CutShock):
        from_, to = (ever_hit(of.places[end], bound.members) for end in ("origin", "destination"))
        links = from_[network.supplier] & to[network.buyer]
        goods = "of the goods that come late" if of.fields.get("detour_days") else "of orders that do not get through"
        share = network.amount[links].sum() / (network.amount.sum() or 1)
        return f"{goods}: {links.sum():,} links, {_percent(share)} of purchases"
    if isinstance(shock, ClosureShock):
        goods = next(route.goods for route in bound.routes if route.route.name == shock.route)
        amount = linked(network, spec.model.switches).amount
        share = amount[goods.links].sum() / (amount.sum() or 1)
        return f"of the capacity of route {shock.route}: {_percent(share)} of purchases go by it"
    if not isinstance(shock, RecoveryShock | FailuresShock | DamageShock):
        return None
    hit = ever_hit(of.places["where"], bound.members)
    if isinstance(shock, DamageShock):
        return f"of capital, which output falls with and builders replace: {_weight(hit, network)}"
    if shock.on == "final_demand":
        share = network.final_demand[hit].sum() / (network.final_demand.sum() or 1)
        return f"of final demand, not of capacity: {_firms(hit, 'meet')} {_percent(share)} of it"
    while_out = ", while a firm is out" if isinstance(shock, FailuresShock) else ""
    return f"{_capacity(spec, bound, hit, network, while_out)}: {_weight(hit, network)}"


def _capacity(spec: Spec, bound: Bound, hit: Bool[np.ndarray, " firm"], network: FirmNetwork, when: str = "") -> str:
    spare = _typical(bound, SPARE[spec.model.switches.capacity_rule], network)[hit]
    unfelt = 1 - 1 / spare.max(initial=1.0)
    felt = f", felt beyond the {_percent(unfelt)} that may be spare" if unfelt > 0 else ""
    return f"of the capacity to produce{when}{felt}"


def _weight(hit: Bool[np.ndarray, " firm"], network: FirmNetwork) -> str:
    share = network.output[hit].sum() / (network.output.sum() or 1)
    return f"{_firms(hit, 'make')} {_percent(share)} of output"


def _firms(hit: Bool[np.ndarray, " firm"], do: str) -> str:
    return f"1 firm that {do}s" if hit.sum() == 1 else f"{hit.sum():,} firms that {do}"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def far_reaching(spec: Spec, bound: Bound, network: FirmNetwork) -> Iterator[str]:
    """Shocks that last longer than stocks, and may stop far more than they hit."""
    weight, whole = critical_part(spec, bound, network), network.output.sum() or 1
    if not weight.any():
        return
    stocks = days_of_links(bound, _typical(bound, "inventory_days", network), network)
    help_ = _help(spec, bound, network)
    for act in acts(spec, bound, network):
        missed = missing_days(network, act.days_lost, weight, stocks, help_)
        direct = network.output[act.hit].sum() / whole
        reached = network.output[(missed >= 1) & ~act.hit].sum() / whole
        if reached >= REACHED and network.output @ missed >= AMPLIFIED * (network.output @ act.days_lost):
            lost = np.average(act.days_lost[act.hit], weights=network.output[act.hit] + 1e-300)
            held = np.median(stocks[np.isfinite(stocks) & (weight > 0)])
            yield (
                f"shocks.{act.name}: outlasts stocks: it takes {lost:.3g} days' worth of output of firms that make "
                f"{_percent(direct)} of it; buyers hold {held:.3g} days, and inputs that they cannot do without lead "
                f"on to firms that make {_percent(reached)}. Such a result hangs on preset, production and "
                "inventory_days: `shockmesh robustness` says by how much"
            )


def missing_days(
    network: FirmNetwork,
    days_lost: Float[np.ndarray, " firm"],
    weight: Float[np.ndarray, " link"],
    stocks: Float[np.ndarray, " link"],
    help_: float = 0.0,
) -> Float[np.ndarray, " firm"]:
    """S, days' worth of output that each firm misses in the end: see the head of this module.

    Args:
        days_lost: S of the shock [days].
        weight: how much of a missing input is missed in output, 0 … 1.
        stocks: days of use that the buyer holds.
        help_: what other suppliers of a product can make more, as a share of what they sell, where buyers ask them.
    """
    pool, first = pools_of(network.buyer, network.product)
    bought = np.bincount(pool, network.amount, len(first))
    share = network.amount / bought[pool]
    buyer, weight, stocks = network.buyer[first], weight[first], stocks[first]
    missed = days_lost.astype(float)
    for _ in range(ROUNDS):
        of_links = missed[network.supplier]
        short = np.bincount(pool, share * of_links, len(first))
        if help_:
            others = np.bincount(pool, share * (of_links <= 0), len(first))
            longest = np.zeros(len(first))
            np.maximum.at(longest, pool, of_links)
            short = np.maximum(short - help_ * others * longest, 0)
        more = days_lost.astype(float)
        np.maximum.at(more, buyer, weight * np.maximum(short - stocks, 0))
        if np.abs(more - missed).max(initial=0) < STILL:
            break
        missed = more
    return missed


def critical_part(spec: Spec, bound: Bound, network: FirmNetwork) -> Float[np.ndarray, " link"]:
    """How much of a missing input a firm misses in output: 1 where it stops a firm, 0 where it only costs."""
    rule = spec.model.switches.production
    if rule == "linear":
        return np.zeros(network.n_links)
    if bound.criticality is None:
        weight = np.ones(network.n_links)
    else:
        chi = criticality_of(network, bound.criticality, network.product, network.buyer)
        weight = chi if rule == "half_critical" else (chi >= STOPS[rule]).astype(float)
    held = np.zeros(len(network.sectors)) if bound.product_days is None else bound.product_days
    return np.where(np.isinf(held[network.product]), 0.0, weight)


def acts(spec: Spec, bound: Bound, network: FirmNetwork) -> Iterator[Act]:
    """What each shock to capacity takes; other shocks are left out."""
    yield from (act for of in bound.shocks if (act := _act(spec, bound, of, network)) is not None)


def _act(spec: Spec, bound: Bound, of: BoundAny, network: FirmNetwork) -> Act | None:
    """What a shock to capacity takes; None for other shocks."""
    spare = _typical(bound, SPARE[spec.model.switches.capacity_rule], network)
    if isinstance(of, BoundTable):
        if of.shock.on != "production":
            return None
        loss = 1.0 if of.loss is None else np.nan_to_num(over_members(of.loss, np.median, bound.members, network))
        left = 1 - loss * (1 - np.asarray(of.factors))
        lost = np.maximum(1 - spare * left, 0).sum(axis=0)
        return Act(of.shock.name, (left != 1).any(axis=0), lost)
    if not isinstance(of, BoundShock) or not isinstance(of.shock, RecoveryShock) or of.shock.on != "production":
        return None
    hit = ever_hit(of.places["where"], bound.members)
    given = {name: over_members(field, np.median, bound.members, network) for name, field in of.fields.items()}
    numbers = np.stack([given["loss"], given["onset"], given.get("recovery_start", given["onset"]),
                        given.get("recovery_days", np.full(network.n_firms, np.inf)), spare])  # fmt: skip
    alike, which = np.unique(np.nan_to_num(numbers[:, hit], posinf=np.inf), axis=1, return_inverse=True)
    loss, onset, start, days, most = alike[:, :, None]
    course = Recovery(*map(jnp.asarray, (loss, onset, start, 1 / days)), course=of.shock.course)
    left = np.stack([np.asarray(course.factor(jnp.asarray(float(day)))) for day in range(spec.horizon.days)])
    lost = np.zeros(network.n_firms)
    lost[hit] = np.maximum(1 - most * left, 0).sum(axis=0)[which.ravel(), 0]
    return Act(of.shock.name, hit, lost)


def _help(spec: Spec, bound: Bound, network: FirmNetwork) -> float:
    """What other suppliers make up for, where orders go to those who can deliver."""
    if spec.model.switches.order_split != "capacity":
        return 0.0
    return float(np.median(_typical(bound, "capacity", network))) - 1


def _typical(bound: Bound, name: str, network: FirmNetwork) -> Float[np.ndarray, " firm"]:
    return parameter_over(bound, name, np.median, network)
