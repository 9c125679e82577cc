"""Many days: a checkpointed scan over the step, observables reduced inside it."""

from collections.abc import Callable, Mapping
from math import isqrt

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from shockmesh.kernels.layout import Layout
from shockmesh.kernels.model import Parameters, Switches
from shockmesh.kernels.segments import Pools, Segments, segment_sum
from shockmesh.kernels.shocks import Scenario, standing, today
from shockmesh.kernels.step import Flows, State, initial_state, step

RECORDABLE: tuple[str, ...] = (
    "output",
    "value_added",
    "final_consumption",
    "final_demand",
    "demand",
    "capacity",
    "inventory",
)

Record = Mapping[str, Segments | None]


def rollout(
    layout: Layout,
    switches: Switches,
    parameters: Parameters,
    scenario: Scenario,
    *,
    days: int,
    record: Record,
    start: State | None = None,
) -> dict[str, Float[Array, "time group member"]]:
    """Simulate `days` days of a batch of members, from the unshocked steady state unless a `start` is given.

    `record` names what to keep and over which groups of firms to sum it; None keeps every firm. Values are in the
    network's unit per day (inventory: in the unit). Reverse mode stores about 2 √days states, not 6 · `days`.

    Raises:
        ValueError: an unknown observable, days < 1, or a number that the switches need is not there.
    """
    _check(days, record)
    _check_complete(layout, switches, parameters)
    _check_table(layout, switches, scenario)
    members = members_of(parameters, scenario)
    state = initial_state(layout, switches, parameters, scenario, members) if start is None else start

    fixed = standing(layout, scenario)

    def one_day(state: State, day: Array) -> tuple[State, dict[str, Array]]:
        state, flows = step(layout, switches, parameters, today(layout, scenario, fixed, day), state)
        return state, observe(layout, flows, record, members)

    return _scan(one_day, state, jnp.arange(days, dtype=layout.output.dtype))


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
    """The recorded quantities of a day, summed over their groups."""
    quantities = {
        "output": lambda: flows.output,
        "value_added": lambda: flows.output * layout.value_added_share,
        "final_consumption": lambda: flows.final_consumption,
        "final_demand": lambda: flows.final_demand,
        "demand": lambda: flows.demand,
        "capacity": lambda: flows.capacity,
        "inventory": lambda: segment_sum(flows.pool_stock, layout.pool_buyer),
    }

    def grouped(name: str, groups: Segments | None) -> Array:
        values = quantities[name]()
        by_firm = jnp.broadcast_to(values, (values.shape[0], members))
        return by_firm if groups is None else segment_sum(by_firm, groups)

    return {name: grouped(name, groups) for name, groups in record.items()}


def _scan(
    one_day: Callable[[State, Array], tuple[State, dict[str, Array]]], state: State, days: Float[Array, " time"]
) -> dict[str, Float[Array, "time group member"]]:
    """Scan over the days in blocks of √days; the backward pass recomputes each block, and within it each day.

    Reverse mode keeps the state at the start of every block and of every day of the block that it works on:
    days / block + block states, least at block = √days, and the intermediate results of one day.
    """
    block = _block_days(len(days))
    day_anew = jax.checkpoint(one_day, prevent_cse=False)  # within a scan nothing is merged across passes
    run_block = jax.checkpoint(lambda state, block_days: jax.lax.scan(day_anew, state, block_days))
    whole = len(days) // block * block
    state, records = jax.lax.scan(run_block, state, days[:whole].reshape(-1, block))
    records = jax.tree.map(lambda values: values.reshape(whole, *values.shape[2:]), records)
    if whole == len(days):
        return records
    _, rest = run_block(state, days[whole:])
    return jax.tree.map(lambda head, tail: jnp.concatenate([head, tail]), records, rest)


def kept_states(days: int) -> int:
    """How many states (stock and orders) a backward pass holds at most, its intermediate results included.

    A state at the start of each block and of each day of one block, and eight for what a day and its transpose need:
    measured by the compiler's own account, 14.4, 23.4, 34.4 and 46.4 for 10, 60, 180 and 365 days.
    """
    return 2 * _block_days(days) + 8


def _block_days(days: int) -> int:
    return isqrt(days - 1) + 1


def members_of(parameters: Parameters, scenario: Scenario) -> int:
    """How many members a batch holds: the largest last axis."""
    return max(leaf.shape[-1] for leaf in jax.tree.leaves((parameters, scenario)))


def _check(days: int, record: Record) -> None:
    if days < 1:
        raise ValueError(f"days = {days}: a rollout has at least one day")
    unknown = sorted(set(record) - set(RECORDABLE))
    if unknown:
        raise ValueError(f"record: unknown {unknown}; recordable are {list(RECORDABLE)}")


def _check_table(layout: Layout, switches: Switches, scenario: Scenario) -> None:
    by_link = switches.order_split == "link" or switches.rationing == "water_filling" or scenario.cuts
    if isinstance(layout.pool, Pools) and (by_link or scenario.damages):
        raise ValueError(
            "layout: links are a table, which holds no numbers of single links as order_split = link, rationing = "
            "water_filling, cuts and damages need; see suits_table"
        )


def _check_complete(layout: Layout, switches: Switches, parameters: Parameters) -> None:
    missing = [name for name in switches.needs if getattr(parameters, name) is None]
    if missing:
        raise ValueError(f"parameters: {missing} missing: needed by {switches}")
    if switches.needs_criticality and layout.criticality is None:
        raise ValueError(f"layout: criticality missing: needed by production = {switches.production}")
