"""The models of a spec: frozen, every key known, every number within its domain. `load_spec` reads one from a file."""

import math
from dataclasses import fields, replace
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasGenerator,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PrivateAttr,
    Strict,
    Tag,
    model_validator,
)
from shockmesh.cluster.distributions import Scalar
from shockmesh.cluster.fields import (
    AdjustmentDays,
    BenefitShare,
    Capacity,
    CapitalDays,
    ConsumptionPersistence,
    Cost,
    Count,
    DaysBetweenFailures,
    DetourDays,
    Dim,
    Drawn,
    Elasticity,
    FilePath,
    FirmIds,
    Frozen,
    HouseholdShare,
    InventoryDays,
    InventoryThreshold,
    Levels,
    Loss,
    Name,
    Names,
    Onset,
    OverproductionDays,
    PerFirm,
    Positive,
    RecoveryDays,
    RecoveryStart,
    RepairDays,
    Share,
    StockDays,
    Value,
    Window,
    Worth,
    byte_text,
    known,
)
from shockmesh.cluster.source import KeyPath, Problem, Source, locate
from shockmesh.inference.choices import GuideName, Penalty, Residual
from shockmesh.kernels.model import (
    DEFAULTS,
    PRESETS,
    CapacityRule,
    Consumption,
    OrderBasis,
    OrderSplit,
    OrderTarget,
    Preset,
    Production,
    Rationing,
    Switches,
)
from shockmesh.kernels.rollout import RECORDABLE
from shockmesh.kernels.shocks import Course

BOARIO = {  # our name of a number of a model or an event → BoARIO's, which a spec may use as well
    "inventory_days": "main_inv_dur",
    "inventory_by_product": "inventory_dict",
    "adjustment_days": "inventory_restoration_tau",
    "inventory_threshold": "psi_param",
    "capacity": "alpha_max",
    "base_capacity": "alpha_base",
    "overproduction_days": "alpha_tau",
    "order_split": "order_type",
    "onset": "occurrence",
    "rebuild_days": "rebuild_tau",
    "builders": "rebuilding_sectors",
    "cost": "rebuilding_factor",
    "course": "recovery_function",
    "recovery_days": "recovery_tau",
}
ORDER_TYPES = {"alt": "capacity", "noalt": "baseline"}  # BoARIO's order_type → order_split
CONVEXE = "for BoARIO's convexe say course: exponential and recovery_days: -1 / (4 ln(1 - 1 / recovery_tau))"


def _both_names(name: str) -> AliasChoices | str:
    return AliasChoices(name, BOARIO[name]) if name in BOARIO else name


class Renamed(Frozen):
    """A part of a spec whose numbers may go by BoARIO's names."""

    model_config = ConfigDict(alias_generator=AliasGenerator(validation_alias=_both_names))

    @model_validator(mode="before")
    @classmethod
    def _one_name(cls, data: Any) -> Any:
        keys = set(data) if isinstance(data, dict) else set()
        twice = [f"{ours} and {theirs}" for ours, theirs in BOARIO.items() if {ours, theirs} <= keys]
        if twice:
            raise ValueError(f"gives the same number by two names: {', '.join(twice)}")
        return data


class Model(Renamed):
    """A preset, and what differs from it. Left out, a number or a switch is the preset's."""

    preset: Annotated[str, AfterValidator(lambda name: known("preset", list(PRESETS), name))] = "hamid2025"
    inventory_days: Value[InventoryDays] | None = None  # n [days of use]
    # sector → days of stock of its product, for all who buy it, in place of inventory_days; inf: it is never short
    inventory_by_product: Annotated[dict[str, StockDays], Field(min_length=1)] | None = None
    adjustment_days: Value[AdjustmentDays] | None = None  # τ [days]
    capacity: Value[Capacity] | None = None  # κ, multiple of baseline output
    elasticity: Value[Elasticity] | None = None  # σ
    inventory_threshold: Value[InventoryThreshold] | None = None  # ψ, share of the target stock
    base_capacity: Value[Capacity] | None = None  # α_base, multiple of baseline output
    overproduction_days: Value[OverproductionDays] | None = None  # τ_α [days]
    hiring_days: Value[AdjustmentDays] | None = None  # 1 / γ_H [days]
    firing_days: Value[AdjustmentDays] | None = None  # 1 / γ_F [days]
    household_share: Value[HouseholdShare] | None = None  # s, of final demand
    consumption_persistence: Value[ConsumptionPersistence] | None = None  # ρ, of a day
    benefit_share: Value[BenefitShare] | None = None  # b, of lost labour income that is replaced
    criticality: FilePath | None = None  # CSV of sectors by sectors, see shockmesh.io.scenarios
    order_target: OrderTarget | None = None
    order_basis: OrderBasis | None = None
    order_split: Annotated[OrderSplit | None, BeforeValidator(lambda name: ORDER_TYPES.get(str(name), name))] = None
    rationing: Rationing | None = None
    production: Production | None = None
    capacity_rule: CapacityRule | None = None
    consumption: Consumption | None = None

    @property
    def published(self) -> Preset:
        return PRESETS[self.preset]

    @property
    def switches(self) -> Switches:
        names = [field.name for field in fields(Switches)]
        return replace(self.published.switches, **{name: of for name in names if (of := getattr(self, name))})

    @property
    def numbers(self) -> tuple[str, ...]:
        """The numbers that the model's mechanisms read."""
        return ("inventory_days", "adjustment_days", "capacity", *self.switches.needs)

    def default(self, name: str) -> float:
        """A number where the spec is silent."""
        return float(self.published.defaults.get(name, DEFAULTS.get(name, math.nan)))


class Horizon(Frozen):
    """How long to simulate."""

    days: Count


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
    linearly, whole again after recovery_days."""

    NUMBERS: ClassVar[tuple[str, ...]] = ("loss", "onset", "recovery_start", "recovery_days")
    PLACES: ClassVar[tuple[str, ...]] = ("where",)
    name: Name
    kind: Literal["recovery"]
    on: Literal["production", "final_demand"] = "production"
    where: Where = Where()
    course: Course = "exponential"
    loss: Value[Loss]  # share lost
    onset: Value[Onset] = 0.0  # first day of the loss
    recovery_start: Value[RecoveryStart] | None = None  # left out: the onset
    recovery_days: Value[RecoveryDays] | None = None  # 1 / rate; left out: the loss is permanent

    @model_validator(mode="before")
    @classmethod
    def _linear(cls, data: Any) -> Any:
        if isinstance(data, dict) and "recovery_tau" in data:
            course = data.get("course", data.get("recovery_function"))
            if course != "linear":
                raise ValueError(f"recovery_tau is the days of a linear recovery; {CONVEXE}")
        return data


class FailuresShock(Frozen):
    """Firms that fail at random, over and over: see `Failures` in shockmesh.kernels.shocks."""

    NUMBERS: ClassVar[tuple[str, ...]] = ("loss", "onset", "days_between_failures", "repair_days")
    PLACES: ClassVar[tuple[str, ...]] = ("where",)
    name: Name
    kind: Literal["failures"]
    where: Where = Where()
    days_between_failures: Value[DaysBetweenFailures]  # mean time at work from a repair to the next failure
    repair_days: Value[RepairDays]  # how long a firm is out
    loss: Value[Loss] = 1.0  # share of output lost while it is
    onset: Value[Onset] = 0.0  # no failure before


class DamageShock(Renamed):
    """Capital destroyed, and rebuilt by the sectors that build: see `Damage` in shockmesh.kernels.shocks."""

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
    """Homes destroyed, and rebuilt by the sectors that build, of these regions or of all: see `HouseholdDamage` in
    shockmesh.kernels.shocks. Firms of a sector are asked in proportion to the final demand that they meet."""

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
    `detour_days`, goods come by a detour and arrive so much later on average."""

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
    file: FilePath  # CSV or Zarr, see shockmesh.io.scenarios


type Shock = Annotated[
    RecoveryShock | FailuresShock | DamageShock | HouseholdShock | CutShock | TableShock, Field(discriminator="kind")
]


class Sweep(Frozen):
    """Members, and what differs between them: at most one of `vary`, `grid` and `list`."""

    seed: Annotated[int, Strict(), Field(ge=0, lt=2**32)] = 0
    members: Count | None = None  # left out: as many as `grid` or `list` makes, or 1
    vary: dict[str, Drawn] = Field(default_factory=dict)  # path → distribution, drawn per member
    grid: dict[str, Levels] = Field(default_factory=dict)  # path → values; every combination, the last path fastest
    entries: tuple[dict[str, Scalar], ...] = Field(default=(), alias="list")  # path → value, one entry per member

    @property
    def paths(self) -> tuple[str, ...]:
        """Every path that the sweep sets."""
        return tuple(dict.fromkeys([*self.vary, *self.grid, *(path for entry in self.entries for path in entry)]))


class Resources(Frozen):
    """What a run may use."""

    devices_per_gang: Count = 1  # over which one simulation is sharded
    gangs: Literal["auto"] | Count = "auto"  # workers: devices, or gangs of them
    memory: Annotated[str, AfterValidator(byte_text)] = "auto"  # for one device
    members_per_block: Literal["auto"] | Count = "auto"  # simulated together, written as one shard


class Spreads(Frozen):
    """A standard deviation for each period and series, in a file like that of the series."""

    file: FilePath


def _noise_tag(value: object) -> str:
    return "file" if isinstance(value, dict | Spreads) else "number"


Noise = Annotated[Annotated[Positive, Tag("number")] | Annotated[Spreads, Tag("file")], Discriminator(_noise_tag)]


class Observe(Frozen):
    """Series that were seen, as ratios to the undisturbed day."""

    file: FilePath  # CSV, see shockmesh.io.series
    variable: Annotated[str, AfterValidator(lambda name: known("variable", RECORDABLE, name))] = "output"
    by: Literal["total", "region", "sector"] = "sector"
    groups: FilePath | None = None  # CSV of sector,series or region,series; left out: series are named as sectors
    noise: Noise = 0.01  # standard deviation, share of the undisturbed day
    window: Window | None = None  # first day and the day after the last that are fitted; left out: all
    held_out: Window | None = None  # kept aside for validation


Level = Literal["all", "region", "series", "sector", "firm"]  # series: firms that the first observed variable sums


class Unknown(Frozen):
    """What is not known of a number: how far groups of firms stray from the value that the spec says."""

    # σ of the logarithm, or of the logit of a share
    spread: dict[Level, Positive] = Field(default_factory=dict[Level, Positive])
    like: str | None = None  # in place of a spread: the number that it strays with, each from its own value
    doubt: Annotated[float, Strict(), Field(ge=0)] = (
        0.0  # the spreads themselves are uncertain by a factor exp(± doubt)
    )


class Infer(Frozen):
    """How the unknown is learned."""

    parameters: dict[str, Unknown]  # model.inventory_days, shocks.lockdown.loss, … → prior
    method: Literal["svi", "rml"] = "svi"  # a guide fitted by gradients, or an ensemble pulled to perturbed data
    guide: GuideName = "structured"
    rank: Count = 4
    particles: Count = 1
    steps: Count = 300
    rate: Positive = 0.1
    draws: Count = 200  # of the posterior; members of the ensemble
    residual: Residual = "absolute"
    penalty: Penalty = "squared"
    correlation: Annotated[float, Strict(), Field(gt=-1, lt=1)] = 0.0  # of the noise between periods; gives w
    temperature: Positive | None = None  # w, said by hand
    checkpoint_every: Count = 25  # steps
    patience: Count | None = None  # checkpoints without a better held-out loss before stopping


class Spec(Frozen):
    """A whole spec, as resolved: files absolute, overrides applied. Make one with `load_spec` or `parse_spec`."""

    economy: FilePath
    model: Model = Model()
    horizon: Horizon
    shocks: tuple[Shock, ...] = ()
    sweep: Sweep = Sweep()
    record: dict[Annotated[str, AfterValidator(lambda name: known("variable", RECORDABLE, name))], tuple[Dim, ...]] = (
        Field(default_factory=lambda: {"output": ("region", "sector")})
    )
    resources: Resources = Resources()
    observe: tuple[Observe, ...] = ()
    infer: Infer | None = None  # makes the run a calibration
    precision: Literal["float32", "float64"] = "float32"
    engine: Literal["zarr", "icechunk"] = "zarr"  # what keeps the members, see shockmesh.io.engines
    _source: Source = PrivateAttr(default_factory=lambda: Source("spec", {}))

    @property
    def members(self) -> int:
        """How many members the sweep has, or the ensemble of a calibration, or the particles of one of its steps."""
        if self.infer is not None:
            return self.infer.draws if self.infer.method == "rml" else self.infer.particles
        combinations = math.prod(len(levels) for levels in self.sweep.grid.values())
        return len(self.sweep.entries) or (combinations if self.sweep.grid else self.sweep.members or 1)

    def problem(self, path: str | KeyPath, value: object, rule: str) -> Problem:
        """A problem at a path of this spec, placed at its line where it was read from a file."""
        keys = locate(self._source.data, path) if isinstance(path, str) else path
        return self._source.problem(keys, value, rule)


KEYS = (  # every key that a spec may have
    *BOARIO.values(),
    *(
        field.alias or name
        for model in (
            Spec,
            Model,
            Horizon,
            Where,
            RecoveryShock,
            FailuresShock,
            DamageShock,
            HouseholdShock,
            CutShock,
            TableShock,
            Sweep,
            Resources,
            PerFirm,
            Observe,
            Unknown,
            Infer,
        )
        for name, field in model.model_fields.items()
    ),
)
