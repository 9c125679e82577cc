"""The shocks of a spec: what strikes which firms or routes, when, how hard, and how it passes."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator
from shockmesh.cluster.spec.boario import CONVEXE, COURSES, Renamed, either_name
from shockmesh.cluster.spec.domains import DOMAINS, Domain
from shockmesh.cluster.spec.fields import (
    AdjustmentDays,
    CapitalDays,
    Cost,
    DaysBetweenFailures,
    DetourDays,
    FilePath,
    FirmIds,
    Frozen,
    Loss,
    Name,
    Names,
    Onset,
    PriceRise,
    RecoveryDays,
    RecoveryStart,
    RepairDays,
    Share,
    Value,
    Worth,
)
from shockmesh.kernels.mechanisms.courses import Course


class Where(Frozen):
    """Which firms: in any of the regions, and any of the sectors, and any of the firms named; empty means all.

    Of those, `share` draws a fraction at random, each firm alike: afresh in each member, or once if `redraw` is off.
    """

    region: Names = ()
    sector: Names = ()
    firm: FirmIds = ()
    share: Share | None = None
    redraw: bool = True


class RecoveryShock(Renamed):
    """A loss of output (or of final demand) that recovers: exponentially, loss · exp(−(t − start)⁺ / recovery_days), or
    by another course of `Recovery` in shockmesh.kernels.mechanisms.shocks."""

    NUMBERS: ClassVar[tuple[str, ...]] = ("loss", "onset", "recovery_start", "recovery_days")
    PLACES: ClassVar[tuple[str, ...]] = ("where",)
    name: Name
    kind: Literal["recovery"]
    on: Literal["production", "final_demand"] = "production"
    where: Where = Where()
    course: Annotated[Course, either_name(COURSES)] = "exponential"
    loss: Value[Loss]  # share lost of the capacity to produce, of which some may be spare (model.capacity)
    onset: Value[Onset] = 0.0  # first day of the loss
    recovery_start: Value[RecoveryStart] | None = None  # left out: the onset
    recovery_days: Value[RecoveryDays] | None = None  # 1 / rate; left out: the loss is permanent

    @model_validator(mode="before")
    @classmethod
    def _in_days(cls, data: Any) -> Any:
        if isinstance(data, dict) and "recovery_tau" in data:
            course = data.get("course", data.get("recovery_function"))
            if course not in ("linear", "concave", "s_shaped"):
                raise ValueError(f"recovery_tau is the days of a linear or concave recovery; {CONVEXE}")
        return data


class FailuresShock(Frozen):
    """Firms that fail at random, over and over: see `Failures` in shockmesh.kernels.mechanisms.shocks."""

    NUMBERS: ClassVar[tuple[str, ...]] = ("loss", "onset", "days_between_failures", "repair_days")
    PLACES: ClassVar[tuple[str, ...]] = ("where",)
    on: ClassVar[str] = "production"
    name: Name
    kind: Literal["failures"]
    where: Where = Where()
    days_between_failures: Value[DaysBetweenFailures]  # mean time at work from a repair to the next failure
    repair_days: Value[RepairDays]  # how long a firm is out
    loss: Value[Loss] = 1.0  # share of output lost while it is out
    onset: Value[Onset] = 0.0  # no failure before


class DamageShock(Renamed):
    """Capital destroyed, and rebuilt by the sectors that build: see `Damage` in kernels/mechanisms/rebuilding.py."""

    NUMBERS: ClassVar[tuple[str, ...]] = ("loss", "capital_days", "cost", "onset", "rebuild_start", "rebuild_days")
    PLACES: ClassVar[tuple[str, ...]] = ("where",)
    name: Name
    kind: Literal["damage"]
    where: Where = Where()
    loss: Value[Loss]  # share of the capital that is destroyed
    builders: Annotated[dict[str, Share], Field(min_length=1)]  # sector → its part in rebuilding
    capital_days: Value[CapitalDays] = 1460.0  # capital, in days of value added
    cost: Value[Cost] = 1.0  # of a unit of capital
    onset: Value[Onset] = 0.0
    rebuild_start: Value[RecoveryStart] | None = None  # left out: the onset
    rebuild_days: Value[AdjustmentDays] = 60.0  # 1 / part of what is missing that is asked for each day


class HouseholdShock(Renamed):
    """Homes destroyed, and rebuilt by the sectors that build, of these regions or of all.

    See `HouseholdDamage` in kernels/mechanisms/rebuilding.py. Firms of a sector are asked in proportion to the final
    demand that they meet.
    """

    NUMBERS: ClassVar[tuple[str, ...]] = ("worth", "rebuild_start", "rebuild_days")
    PLACES: ClassVar[tuple[str, ...]] = ()
    name: Name
    kind: Literal["household_damage"]
    region: Names = ()
    worth: Worth  # of all that is rebuilt, the network's unit without «/ day»
    builders: Annotated[dict[str, Share], Field(min_length=1)]  # sector → its part in rebuilding
    rebuild_start: RecoveryStart = 0.0
    rebuild_days: AdjustmentDays = 60.0  # 1 / part of what is missing that is asked for each day


class CutShock(Frozen):
    """A route that is cut: orders from firms at the destination to firms at the origin do not get through; or, with
    `detour_days`, goods come by a detour and arrive so much later on average. Goods for final demand still get through:
    a network does not say where their buyers live."""

    NUMBERS: ClassVar[tuple[str, ...]] = ("loss", "onset", "recovery_start", "recovery_days", "detour_days")
    PLACES: ClassVar[tuple[str, ...]] = ("origin", "destination")
    name: Name
    kind: Literal["cut"]
    origin: Where = Where()  # who sells
    destination: Where = Where()  # who buys
    course: Course = "exponential"
    loss: Loss = 1.0  # share of the orders, or of the goods, that does not get through
    onset: Onset = 0.0
    recovery_start: RecoveryStart | None = None
    recovery_days: RecoveryDays | None = None
    detour_days: DetourDays | None = None  # left out: there is no other way


class TableShock(Frozen):
    """Factors read from a file, day by day."""

    NUMBERS: ClassVar[tuple[str, ...]] = ()
    PLACES: ClassVar[tuple[str, ...]] = ()
    name: Name
    kind: Literal["table"]
    on: Literal["production", "final_demand"] = "production"
    file: FilePath  # CSV or Zarr, see shockmesh.io.inputs.scenarios


class TariffShock(Frozen):
    """A tariff or tax on what firms at `to` buy from firms at `from`, in addition to its price. It acts by prices
    (model.prices). Goods for final demand are free of it: a network does not say where their buyers live."""

    NUMBERS: ClassVar[tuple[str, ...]] = ("rate", "onset", "recovery_start", "recovery_days")
    PLACES: ClassVar[tuple[str, ...]] = ("from", "to")
    name: Name
    kind: Literal["tariff"]
    origin: Where = Field(Where(), alias="from")  # who sells; its sectors are the products that are taxed
    destination: Where = Field(Where(), alias="to")  # who buys, and whose region has the revenue
    course: Course = "exponential"
    rate: PriceRise  # share of the price
    onset: Onset = 0.0
    recovery_start: RecoveryStart | None = None
    recovery_days: RecoveryDays | None = None  # left out: it stays


# Sectors that sell energy, by the codes of the tables that are read: coal, oil and gas (WIOD and FIGARO: all mining);
# refined fuels; electricity, gas and steam.
ENERGY = ("B", "B05", "B06", "B05_06", "D05T06", "C19", "D19", "D", "D35")


class CostShock(Frozen):
    """Dearer production, of firms at `where`, that reaches others by prices (model.prices).

    value_added: the price of what a firm adds to its inputs, such as wages, rises by the rate.
    energy: what a firm pays for energy rises by the rate: a levy on all its purchases from sectors that sell energy,
        counted as tariff revenue. Energy that costs more to make is value_added where those sectors are.
    """

    NUMBERS: ClassVar[tuple[str, ...]] = ("rate", "onset", "recovery_start", "recovery_days")
    PLACES: ClassVar[tuple[str, ...]] = ("where",)
    name: Name
    kind: Literal["cost"]
    on: Literal["value_added", "energy"] = "value_added"
    where: Where = Where()
    energy: Names = ()  # sectors that sell energy; left out: those of `ENERGY` that the economy has
    course: Course = "exponential"
    rate: Value[PriceRise]  # share of the price
    onset: Value[Onset] = 0.0
    recovery_start: Value[RecoveryStart] | None = None
    recovery_days: Value[RecoveryDays] | None = None  # left out: it stays


type Shock = Annotated[
    RecoveryShock | FailuresShock | DamageShock | HouseholdShock | CutShock | TableShock | TariffShock | CostShock,
    Field(discriminator="kind"),
]


def place_of(shock: Shock, place: str) -> Where:
    """The firms of one of a shock's PLACES."""
    return getattr(shock, {"from": "origin", "to": "destination"}.get(place, place))


def part_of(shock: Shock) -> str:
    """The part of a scenario that a shock belongs to: production, final_demand, value_added, or its kind."""
    if isinstance(shock, CostShock):
        return "value_added" if shock.on == "value_added" else "tariff"
    return shock.on if isinstance(shock, RecoveryShock | FailuresShock | TableShock) else shock.kind


def domain_of(shock: Shock, name: str) -> Domain:
    """The numbers that a field of a shock admits."""
    if name == "rate":
        return DOMAINS["rise"]
    s_shaped = name == "recovery_days" and getattr(shock, "course", None) == "s_shaped"
    return DOMAINS["s_shaped_days" if s_shaped else name]
