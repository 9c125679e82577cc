"""What a calibrated model must beat: no change, the shocks alone, Leontief's inverse, and itself before the fit.

`first_order` and `through_leontief` take sectors of one table: shares lost, flows `Z` (supplier, buyer), final demand.
`baselines` takes the firms of a problem, its network as it is laid out.
"""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from shockmesh.inference.losses import predicted
from shockmesh.inference.problem import Problem, inputs, predictions
from shockmesh.kernels.devices.layout import Layout
from shockmesh.kernels.devices.segments import look_up, safe_ratio, segment_sum
from shockmesh.kernels.mechanisms.courses import total_factor
from shockmesh.kernels.mechanisms.shocks import Scenario
from shockmesh.kernels.rollout import observe
from shockmesh.kernels.step import Flows

BASELINES = ("no change", "shocks alone", "Leontief's inverse", "before the fit")
DAYS_AT_ONCE = 32
ROUNDS, SETTLED = (
    2000,
    1e-6,
)  # passes of orders at most; the change of output [of its baseline] that ends them


def first_order(
    supply_lost: Float[np.ndarray, " sector"], demand_lost: Float[np.ndarray, " sector"], final_share: np.ndarray
) -> Float[np.ndarray, " sector"]:
    """Output relative to before if nobody reacts: the smaller of what can be made and what is asked for.

    Pichler, Pangallo, del Rio-Chanona, Lafond, Farmer (2022), section 2. `final_share` of output goes to final demand.
    """
    return np.minimum(1 - supply_lost, 1 - final_share * demand_lost)


def through_leontief(
    flows: Float[np.ndarray, "sector sector"],
    final: Float[np.ndarray, " sector"],
    demand_lost: Float[np.ndarray, "*day sector"],
) -> Float[np.ndarray, "*day sector"]:
    """Output relative to before once every order is passed on: (I − A)⁻¹ C′ / x. Supply never binds."""
    output = flows.sum(axis=1) + final
    some = output > 0
    technology = np.divide(flows, output, out=np.zeros_like(flows), where=some)
    needed = np.linalg.solve(np.eye(len(output)) - technology, (final * (1 - demand_lost)).T).T
    return np.divide(needed, output, out=np.ones_like(needed), where=some)


def weighted_error(
    predicted: Float[np.ndarray, "period series"], seen: Float[np.ndarray, "period series"], weight: np.ndarray
) -> float:
    """Root mean square error over periods and series, series by weight [% points]."""
    square = np.average((predicted - seen) ** 2, axis=0)
    return float(100 * np.sqrt(np.average(square, weights=weight)))


def baselines(problem: Problem) -> dict[str, tuple[Float[np.ndarray, "period series"], ...]]:
    """What each of `BASELINES` says of everything seen in the first experiment.

    no change          the undisturbed day
    shocks alone       `first_order` of every firm and day, at the medians of what is unknown
    Leontief's inverse `through_leontief` of the firms' network: every order is passed on, supply never binds
    before the fit     the model itself at those medians

    Only shocks to production and to final demand count, not cut routes or damages; stocks do not change.
    """
    medians = {site: jnp.zeros((size, 1), problem.dtype) for site, size in problem.sites.items()}
    experiment, layout = problem.experiments[0], problem.layout
    _, scenario = inputs(problem, experiment.scenario, medians)
    days = [*_batches(jnp.arange(experiment.days, dtype=problem.dtype))]
    found: dict[str, tuple[np.ndarray, ...]] = {}
    for name, simple in (("shocks alone", _alone), ("Leontief's inverse", _passed_on)):
        record = {seen.variable: seen.groups for seen in experiment.seen}
        run = jax.jit(lambda layout, record, scenario, days, of=simple: observe(
            layout, of(layout, scenario, days), record, len(days)
        ))  # fmt: skip
        parts = [run(layout, record, scenario, some) for some in days]
        series = {of: jnp.concatenate([part[of] for part in parts], axis=1)[:, : experiment.days] for of in record}
        found[name] = tuple(
            np.asarray(predicted(layout, seen, series[seen.variable].T[..., None]))[..., 0] for seen in experiment.seen
        )
    own = tuple(np.asarray(of)[..., 0] for of in jax.jit(predictions)(problem, medians)[0])
    found |= {"no change": tuple(np.ones_like(of) for of in own), "before the fit": own}
    return {name: found[name] for name in BASELINES}


def _batches(days: Float[Array, " time"]) -> Iterator[Float[Array, " day"]]:
    """Days that are computed together, as members; the last batch repeats its last day, so that all have one size."""
    for first in range(0, len(days), DAYS_AT_ONCE):
        yield days[jnp.minimum(jnp.arange(first, first + DAYS_AT_ONCE), len(days) - 1)]


def _by_day(layout: Layout, scenario: Scenario, days: Float[Array, " day"]) -> tuple[Array, Array]:
    """Factors of what can be made and final demand itself, each (firm, day)."""
    made, wanted = (
        jax.vmap(lambda day, shocks=shocks: jnp.broadcast_to(total_factor(shocks, day), layout.output.shape))(days)
        for shocks in (scenario.productivity, scenario.final_demand)
    )
    return made[..., 0].T, layout.final_demand * wanted[..., 0].T


def _alone(layout: Layout, scenario: Scenario, days: Float[Array, " day"]) -> Flows:
    made, wanted = _by_day(layout, scenario, days)
    asked = layout.output - layout.final_demand + wanted
    return _flows(layout, jnp.minimum(made * layout.output, asked), asked, made, wanted)


def _passed_on(layout: Layout, scenario: Scenario, days: Float[Array, " day"]) -> Flows:
    """x = A x + C′, from x⁰ on, until no firm's output changes."""
    made, wanted = _by_day(layout, scenario, days)

    def passed(output: Array) -> Array:
        use = look_up(safe_ratio(output, layout.output), layout.pool_buyer)
        return segment_sum(layout.amount * look_up(use, layout.pool), layout.supplier) + wanted

    def changes(state: tuple[Array, Array, Array]) -> Array:
        k, before, output = state
        return (k < ROUNDS) & jnp.any(jnp.abs(output - before) > SETTLED * layout.output)

    start = jnp.broadcast_to(layout.output, wanted.shape)
    first = (jnp.zeros((), jnp.int32), start, passed(start))
    output = jax.lax.while_loop(changes, lambda state: (state[0] + 1, state[2], passed(state[2])), first)[2]
    return _flows(layout, output, output, jnp.ones_like(made), wanted)


def _flows(layout: Layout, output: Array, demand: Array, made: Array, wanted: Array) -> Flows:
    met = jnp.minimum(wanted, layout.final_demand * safe_ratio(output, layout.output))
    stock = jnp.broadcast_to(layout.pool_amount, (layout.pool_amount.shape[0], output.shape[1]))
    return Flows(output, demand, made * layout.output, wanted, met, stock)
