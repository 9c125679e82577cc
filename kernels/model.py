"""What a model is: switches of the one step, parameters, and the presets that name a published model.

Every parameter is an array (firm|1, member|1): one number for all, one per member, one per firm, or both; the days of
several delays are one array.

Departures of the presets from what they name, beyond those of the mechanisms they use:
  1. henriet2012: its text could not be found. The preset is what two accounts of its lineage say, and claims no
     more: output falls in proportion once a stock is below its target (ψ = 1), the target follows what
     demand and capacity allow (BoARIO's manual on Hallegatte 2014); stocks are by supplier, rationing is proportional
     (Inoue & Todo's simulator on Henriet & Hallegatte 2008). tests/test_henriet.py writes both out, and says where
     they differ. Days of stock and of adjustment are ours; that simulator has 15 and 6;
  2. hallegatte2014: see tests/test_boario.py;
  3. pichler2022: final demand is exogenous, where theirs follows labour income (`consumption: labour_income`); stocks
     are 15 days for all, where theirs differ by industry (`inventory_days: {by_sector: …}`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any, Literal

import jax
from jaxtyping import Array, Float

OrderTarget = Literal["fixed", "demand", "output", "potential"]
OrderBasis = Literal["demand", "output"]
OrderSplit = Literal["link", "baseline", "capacity"]
Rationing = Literal["proportional", "final_demand_last", "water_filling"]
Production = Literal[
    "leontief", "linear", "ces", "threshold", "strongly_critical", "half_critical", "weakly_critical"
]  # fmt: skip
CapacityRule = Literal["constant", "literal", "overproduction", "hiring"]

Consumption = Literal["exogenous", "labour_income"]
Prices = Literal["fixed", "cost"]
Suppliers = Literal["fixed", "satisfaction"]


@dataclass(frozen=True)
class Switches:
    """The mechanisms of a step. Each switch selects one small function.

    order_target: stock that a buyer aims at: n Z⁰ (fixed), n a D (demand), n a x (output), or n a times what demand
        and capacity allow (potential).
    order_basis: what current use is expected from: today's demand D or today's output x.
    order_split: whose stock is restored: each link's own (link), or the pool's, its order split between suppliers by
        baseline flow (baseline), or by that times their capacity (capacity). See `step.py`.
    rationing: who goes short: see `rationing.py`.
    production: output that stocks of inputs allow: see `production.py`.
    capacity_rule: output that everything else allows: see `capacity.py`.
    consumption: what households ask for: see `consumption.py`. Labour income takes the capacity rule hiring.
    prices: 1 for ever (fixed), or on the way to what production costs (cost), to which buyers respond: see `prices.py`.
    suppliers: who sells to whom for ever (fixed), or as buyers expect to be served (satisfaction): see `suppliers.py`.
    """

    order_target: OrderTarget = "fixed"
    order_basis: OrderBasis = "demand"
    rationing: Rationing = "proportional"
    order_split: OrderSplit = "link"
    production: Production = "leontief"
    capacity_rule: CapacityRule = "constant"
    consumption: Consumption = "exogenous"
    prices: Prices = "fixed"
    suppliers: Suppliers = "fixed"

    @property
    def needs(self) -> tuple[str, ...]:
        """The optional parameters that these mechanisms read."""
        chosen = self.production, self.capacity_rule, self.consumption, self.prices, self.suppliers
        return tuple(name for of in chosen for name in _NEEDS.get(of, ()))

    @property
    def priced(self) -> bool:
        """Whether prices move."""
        return self.prices != "fixed"

    @property
    def switching(self) -> bool:
        """Whether buyers may turn to other suppliers."""
        return self.suppliers != "fixed"

    @property
    def reads_links(self) -> bool:
        """Whether a day needs numbers of single links, which a layout as a table does not hold."""
        by_link = self.order_split == "link" or self.rationing == "water_filling"
        return by_link or self.priced or self.switching

    @property
    def needs_criticality(self) -> bool:
        return self.production in ("strongly_critical", "half_critical", "weakly_critical")


_NEEDS: dict[str, tuple[str, ...]] = {
    "ces": ("elasticity",),
    "threshold": ("inventory_threshold",),
    "overproduction": ("base_capacity", "overproduction_days"),
    "hiring": ("hiring_days", "firing_days"),
    "labour_income": ("household_share", "consumption_persistence", "benefit_share"),
    "cost": ("pass_through", "scarcity", "elasticity_within", "elasticity_between", "elasticity_final"),
    "satisfaction": ("satisfaction_days", "sensitivity", "pull", "search_days", "switching_days", "turnover"),
}


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["capacity", "first", "detour_days", "detour_cost"],
    meta_fields=[],
)
@dataclass(frozen=True)
class Route:
    """Numbers of a route with a capacity: see `mechanisms/queues.py`."""

    capacity: Float[Array, "1 #member"]  # c, as a multiple of what passes on an undisturbed day, ≥ 1
    first: Float[Array, "#firm #member"] | None = None  # 1 of buyers who are served first, 0 of others; None: all alike
    detour_days: Float[Array, "1 #member"] | None = None  # d, mean days that a detour adds, ≥ 1; None: goods wait
    detour_cost: Float[Array, "1 #member"] | None = None  # χ, by which goods of a detour are dearer, share of the price


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["inventory_days", "adjustment_days", "capacity", "elasticity", "inventory_threshold",
                 "base_capacity", "overproduction_days", "hiring_days", "firing_days", "household_share",
                 "consumption_persistence", "benefit_share", "pass_through", "scarcity", "elasticity_within",
                 "elasticity_between", "elasticity_final", "satisfaction_days", "sensitivity", "pull", "search_days",
                 "switching_days", "turnover", "delay_days", "routes"],
    meta_fields=[],
)  # fmt: skip
@dataclass(frozen=True)
class Parameters:
    """Numbers of the model, each (firm|1, member|1). Those that the switches do not need may be None."""

    inventory_days: Float[Array, "#firm #member"]  # n, target stock [days of use], ≥ 1
    adjustment_days: Float[Array, "#firm #member"]  # τ, days to close an inventory gap, ≥ 1
    capacity: Float[Array, "#firm #member"]  # κ, largest output as a multiple of x⁰, ≥ 1
    elasticity: Float[Array, "#firm #member"] | None = None  # σ, of substitution between inputs, 0 … 1
    inventory_threshold: Float[Array, "#firm #member"] | None = None  # ψ, share of target stock that limits, 0 … 1
    base_capacity: Float[Array, "#firm #member"] | None = None  # α_base, capacity without scarcity, ≥ 1
    overproduction_days: Float[Array, "#firm #member"] | None = None  # τ_α, days to raise capacity, ≥ 1
    hiring_days: Float[Array, "#firm #member"] | None = None  # 1 / γ_H, ≥ 1
    firing_days: Float[Array, "#firm #member"] | None = None  # 1 / γ_F, ≥ 1
    household_share: Float[Array, "#firm #member"] | None = None  # s, of final demand, 0 … 1
    consumption_persistence: Float[Array, "#firm #member"] | None = None  # ρ, of a day, 0 … 1
    benefit_share: Float[Array, "#firm #member"] | None = None  # b, of lost labour income that is replaced, 0 … 1
    pass_through: Float[Array, "#firm #member"] | None = None  # θ, of the gap between price and cost, a day, 0 … 1
    scarcity: Float[Array, "#firm #member"] | None = None  # ξ, premium on the price per share of unmet demand, ≥ 0
    elasticity_within: Float[Array, "#firm #member"] | None = None  # σ of a buyer, between suppliers of a product, ≥ 0
    elasticity_between: Float[Array, "#firm #member"] | None = None  # ς of a buyer, between products, ≥ 0
    elasticity_final: Float[Array, "#firm #member"] | None = None  # ε of a region's final demand, its firms' mean, ≥ 0
    satisfaction_days: Float[Array, "#firm #member"] | None = None  # T_f, to learn how a supplier delivers, ≥ 1
    sensitivity: Float[Array, "#firm #member"] | None = None  # χ, of shares to satisfaction, ≥ 0
    pull: Float[Array, "#firm #member"] | None = None  # ν, of a pool's candidates, per share of it that is missing, ≥ 0
    search_days: Float[Array, "#firm #member"] | None = None  # b, from the first shortage to the first change, ≥ 0
    switching_days: Float[Array, "#firm #member"] | None = None  # T_ω, to move orders, ≥ 1
    turnover: Float[Array, "#firm #member"] | None = None  # η, share of a buyer's links that end on a day, 0 … 1
    # d of the layout's Erlang delays, in their order, ≥ stages: of the firm that buys; of final goods, that sells
    delay_days: Float[Array, "delay #firm #member"] | None = None
    # numbers of the layout's routes, in their order
    routes: tuple[Route, ...] = field(default=(), kw_only=True)

    @classmethod
    def of(cls, numbers: Mapping[str, Any]) -> "Parameters":
        """From numbers by their names."""
        return cls(**numbers)


# Numbers that neither a spec nor its preset gives, because the preset's model lacks the mechanism.
DEFAULTS = MappingProxyType(
    {
        "elasticity": 0.1,  # Atalay (2017), American Economic Journal: Macroeconomics 9(4), between intermediate inputs
        "inventory_threshold": 0.8,  # BoARIO's default
        "base_capacity": 1.0,  # Hallegatte (2014)
        "overproduction_days": 365.0,  # Hallegatte (2014)
        "hiring_days": 30.0,  # Pichler et al. (2022)
        "firing_days": 15.0,  # Pichler et al. (2022)
        "household_share": 0.56,  # of the world's final demand in 2014 (WIOD 2016, CONS_h over all five kinds)
        "consumption_persistence": 1 - (1 - 0.6) / 90,  # 0.6 a quarter: Pichler et al. (2022)
        "benefit_share": 0.8,  # the United Kingdom's job retention scheme of 2020: Pichler et al. (2022)
        # 21 % of producer prices change in a month: Vermeulen et al. (2012), Journal of Money, Credit and Banking 44(8)
        "pass_through": 1 - (1 - 0.21) ** (12 / 365),
        "scarcity": 0.0,  # prices follow costs alone: Miller, Blair (2009), Input-Output Analysis, section 2.6
        # of trade in the year after a tariff: Boehm, Levchenko, Pandalai-Nayar (2023), American Economic Review 113(4)
        "elasticity_within": 0.76,
        "elasticity_between": 0.1,  # Atalay (2017), as elasticity above
        "elasticity_final": 0.9,  # between consumption goods: Baqaee, Farhi (2019), Econometrica 87(4), benchmark
        # of suppliers that change no number is published in this form: a week to learn, a month to search, one to move
        "satisfaction_days": 7.0,
        "sensitivity": 1.0,  # with pull 1, what suppliers are not expected to deliver is what candidates are asked for
        "pull": 1.0,
        "search_days": 30.0,
        "switching_days": 30.0,
        "turnover": 0.0,  # 1 − 2^(−1 / 396) for Hungary's half-life of 13 months: Reisch et al., arXiv 2503.20594
    }
)


@dataclass(frozen=True)
class Preset:
    """A published model: its switches, its default numbers, and where it is from."""

    switches: Switches
    defaults: MappingProxyType[str, float] = field(compare=False)
    citation: str
    criticality: str = "surveyed"  # what a spec reads where its model needs one and it names none


def _preset(switches: Switches, citation: str, criticality: str = "surveyed", **defaults: float) -> Preset:
    return Preset(switches, MappingProxyType(defaults), citation, criticality)


PRESETS: MappingProxyType[str, Preset] = MappingProxyType(
    {
        "hamid2025": _preset(
            Switches(),
            "Hamid, Moran, Mungo, Quera-Bofarull, Towers (2025), arXiv 2511.05231",
            inventory_days=9.0,
            adjustment_days=6.0,
            capacity=1.25,
        ),
        "literal": _preset(
            Switches(capacity_rule="literal"),
            "Hamid, Moran, Mungo, Quera-Bofarull, Towers (2025), arXiv 2511.05231, its formula word for word",
            inventory_days=9.0,
            adjustment_days=6.0,
            capacity=1.0,
        ),
        "henriet2012": _preset(
            Switches("potential", "output", production="threshold"),
            "Henriet, Hallegatte, Tabourier (2012), Journal of Economic Dynamics and Control 36:150",
            inventory_days=15.0,
            adjustment_days=15.0,
            capacity=1.0,
            inventory_threshold=1.0,
        ),
        "hallegatte2014": _preset(
            Switches("potential", "output", "proportional", "capacity", "threshold", "overproduction"),
            "Hallegatte (2014), Risk Analysis 34:152, as BoARIO 0.7.2 computes it (Juhel 2024, JOSS; ARIOPsiModel)",
            inventory_days=90.0,
            adjustment_days=60.0,
            capacity=1.25,
            inventory_threshold=0.8,
            base_capacity=1.0,
            overproduction_days=365.0,
        ),
        "pichler2022": _preset(
            Switches(production="half_critical", capacity_rule="hiring"),
            "Pichler, Pangallo, del Rio-Chanona, Lafond, Farmer (2022), JEDC 144:104527, with exogenous final demand",
            inventory_days=15.0,
            adjustment_days=10.0,
            capacity=1.0,
            hiring_days=30.0,
            firing_days=15.0,
        ),
        "inoue_todo2019": _preset(
            Switches(order_target="output", order_basis="output", rationing="proportional"),
            "Inoue, Todo (2019), Nature Sustainability 2:841; PLoS ONE 14(3):e0213648",
            inventory_days=10.0,
            adjustment_days=6.0,
            capacity=1.0,
        ),
        # No paper's: what erred least on past shocks (docs/choosing/prediction.md). Another year has another name.
        "shockmesh2026": _preset(
            Switches(production="half_critical"),
            "shockmesh, November 2026: of what was tried, what errs least on its validation pack; of parts of "
            "Hamid et al. (2025), arXiv 2511.05231, and Pichler et al. (2022), JEDC 144:104527",
            "surveyed_goods",
            inventory_days=30.0,
            adjustment_days=10.0,
            capacity=1.1,
        ),
    }
)
