"""Days in native code: what one hands to the next, what it reads, and when the library has a kernel for it.

A day begins in the evening before: orders and what inputs allow are computed while the stocks that they follow from
are at hand, so that links are read and written once. Stocks are in days of use. See `day.py`.
"""

from dataclasses import fields, replace
from typing import Literal, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int
from shockmesh.kernels.devices.layout import Layout
from shockmesh.kernels.devices.segments import Segments, Sellers, segment_sum
from shockmesh.kernels.mechanisms.production import attainable
from shockmesh.kernels.mechanisms.shocks import Day, Scenario
from shockmesh.kernels.model import Parameters, Switches
from shockmesh.kernels.native import library
from shockmesh.kernels.step import Flows, State, placed

type Kernel = Literal["auto", "native", "xla"]

TARGETS = "fixed", "demand", "output", "potential"
BASES = "demand", "output"
RATIONINGS = "proportional", "final_demand_last"
PRECISIONS = "float32", "float64"
RULES = "constant", "literal", "hiring"
CRITICAL = {"strongly_critical": 0.5, "half_critical": 0.0, "weakly_critical": 1.0}  # needed from this criticality on
PRODUCTIONS = "leontief", "threshold", *CRITICAL
TAKEN = {  # of each switch; of others the default
    "order_target": TARGETS,
    "order_basis": BASES,
    "rationing": RATIONINGS,
    "order_split": ("link",),
    "production": PRODUCTIONS,
    "capacity_rule": RULES,
}
_DEFAULT = {of.name: of.default for of in fields(Switches)}
SHOCKS = "productivity", "final_demand"
PARTS_OF_LAYOUT = (
    "amount", "pool_amount", "output", "final_demand", "value_added_share", "supplier", "buyer", "pool", "pool_buyer",
    "region", "criticality",
)  # fmt: skip
FLOWS = "output", "demand", "capacity", "final_consumption"
PART = 50_000  # numbers of links that are worth a part of their own
PARTS = 2  # at most; fixed, so that threads change no bit


class Evening(NamedTuple):
    """What one day hands to the next."""

    stock: Float[Array, "link member"]  # s, in days of baseline use of the link
    received: Float[Array, "firm member"]  # R, orders for tomorrow
    cover: Float[Array, "firm member"]  # what stocks allow, in days of use; ∞ where no input is needed
    use: Float[Array, "firm member"]  # B / x⁰
    wanted: Float[Array, "firm member"] | None = None  # S* / (n Z⁰), unless the target is fixed
    level: Float[Array, "firm member"] | None = None  # l of hiring


class Numbers(NamedTuple):
    """The numbers of a day, each (firm|1, member|1)."""

    productivity: Float[Array, "#firm #member"]  # z
    final_demand: Float[Array, "#firm #member"]  # C
    days: Float[Array, "#firm #member"]  # n
    pace: Float[Array, "#firm #member"]  # 1 / τ
    capacity: Float[Array, "#firm #member"]  # κ
    enough: Float[Array, "#firm #member"] | None = None  # days of cover that limit nothing, ψ n
    hiring: Float[Array, "#firm #member"] | None = None
    firing: Float[Array, "#firm #member"] | None = None


class Starts(NamedTuple):
    """Where the links of each pool, and the pools and links of each buyer, begin; and end, at the next."""

    of_pool: Int[Array, " pool_"]  # among links
    of_buyer: Int[Array, " firm_"]  # among pools
    of_links: Int[Array, " firm_"]  # among links
    several: Int[Array, "pool 3"]  # first of all the pools of several links: buyer, first link, links
    of_several: Int[Array, " firm_"]  # where those of each buyer begin


class Kind(NamedTuple):
    """What a call is compiled for."""

    switches: Switches
    flows: tuple[str, ...]  # of FLOWS: what the day tells
    parts: int
    variant: int = 0  # widest instruction set; 0: any


def unsupported(layout: Layout, switches: Switches, scenario: Scenario) -> str | None:
    """What of a rollout the library has no kernel for; None: nothing.

    It knows what there is a kernel for. Whatever else a layout, switches or a scenario may hold must be absent.
    """
    named = {of.name: getattr(switches, of.name) for of in fields(switches)}
    asked = [f"{name} = {word}" for name, word in named.items() if word not in TAKEN.get(name, (_DEFAULT[name],))]
    shocks = [of.name for of in fields(scenario) if of.name not in SHOCKS and getattr(scenario, of.name)]
    parts = [of.name for of in fields(layout) if of.name not in PARTS_OF_LAYOUT and _there(getattr(layout, of.name))]
    checks = {
        "shards": isinstance(layout.supplier, (Segments, Sellers)),
        "a layout as a table": isinstance(layout.pool, Segments),
        "a network without links": layout.pool_amount.shape[0] > 0,
        "a layout of a GPU": getattr(layout.supplier, "reads", None) is None and layout.buyer.reads is None,
        f"numbers in {layout.output.dtype}": layout.output.dtype.name in PRECISIONS,
    }
    return next(iter([*asked, *shocks, *parts, *(what for what, whole in checks.items() if not whole)]), None)


def _there(part: object) -> bool:
    return len(part) > 0 if isinstance(part, tuple) else part is not None


def chosen(kernel: Kernel, layout: Layout, switches: Switches, scenario: Scenario) -> bool:
    """Whether days are computed by the library.

    Raises:
        ValueError: native, where there is no library.
    """
    if kernel == "xla" or unsupported(layout, switches, scenario):
        return False
    if kernel == "native" and (why := library.missing()):
        raise ValueError(f"kernel = native: {why}")
    return library.missing() is None


def parts_of(links: int, members: int) -> int:
    """In how many parts links are added up: by their number alone, so that no bit depends on threads."""
    return max(1, min(PARTS, links * members // PART))


def starts_of(layout: Layout) -> Starts:
    """Of links that are sorted by buyer and pool."""
    pools, firms = layout.pool_amount.shape[0], layout.n_firms
    assert isinstance(layout.pool, Segments)

    def first(index: Array, n: int) -> Array:
        return jnp.cumsum(jnp.zeros(n + 1, jnp.int32).at[index + 1].add(1, indices_are_sorted=True))

    of_pool, of_buyer = first(layout.pool.index, pools), first(layout.pool_buyer.index, firms)
    links = jnp.diff(of_pool)
    before = jnp.concatenate([jnp.zeros(1, jnp.int32), jnp.cumsum(links > 1, dtype=jnp.int32)])
    rows = jnp.stack([layout.pool_buyer.index, of_pool[:-1], links], axis=1)
    several = jnp.zeros_like(rows).at[jnp.where(links > 1, before[:-1], pools)].set(rows, mode="drop")
    return Starts(of_pool, of_buyer, of_pool[of_buyer], several, before[of_buyer])


def numbers_of(switches: Switches, parameters: Parameters, day: Day) -> Numbers:
    """The numbers that the switches read, on a day."""
    threshold = parameters.inventory_threshold if switches.production == "threshold" else None
    hires = switches.capacity_rule == "hiring"
    return Numbers(
        jnp.reshape(day.productivity, (1, 1)) if jnp.ndim(day.productivity) == 0 else day.productivity,
        day.final_demand,
        parameters.inventory_days,
        1 / parameters.adjustment_days,
        parameters.capacity,
        None if threshold is None else threshold * parameters.inventory_days,
        parameters.hiring_days if hires else None,
        parameters.firing_days if hires else None,
    )


def evening(layout: Layout, switches: Switches, parameters: Parameters, state: State) -> Evening:
    """The evening that leaves a state."""
    assert isinstance(layout.pool, Segments)
    received = segment_sum(placed(layout, switches, parameters, state), layout.supplier)
    production = "leontief" if switches.production == "threshold" else switches.production
    cover = attainable(
        layout, replace(switches, production=production), parameters, segment_sum(state.stock, layout.pool)
    )
    return Evening(state.stock / layout.amount, received, cover, state.wish.use, state.wish.target, state.level)


def flows_of(layout: Layout, before: Evening, numbers: Numbers, told: dict[str, Float[Array, "firm member"]]) -> Flows:
    """A day's flows; those that were not told are 0."""
    none = jnp.zeros((layout.n_firms, before.stock.shape[1]), layout.output.dtype)
    told = dict.fromkeys(FLOWS, none) | told
    return Flows(
        told["output"],
        told["demand"],
        told["capacity"] * layout.output,
        numbers.final_demand,
        told["final_consumption"],
        segment_sum(before.stock * layout.amount, layout.pool),
    )
