"""What a spec does on its economy that its author may not expect: sentences for a plan, a run and its report."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float
from shockmesh.cluster.spec.binding import Bound, BoundShock, BoundTable, ever_hit
from shockmesh.cluster.spec.fields import SURVEYED
from shockmesh.cluster.spec.members import Members
from shockmesh.cluster.spec.models import Spec
from shockmesh.cluster.spec.selection import named
from shockmesh.cluster.spec.shocks import DamageShock, FailuresShock, RecoveryShock
from shockmesh.cluster.spec.values import Field
from shockmesh.kernels.devices.layout import criticality_of
from shockmesh.kernels.network import FirmNetwork

LEAST, MOST = 50, 300  # steps of the power iteration, in which firms far from the fastest circle fall behind
STILL = 1e-6  # it ends when its growth changes by less in a step
ALIKE = {  # production function that reads no criticality → what it says of inputs
    "leontief": "every input is critical",
    "threshold": "every input is critical, from a low stock on",
    "ces": "every input is critical, others make up for a part of what is missing",
    "linear": "no input is critical, any makes up for any other",
}
STOPS = {"strongly_critical": 0.5, "half_critical": 1.0, "weakly_critical": 1.0}  # → the least χ that stops a firm
SPARE = {  # capacity rule → the number by which a loss of capacity is not felt at once
    "constant": "capacity",
    "hiring": "capacity",
    "overproduction": "base_capacity",
    "literal": "inventory_days",
}


def cautions(spec: Spec, bound: Bound, network: FirmNetwork) -> Iterator[str]:
    """The cautions on a spec that is bound to its network."""
    yield from _instability(spec, bound, network)
    yield from _spiral(spec, bound, network)
    for shock in bound.shocks:
        yield from _swallowed(spec, bound, shock, network)
        if isinstance(shock, BoundShock) and isinstance(shock.shock, DamageShock):
            yield from _without_capital(shock, bound.members, network)


def needs_told(spec: Spec, bound: Bound, network: FirmNetwork) -> str:
    """Which inputs stop a firm that runs out of them, and which only cost, in one sentence."""
    rule, held = spec.model.switches.production, _never_short(bound, network)
    if bound.criticality is None:
        return f"production: {ALIKE[rule]} ({rule}){held}"
    named = str(spec.model.criticality)
    source = "surveyed criticality" if named == SURVEYED else f"criticality of {Path(named).name}"
    chi = criticality_of(network, bound.criticality, network.product, network.buyer)
    stops = chi >= STOPS[rule]
    slows = (chi > 0) & ~stops & (rule == "half_critical")
    slowing = f", those that slow it down {_shares(slows, network)}" if slows.any() else ""
    told = f"inputs that stop a firm are {_shares(stops, network)}{slowing}; the others only cost"
    return f"production: {source} ({rule}): {told}{held}"


def _shares(chosen: Bool[np.ndarray, " link"], network: FirmNetwork) -> str:
    """Which part of all links, and of what they carry, some links are."""
    links, paid = chosen.sum() / max(1, network.n_links), network.amount[chosen].sum() / (network.amount.sum() or 1)
    return f"{100 * links:.0f} % of links and {100 * paid:.0f} % of purchases"


def _never_short(bound: Bound, network: FirmNetwork) -> str:
    days = np.zeros(0) if bound.product_days is None else bound.product_days
    names = [network.sectors[product] for product in np.flatnonzero(np.isinf(days))]
    return f"; never short: {', '.join(names)}" if names else ""


def spectral_radius(network: FirmNetwork, weight: Float[np.ndarray, " link"]) -> float:
    """The largest eigenvalue of the links' shares of their suppliers' output, each times its weight, ≥ 0.

    Power iteration on the matrix plus 1, which converges also where all circles of firms have one length.
    """
    made = np.where(network.output > 0, network.output, 1)
    share = weight * network.amount / made[network.supplier]
    vector, growth = np.ones(network.n_firms), 1.0
    for step in range(MOST):
        before = growth
        vector = vector + np.bincount(network.supplier, share * vector[network.buyer], network.n_firms)
        growth = float(vector.max())
        vector = vector / growth
        if step >= LEAST and abs(growth - before) < STILL * growth:
            break
    return growth - 1


def _instability(spec: Spec, bound: Bound, network: FirmNetwork) -> Iterator[str]:
    """Where round-off grows: `shockmesh.kernels`, DESIGN.md, Facts worth knowing."""
    model = spec.model.switches
    days = _extreme(bound, "inventory_days", np.max, network)
    closing = _extreme(bound, "adjustment_days", np.min, network)
    if model.order_target == "fixed":
        radius = spectral_radius(network, np.ones(network.n_links))
        if radius < 1 and closing.min() < (least := (1 + radius) / (2 * (1 - radius))):
            yield (
                f"model.adjustment_days: {closing.min():g}: the steady state is sure to be stable from {least:.3g} "
                "days on only: orders may swing by themselves, and a loss where no shock acts is no result"
            )
    elif model.order_split == "link":  # pooled orders do not fall with stocks above their target
        growth = spectral_radius(network, 1 + _days_of_links(bound, days, network) / closing[network.buyer])
        if growth > 1:
            yield (
                f"model.inventory_days: {days.max():g} with model.adjustment_days: {closing.min():g} and order_target: "
                f"{model.order_target}: the steady state is unstable: round-off grows by a factor of {growth:.3g} a "
                "day, so that output falls without any shock; fewer inventory_days or more adjustment_days keep it "
                "below 1"
            )


def _spiral(spec: Spec, bound: Bound, network: FirmNetwork) -> Iterator[str]:
    """Premiums that firms in a circle pay each other: where all are short, prices grow by (1 + ξ) A a round."""
    if not spec.model.switches.priced:
        return
    scarcity = _extreme(bound, "scarcity", np.max, network)
    growth = spectral_radius(network, 1 + scarcity[network.supplier])
    if growth > 1 and scarcity.max() > 0:
        most = 1 / spectral_radius(network, np.ones(network.n_links)) - 1
        yield (
            f"model.prices.scarcity: {scarcity.max():g}: where goods stay short, prices may rise without bound, for "
            f"firms that sell to each other pay each other's premiums; up to {most:.2g} they cannot"
        )


def _days_of_links(bound: Bound, days: Float[np.ndarray, " firm"], network: FirmNetwork) -> Float[np.ndarray, " link"]:
    """Target stock of each link: the product's own, where it has one, else the buyer's; 0 where it is never short."""
    of_buyer = days[network.buyer]
    if bound.product_days is None:
        return of_buyer
    own = bound.product_days[network.product]
    return np.where(own > 0, np.where(np.isfinite(own), own, 0), of_buyer)


def _swallowed(spec: Spec, bound: Bound, shock: BoundShock | BoundTable, network: FirmNetwork) -> Iterator[str]:
    """A loss of capacity that is nowhere larger than what firms have to spare."""
    left, hit = _left(shock, bound.members, network)
    if not hit.any():
        return
    name = SPARE[spec.model.switches.capacity_rule]
    spare = _extreme(bound, name, np.min, network)
    if name == "inventory_days":  # which only buyers have
        spare = np.where(network.inputs > 0, spare, _extreme(bound, "capacity", np.min, network))
    if (left[hit] * spare[hit] >= 1 - 1e-9).all():
        yield (
            f"shocks.{shock.shock.name}: changes nothing by itself: the largest loss, {1 - left[hit].min():.3g}, is "
            f"within what model.{name} ({spare[hit].min():g}) leaves to spare: 1 - 1 / {name}"
        )


def _left(
    shock: BoundShock | BoundTable, members: Members, network: FirmNetwork
) -> tuple[Float[np.ndarray, " firm"], Bool[np.ndarray, " firm"]]:
    """What a shock leaves of each firm's capacity at its worst, and the firms that it hits; nobody if demand is hit."""
    nobody = np.zeros(network.n_firms, bool)
    if isinstance(shock, BoundTable):
        left = np.asarray(shock.factors).min(axis=0)
        return left, (left < 1 if shock.shock.on == "production" else nobody)
    loss = shock.fields.get("loss")
    if loss is None or not isinstance(shock.shock, RecoveryShock | FailuresShock) or shock.shock.on != "production":
        return np.ones(network.n_firms), nobody
    return 1 - _at_most(loss, np.max, members, network), ever_hit(shock.places["where"], members)


def _without_capital(bound: BoundShock, members: Members, network: FirmNetwork) -> Iterator[str]:
    """Capital is counted in days of value added: a firm without any has none to lose."""
    hit = ever_hit(bound.places["where"], members)
    spared = np.flatnonzero(hit & (network.value_added <= 1e-9 * network.output))
    if len(spared):
        yield (
            f"shocks.{bound.shock.name}: {len(spared)} of {hit.sum()} firms that it names lose nothing, for their "
            f"value added is not above 0, and capital is counted in days of it: {named(network, spared)}"
        )


def _extreme(bound: Bound, name: str, of: Callable, network: FirmNetwork) -> Float[np.ndarray, " firm"]:
    return _at_most(bound.parameters[name], of, bound.members, network)


def _at_most(field: Field, of: Callable, members: Members, network: FirmNetwork) -> Float[np.ndarray, " firm"]:
    """The largest or the least number of each firm in any member, without an array of all members."""
    drawn = {path: np.array([of(values)]) for path, values in members.values.items() if values.dtype.kind in "if"}
    return np.broadcast_to(field.at(drawn)[:, 0], network.n_firms)
