"""The models of a spec: frozen, every key known, every number within its domain. `load_spec` reads one from a file."""

import math
import re
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainSerializer,
    PlainValidator,
    PrivateAttr,
    Strict,
    Tag,
)
from shockmesh.cluster.distributions import Distribution, Scalar, parse_distribution, same_kind
from shockmesh.cluster.domains import DOMAINS
from shockmesh.cluster.source import KeyPath, Problem, Source, locate
from shockmesh.inference.choices import GuideName, Penalty, Residual
from shockmesh.kernels.model import (
    DEFAULTS,
    PRESETS,
    CapacityRule,
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

UNITS = {"": 1, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


def _in_folder(name: str, info: Any) -> str:
    """A file name, made absolute from the spec's folder."""
    folder: Path | None = (info.context or {}).get("folder")
    return name if folder is None or "://" in name else str((folder / name).resolve())


def _one_or_more(value: object) -> object:
    return [value] if isinstance(value, str | int) and not isinstance(value, bool) else value


def _known(kind: str, names: Sequence[str], value: str) -> str:
    if value not in names:
        raise ValueError(f"no such {kind}; there are {', '.join(names)}")
    return value


def _bytes(text: str) -> str:
    if text != "auto":
        parse_bytes(text)
    return text


def parse_bytes(text: str) -> int:
    """Bytes in a text such as `8 GB` or `512 MiB`. Raises ValueError if it is not one."""
    found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([KMGT]i?)?B?\s*", text)
    if not found or float(found[1]) == 0:
        raise ValueError("must be auto, or a size such as 8 GB or 512 MiB")
    return int(float(found[1]) * UNITS[found[2] or ""])


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", serialize_by_alias=True)


FilePath = Annotated[str, AfterValidator(_in_folder)]


class PerFirm[N](_Frozen):
    """A number for each firm: the last that applies of default, by_region, by_sector, file."""

    default: N | None = None
    by_region: dict[str, N] = Field(default_factory=dict[str, N])
    by_sector: dict[str, N] = Field(default_factory=dict[str, N])
    file: FilePath | None = None  # CSV with columns firm, value


def _value_tag(value: object) -> str:
    return "per firm" if isinstance(value, dict | PerFirm) else "number"


type Value[N] = Annotated[
    Annotated[N, Tag("number")] | Annotated[PerFirm[N], Tag("per firm")], Discriminator(_value_tag)
]
InventoryDays = Annotated[float, Strict(), AfterValidator(DOMAINS["inventory_days"].check)]
AdjustmentDays = Annotated[float, Strict(), AfterValidator(DOMAINS["adjustment_days"].check)]
Capacity = Annotated[float, Strict(), AfterValidator(DOMAINS["capacity"].check)]
Elasticity = Annotated[float, Strict(), AfterValidator(DOMAINS["elasticity"].check)]
InventoryThreshold = Annotated[float, Strict(), AfterValidator(DOMAINS["inventory_threshold"].check)]
OverproductionDays = Annotated[float, Strict(), AfterValidator(DOMAINS["overproduction_days"].check)]
Loss = Annotated[float, Strict(), AfterValidator(DOMAINS["loss"].check)]
Onset = Annotated[float, Strict(), AfterValidator(DOMAINS["onset"].check)]
RecoveryStart = Annotated[float, Strict(), AfterValidator(DOMAINS["recovery_start"].check)]
CapitalDays = Annotated[float, Strict(), AfterValidator(DOMAINS["capital_days"].check)]
Cost = Annotated[float, Strict(), AfterValidator(DOMAINS["cost"].check)]
RecoveryDays = Annotated[float, Strict(), AfterValidator(DOMAINS["recovery_days"].check)]
Share = Annotated[float, Strict(), AfterValidator(DOMAINS["share"].check)]
MOST = 10_000_000  # members of a sweep, days, steps: what is more is a slip of the pen
Count = Annotated[int, Strict(), Field(ge=1, le=MOST)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$")]
Names = Annotated[tuple[str, ...], BeforeValidator(_one_or_more)]
FirmIds = Annotated[tuple[Annotated[int | str, Field(union_mode="left_to_right")], ...], BeforeValidator(_one_or_more)]
Dim = Literal["region", "sector", "firm"]
Drawn = Annotated[
    Distribution, PlainValidator(parse_distribution), PlainSerializer(lambda drawn: drawn.as_dict(), dict[str, Any])
]
Levels = Annotated[tuple[Scalar, ...], PlainValidator(same_kind), PlainSerializer(list, list[Any])]


class Model(_Frozen):
    """A preset, and what differs from it. Left out, a number or a switch is the preset's."""

    preset: Annotated[str, AfterValidator(lambda name: _known("preset", list(PRESETS), name))] = "hamid2025"
    inventory_days: Value[InventoryDays] | None = None  # n [days of use]
    adjustment_days: Value[AdjustmentDays] | None = None  # τ [days]
    capacity: Value[Capacity] | None = None  # κ, multiple of baseline output
    elasticity: Value[Elasticity] | None = None  # σ
    inventory_threshold: Value[InventoryThreshold] | None = None  # ψ, share of the target stock
    base_capacity: Value[Capacity] | None = None  # α_base, multiple of baseline output
    overproduction_days: Value[OverproductionDays] | None = None  # τ_α [days]
    hiring_days: Value[AdjustmentDays] | None = None  # 1 / γ_H [days]
    firing_days: Value[AdjustmentDays] | None = None  # 1 / γ_F [days]
    criticality: FilePath | None = None  # CSV of sectors by sectors, see shockmesh.io.scenarios
    order_target: OrderTarget | None = None
    order_basis: OrderBasis | None = None
    order_split: OrderSplit | None = None
    rationing: Rationing | None = None
    production: Production | None = None
    capacity_rule: CapacityRule | None = None

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


class Horizon(_Frozen):
    """How long to simulate."""

    days: Count


class Where(_Frozen):
    """Which firms: in any of the regions, and any of the sectors, and any of the firms named; empty means all.

    Of those, `share` draws a fraction at random, each firm alike: afresh in each member, or once if `redraw` is off.
    """

    region: Names = ()
    sector: Names = ()
    firm: FirmIds = ()
    share: Share | None = None
    redraw: bool = True


class RecoveryShock(_Frozen):
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


class DamageShock(_Frozen):
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


class CutShock(_Frozen):
    """A route that is cut: orders from firms at the destination to firms at the origin do not get through."""

    NUMBERS: ClassVar[tuple[str, ...]] = ("loss", "onset", "recovery_start", "recovery_days")
    PLACES: ClassVar[tuple[str, ...]] = ("origin", "destination")
    name: Name
    kind: Literal["cut"]
    origin: Where = Where()  # who sells
    destination: Where = Where()  # who buys
    course: Course = "exponential"
    loss: Loss = 1.0  # share of the orders that does not get through
    onset: Onset = 0.0
    recovery_start: RecoveryStart | None = None
    recovery_days: RecoveryDays | None = None


class TableShock(_Frozen):
    """Factors read from a file, day by day."""

    NUMBERS: ClassVar[tuple[str, ...]] = ()
    PLACES: ClassVar[tuple[str, ...]] = ()
    name: Name
    kind: Literal["table"]
    on: Literal["production", "final_demand"] = "production"
    file: FilePath  # CSV or Zarr, see shockmesh.io.scenarios


type Shock = Annotated[RecoveryShock | DamageShock | CutShock | TableShock, Field(discriminator="kind")]


class Sweep(_Frozen):
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


class Resources(_Frozen):
    """What a run may use."""

    devices_per_gang: Count = 1  # over which one simulation is sharded
    gangs: Literal["auto"] | Count = "auto"  # workers: devices, or gangs of them
    memory: Annotated[str, AfterValidator(_bytes)] = "auto"  # for one device
    members_per_block: Literal["auto"] | Count = "auto"  # simulated together, written as one shard


Positive = Annotated[float, Strict(), Field(gt=0, allow_inf_nan=False)]


class Spreads(_Frozen):
    """A standard deviation for each period and series, in a file like that of the series."""

    file: FilePath


def _noise_tag(value: object) -> str:
    return "file" if isinstance(value, dict | Spreads) else "number"


Noise = Annotated[Annotated[Positive, Tag("number")] | Annotated[Spreads, Tag("file")], Discriminator(_noise_tag)]
Window = tuple[Annotated[int, Strict(), Field(ge=0)], Count]


class Observe(_Frozen):
    """Series that were seen, as ratios to the undisturbed day."""

    file: FilePath  # CSV, see shockmesh.io.series
    variable: Annotated[str, AfterValidator(lambda name: _known("variable", RECORDABLE, name))] = "output"
    by: Literal["total", "region", "sector"] = "sector"
    groups: FilePath | None = None  # CSV of sector,series or region,series; left out: series are named as sectors
    noise: Noise = 0.01  # standard deviation, share of the undisturbed day
    window: Window | None = None  # first day and the day after the last that are fitted; left out: all
    held_out: Window | None = None  # kept aside for validation


Level = Literal["all", "region", "series", "sector", "firm"]  # series: firms that the first observed variable sums


class Unknown(_Frozen):
    """What is not known of a number: how far groups of firms stray from the value that the spec says."""

    # σ of the logarithm, or of the logit of a share
    spread: dict[Level, Positive] = Field(default_factory=dict[Level, Positive])
    like: str | None = None  # in place of a spread: the number that it strays with, each from its own value
    doubt: Annotated[float, Strict(), Field(ge=0)] = (
        0.0  # the spreads themselves are uncertain by a factor exp(± doubt)
    )


class Infer(_Frozen):
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


class Spec(_Frozen):
    """A whole spec, as resolved: files absolute, overrides applied. Make one with `load_spec` or `parse_spec`."""

    economy: FilePath
    model: Model = Model()
    horizon: Horizon
    shocks: tuple[Shock, ...] = ()
    sweep: Sweep = Sweep()
    record: dict[Annotated[str, AfterValidator(lambda name: _known("variable", RECORDABLE, name))], tuple[Dim, ...]] = (
        Field(default_factory=lambda: {"output": ("region", "sector")})
    )
    resources: Resources = Resources()
    observe: tuple[Observe, ...] = ()
    infer: Infer | None = None  # makes the run a calibration
    precision: Literal["float32", "float64"] = "float32"
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


KEYS = tuple(  # every key that a spec may have
    field.alias or name
    for model in (
        Spec,
        Model,
        Horizon,
        Where,
        RecoveryShock,
        DamageShock,
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
)
