"""Closed-form results that every implementation of the model must reproduce, in float64 and float32."""

from dataclasses import replace
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from arrays import column
from priced import economy, numbers, single
from rollouts import rollout
from shockmesh.kernels.devices.layout import Layout, lay_out
from shockmesh.kernels.mechanisms.courses import Recovery, Table
from shockmesh.kernels.mechanisms.shocks import Scenario
from shockmesh.kernels.model import PRESETS, CapacityRule, Parameters, Production, Switches
from shockmesh.kernels.network import FirmNetwork, firm_network
from shockmesh.kernels.rollout import RECORDABLE

pytestmark = pytest.mark.usefixtures("quickly")  # `doctor`'s own test has closed forms as users compile them

TOLERANCE = {"float64": 1e-12, "float32": 2e-5}
FOREVER = 1e6


def parameters(inventory_days: Any, adjustment_days: Any = 6.0, capacity: Any = 1.25) -> Parameters:
    others = {"elasticity": 0.5, "inventory_threshold": 0.8, "base_capacity": 1.0}
    others |= {"overproduction_days": 30.0, "hiring_days": 30.0, "firing_days": 15.0}
    given = {"inventory_days": inventory_days, "adjustment_days": adjustment_days, "capacity": capacity}
    return Parameters.of({name: column(value) for name, value in (given | others).items()})


def permanent_loss(delta: Any) -> Scenario:
    """A loss that never recovers, from day 0."""
    return Scenario((Recovery(column(delta), column(0), column(FOREVER), column(0)),))


def simulate(
    layout: Layout, model: Parameters, scenario: Scenario, days: int, *names: str, switches: Switches | None = None
) -> tuple[jax.Array, ...]:
    records = rollout(layout, switches or Switches(), model, scenario, days=days, record=dict.fromkeys(names))
    return tuple(records[name][:, :, 0] for name in names)


def chain(firms: int) -> FirmNetwork:
    """1 → 2 → … → firms → consumer, a = 1, C = 1."""
    final_demand = np.zeros(firms)
    final_demand[-1] = 1
    return firm_network(np.arange(firms - 1), np.arange(1, firms), np.ones(firms - 1), final_demand)


def star() -> FirmNetwork:
    """Firm 1 (a = 1) sells to firms 2 and 3, which sell to consumers C = (1, 2)."""
    return firm_network([0, 0], [1, 2], [1.0, 2.0], [0, 1.0, 2.0])


# An indexed target multiplies round-off by a(1 + n/τ) a day: the fixed point is shown where that is below 1.
@pytest.mark.parametrize(
    ("target", "basis", "days", "tau"),
    [("fixed", "demand", 9.0, 6.0), ("output", "output", 1.5, 12.0), ("demand", "demand", 1.5, 12.0)],
)
@pytest.mark.parametrize("rationing", ["proportional", "final_demand_last"])
def test_fixed_point_without_shock(precision, random_network, target, basis, days, tau, rationing):
    assert_fixed_point(random_network(seed=3), precision, Switches(target, basis, rationing), days, tau)


STEADY = [
    *(Switches(production=kind) for kind in get_args(Production)),
    *(Switches(capacity_rule=rule) for rule in get_args(CapacityRule)),
    Switches("potential", "output", order_split="baseline"),
    Switches("potential", "output", "water_filling", "capacity", "half_critical", "overproduction"),
]


@pytest.mark.parametrize("switches", STEADY, ids=str)
def test_fixed_point_of_every_mechanism(float64, random_network, switches):
    days = 1.5 if switches.order_target == "potential" else 9.0
    assert_fixed_point(random_network(seed=3), np.dtype("f8"), switches, days, 12.0)


def assert_fixed_point(
    network: FirmNetwork, precision: np.dtype, switches: Switches, inventory_days: float, tau: float
) -> None:
    days, model = inventory_days, parameters(inventory_days, tau, 1.25)
    critical = np.random.default_rng(0).choice([0, 0.5, 1], (len(network.sectors), len(network.sectors)))
    output, consumption, inventory = simulate(
        lay_out(network, precision, critical),
        model,
        Scenario(),
        50,
        "output",
        "final_consumption",
        "inventory",
        switches=switches,
    )
    tolerance = TOLERANCE[precision.name]
    np.testing.assert_allclose(output, np.tile(network.output, (50, 1)), rtol=tolerance)
    np.testing.assert_allclose(consumption, np.tile(network.final_demand, (50, 1)), rtol=tolerance)
    np.testing.assert_allclose(inventory, np.tile(days * network.inputs, (50, 1)), rtol=tolerance)


RESTING = [  # where the numbers of firms differ
    PRESETS["hamid2025"].switches,
    PRESETS["pichler2022"].switches,
    PRESETS["hallegatte2014"].switches,
    Switches("output", "demand", "final_demand_last", "baseline", "ces", "overproduction"),
    Switches("fixed", "demand", "water_filling", "link", "linear", "literal"),
    Switches("fixed", "demand", "proportional", "link", "strongly_critical", "hiring", "labour_income"),
]


@pytest.mark.parametrize("switches", RESTING, ids=str)
def test_without_a_shock_nothing_moves_to_the_last_bit(precision, switches):
    network = economy()
    critical = np.random.default_rng(5).choice([0, 0.5, 1], (4, 4))
    layout, model = lay_out(network, precision, critical), numbers(network, members=2, base_capacity=1.0)
    model, record = single(precision, model), dict.fromkeys(of for of in RECORDABLE if of != "nominal_value_added")
    fixed, moving = (
        rollout(layout, of, model, Scenario(), days=30, record=record)
        for of in (switches, replace(switches, prices="cost"))
    )
    for name in record:
        np.testing.assert_array_equal(moving[name], fixed[name], err_msg=name)
    assert all((fixed[of] == 1).all() for of in ("price", "unit_cost", "consumer_price_index"))


@pytest.mark.parametrize(
    ("inventory_days", "stops"), [([9, 3, 4, 2, 5], [0, 3, 7, 9, 14]), ([1, 1, 1, 1, 1], [0, 1, 2, 3, 4])]
)
def test_chain_delay(precision, inventory_days, stops):
    (output,) = simulate(
        lay_out(chain(5), precision), parameters(inventory_days), permanent_loss([1, 0, 0, 0, 0]), 30, "output"
    )
    running = np.asarray(output) > 1e-5
    assert running.sum(0).tolist() == stops
    for firm, stop in enumerate(stops):
        assert not running[stop:, firm].any()


@pytest.mark.parametrize("inventory_days", [[9.0, 3.0, 4.0, 2.0, 5.0], [9.0, 2.5, 1.2, 3.7, 4.4]])
def test_chain_loss_is_linear_in_inventories(precision, inventory_days):
    (consumption,) = simulate(
        lay_out(chain(5), precision),
        parameters(inventory_days),
        permanent_loss([1, 0, 0, 0, 0]),
        200,
        "final_consumption",
    )
    np.testing.assert_allclose(consumption.sum(), sum(inventory_days[1:]), rtol=TOLERANCE[precision.name])


def test_chain_gradient(precision):
    layout = lay_out(chain(5), precision)

    def consumed(inventory_days: jax.Array) -> jax.Array:
        (consumption,) = simulate(
            layout, parameters(inventory_days), permanent_loss([1, 0, 0, 0, 0]), 60, "final_consumption"
        )
        return consumption.sum()

    gradient = jax.grad(consumed)(jnp.asarray([9.0, 2.5, 1.2, 3.7, 4.4], precision))
    np.testing.assert_allclose(gradient, [0, 1, 1, 1, 1], atol=TOLERANCE[precision.name])


@pytest.mark.parametrize("days", [20, 365])
@pytest.mark.parametrize("inventory_days", [[9.0, 3.0, 4.0], [9.0, 3.37, 4.61]], ids=["whole days", "parts of days"])
def test_chain_gradient_at_a_full_stop(precision, days, inventory_days):
    """Of what is consumed: 1 by each day of stock; by the loss what firm 1 would make, κ a day, less 2 days' way."""
    layout = lay_out(chain(3), precision)

    def consumed(inventory_days: jax.Array, loss: jax.Array) -> jax.Array:
        stop = permanent_loss(jnp.zeros(3).at[0].set(loss))
        return simulate(layout, parameters(inventory_days), stop, days, "final_consumption")[0].sum()

    by_stock, by_loss = jax.jit(jax.grad(consumed, (0, 1)))(jnp.asarray(inventory_days, precision), 1.0)
    np.testing.assert_allclose(by_stock, [0, 1, 1], atol=TOLERANCE[precision.name])
    np.testing.assert_allclose(by_loss, -1.25 * (days - 2), rtol=TOLERANCE[precision.name])


AT_A_STOP = [
    *(Switches(production=kind) for kind in get_args(Production) if kind != "ces"),
    Switches(order_split="baseline"),
    Switches("potential", "output", order_split="baseline", production="threshold", capacity_rule="overproduction"),
    Switches(rationing="final_demand_last", production="strongly_critical", capacity_rule="hiring"),
]


@pytest.mark.parametrize("switches", AT_A_STOP, ids=str)
def test_gradients_where_stocks_run_out_are_those_of_differences(float64, switches):
    """Both suppliers of one product stop for good, another nearly; firm 3 needs both products, firm 4 what 3 makes."""
    network = firm_network(
        [0, 1, 2, 3], [3, 3, 3, 4], [1.0, 2.0, 1.0, 4.0], [0.0, 0, 0, 1, 5],
        sector=[0, 0, 1, 2, 3], sectors=list("abcd"),
    )  # fmt: skip
    layout = lay_out(network, np.float64, np.ones((4, 4)))

    def made(at: tuple[jax.Array, jax.Array]) -> jax.Array:
        days, loss = at
        return simulate(layout, parameters(days), permanent_loss(loss), 25, "output", switches=switches)[0].sum()

    both, at = jax.jit(jax.value_and_grad(made)), (jnp.asarray([9.0, 9, 9, 3, 4]), jnp.asarray([1.0, 1, 0.9, 0, 0]))
    value, (by_days, by_loss) = lambda at: both(at)[0], both(at)[1]
    less = [(value((at[0], at[1])) - value((at[0], at[1].at[k].add(-1e-6)))) / 1e-6 for k in range(3)]
    np.testing.assert_allclose(by_loss[:3], less, rtol=1e-4, atol=1e-4)
    for k in (3, 4):
        more, fewer = (value((at[0].at[k].add(h), at[1])) for h in (1e-6, -1e-6))
        sides = sorted([(more - value(at)) / 1e-6, (value(at) - fewer) / 1e-6])
        assert sides[0] - 1e-4 <= by_days[k] <= sides[1] + 1e-4


def test_permanent_loss_in_a_chain(precision):
    (output,) = simulate(
        lay_out(chain(4), precision), parameters(4.0, 6.0, 1.0), permanent_loss([0, 0.4, 0, 0]), 400, "output"
    )
    np.testing.assert_allclose(output[-1], 0.6, rtol=1e-5 if precision == np.float32 else 1e-9)


def test_hoarding_star_and_its_gradient(precision):
    layout = lay_out(star(), precision)

    def final_activity(buyers_days: jax.Array) -> jax.Array:
        days = jnp.concatenate([jnp.full(1, 4.0, precision), buyers_days])
        (output,) = simulate(layout, parameters(days, 6.0, 1.0), permanent_loss([0.4, 0, 0]), 600, "output")
        return output[-1, 1:] / layout.output[1:, 0]

    at = jnp.asarray([4.0, 10.0], precision)
    tolerance = 1e-4 if precision == np.float32 else 1e-9
    np.testing.assert_allclose(final_activity(at), 0.6 * (6 + np.array([4, 10])) / 14, rtol=tolerance)
    gradient = jax.jacobian(final_activity)(at)[0]
    # x₂/x⁰ = (1 − δ)(τ + n₂)/(τ + n̄) with n̄ weighted by purchases 1 : 2
    expected = [0.6 / 14 - 0.6 * 10 / 14**2 / 3, -0.6 * 10 / 14**2 * 2 / 3]
    np.testing.assert_allclose(gradient, expected, rtol=1e-3 if precision == np.float32 else 1e-8)


def test_dead_zone(precision, random_network):
    network = random_network(seed=5)
    (output,) = simulate(lay_out(network, precision), parameters(9.0, 6.0, 1.25), permanent_loss(0.2), 40, "output")
    np.testing.assert_allclose(output, np.tile(network.output, (40, 1)), rtol=TOLERANCE[precision.name])


@pytest.mark.parametrize(("delta", "seen"), [(0.88, False), (0.9, True)])
def test_a_literal_loss_is_seen_only_beyond_the_stock(float64, random_network, delta, seen):
    """z f(S) ≥ x⁰ as long as z n ≥ 1: with n = 9 a loss up to 1 − 1/9 does nothing, where κ = 1 loses it all."""
    network = random_network(seed=5)
    model, literal = parameters(9.0, 6.0, 1 / (1 - delta)), Switches(capacity_rule="literal")
    (output,) = simulate(lay_out(network, np.float64), model, permanent_loss(delta), 5, "output", switches=literal)
    assert np.allclose(output, network.output, rtol=1e-12) != seen


def test_leontief_limit(precision, random_network):
    network = random_network(seed=2)
    a = np.zeros((network.n_firms, network.n_firms))
    np.add.at(a, (network.supplier, network.buyer), network.amount / network.output[network.buyer])
    factor = np.random.default_rng(0).uniform(0.9, 1.0, network.n_firms)
    expected = np.linalg.solve(np.eye(len(a)) - a, network.final_demand * factor)
    scenario = Scenario(final_demand=(Table(jnp.asarray(factor, precision)[None, :, None]),))
    (output,) = simulate(lay_out(network, precision), parameters(12.0, 6.0, 3.0), scenario, 2000, "output")
    np.testing.assert_allclose(output[-1], expected, rtol=1e-4 if precision == np.float32 else 1e-9)


# A two-firm loop has the eigenvalues ±a of A. Fixed target: stable iff τ ≥ (1 + a)/(2(1 − a)), which the mode −a
# decides (a nudge of one firm excites it). Demand-indexed target: the mode +a (a nudge of both) is unstable iff
# a(1 + n/τ) > 1; its mode −a can be unstable earlier, iff (2a(1 + n/τ) + (1 + a)/τ) > 2.
@pytest.mark.parametrize(
    ("target", "nudged", "a", "days", "tau", "stable"),
    [
        ("fixed", [1.001, 1.0], 0.8, 30.0, 4.6, True),
        ("fixed", [1.001, 1.0], 0.8, 30.0, 3.0, False),
        ("demand", [1.001, 1.001], 0.5, 5.0, 6.0, True),
        ("demand", [1.001, 1.001], 0.5, 8.0, 6.0, False),
        ("demand", [1.001, 1.0], 0.5, 4.0, 6.0, True),
        ("demand", [1.001, 1.0], 0.5, 5.0, 6.0, False),
    ],
)
def test_stability(float64, target, nudged, a, days, tau, stable):
    loop = firm_network([0, 1], [1, 0], [a, a], [1 - a, 1 - a])
    nudge = Table(jnp.ones((2, 2, 1)).at[0, :, 0].set(jnp.asarray(nudged)))
    model, shock = parameters(days, tau, 100.0), Scenario(final_demand=(nudge,))
    (output,) = simulate(lay_out(loop, np.float64), model, shock, 400, "output", switches=Switches(target, "demand"))
    first, last = np.abs(output[0] - 1).max(), np.abs(output[-20:] - 1).max()
    assert last < first / 5 if stable else last > 100 * first
