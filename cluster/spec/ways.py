"""Delays and routes on their network: which links and final goods they are of."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from shockmesh.cluster.spec.delays import DIFFERENT, LONGEST, PLACES, Delay, Passage, Route
from shockmesh.cluster.spec.domains import DOMAINS
from shockmesh.cluster.spec.fields import PerFirm
from shockmesh.cluster.spec.models import Spec
from shockmesh.cluster.spec.selection import Directory, Selection, named
from shockmesh.cluster.spec.source import Problem, SpecError
from shockmesh.cluster.spec.values import Drawn, Field, make_field
from shockmesh.io.inputs.distances import read_distances
from shockmesh.kernels.devices.layout import Delayed, Routed, linked
from shockmesh.kernels.network import FirmNetwork


@dataclass(frozen=True)
class BoundDelay:
    """A delay on its goods."""

    delay: Delay
    goods: Delayed
    days: Field | None  # its mean; None where it is fixed


@dataclass(frozen=True)
class BoundRoute:
    """A route on its goods."""

    route: Route
    goods: Routed
    numbers: dict[str, Field]
    first: Bool[np.ndarray, " firm"] | None  # who buys what passes first; None: all alike


def bind_routes(spec: Spec, directory: Directory) -> tuple[BoundRoute, ...]:
    """The routes of a spec on its network."""
    return tuple(_bound_route(spec, route, directory) for route in spec.model.routes)


def _bound_route(spec: Spec, route: Route, directory: Directory) -> BoundRoute:
    numbers = {
        name: make_field(getattr(route, name), f"{route.path}.{name}", None, DOMAINS[name], spec, directory.network)
        for name in route.numbers
    }
    first = route.first and Selection(f"{route.path}.first", route.first, 0, directory).matching()
    return BoundRoute(route, Routed(*_goods(spec, route, route.path, directory)), numbers, first)


def bind_delays(spec: Spec, directory: Directory) -> tuple[BoundDelay, ...]:
    """The delays of a spec on its network. Raises ScenarioError: a file of days breaks a rule."""
    return tuple(
        bound
        for delay in spec.model.delays
        for bound in ([_bound(spec, delay, directory)] if delay.days is not None else _by_pairs(spec, delay, directory))
    )


def _bound(spec: Spec, delay: Delay, directory: Directory) -> BoundDelay:
    assert delay.days is not None
    network = directory.network
    links, final = _goods(spec, delay, delay.path, directory)
    days, fixed = None, delay.stages is None
    if not fixed:
        days = make_field(delay.days, f"{delay.path}.days", None, delay.domain, spec, network)
    slots = delay.stages or (1 if isinstance(delay.days, PerFirm) else int(delay.days))
    return BoundDelay(delay, Delayed(links, final, slots, fixed), days)


def _by_pairs(spec: Spec, delay: Delay, directory: Directory) -> list[BoundDelay]:
    """A delay of pairs: the goods of each number of days."""
    assert delay.pairs is not None
    network, wide = directory.network, linked(directory.network, spec.model.switches)
    far = read_distances(delay.pairs, wide, LONGEST)
    sells, buys = (Selection(f"{delay.path}.{name}", delay.place(name), 0, directory) for name in PLACES)
    of_links = far.of_links * (sells.matching()[wide.supplier] & buys.matching()[wide.buyer])
    found = [Delayed(np.flatnonzero(of_links == days), _none(network), int(days), True) for days in np.unique(of_links)]
    if far.of_consumers is not None and network.final_shares is not None:
        shares = network.final_shares * buys.bought_at({})[:, 0]
        by_days = {of.slots: of for of in found}
        for days in np.unique(far.of_consumers[shares > 0]).tolist():
            final = sells.matching() * (shares * (far.of_consumers == days)).sum(axis=1)[network.industry]
            by_days[days] = by_days.get(days, Delayed(np.zeros(0, np.int64), final, days, True))._replace(final=final)
        found = list(by_days.values())
    bound = [BoundDelay(delay, of, None) for of in sorted(found, key=lambda of: of.slots) if of.slots]
    if len(bound) > DIFFERENT:
        told = f"{len(bound)} different numbers of days"
        raise SpecError([spec.problem(f"{delay.path}.pairs", told, f"must be at most {DIFFERENT}: round them")])
    return bound or [BoundDelay(delay, Delayed(np.zeros(0, np.int64), _none(network), 1, True), None)]


def _none(network: FirmNetwork) -> Float[np.ndarray, " firm"]:
    return np.zeros(network.n_firms)


def _goods(
    spec: Spec, passage: Passage, path: str, directory: Directory
) -> tuple[Int[np.ndarray, " row"], Float[np.ndarray, " firm"]]:
    """The links between two places, and the share of each firm's final goods that goes from one to the other."""
    network = directory.network
    sells, buys = (Selection(f"{path}.{name}", passage.place(name), 0, directory) for name in PLACES)
    wide = linked(network, spec.model.switches)
    final = final_part(network, sells.matching()[:, None], buys, {})
    links = np.flatnonzero(sells.matching()[wide.supplier] & buys.matching()[wide.buyer])
    return links, _none(network) if final is None else final[:, 0]


def final_part(
    network: FirmNetwork, sells: Bool[np.ndarray, "firm #member"], buys: Selection, drawn: Drawn
) -> Float[np.ndarray, "firm #member"] | None:
    """The share of each firm's final goods that goes from those who sell to consumers at a place; None: unknown."""
    if network.final_shares is None:
        return None
    return sells * (network.final_shares @ buys.bought_at(drawn))[network.industry]


def empty_ways(
    spec: Spec, delays: tuple[BoundDelay, ...], routes: tuple[BoundRoute, ...], network: FirmNetwork
) -> Iterator[Problem]:
    """Delays and routes of no goods, routes on which nobody is first, and firms without days of a delay."""
    passages = *((of.delay, of.goods) for of in delays), *((of.route, of.goods) for of in routes)
    for passage, goods in passages:
        if not len(goods.links) and not goods.final.any():
            yield spec.problem(passage.path, passage.name, "nothing is sold from these firms to those")
    for bound in routes:
        if bound.first is not None and not bound.first.any():
            given = bound.route.model_dump(exclude_defaults=True)["first"]
            yield spec.problem(f"{bound.route.path}.first", given, "no firm matches")
    for bound in delays:
        links, delay = bound.goods.links, bound.delay
        if bound.days is None:
            continue
        buyers = linked(network, spec.model.switches).buyer[links]
        concerned = np.unique(np.append(buyers, np.flatnonzero(bound.goods.final)))
        values = np.broadcast_to(bound.days.at({path: np.ones(1) for path in spec.sweep.paths})[:, 0], network.n_firms)
        if len(silent := concerned[np.isnan(values[concerned])]):
            told = f"{len(silent)} firms without a value ({named(network, silent)})"
            yield spec.problem(f"{delay.path}.days", told, "give a default")
