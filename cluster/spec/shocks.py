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
    RecoveryDays,
    RecoveryStart,
    RepairDays,
    Share,
    Value,
    Worth,
)
from shockmesh.kernels.mechanisms.shocks import Course


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
    """Capital destroyed, and rebuilt by the sectors that build: see `Damage` in shockmesh.kernels.mechanisms.shocks."""

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

    See `HouseholdDamage` in shockmesh.kernels.mechanisms.shocks. Firms of a sector are asked in proportion to the final
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


type Shock = Annotated[
    RecoveryShock | FailuresShock | DamageShock | HouseholdShock | CutShock | TableShock, Field(discriminator="kind")
]


def domain_of(shock: Shock, name: str) -> Domain:
    """The numbers that a field of a shock admits."""
    s_shaped = name == "recovery_days" and getattr(shock, "course", None) == "s_shaped"
    return DOMAINS["s_shaped_days" if s_shaped else name]
