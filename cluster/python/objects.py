"""The parts of a spec as Python objects, with the keys and the rules of the YAML: names, units and bounds are the same.

A part takes its keys by name; `from` and `to` are `origin` and `destination` here, and `list` is `entries`. What is
wrong is said in the sentences of a spec. Where a part is asked for, a mapping with the same keys does as well.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ValidationError
from shockmesh.cluster.spec import allocate, delays, fields, models, shocks, unknowns
from shockmesh.cluster.spec.problems import Location, pydantic_problems, suggestion
from shockmesh.cluster.spec.source import Source, SpecError


def plain(value: Any) -> Any:
    """A value as YAML would have it: parts as mappings of what they say beyond their defaults."""
    if isinstance(value, BaseModel):
        said = value.model_dump(mode="json", exclude_defaults=True)
        return said | ({"kind": kind} if (kind := getattr(value, "kind", None)) else {})
    if isinstance(value, Mapping):
        return {str(name): plain(of) for name, of in value.items()}
    if isinstance(value, PurePath):
        return str(value)
    if hasattr(value, "tolist"):  # of NumPy
        return value.tolist()
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(of) for of in value]
    return value


class Part:
    """A part of a spec that is made in Python: its problems are told as those of a spec."""

    if not TYPE_CHECKING:  # type checkers know the keys of each part

        def __init__(self, **keys: Any) -> None:
            known = type(self).model_fields
            data = {(known[key].alias or key) if key in known else key: plain(of) for key, of in keys.items()}
            try:
                super().__init__(**data)
            except ValidationError as error:
                raise SpecError(pydantic_problems(error, Source(type(self).__name__, data), _unknown(known))) from None


def _unknown(known: Mapping[str, Any]) -> Callable[[Location], str]:
    """What to say of a key that a part does not have."""

    def rule(location: Location) -> str:
        match location:
            case (name,):
                return f"unknown key{suggestion(str(name), [*known])}; there are {', '.join(known)}"
            case _:
                return "unknown key"

    return rule


class Where(Part, shocks.Where):
    """Which firms: by region, sector (codes, names, groups) and id; see the keys of `where`."""


class PerFirm(Part, fields.PerFirm[float]):
    """A number for each firm, in place of one for all: default, by_region, by_sector, file."""


class Recovery(Part, shocks.RecoveryShock):
    """Capacity, or final demand, lost for a time. loss [share]; onset, recovery_start, recovery_days [days]."""

    kind: Literal["recovery"] = "recovery"


class Failures(Part, shocks.FailuresShock):
    """Firms that fail at random. days_between_failures, repair_days, onset [days], loss [share]."""

    kind: Literal["failures"] = "failures"


class Damage(Part, shocks.DamageShock):
    """Capital destroyed and rebuilt. loss [share of it]; capital_days, onset, rebuild_start, rebuild_days [days]."""

    kind: Literal["damage"] = "damage"


class HouseholdDamage(Part, shocks.HouseholdShock):
    """Homes destroyed and rebuilt. worth [the economy's money], rebuild_start, rebuild_days [days]."""

    kind: Literal["household_damage"] = "household_damage"


class Cut(Part, shocks.CutShock):
    """A route that is cut. loss [share of orders, or goods by a detour]; onset, recovery_days, detour_days [days]."""

    kind: Literal["cut"] = "cut"


class Closure(Part, shocks.ClosureShock):
    """A route of the model that is closed or narrowed. loss [share of its capacity]; onset, recovery_days [days]."""

    kind: Literal["closure"] = "closure"


class Table(Part, shocks.TableShock):
    """Factors by day and firm, region or sector, from a file."""

    kind: Literal["table"] = "table"


class Events(Part, shocks.EventsShock):
    """A catalogue of events, one in each member."""

    kind: Literal["events"] = "events"


class Tariff(Part, shocks.TariffShock):
    """A tariff on what firms at `destination` buy from firms at `origin`. rate [share of the price], onset [day]."""

    kind: Literal["tariff"] = "tariff"


class Cost(Part, shocks.CostShock):
    """Dearer production. rate [share of the price], onset, recovery_days [days]."""

    kind: Literal["cost"] = "cost"


class Model(Part, models.Model):
    """A preset, and what differs from it: switches, and numbers in the units of the reference."""


class Prices(Part, models.Prices):
    """Prices that follow costs."""


class Suppliers(Part, models.Suppliers):
    """Buyers who turn to other suppliers."""


class Delay(Part, delays.Delay):
    """Goods on the way from `origin` to `destination`. days [days]."""


class Route(Part, delays.Route):
    """A route with a capacity [multiple of a usual day]; detour_days [days], detour_cost [share]."""


class Horizon(Part, models.Horizon):
    """How long to simulate, and from when. days [days], start [date]."""


class Sweep(Part, models.Sweep):
    """Members, and what differs between them: vary (distributions), grid or entries."""


class Resources(Part, models.Resources):
    """What a run may use: devices, gangs, memory [bytes]."""


class Observe(Part, unknowns.Observe):
    """Series that were seen, as ratios to the undisturbed day."""


class Spreads(Part, unknowns.Spreads):
    """Standard deviations of what was seen, in a file."""


class Unknown(Part, unknowns.Unknown):
    """How much is not known of a number: spread [of a logarithm], or like another."""


class Allocate(Part, allocate.Allocate):
    """A budget to be spent for the least loss. budget [the economy's money], levers [days of purchases or output]."""


class Infer(Part, unknowns.Infer):
    """What is unknown, and how it is learned."""
