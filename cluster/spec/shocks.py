"""The shocks of a spec: what strikes which firms or routes, when, how hard, and how it passes."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator
from shockmesh.cluster.spec.boario import CONVEXE, COURSES, Renamed, either_name
from shockmesh.cluster.spec.domains import DOMAINS, Domain
from shockmesh.cluster.spec.fields import (
    AdjustmentDays,
    CapitalDays,
    Cost,
    Count,
    DaysBetweenFailures,
    DetourDays,
    Duration,
    EventId,
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
    key,
)
from shockmesh.kernels.mechanisms.courses import Course

type Measure = Literal["output", "value_added", "final_demand", "customers", "esri"]


class Where(Frozen):
    """Which firms: in any of the regions, and any of the sectors, and any of the firms named; empty means all.

    Of those, `largest` takes the first by a measure; `share` draws a fraction at random, each firm alike: afresh in
    each member, or once if `redraw` is off.
    """

    region: Names = key(
        (), "regions, by code, name or group (EU); a firm is hit if it is in any of them; left out: all", ["GBR", "FRA"]
    )
    sector: Names = key(
        (), "sectors, by name, as region; both together: firms of these sectors in these regions", ["I", "G47"]
    )
    firm: FirmIds = key((), "firms, by id", ["mine"])
    largest: Count | None = key(None, "how many of the firms named above, the largest first; left out: all", 10)
    top_by: Measure = key(
        "output",
        "what firms are the largest by; esri: Economic Systemic Risk Index, with all inputs essential, as `shockmesh "
        "esri` finds it, which takes a while on large networks",
        "esri",
    )
    share: Share | None = key(
        None, "part of the firms so far that is drawn at random, each firm alike, at least one [share]", 0.1
    )
    redraw: bool = key(True, "whether each member of a sweep draws anew; false: once for all members", False)


class RecoveryShock(Renamed):
    """A loss of output (or of final demand) that recovers: exponentially, loss · exp(−(t − start)⁺ / recovery_days), or
    by another course of `Recovery` in shockmesh.kernels.mechanisms.shocks."""

    NUMBERS: ClassVar[tuple[str, ...]] = ("loss", "onset", "recovery_start", "recovery_days")
    PLACES: ClassVar[tuple[str, ...]] = ("where",)
    name: Name
    kind: Literal["recovery"]
    on: Literal["production", "final_demand"] = key(
        "production", "what is lost: capacity to produce, or final demand", "final_demand"
    )
    where: Where = key(Where(), "the firms that are hit; left out: all", {"region": "GBR", "sector": ["I", "G47"]})
    course: Annotated[Course, either_name(COURSES)] = key(
        "exponential", "how the loss fades once the recovery starts", "linear"
    )
    loss: Value[Loss] = key(
        ...,
        "share lost of the capacity to produce, of which some may be spare (model.capacity); or of final demand "
        "[share]",
        0.6,
    )
    onset: Value[Onset] = key(0.0, "first day of the loss [day]", 10)
    recovery_start: Value[RecoveryStart] | None = key(None, "first day of the recovery; left out: the onset [day]", 60)
    recovery_days: Value[RecoveryDays] | None = key(
        None,
        "time constant of the recovery: exponential, a loss falls to 37 % in it; linear, to nothing. Left out: the "
        "loss stays [days]",
        30,
    )

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
    where: Where = key(Where(), "the firms that may fail; left out: all", {"sector": "D35"})
    days_between_failures: Value[DaysBetweenFailures] = key(
        ..., "mean time at work from a repair to the next failure [days]", 200
    )
    repair_days: Value[RepairDays] = key(..., "how long a firm is out [days]", 5)
    loss: Value[Loss] = key(1.0, "share of the capacity to produce that is lost while a firm is out [share]", 0.5)
    onset: Value[Onset] = key(0.0, "no failure before this day [day]", 30)


class DamageShock(Renamed):
    """Capital destroyed, and rebuilt by the sectors that build: see `Damage` in kernels/mechanisms/rebuilding.py."""

    NUMBERS: ClassVar[tuple[str, ...]] = ("loss", "capital_days", "cost", "onset", "rebuild_start", "rebuild_days")
    PLACES: ClassVar[tuple[str, ...]] = ("where",)
    name: Name
    kind: Literal["damage"]
    where: Where = key(Where(), "the firms that are hit; left out: all", {"region": "JPN"})
    loss: Value[Loss] = key(..., "share of the capital that is destroyed [share]", 0.2)
    builders: Annotated[dict[str, Share], Field(min_length=1)] = key(
        ..., "sector → its part in rebuilding; only ratios matter", {"F": 0.8, "C28": 0.2}
    )
    capital_days: Value[CapitalDays] = key(1460.0, "a firm's capital, in days of its value added [days]", 1460)
    cost: Value[Cost] = key(1.0, "of rebuilding a unit of capital [multiple]", 1.2)
    onset: Value[Onset] = key(0.0, "day of the damage [day]", 10)
    rebuild_start: Value[RecoveryStart] | None = key(
        None, "first day on which rebuilding is asked for; left out: the onset [day]", 40
    )
    rebuild_days: Value[AdjustmentDays] = key(
        60.0, "in which what is missing would be rebuilt: 1 / 60 of it is asked for each day by default [days]", 90
    )


class HouseholdShock(Renamed):
    """Homes destroyed, and rebuilt by the sectors that build, of these regions or of all.

    See `HouseholdDamage` in kernels/mechanisms/rebuilding.py. Firms of a sector are asked in proportion to the final
    demand that they meet.
    """

    NUMBERS: ClassVar[tuple[str, ...]] = ("worth", "rebuild_start", "rebuild_days")
    PLACES: ClassVar[tuple[str, ...]] = ()
    name: Name
    kind: Literal["household_damage"]
    region: Names = key((), "regions whose builders are asked; left out: all", ["JPN"])
    worth: Worth = key(..., "of all that is rebuilt [the network's unit without «/ day»]", 500000)
    builders: Annotated[dict[str, Share], Field(min_length=1)] = key(
        ..., "sector → its part in rebuilding; only ratios matter", {"F": 1}
    )
    rebuild_start: RecoveryStart = key(0.0, "first day on which rebuilding is asked for [day]", 40)
    rebuild_days: AdjustmentDays = key(
        60.0, "in which what is missing would be rebuilt: 1 / 60 of it is asked for each day by default [days]", 365
    )


class CutShock(Frozen):
    """A route that is cut: orders from firms at the destination to firms at the origin do not get through; or, with
    `detour_days`, goods come by a detour and arrive so much later on average. Where `destination` names regions alone,
    what consumers there buy is held too, if the economy says who buys for final use."""

    NUMBERS: ClassVar[tuple[str, ...]] = ("loss", "onset", "recovery_start", "recovery_days", "detour_days")
    PLACES: ClassVar[tuple[str, ...]] = ("origin", "destination")
    name: Name
    kind: Literal["cut"]
    origin: Where = key(Where(), "who sells; left out: all", {"region": "CHN"})
    destination: Where = key(Where(), "who buys; left out: all", {"region": ["DEU", "FRA"]})
    course: Course = key("exponential", "how the cut fades once the recovery starts", "linear")
    loss: Loss = key(
        1.0, "share of the orders, or with detour_days of the goods, that does not get through [share]", 0.8
    )
    onset: Onset = key(0.0, "first day of the cut [day]", 10)
    recovery_start: RecoveryStart | None = key(None, "first day of the recovery; left out: the onset [day]", 60)
    recovery_days: RecoveryDays | None = key(
        None, "time constant of the recovery; left out: the route stays cut [days]", 30
    )
    detour_days: DetourDays | None = key(
        None, "how much later goods arrive by a detour, on average; left out: there is no other way [days]", 14
    )


class ClosureShock(Frozen):
    """A route of the model (`model.routes`) that is closed or narrowed: what does not get through waits, or makes its
    detour."""

    NUMBERS: ClassVar[tuple[str, ...]] = ("loss", "onset", "recovery_start", "recovery_days")
    PLACES: ClassVar[tuple[str, ...]] = ()
    name: Name
    kind: Literal["closure"]
    route: Name = key(..., "name of the route", "strait")
    course: Course = key("exponential", "how the closure fades once the recovery starts", "linear")
    loss: Loss = key(1.0, "share of the route's capacity that is lost [share]", 0.8)
    onset: Onset = key(0.0, "first day of the closure [day]", 10)
    recovery_start: RecoveryStart | None = key(None, "first day of the recovery; left out: the onset [day]", 60)
    recovery_days: RecoveryDays | None = key(
        None, "time constant of the recovery; left out: the route stays closed [days]", 30
    )


class TableShock(Frozen):
    """Factors read from a file, day by day; with a loss, how much of it is felt: 1 − loss · (1 − factor)."""

    NUMBERS: ClassVar[tuple[str, ...]] = ("loss",)
    PLACES: ClassVar[tuple[str, ...]] = ()
    name: Name
    kind: Literal["table"]
    on: Literal["production", "final_demand"] = key(
        "production", "what the factors multiply: capacity to produce, or final demand", "final_demand"
    )
    file: FilePath = key(
        ..., "CSV or Zarr of factors by day and firm, region or sector: see io/inputs/scenarios.py", "factors.csv"
    )
    loss: Value[Loss] | None = key(
        None,
        "share lost where the factor is 0; where it is f, 1 − f of it: so a file by region says how strict a measure "
        "is from day to day, and this whom it costs how much. Left out: all [share]",
        {"default": 0, "by_sector": {"I": 0.6}},
    )


class EventsShock(Frozen):
    """Events of a catalogue, such as storms or quakes, one in each member of the sweep: what each takes from whom."""

    NUMBERS: ClassVar[tuple[str, ...]] = ("onset", "duration", "recovery_days")
    PLACES: ClassVar[tuple[str, ...]] = ()
    name: Name
    kind: Literal["events"]
    on: Literal["production", "final_demand"] = key(
        "production", "what is lost: capacity to produce, or final demand", "final_demand"
    )
    file: FilePath = key(
        ..., "CSV or Parquet of a row for each event and place, with its loss or damage: see io/inputs/events.py",
        "storms.parquet",
    )  # fmt: skip
    event: EventId | None = key(
        None, "the one event that happens; left out: event m of the file in member m, and over again", "katrina"
    )
    capital_days: CapitalDays = key(
        1460.0,
        "a firm's capital, in days of its value added, of which a damage in money is a share [days]",
        1460,
    )
    course: Course = key("exponential", "how the loss fades once the recovery starts", "linear")
    onset: Onset | None = key(None, "first day of the loss; left out: as the file says, or 0 [day]", 10)
    duration: Duration | None = key(
        None,
        "how long the loss lasts in full, before it recovers or, without recovery_days, ends; left out: as the file "
        "says, or 0 with recovery_days, or for ever [days]",
        14,
    )
    recovery_days: RecoveryDays | None = key(
        None, "time constant of the recovery; left out: as the file says, or there is none [days]", 60
    )


class TariffShock(Frozen):
    """A tariff or tax on what firms at `to` buy from firms at `from`, in addition to its price. It acts by prices
    (model.prices). Goods for final demand are free of it."""

    NUMBERS: ClassVar[tuple[str, ...]] = ("rate", "onset", "recovery_start", "recovery_days")
    PLACES: ClassVar[tuple[str, ...]] = ("from", "to")
    name: Name
    kind: Literal["tariff"]
    origin: Where = key(
        Where(),
        "who sells; its sectors are the products that are taxed; left out: all",
        {"region": "CHN", "sector": ["C26", "C27"]},
        alias="from",
    )
    destination: Where = key(
        Where(), "who buys, and whose region has the revenue; left out: all", {"region": "USA"}, alias="to"
    )
    course: Course = key("exponential", "how the tariff fades once the recovery starts", "linear")
    rate: PriceRise = key(..., "in addition to the price [share of the price]", 0.25)
    onset: Onset = key(0.0, "first day of the tariff [day]", 10)
    recovery_start: RecoveryStart | None = key(None, "first day on which it fades; left out: the onset [day]", 100)
    recovery_days: RecoveryDays | None = key(
        None, "time constant of the recovery; left out: the tariff stays [days]", 90
    )


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
    on: Literal["value_added", "energy"] = key(
        "value_added",
        "what gets dearer: what a firm adds to its inputs, such as wages (value_added); or all it buys from sectors "
        "that sell energy, a levy (energy)",
        "energy",
    )
    where: Where = key(Where(), "the firms that are hit; left out: all", {"region": "DEU"})
    energy: Names = key(
        (),
        "sectors that sell energy, read by on: energy; left out: those of `ENERGY` that the economy has",
        ["D35", "C19"],
    )
    course: Course = key("exponential", "how the rise fades once the recovery starts", "linear")
    rate: Value[PriceRise] = key(..., "by which the price rises [share of the price]", 0.5)
    onset: Value[Onset] = key(0.0, "first day of the rise [day]", 10)
    recovery_start: Value[RecoveryStart] | None = key(
        None, "first day on which it fades; left out: the onset [day]", 100
    )
    recovery_days: Value[RecoveryDays] | None = key(
        None, "time constant of the recovery; left out: the rise stays [days]", 90
    )


type Shock = Annotated[
    RecoveryShock
    | FailuresShock
    | DamageShock
    | HouseholdShock
    | CutShock
    | ClosureShock
    | TableShock
    | EventsShock
    | TariffShock
    | CostShock,
    Field(discriminator="kind"),
]


def place_of(shock: Shock, place: str) -> Where:
    """The firms of one of a shock's PLACES."""
    return getattr(shock, {"from": "origin", "to": "destination"}.get(place, place))


def part_of(shock: Shock) -> str:
    """The part of a scenario that a shock belongs to: production, final_demand, value_added, or its kind."""
    if isinstance(shock, CostShock):
        return "value_added" if shock.on == "value_added" else "tariff"
    return shock.on if isinstance(shock, RecoveryShock | FailuresShock | TableShock | EventsShock) else shock.kind


def domain_of(shock: Shock, name: str) -> Domain:
    """The numbers that a field of a shock admits."""
    if name == "rate":
        return DOMAINS["rise"]
    s_shaped = name == "recovery_days" and getattr(shock, "course", None) == "s_shaped"
    return DOMAINS["s_shaped_days" if s_shaped else name]
