"""Many days: a checkpointed scan over the step, observables reduced inside it."""

from collections.abc import Callable, Mapping
from functools import partial
from math import ceil, isqrt
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from shockmesh.kernels.devices.layout import Layout
from shockmesh.kernels.devices.segments import GROUPED, Pools, Segments, look_up, safe_ratio, segment_sum, whole
from shockmesh.kernels.mechanisms.shocks import Scenario, Standing, standing, today
from shockmesh.kernels.model import Parameters, Switches
from shockmesh.kernels.native.day import day as native_day
from shockmesh.kernels.native.evening import (
    FLOWS,
    Evening,
    Kernel,
    Kind,
    chosen,
    flows_of,
    numbers_of,
    parts_of,
    starts_of,
)
from shockmesh.kernels.native.evening import evening as evening_of
from shockmesh.kernels.step import Flows, State, initial_state, step

PRICED = (  # what is recorded where prices move
    "price",
    "unit_cost",
    "consumer_price_index",
    "tariff_revenue",
    "nominal_output",
    "nominal_value_added",
)
RECORDABLE: tuple[str, ...] = (
    "output",
    "value_added",
    "final_consumption",
    "final_demand",
    "demand",
    "capacity",
    "inventory",
    *PRICED,
    "switched",
    "waiting",
)
MEANS: dict[str, Callable[[Layout], Float[Array, "firm 1"]]] = {  # what is no sum → what its means are weighted by
    "price": lambda layout: layout.output,
    "unit_cost": lambda layout: layout.output,
    "consumer_price_index": lambda layout: layout.final_demand,
}

Record = Mapping[str, Segments | None]

LITTLE = 2**28  # bytes; a backward pass may hold so much without being asked


def rollout(
    layout: Layout,
    switches: Switches,
    parameters: Parameters,
    scenario: Scenario,
    *,
    days: int,
    record: Record,
    start: State | None = None,
    states: int | None = None,
    kernel: Kernel = "auto",
) -> dict[str, Float[Array, "time group member"]]:
    """Simulate `days` days of a batch of members, from the unshocked steady state unless a `start` is given.

    `record` names what to keep and over which groups of firms to sum it; None keeps every firm. One quantity may be
    kept several times: `output`, and beside it `output_by_firm`, or `_by_` any other word. Values are in the
    network's unit per day (inventory: in the unit). Prices are relative to the baseline, and of a group the mean: of
    `price` and `unit_cost` weighted by baseline output, of `consumer_price_index`, which is a region's, by baseline
    final demand; 0 of a group without any. Where prices are fixed, they are 1. `switched` is what has moved to other
    suppliers, at baseline amounts, by the firm that buys; `waiting` what is at routes in the evening, or on their
    detours, by the firm that buys.

    Reverse mode holds `kept_states(days, states)` of the states that one day hands to the next (two numbers a link).
    The more `states` it may hold, the fewer days it runs again; without `states` it holds `affordable_states`: those of
    all days where they are little.

    `kernel` says who computes a day: XLA (xla), the native library of `native/` (native), or the library where it is
    built and has a kernel for all of the rollout (auto). They agree up to rounding.

    Raises:
        ValueError: an unknown observable, days < 1, a number that the switches need and that is missing, a layout
            as a table that the switches or the scenario do not allow, tariffs and costs where prices are fixed, or
            native kernels where there are none.
    """
    _check(days, record)
    _check_complete(layout, switches, parameters)
    _check_prices(switches, scenario)
    _check_table(layout, switches, scenario)
    members = members_of(parameters, scenario)
    state = initial_state(layout, switches, parameters, scenario, members) if start is None else start
    state_bytes = 2 * sum(leaf.nbytes for leaf in jax.tree.leaves(state))  # orders are as many as stocks
    most = affordable_states(days, state_bytes, LITTLE) if states is None else states

    fixed, dates = standing(layout, scenario), jnp.arange(days, dtype=layout.output.dtype)
    if chosen(kernel, layout, switches, scenario):
        native = native_days(layout, switches, parameters, scenario, fixed, state, record, members)
        return _scan(*native, dates, _block_days(days, most))

    def one_day(state: State, day: Array) -> tuple[State, dict[str, Array]]:
        state, flows = step(layout, switches, parameters, today(layout, scenario, fixed, day), state)
        return state, observe(layout, flows, record, members)

    return _scan(one_day, state, dates, _block_days(days, most))


def native_days(
    layout: Layout,
    switches: Switches,
    parameters: Parameters,
    scenario: Scenario,
    fixed: Standing,
    state: State,
    record: Record,
    members: int,
) -> tuple[Callable[[Evening, Array], tuple[Evening, dict[str, Array]]], Evening]:
    """The day of the native library, and the evening before the first."""
    starts = starts_of(layout)
    kind = Kind(switches, told_of(record), parts_of(layout.n_links, members))

    def one_day(before: Evening, date: Array) -> tuple[Evening, dict[str, Array]]:
        numbers = numbers_of(switches, parameters, today(layout, scenario, fixed, date))
        after, told = native_day(layout, starts, kind, numbers, before)
        return after, observe(layout, flows_of(layout, before, numbers, told), record, members)

    return one_day, evening_of(layout, switches, parameters, state)


def told_of(record: Record) -> tuple[str, ...]:
    """What of a day's flows the recorded quantities are made of."""
    wanted = {quantity(name).removeprefix("nominal_") for name in record}
    return tuple(name for name in FLOWS if name in wanted or (name == "output" and "value_added" in wanted))


def baseline(layout: Layout, record: Record) -> dict[str, Float[Array, "group"]]:
    """What `rollout` would record on every day without a shock, with stocks of one day's use and capacity 1."""
    _check(1, record)
    flows = Flows(
        output=layout.output,
        demand=layout.output,
        capacity=layout.output,
        final_demand=layout.final_demand,
        final_consumption=layout.final_demand,
        pool_stock=layout.pool_amount,
    )
    return {name: values[:, 0] for name, values in observe(layout, flows, record, 1).items()}


def observe(layout: Layout, flows: Flows, record: Record, members: int) -> dict[str, Float[Array, "group member"]]:
    """The recorded quantities of a day, summed over their groups, or their means: see `MEANS`."""
    money = flows.accounts
    one = jnp.ones_like(layout.output)
    quantities = {
        "output": lambda: flows.output,
        "value_added": lambda: flows.output * layout.value_added_share,
        "final_consumption": lambda: flows.final_consumption,
        "final_demand": lambda: flows.final_demand,
        "demand": lambda: flows.demand,
        "capacity": lambda: flows.capacity,
        "inventory": lambda: segment_sum(flows.pool_stock, layout.pool_buyer),
        "price": lambda: money.price if money else one,
        "unit_cost": lambda: money.unit_cost if money else one,
        "consumer_price_index": lambda: money.consumer_price if money else one,
        "tariff_revenue": lambda: money.tariff_revenue if money else 0 * one,
        "switched": lambda: flows.switched if flows.switched is not None else 0 * one,
        "waiting": lambda: flows.waiting if flows.waiting is not None else 0 * one,
        "nominal_output": lambda: money.price * flows.output if money else flows.output,
        "nominal_value_added": lambda: money.nominal_value_added if money else flows.output * layout.value_added_share,
    }

    def grouped(name: str, groups: Segments | None) -> Array:
        values = quantities[quantity(name)]()
        by_firm = jnp.broadcast_to(values, (values.shape[0], members))
        if groups is None:
            return by_firm
        weight = MEANS.get(quantity(name))
        return segment_sum(by_firm if weight is None else by_firm * _shares(layout, weight(layout), groups), groups)

    return {name: grouped(name, groups) for name, groups in record.items()}


def _shares(layout: Layout, weight: Float[Array, "firm 1"], groups: Segments) -> Float[Array, "firm 1"]:
    """The part of each firm in its group, on all shards."""
    return safe_ratio(weight, look_up(whole(segment_sum(weight, groups), layout.supplier), groups))


def _scan(
    one_day: Callable[[Any, Array], tuple[Any, dict[str, Array]]],
    state: Any,
    days: Float[Array, " time"],
    block: int,
) -> dict[str, Float[Array, "time group member"]]:
    """Scan over the days in blocks. The backward pass begins with the last block's days, and runs the others again.

    Reverse mode keeps the state at the start of every block. For each day of the block that it works on it keeps the
    state and what is named `GROUPED`, from which all else of a day is computed anew. (A native day: its evening alone.)
    """
    keep = jax.checkpoint_policies.save_only_these_names(GROUPED)
    day_anew = jax.checkpoint(one_day, prevent_cse=False, policy=keep)  # within a scan nothing is merged across passes
    run_block = jax.checkpoint(lambda state, block_days: jax.lax.scan(day_anew, state, block_days))
    early = _days_run_again(len(days), block)
    state, records = jax.lax.scan(run_block, state, days[:early].reshape(-1, block)) if early else (state, None)
    _, rest = jax.lax.scan(day_anew, state, days[early:])
    if records is None:
        return rest
    return jax.tree.map(lambda head, tail: jnp.concatenate([head.reshape(early, *tail.shape[1:]), tail]), records, rest)


def few_states(days: int) -> int:
    """So many states let a backward pass run each day only once again: 12, 20, 32, 44 for 10, 60, 180, 365 days."""
    return 2 * (isqrt(days - 1) + 1) + 4


def affordable_states(days: int, state_bytes: int, memory: int) -> int:
    """How many states of `state_bytes` a backward pass may hold: what `memory` bytes hold, and a few in any case."""
    return max(few_states(days), memory // max(state_bytes, 1))


def kept_states(days: int, states: int) -> int:
    """How many states (stock and orders) a backward pass holds at most: no more than `states`, if that can be done."""
    return ceil(_held(days, _block_days(days, states)))


def _block_days(days: int, most: int) -> int:
    """The block length that fits and runs the fewest days again; if none fits, the one that holds least."""
    lengths = [block for block in range(1, days + 1) if _days_run_again(days, block) != block]
    fitting = [block for block in lengths if _held(days, block) <= most]
    return min(fitting, key=partial(_days_run_again, days)) if fitting else min(lengths, key=partial(_held, days))


def _days_run_again(days: int, block: int) -> int:
    """The days of all blocks but the last. (A loop of one block would be unrolled, and held whole: not used.)"""
    return (days - 1) // block * block


def _held(days: int, block: int) -> float:
    """States that reverse mode holds, by the compiler's own account for ten links a firm: see kernels/DESIGN.md.

    A state at the start of a block is its stock and little else, hence a half. A day also has its sums by firm. Six
    are for a day and its transpose. The index arrays, which members share, come on top: two states of one member.
    With a damage or a detour each of these is 0.6 of a state larger, as days hand that on too.
    """
    return 0.8 * block + 0.55 * (_days_run_again(days, block) // block) + 6


def quantity(name: str) -> str:
    """What a recording is of.

    >>> quantity("output"), quantity("output_by_firm")
    ('output', 'output')
    """
    return name.partition("_by_")[0]


def members_of(parameters: Parameters, scenario: Scenario) -> int:
    """How many members a batch holds: the largest last axis."""
    return max(leaf.shape[-1] for leaf in jax.tree.leaves((parameters, scenario)))


def _check(days: int, record: Record) -> None:
    if days < 1:
        raise ValueError(f"days = {days}: a rollout has at least one day")
    unknown = sorted(name for name in record if quantity(name) not in RECORDABLE)
    if unknown:
        raise ValueError(f"record: unknown {unknown}; recordable are {list(RECORDABLE)}")


def _check_table(layout: Layout, switches: Switches, scenario: Scenario) -> None:
    of_links = scenario.cuts or scenario.damages or layout.delays or layout.routes
    if isinstance(layout.pool, Pools) and (switches.reads_links or of_links):
        raise ValueError(
            "layout: links are a table, which holds no numbers of single links as order_split = link, rationing = "
            "water_filling, prices = cost, suppliers = satisfaction, cuts, damages, delays and routes need: see "
            "suits_table"
        )


def _check_prices(switches: Switches, scenario: Scenario) -> None:
    if not switches.priced and (scenario.tariffs or scenario.costs):
        raise ValueError("scenario: tariffs and costs act by prices, and prices = fixed")


def _check_complete(layout: Layout, switches: Switches, parameters: Parameters) -> None:
    if switches.consumption == "labour_income" and switches.capacity_rule != "hiring":
        raise ValueError(f"switches: consumption = labour_income needs capacity_rule = hiring: {switches}")
    missing = [name for name in switches.needs if getattr(parameters, name) is None]
    if missing:
        raise ValueError(f"parameters: {missing} missing: needed by {switches}")
    means, given = sum(not of.is_fixed for of in layout.delays), parameters.delay_days
    if (0 if given is None else len(given)) != means:
        told = "none" if given is None else len(given)
        raise ValueError(f"parameters: delay_days: {told}, and the layout has {means} delays whose mean is to be given")
    if len(parameters.routes) != len(layout.routes):
        told = f"{len(parameters.routes)}, and the layout has {len(layout.routes)}"
        raise ValueError(f"parameters: routes: numbers of {told}")
    if switches.needs_criticality and layout.criticality is None:
        raise ValueError(f"layout: criticality missing: needed by production = {switches.production}")
