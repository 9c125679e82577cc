"""The models of a spec: frozen, every key known, every number within its domain. `load_spec` reads one from a file."""

import math
from dataclasses import fields, replace
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    PrivateAttr,
    Strict,
    Tag,
)
from shockmesh.cluster.spec.boario import BOARIO, ORDER_TYPES, Renamed, either_name
from shockmesh.cluster.spec.distributions import Scalar
from shockmesh.cluster.spec.fields import (
    AdjustmentDays,
    BenefitShare,
    Capacity,
    ConsumptionPersistence,
    Correlation,
    Count,
    Dim,
    Doubt,
    Drawn,
    Elasticity,
    FilePath,
    Frozen,
    HouseholdShare,
    InventoryDays,
    InventoryThreshold,
    Levels,
    NoiseShare,
    OverproductionDays,
    PassThrough,
    PerFirm,
    Rate,
    Scarcity,
    Spread,
    StockDays,
    Substitution,
    SurveyOrFile,
    Temperature,
    Value,
    Window,
    Year,
    byte_text,
    known,
)
from shockmesh.cluster.spec.shocks import (
    CostShock,
    CutShock,
    DamageShock,
    FailuresShock,
    HouseholdShock,
    RecoveryShock,
    Shock,
    TableShock,
    TariffShock,
    Where,
)
from shockmesh.cluster.spec.source import KeyPath, Problem, Source, locate
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
from shockmesh.kernels.rollout import RECORDABLE, quantity


class Prices(Frozen):
    """How prices follow costs and how buyers respond: see shockmesh.kernels.mechanisms.prices."""

    pass_through: Value[PassThrough] | None = None  # θ, of the gap between a price and its cost, a day
    scarcity: Value[Scarcity] | None = None  # ξ, premium per share of unmet demand
    elasticity_within: Value[Substitution] | None = None  # σ of a buyer, between suppliers of a product
    elasticity_between: Value[Substitution] | None = None  # ς of a buyer, between products
    elasticity_final: Value[Substitution] | None = None  # ε of a region's final demand: the mean of its firms'


def path_of(name: str) -> str:
    """The path of a number of the model.

    >>> path_of("capacity"), path_of("scarcity")
    ('model.capacity', 'model.prices.scarcity')
    """
    return f"model.prices.{name}" if name in Prices.model_fields else f"model.{name}"


class Model(Renamed):
    """A preset, and what differs from it. Left out, a number or a switch is the preset's."""

    preset: Annotated[str, AfterValidator(lambda name: known("preset", list(PRESETS), name))] = "hamid2025"
    inventory_days: Value[InventoryDays] | None = None  # n [days of use]
    # sector → days of stock of its product, for all who buy it, in place of inventory_days; inf: it is never short
    inventory_by_product: Annotated[dict[str, StockDays], Field(min_length=1)] | None = None
    adjustment_days: Value[AdjustmentDays] | None = None  # τ [days]
    capacity: Value[Capacity] | None = None  # κ, multiple of baseline output: losses up to 1 - 1 / κ are not felt
    elasticity: Value[Elasticity] | None = None  # σ
    inventory_threshold: Value[InventoryThreshold] | None = None  # ψ, share of the target stock
    base_capacity: Value[Capacity] | None = None  # α_base, multiple of baseline output
    overproduction_days: Value[OverproductionDays] | None = None  # τ_α [days]
    hiring_days: Value[AdjustmentDays] | None = None  # 1 / γ_H [days]
    firing_days: Value[AdjustmentDays] | None = None  # 1 / γ_F [days]
    household_share: Value[HouseholdShare] | None = None  # s, of final demand
    consumption_persistence: Value[ConsumptionPersistence] | None = None  # ρ, of a day
    benefit_share: Value[BenefitShare] | None = None  # b, of lost labour income that is replaced
    # `surveyed` (see shockmesh.io.inputs.survey), or a CSV of sectors by sectors (see shockmesh.io.inputs.scenarios)
    criticality: SurveyOrFile | None = None
    order_target: OrderTarget | None = None
    order_basis: OrderBasis | None = None
    order_split: Annotated[OrderSplit | None, either_name(ORDER_TYPES)] = None
    rationing: Rationing | None = None
    production: Production | None = None
    capacity_rule: CapacityRule | None = None
    consumption: Consumption | None = None
    prices: Prices | None = None  # left out, prices are fixed

    @property
    def published(self) -> Preset:
        return PRESETS[self.preset]

    @property
    def switches(self) -> Switches:
        names = [field.name for field in fields(Switches) if field.name != "prices"]
        chosen = {name: of for name in names if (of := getattr(self, name))}
        return replace(self.published.switches, **chosen, prices="fixed" if self.prices is None else "cost")

    @property
    def numbers(self) -> tuple[str, ...]:
        """The numbers that the model's mechanisms read."""
        return ("inventory_days", "adjustment_days", "capacity", *self.switches.needs)

    def given(self, name: str) -> Any:
        """A number as the spec says it; None where it is silent."""
        return getattr(self.prices if name in Prices.model_fields else self, name, None)

    def default(self, name: str) -> float:
        """A number where the spec is silent."""
        return float(self.published.defaults.get(name, DEFAULTS.get(name, math.nan)))


class Horizon(Frozen):
    """How long to simulate."""

    days: Count


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


Noise = Annotated[Annotated[NoiseShare, Tag("number")] | Annotated[Spreads, Tag("file")], Discriminator(_noise_tag)]


class Observe(Frozen):
    """Series that were seen, as ratios to the undisturbed day."""

    file: FilePath  # CSV, see shockmesh.io.inputs.series
    variable: Annotated[str, AfterValidator(lambda name: known("variable", RECORDABLE, name))] = "output"
    by: Literal["total", "region", "sector"] = "sector"
    groups: FilePath | None = None  # CSV of sector,series or region,series; left out: series are named as sectors
    noise: Noise = 0.01  # standard deviation, share of the undisturbed day
    window: Window | None = None  # first day and the day after the last that are fitted; left out: all but held_out
    held_out: Window | None = None  # kept aside for validation


Level = Literal["all", "region", "series", "sector", "firm"]  # series: firms that the first observed variable sums


class Unknown(Frozen):
    """What is not known of a number: how far groups of firms stray from the value that the spec says."""

    # σ of the logarithm, or of the logit of a share
    spread: dict[Level, Spread] = Field(default_factory=dict[Level, Spread])
    like: str | None = None  # in place of a spread: the path of a number; both stray together, each from its own value
    doubt: Doubt = 0.0  # the spreads themselves are uncertain by a factor exp(± doubt)


class Infer(Frozen):
    """How the unknown is learned."""

    parameters: dict[str, Unknown]  # model.inventory_days, shocks.lockdown.loss, … → prior
    method: Literal["svi", "rml"] = "svi"  # a guide fitted by gradients, or an ensemble pulled to perturbed data
    guide: GuideName = "structured"
    rank: Count = 4
    particles: Count = 1
    steps: Count = 300
    rate: Rate = 0.1
    draws: Count = 200  # of the posterior; members of the ensemble
    residual: Residual = "absolute"
    penalty: Penalty = "squared"
    correlation: Correlation = 0.0  # of the noise between periods; gives w
    temperature: Temperature | None = None  # w, said by hand
    checkpoint_every: Count = 25  # steps
    patience: Count | None = None  # checkpoints without a better held-out loss before stopping


def _recording(name: str) -> str:
    known("variable", RECORDABLE, quantity(name))
    return name


class Spec(Frozen):
    """A whole spec, as resolved: files absolute, overrides applied. Make one with `load_spec` or `parse_spec`."""

    economy: FilePath  # a network of firms; or a table, each of whose industries is then one firm
    year: Year | None = None  # of an economy that is a table of several years
    model: Model = Model()
    horizon: Horizon
    shocks: tuple[Shock, ...] = ()
    sweep: Sweep = Sweep()
    # variable → dims; the same once more under another name: {output: [region, sector], output_by_firm: [firm]}
    record: dict[Annotated[str, AfterValidator(_recording)], tuple[Dim, ...]] = Field(
        default_factory=lambda: {"output": ("region", "sector")}
    )
    resources: Resources = Resources()
    observe: tuple[Observe, ...] = ()
    infer: Infer | None = None  # makes the run a calibration
    precision: Literal["float32", "float64"] = "float32"
    engine: Literal["zarr", "icechunk"] = "zarr"  # what keeps the members, see shockmesh.io.stores.engines
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
            Prices,
            Horizon,
            Where,
            RecoveryShock,
            FailuresShock,
            DamageShock,
            HouseholdShock,
            CutShock,
            TableShock,
            TariffShock,
            CostShock,
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
