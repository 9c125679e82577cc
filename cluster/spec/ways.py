"""Delays on their network: which links and final goods they are of; and whose final goods go by a route."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from shockmesh.cluster.spec.delays import PLACES, Delay
from shockmesh.cluster.spec.fields import PerFirm
from shockmesh.cluster.spec.models import Spec
from shockmesh.cluster.spec.selection import Directory, Selection, named
from shockmesh.cluster.spec.source import Problem
from shockmesh.cluster.spec.values import Drawn, Field, make_field
from shockmesh.kernels.devices.layout import Delayed, linked
from shockmesh.kernels.network import FirmNetwork


@dataclass(frozen=True)
class BoundDelay:
    """A delay on its goods."""

    delay: Delay
    goods: Delayed
    days: Field | None  # its mean; None where it is fixed


def bind_delays(spec: Spec, directory: Directory) -> tuple[BoundDelay, ...]:
    """The delays of a spec on its network. Raises ScenarioError: a file of days breaks a rule."""
    return tuple(_bound(spec, delay, directory) for delay in spec.model.delays)


def _bound(spec: Spec, delay: Delay, directory: Directory) -> BoundDelay:
    network = directory.network
    sells, buys = (Selection(f"{delay.path}.{name}", delay.place(name), 0, directory) for name in PLACES)
    wide = linked(network, spec.model.switches)
    links = np.flatnonzero(sells.matching()[wide.supplier] & buys.matching()[wide.buyer])
    final = final_part(network, sells.matching()[:, None], buys, {})
    days, fixed = None, delay.stages is None
    if not fixed:
        days = make_field(delay.days, f"{delay.path}.days", None, delay.domain, spec, network)
    slots = delay.stages or (1 if isinstance(delay.days, PerFirm) else int(delay.days))
    goods = Delayed(links, np.zeros(network.n_firms) if final is None else final[:, 0], slots, fixed)
    return BoundDelay(delay, goods, days)


def final_part(
    network: FirmNetwork, sells: Bool[np.ndarray, "firm #member"], buys: Selection, drawn: Drawn
) -> Float[np.ndarray, "firm #member"] | None:
    """The share of each firm's final goods that goes from those who sell to consumers at a place; None: unknown."""
    if network.final_shares is None:
        return None
    return sells * (network.final_shares @ buys.bought_at(drawn))[network.industry]


def empty_delays(spec: Spec, delays: tuple[BoundDelay, ...], network: FirmNetwork) -> Iterator[Problem]:
    """Delays of no goods, and firms without days of theirs."""
    for bound in delays:
        links, delay = bound.goods.links, bound.delay
        if not len(links) and not bound.goods.final.any():
            yield spec.problem(delay.path, delay.name, "nothing is sold from these firms to those")
        if bound.days is None:
            continue
        buyers = linked(network, spec.model.switches).buyer[links]
        concerned = np.unique(np.append(buyers, np.flatnonzero(bound.goods.final)))
        values = np.broadcast_to(bound.days.at({path: np.ones(1) for path in spec.sweep.paths})[:, 0], network.n_firms)
        if len(silent := concerned[np.isnan(values[concerned])]):
            told = f"{len(silent)} firms without a value ({named(network, silent)})"
            yield spec.problem(f"{delay.path}.days", told, "give a default")
