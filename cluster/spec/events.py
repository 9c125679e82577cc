"""The events of a catalogue as members of a sweep: how many there are, which has which, and what it takes from whom."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int
from shockmesh.cluster.spec.members import Members
from shockmesh.cluster.spec.models import Spec
from shockmesh.cluster.spec.problems import suggestion
from shockmesh.cluster.spec.rules import catalogue
from shockmesh.cluster.spec.shocks import EventsShock
from shockmesh.cluster.spec.source import Problem
from shockmesh.cluster.spec.values import Drawn, Field, shock_fields
from shockmesh.io.inputs.events import Events, called, count_events, groups, read_events
from shockmesh.io.inputs.scenarios import SHOWN, refuse
from shockmesh.kernels.network import FirmNetwork


@dataclass(frozen=True)
class BoundEvents:
    """A catalogue on its network."""

    shock: EventsShock
    events: Events
    fields: dict[str, Field]  # the numbers that the spec says
    group_of: Int[np.ndarray, " firm"]
    n_groups: int

    def numbers(self, drawn: Drawn) -> dict[str, Float[np.ndarray, "#firm member"]]:
        """Loss, onset, start and rate of recovery of a batch.

        Without recovery_days a loss lasts for its duration, of its last day the part that is left of it: a linear
        recovery within a day, which begins a day before the end.
        """
        events = index_of(self.events, drawn[f"shocks.{self.shock.name}.event"])
        found = {name: self._by_firm(name, events) for name in self.events.numbers}
        found |= {name: field.at(drawn) for name, field in self.fields.items()}
        onset, days = found.get("onset", np.zeros((1, 1))), found.get("recovery_days")
        lasts = found.get("duration", np.zeros((1, 1)))
        times = {"onset": onset, "recovery_start": onset + lasts}
        if days is not None:
            times["recovery_rate"] = 1 / np.where(days > 0, days, 1)
        elif "duration" in found:
            times |= {"recovery_start": onset + lasts - 1, "recovery_rate": np.ones((1, 1))}
        else:
            times["recovery_rate"] = np.zeros((1, 1))
        return {"loss": found["loss"], **times}

    @property
    def ends_at_once(self) -> bool:
        """Whether a loss ends without a recovery."""
        return "recovery_days" not in {*self.fields, *self.events.numbers}

    def largest(self) -> Float[np.ndarray, " firm"]:
        """The largest loss of each firm in any event."""
        loss = np.zeros(self.n_groups)
        np.maximum.at(loss, self.events.group, self.events.numbers["loss"])
        return loss[self.group_of]

    def _by_firm(self, name: str, events: Int[np.ndarray, " member"]) -> Float[np.ndarray, "firm member"]:
        return self.events.table(name, events, self.n_groups)[self.group_of]


def counted(spec: Spec) -> Spec:
    """The spec with as many members as its catalogue has events, where it says nothing of members itself.

    Raises:
        ScenarioError: the catalogue cannot be read.
    """
    shock = catalogue(spec)
    if shock is None or spec.sweep.members is not None or spec.sweep.grid or spec.sweep.entries:
        return spec
    return spec.model_copy(update={"sweep": spec.sweep.model_copy(update={"members": count_events(shock.file)})})


def bind_events(spec: Spec, shock: EventsShock, network: FirmNetwork) -> BoundEvents:
    """Read a catalogue.

    Raises:
        ScenarioError: it breaks a rule, or a damage is above the capital that is there.
    """
    events = read_events(shock.file, network)
    group_of, n_groups = groups(network, events.place)
    if "damage" in events.numbers:
        capital = shock.capital_days * np.bincount(group_of, network.value_added, n_groups)
        events = _as_shares(events, capital, network)
    return BoundEvents(shock, events, shock_fields(spec, shock, network), group_of, n_groups)


def _as_shares(events: Events, capital: Float[np.ndarray, " group"], network: FirmNetwork) -> Events:
    """Damages as shares of the capital that is there."""
    damage, there = events.numbers["damage"], capital[events.group]
    over = np.flatnonzero(damage > there * (1 + 1e-9))
    if len(over):
        of = np.searchsorted(events.first, over, side="right") - 1
        told = [
            f"{events.names[event]} in {called(network, events.place, int(events.group[row]))}: "
            f"{damage[row]:.4g} of {there[row]:.4g}"
            for event, row in zip(of[:SHOWN].tolist(), over[:SHOWN].tolist(), strict=True)
        ]
        unit = network.unit.removesuffix(" / day")
        rule = f"at most the capital there, capital_days of value added, in {unit}"
        refuse(events.path, "damage", told, len(over), rule)
    share = np.minimum(damage / np.where(there > 0, there, 1), 1)
    return replace(events, numbers={**{k: of for k, of in events.numbers.items() if k != "damage"}, "loss": share})


def with_events(members: Members, bound: BoundEvents) -> Members:
    """The members, with the event of each and, where events have one, its part of the event's frequency [1/year]."""
    path, events = f"shocks.{bound.shock.name}", bound.events
    names = members.values.get(f"{path}.event")
    if names is None:
        one = bound.shock.event
        names = np.resize(events.names if one is None else np.array([one]), members.n)
    values = {**members.values, f"{path}.event": names.astype(str)}
    if events.frequency is not None and np.isin(names.astype(str), events.names).all():
        of = index_of(events, names)
        shared = np.bincount(of, minlength=len(events.names))
        values[f"{path}.frequency"] = events.frequency[of] / shared[of]
    return Members(members.n, values)


def index_of(events: Events, names: np.ndarray) -> Int[np.ndarray, " member"]:
    """Which of the events each name is; all are."""
    order = np.argsort(events.names)
    return order[np.searchsorted(events.names[order], names.astype(str))]


def unknown_events(spec: Spec, bound: BoundEvents, members: Members) -> Iterator[Problem]:
    """Events that the catalogue does not have, and numbers that both the spec and the catalogue say."""
    path, events = f"shocks.{bound.shock.name}", bound.events
    for name in np.setdiff1d(members.values[f"{path}.event"], events.names)[:SHOWN].tolist():
        known = events.names.tolist()
        shown = ", ".join(known[:SHOWN]) + (", …" if len(known) > SHOWN else "")
        rule = "no such event in the file" + (suggestion(name, known[:10_000]) or f"; it has {len(known):,}: {shown}")
        yield spec.problem(f"{path}.event", name, rule)
    for name in bound.fields.keys() & events.numbers.keys():
        told = getattr(bound.shock, name)
        yield spec.problem(f"{path}.{name}", "swept" if told is None else told, f"{events.path} says it, by event")
