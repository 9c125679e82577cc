"""The models of a spec: frozen, every key known, every number within its domain. `load_spec` reads one from a file."""

import math
from dataclasses import fields, replace
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    PrivateAttr,
)
from shockmesh.cluster.spec.allocate import Allocate
from shockmesh.cluster.spec.boario import ORDER_TYPES, Renamed, either_name
from shockmesh.cluster.spec.delays import Delay, Route
from shockmesh.cluster.spec.fields import (
    AdjustmentDays,
    BenefitShare,
    Capacity,
    ConsumptionPersistence,
    Count,
    Days,
    Dim,
    Elasticity,
    FilePath,
    Frozen,
    HouseholdShare,
    InventoryDays,
    InventoryThreshold,
    OverproductionDays,
    PassThrough,
    Pull,
    Scarcity,
    SearchDays,
    Sensitivity,
    Start,
    StockDays,
    Substitution,
    SurveyOrFile,
    Turnover,
    Value,
    Year,
    byte_text,
    key,
    known,
)
from shockmesh.cluster.spec.shocks import Shock
from shockmesh.cluster.spec.source import KeyPath, Problem, Source, locate
from shockmesh.cluster.spec.sweeps import Sweep
from shockmesh.cluster.spec.unknowns import Infer, Observe
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

    pass_through: Value[PassThrough] | None = key(
        None, "θ, of the gap between a price and its cost that is closed in a day [share a day]", 0.01
    )
    scarcity: Value[Scarcity] | None = key(
        None, "ξ, premium on the price per share of demand that is not met [share]", 0.5
    )
    elasticity_within: Value[Substitution] | None = key(
        None, "σ, of a buyer between suppliers of a product; 0: no substitution [–]", 2
    )
    elasticity_between: Value[Substitution] | None = key(
        None, "ς, of a buyer between products; 0: fixed recipes [–]", 0.1
    )
    elasticity_final: Value[Substitution] | None = key(
        None, "ε, of a region's final demand between goods: the mean of its firms' [–]", 0.9
    )


class Suppliers(Frozen):
    """How buyers turn to other suppliers: see shockmesh.kernels.mechanisms.suppliers."""

    satisfaction_days: Value[AdjustmentDays] | None = key(
        None, "T_f, in which a buyer learns how a supplier delivers [days]", 7
    )
    sensitivity: Value[Sensitivity] | None = key(None, "χ, of a supplier's share to how he delivers; 0: none [–]", 1)
    pull: Value[Pull] | None = key(
        None, "ν, of all candidates together, per share of an input that is missing; 0: none are asked [–]", 1
    )
    search_days: Value[SearchDays] | None = key(None, "b, from the first shortage to the first change [days]", 30)
    switching_days: Value[AdjustmentDays] | None = key(None, "T_ω, in which orders move [days]", 30)
    turnover: Value[Turnover] | None = key(
        None, "η, part of a buyer's links that end on a day, and go to candidates [share a day]", 0.00175
    )


PARTS: dict[str, type[Frozen]] = {"prices": Prices, "suppliers": Suppliers}  # of a model, each with numbers of its own


def part_with(name: str) -> str | None:
    """The part of a model that has a number; None where it is the model's own."""
    return next((part for part, of in PARTS.items() if name in of.model_fields), None)


def path_of(name: str) -> str:
    """The path of a number of the model.

    >>> path_of("capacity"), path_of("scarcity"), path_of("pull")
    ('model.capacity', 'model.prices.scarcity', 'model.suppliers.pull')
    """
    part = part_with(name)
    return f"model.{name}" if part is None else f"model.{part}.{name}"


class Model(Renamed):
    """A preset, and what differs from it. Left out, a number or a switch is the preset's."""

    preset: Annotated[str, AfterValidator(lambda name: known("preset", list(PRESETS), name))] = key(
        "hamid2025", "the published model that gives every switch and number not said here", "pichler2022"
    )
    inventory_days: Value[InventoryDays] | None = key(None, "n, target stock of every input [days of use]", 10)
    inventory_by_product: Annotated[dict[str, StockDays], Field(min_length=1)] | None = key(
        None,
        "sector → target stock of its product, for all who buy it, in place of inventory_days; inf: it is never "
        "short [days of use]",
        {"D35": 1, "F": "inf"},
    )
    adjustment_days: Value[AdjustmentDays] | None = key(
        None, "τ, in which a gap between stock and target is closed [days]", 6
    )
    capacity: Value[Capacity] | None = key(
        None,
        "κ, most output as a multiple of the undisturbed day's: losses up to 1 − 1 / κ are not felt [multiple]",
        1.1,
    )
    elasticity: Value[Elasticity] | None = key(
        None, "σ, of substitution between inputs at hand, read by production: ces; towards 0 it is leontief [–]", 0.1
    )
    inventory_threshold: Value[InventoryThreshold] | None = key(
        None, "ψ, share of its target below which a stock limits output, read by production: threshold [share]", 0.8
    )
    base_capacity: Value[Capacity] | None = key(
        None, "α_base, capacity while nothing is scarce, read by capacity_rule: overproduction [multiple]", 1.0
    )
    overproduction_days: Value[OverproductionDays] | None = key(
        None, "τ_α, in which capacity rises to meet scarcity, read by capacity_rule: overproduction [days]", 365
    )
    hiring_days: Value[AdjustmentDays] | None = key(
        None, "1 / γ_H, in which labour is hired, read by capacity_rule: hiring [days]", 30
    )
    firing_days: Value[AdjustmentDays] | None = key(
        None, "1 / γ_F, in which labour is let go, read by capacity_rule: hiring [days]", 15
    )
    household_share: Value[HouseholdShare] | None = key(
        None, "s, households' part of final demand, read by consumption: labour_income [share]", 0.56
    )
    consumption_persistence: Value[ConsumptionPersistence] | None = key(
        None, "ρ, part of yesterday's spending that lasts, read by consumption: labour_income [share a day]", 0.995
    )
    benefit_share: Value[BenefitShare] | None = key(
        None, "b, part of lost labour income that benefits replace, read by consumption: labour_income [share]", 0.8
    )
    criticality: SurveyOrFile | None = key(
        None,
        "surveyed: as analysts rated inputs; surveyed_goods: goods alone, as if services, construction, repair, power "
        "and water stopped nobody; or a CSV of sectors by sectors, 0 … 1. Read by production: "
        "half_critical, strongly_critical and weakly_critical",
        "surveyed",
    )
    order_target: OrderTarget | None = key(
        None,
        "the stock that a buyer aims at: n days of baseline use (fixed), of use at today's demand (demand) or output "
        "(output), or at what demand and capacity allow (potential)",
        "output",
    )
    order_basis: OrderBasis | None = key(
        None, "what a buyer expects to use: as today's demand or today's output asks for", "output"
    )
    order_split: Annotated[OrderSplit | None, either_name(ORDER_TYPES)] = key(
        None,
        "whose stock is restored: each supplier's own (link); or the product's, its order split by what suppliers "
        "used to sell (baseline), or by that times what they can make (capacity)",
        "capacity",
    )
    rationing: Rationing | None = key(
        None,
        "who goes short where output falls short of demand: all alike (proportional), consumers first "
        "(final_demand_last), or those who ask for most relative to the past (water_filling)",
        "water_filling",
    )
    production: Production | None = key(
        None,
        "what a missing input does to output: each is needed (leontief), any replaces any (linear), in part (ces), "
        "each from a low stock on (threshold), or as its criticality says (half_critical, strongly_critical, "
        "weakly_critical)",
        "half_critical",
    )
    capacity_rule: CapacityRule | None = key(
        None,
        "what limits output besides inputs: a fixed capacity (constant), stocks alone (literal), a capacity that "
        "grows when demand is not met (overproduction), or labour that is hired and let go (hiring)",
        "overproduction",
    )
    consumption: Consumption | None = key(
        None,
        "what households ask for: as given (exogenous), or following their labour income, with capacity_rule: hiring "
        "(labour_income)",
        "labour_income",
    )
    prices: Prices | None = key(
        None, "prices that follow costs, {} for all defaults; left out, prices are fixed", {"elasticity_within": 2}
    )
    delays: tuple[Delay, ...] = key(
        (),
        "whose goods are on the way for days; several on one link come one after the other",
        [{"name": "sea", "from": {"region": "CHN"}, "to": {"region": ["DEU", "FRA"]}, "days": 30}],
    )
    routes: tuple[Route, ...] = key(
        (),
        "ways that take only so much in a day; several on one link come one after the other, after delays",
        [{"name": "strait", "from": {"region": "CHN"}, "to": {"region": ["DEU", "FRA"]}, "capacity": 1.2}],
    )
    suppliers: Suppliers | None = key(
        None, "buyers who turn to other suppliers, {} for all defaults; left out, suppliers are fixed", {"pull": 1}
    )

    @property
    def published(self) -> Preset:
        return PRESETS[self.preset]

    @property
    def switches(self) -> Switches:
        names = [field.name for field in fields(Switches) if field.name not in PARTS]
        chosen = {name: of for name in names if (of := getattr(self, name))}
        return replace(
            self.published.switches,
            **chosen,
            prices="fixed" if self.prices is None else "cost",
            suppliers="fixed" if self.suppliers is None else "satisfaction",
        )

    @property
    def numbers(self) -> tuple[str, ...]:
        """The numbers that the model's mechanisms read."""
        return ("inventory_days", "adjustment_days", "capacity", *self.switches.needs)

    def given(self, name: str) -> Any:
        """A number as the spec says it; None where it is silent."""
        part = part_with(name)
        return getattr(self if part is None else getattr(self, part), name, None)

    def default(self, name: str) -> float:
        """A number where the spec is silent."""
        return float(self.published.defaults.get(name, DEFAULTS.get(name, math.nan)))


class Horizon(Frozen):
    """How long to simulate, and from when."""

    days: Days = key(..., "how long to simulate, from day 0 [days]", 180)
    start: Start | None = key(
        None, "date of day 0; then dates may stand for days, and results have dates", "2020-03-01"
    )


class Resources(Frozen):
    """What a run may use."""

    devices_per_gang: Count = key(1, "devices over which one simulation is sharded", 4)
    gangs: Literal["auto"] | Count = key("auto", "workers: devices, or gangs of them", 2)
    memory: Annotated[str, AfterValidator(byte_text)] = key("auto", "of one device, for the plan", "16 GB")
    members_per_block: Literal["auto"] | Count = key("auto", "members simulated together and written as one shard", 32)
    kernel: Literal["auto", "native", "xla"] = key(
        "auto", "who computes days on CPUs: XLA, or the native library, auto where it is built; they round apart", "xla"
    )


def _recording(name: str) -> str:
    known("variable", RECORDABLE, quantity(name))
    return name


class Spec(Frozen):
    """A whole spec, as resolved: files absolute, overrides applied. Make one with `load_spec` or `parse_spec`."""

    economy: FilePath = key(
        ..., "a network of firms; or a table, each of whose industries is then one firm", "world.zarr"
    )
    year: Year | None = key(None, "of an economy that is a table of several years", 2014)
    model: Model = key(Model(), "a preset, and what differs from it", {"preset": "hamid2025", "inventory_days": 10})
    horizon: Horizon = key(..., "how long to simulate", {"days": 180})
    shocks: tuple[Shock, ...] = key(
        (), "what happens; those on one firm multiply", [{"name": "strike", "kind": "recovery", "loss": 0.5}]
    )
    sweep: Sweep = key(
        Sweep(),
        "members, and what differs between them: one of vary, grid and list",
        {"members": 2, "vary": {"model.inventory_days": {"uniform": [5, 15]}}},
    )
    record: dict[Annotated[str, AfterValidator(_recording)], tuple[Dim, ...]] = key(
        {"output": ("region", "sector")},
        "variable → what is kept of it by day: firm, or any of region and sector, or [] for the sum over all firms. "
        "The same once more by another name: output_by_firm",
        {"output": ["region", "sector"], "output_by_firm": ["firm"]},
    )
    resources: Resources = key(Resources(), "what the run may use", {"devices_per_gang": 4})
    observe: tuple[Observe, ...] = key(
        (), "series that were seen, as ratios to the undisturbed day", [{"file": "series.csv"}]
    )
    infer: Infer | None = key(
        None,
        "what is unknown and how it is learned; makes the run a calibration",
        {"parameters": {"model.inventory_days": {"spread": {"all": 0.5}}}},
    )
    allocate: Allocate | None = key(
        None,
        "a budget to spend for the least loss, read by `shockmesh allocate` alone",
        {"budget": 50000, "levers": {"model.inventory_days": 1}, "held_out": 16},
    )
    precision: Literal["float32", "float64"] = key("float32", "of all that is computed", "float64")
    engine: Literal["zarr", "icechunk"] = key(
        "zarr", "what keeps the members: plain Zarr, or a repository of snapshots", "icechunk"
    )
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
