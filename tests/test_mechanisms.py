"""What each mechanism of the family does, one by one: limits, orders between variants, exactness, refusals."""

from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from arrays import column
from hypothesis import given, settings
from hypothesis import strategies as st
from rollouts import rollout
from shockmesh.kernels.devices.layout import Layout, lay_out
from shockmesh.kernels.devices.segments import segment_sum
from shockmesh.kernels.mechanisms.capacity import level_today, level_tomorrow
from shockmesh.kernels.mechanisms.courses import Recovery
from shockmesh.kernels.mechanisms.production import attainable
from shockmesh.kernels.mechanisms.rationing import ration
from shockmesh.kernels.mechanisms.rebuilding import Damage
from shockmesh.kernels.mechanisms.routes import RouteCut
from shockmesh.kernels.mechanisms.shocks import Scenario
from shockmesh.kernels.model import Parameters, Production, Switches
from shockmesh.kernels.network import FirmNetwork, firm_network

pytestmark = pytest.mark.usefixtures("quickly")


def numbers(**given: float) -> Parameters:
    column = lambda value: jnp.full((1, 1), float(value))  # noqa: E731
    defaults = {"inventory_days": 9.0, "adjustment_days": 6.0, "capacity": 1.25}
    return Parameters.of({name: column(value) for name, value in (defaults | given).items()})


def one_buyer(criticality: list[float] | None = None) -> Layout:
    """Firm 3 buys 1, 2 and 5 of three products from firms 0, 1 and 2."""
    network = firm_network(
        [0, 1, 2], [3, 3, 3], [1.0, 2.0, 5.0], [0, 0, 0, 10.0], sector=[0, 1, 2, 3], sectors=list("abcd")
    )
    matrix = None if criticality is None else np.tile(np.array([*criticality, 0.0])[:, None], 4)
    return lay_out(network, np.float64, matrix)


# Firm 3 holds 3, 1 and ½ days of its three inputs.
PRODUCTION = {
    "leontief": ("leontief", {}, 0.5),
    "linear": ("linear", {}, (1 * 3 + 2 * 1 + 5 * 0.5) / 8),
    "ces": ("ces", {"elasticity": 0.5}, 8 / (1 / 3 + 2 / 1 + 5 / 0.5)),  # ρ = −1: the harmonic mean
    "nearly leontief": ("ces", {"elasticity": 1e-4}, 0.5),
    "threshold": ("threshold", {"inventory_threshold": 0.5, "inventory_days": 2.0}, 0.5),
    "strongly critical": ("strongly_critical", {}, 1.0),
    "half critical": ("half_critical", {}, 1.0),
    "weakly critical": ("weakly_critical", {}, 3.0),
}


@pytest.mark.parametrize(("kind", "given", "expected"), PRODUCTION.values(), ids=PRODUCTION)
def test_production_functions(float64, kind: Production, given: dict[str, float], expected: float):
    layout = one_buyer([1.0, 0.5, 0.0])
    stock = jnp.asarray([[3.0], [2.0], [2.5]])
    found = attainable(layout, Switches(production=kind), numbers(**given), stock)
    np.testing.assert_allclose(found[3], expected, rtol=1e-4)
    assert jnp.isinf(found[:3]).all()  # firms without inputs


def test_half_critical_halves_the_loss_of_an_important_input(float64):
    found = attainable(
        one_buyer([1.0, 0.5, 0.0]), Switches(production="half_critical"), numbers(), jnp.asarray([[3.0], [0.8], [0]])
    )
    np.testing.assert_allclose(found[3], 0.5 * (0.4 + 1))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_fewer_inputs_are_needed_the_more_can_be_made(seed):
    """leontief ≤ ces ≤ linear, more so the larger σ; and strongly ≤ half ≤ weakly critical where stocks are short."""
    rng = np.random.default_rng(seed)
    with jax.enable_x64(True):
        layout, stock = one_buyer(rng.choice([0, 0.5, 1], 3).tolist()), jnp.asarray(rng.uniform(0, 1, (3, 1)))

        def of(kind: Production, **given: float) -> float:
            return float(attainable(layout, Switches(production=kind), numbers(**given), stock)[3, 0])

        ladder = [of("leontief"), of("ces", elasticity=0.2), of("ces", elasticity=0.6), of("linear")]
        assert all(low <= high * (1 + 1e-12) for low, high in pairwise(ladder))
        stock = stock / 5
        ladder = [of("strongly_critical"), of("half_critical"), of("weakly_critical")]
        assert all(low <= high * (1 + 1e-12) for low, high in pairwise(ladder))


@pytest.mark.parametrize("kind", ["ces", "linear", "half_critical", "threshold"])
def test_a_stock_of_zero_has_finite_derivatives(float64, kind: Production):
    model = numbers(elasticity=0.3, inventory_threshold=0.8)
    layout = one_buyer([1.0, 0.5, 0.0])
    made = lambda stock: attainable(layout, Switches(production=kind), model, stock)[3, 0]  # noqa: E731
    for stock in ([0.0, 1.0, 1.0], [0.0, 0.0, 0.0]):
        assert jnp.isfinite(jax.grad(made)(jnp.asarray(stock)[:, None])).all()


def star(claims: np.ndarray, usual: np.ndarray, consumers: float) -> tuple[Layout, jax.Array, jax.Array]:
    """One supplier, many buyers and consumers: the layout, the claims, the final demand of the day."""
    n = len(claims)
    network = firm_network(np.zeros(n, int), np.arange(1, n + 1), usual, [1.0, *(2 * usual)])
    final_demand = jnp.zeros((n + 1, 1)).at[0, 0].set(consumers)
    return lay_out(network, np.float64), jnp.asarray(claims)[:, None], final_demand


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.sampled_from([1, 5, 40]), share=st.floats(0.01, 1), steep=st.booleans())
def test_water_filling_is_exact(seed, n, share, steep):
    """Everything is handed out, nobody gets more than he claims, and whoever gets less is at the common level.

    Steep claims grow by powers of four, so that Newton's method meets one kink after the other.
    """
    rng = np.random.default_rng(seed)
    usual = rng.uniform(0.1, 1, n)
    claims = usual * (4.0 ** np.arange(n) if steep else rng.uniform(0, 3, n))
    with jax.enable_x64(True):
        layout, links, final_demand = star(claims, usual, rng.uniform(0, 2))
        received = segment_sum(links, layout.supplier)
        output = share * (received + final_demand)
        switches = Switches(rationing="water_filling")
        shares, consumption = ration(layout, switches, links, received, final_demand, output)
        met = np.append((shares * links)[:, 0], consumption[0, 0])
        asked = np.append(claims, final_demand[0, 0])
        np.testing.assert_allclose(met.sum(), output[0, 0], rtol=1e-12)
        assert (met <= asked * (1 + 1e-12)).all()
        level = met / np.append(usual, 1.0)
        short = met < asked * (1 - 1e-9)
        if short.any():
            np.testing.assert_allclose(level[short], level[short].max(), rtol=1e-12)
            assert (level[~short] <= level[short].max() * (1 + 1e-9)).all()


def test_water_filling_has_the_derivatives_of_its_level(float64):
    layout, links, final_demand = star(np.array([0.2, 1.0, 2.0]), np.array([1.0, 1.0, 2.0]), 1.5)

    def met(output: jax.Array, links: jax.Array) -> jax.Array:
        made = jnp.zeros((4, 1)).at[0, 0].set(output)
        received = segment_sum(links, layout.supplier)
        shares, _ = ration(layout, Switches(rationing="water_filling"), links, received, final_demand, made)
        return (shares * links)[:, 0]

    # The first claim is met in full; the others, and consumers, share the rest 1 : 2 : 1.
    np.testing.assert_allclose(met(jnp.asarray(3.0), links), [0.2, 0.7, 1.4], rtol=1e-12)
    np.testing.assert_allclose(jax.jacobian(met)(jnp.asarray(3.0), links), [0, 0.25, 0.5], atol=1e-12)
    by_claim = jax.jacobian(met, argnums=1)(jnp.asarray(3.0), links)[:, :, 0]
    np.testing.assert_allclose(by_claim, [[1, 0, 0], [-0.25, 0, 0], [-0.5, 0, 0]], atol=1e-12)


def test_overproduction_rises_with_scarcity_and_never_falls_below_one(float64):
    model = numbers(capacity=1.25, base_capacity=1.0, overproduction_days=10)
    level, demand = jnp.asarray([[1.0], [1.0], [1.2], [1.01]]), jnp.ones((4, 1))
    output = demand - jnp.asarray([[0.4], [0.0], [0.0], [-0.9]])
    found = level_today(Switches(capacity_rule="overproduction"), model, level, output, demand)
    assert found is not None
    np.testing.assert_allclose(found, [[1 + 0.25 * 0.4 / 10], [1], [1.18], [1]])


def test_hiring_is_slower_than_firing(float64):
    labour, wanted = jnp.asarray([[0.4], [1.0]]), jnp.asarray([[1.0], [0.4]])
    model, rule = numbers(hiring_days=30, firing_days=15), Switches(capacity_rule="hiring")
    found = level_tomorrow(rule, model, labour, labour, wanted)
    assert found is not None
    np.testing.assert_allclose(found, [[0.4 + 0.6 / 30], [1 - 0.6 / 15]])


HOUSEHOLDS = Switches(capacity_rule="hiring", consumption="labour_income")


def spent(loss: float, **given: float) -> np.ndarray:
    """Final demand [day, firm] where firm 0, which sells to firm 1, loses a part of its labour for good on day 2."""
    pair = firm_network([0], [1], [1.0], [3.0, 2.0])
    model = numbers(hiring_days=1e12, firing_days=1e12, capacity=1.0, **given)
    scenario = Scenario((Recovery(column([loss, 0.0]), *map(column, (2, 2, 0))),))
    found = rollout(lay_out(pair, np.float64), HOUSEHOLDS, model, scenario, days=400, record={"final_demand": None})
    return np.asarray(found["final_demand"][:, :, 0])


INCOME = {"household_share": 0.75, "consumption_persistence": 0.9, "benefit_share": 0.4}


def test_spending_out_of_labour_income_rests_where_nothing_is_lost(float64):
    np.testing.assert_array_equal(spent(0.0, **INCOME), np.tile([3.0, 2.0], (400, 1)))


def test_spending_adapts_to_half_of_a_lasting_loss_of_income(float64):
    """Nobody is hired or fired: income is (4 (1 − ½ · 0.6) + 1) / 5, spending goes to its root, by 0.9 a day."""
    found, income = spent(0.5, inventory_days=1000.0, **INCOME), (4 * (1 - 0.5 * 0.6) + 1) / 5
    days = np.maximum(np.arange(400) - 1, 0)
    spending = np.exp(0.5 * np.log(income) * (1 - 0.9**days))
    expected = (0.25 + 0.75 * spending)[:, None] * [3.0, 2.0]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_full_benefits_and_no_households_leave_final_demand_alone(float64):
    for one in ({"benefit_share": 1.0}, {"household_share": 0.0}, {"consumption_persistence": 1.0}):
        np.testing.assert_allclose(spent(0.9, **INCOME | one), np.tile([3.0, 2.0], (400, 1)), rtol=1e-13)


def lost(days: int, share: Any = 1.0) -> Recovery:
    """Lost from day 2, whole again `days` days later."""
    return Recovery(column(share), column(2), column(2), column(1 / days), course="linear")


def test_a_linear_recovery_ends(float64):
    found = [float(lost(4, 0.8).factor(jnp.asarray(float(day)))[0, 0]) for day in range(8)]
    np.testing.assert_allclose(found, [1, 1, 0.2, 0.4, 0.6, 0.8, 1, 1])


def test_a_hyperbolic_recovery_is_the_mean_of_exponential_ones_of_many_rates(float64):
    mean, n = 1 / 40, 100_000
    rates = -mean * np.log((np.arange(n) + 0.5) / n)  # quantiles of an exponential distribution
    many = Recovery(column(0.8), column(2), column(5), column(rates))
    slow = Recovery(column(0.8), column(2), column(5), column(mean), course="hyperbolic")
    for day in (0, 3, 5, 45, 300):
        expected = many.factor(jnp.asarray(float(day))).mean()
        np.testing.assert_allclose(slow.factor(jnp.asarray(float(day)))[0, 0], expected, rtol=1e-4)


def test_an_s_shaped_recovery_is_half_done_after_half_its_days(float64):
    """As BoARIO writes it, tau / (tau + 1e-6 t^p); never over for a rate of 0; with derivatives from the first day."""

    def factor(rate: jax.Array, day: float) -> jax.Array:
        return Recovery(column(1), column(0), column(0), rate, course="s_shaped").factor(jnp.asarray(day))[0, 0]

    for tau in (3.0, 30.0, 365.0):
        power = np.log(1e6 * tau) / np.log(tau / 2)
        for day in (0.0, 1.0, tau / 2, tau, 2 * tau):
            assert 1 - float(factor(column(1 / tau), day)) == pytest.approx(tau / (tau + 1e-6 * day**power), abs=1e-12)
    assert float(factor(column(1 / 9), 4.5)) == pytest.approx(0.5)
    derivative = jax.grad(factor)
    step = 1e-6
    for day in (0.0, 1.0, 5.0, 1e4):
        ends = [float(factor(column(1 / 9 + h), day)) for h in (step, -step)]
        found = float(derivative(column(1 / 9), day)[0, 0])
        assert found == pytest.approx((ends[0] - ends[1]) / (2 * step), abs=1e-5)
        assert float(derivative(column(0.0), day)[0, 0]) == 0


def run(network: FirmNetwork, scenario: Scenario, days: int, **given: float) -> dict[str, np.ndarray]:
    layout = lay_out(network, np.float64)
    record = dict.fromkeys(["output", "demand", "capacity", "final_consumption", "inventory"])
    found = rollout(layout, Switches(), numbers(**given), scenario, days=days, record=record)
    return {name: np.asarray(values)[:, :, 0] for name, values in found.items()}


def test_a_cut_route_starves_its_buyer_once_the_stock_is_gone(float64):
    """0 sells to 1 and 2; only the route to 1 is cut, forever: 1 lasts for its stock, 0 loses that customer."""
    pair = firm_network([0, 0], [1, 2], [1.0, 2.0], [0, 2.0, 3.0])
    route = RouteCut(column([1.0, 0, 0]), column([0, 1.0, 0]), Recovery(column(1), column(2), column(2), column(0)))
    found = run(pair, Scenario(cuts=(route,)), 12, inventory_days=4.0)
    np.testing.assert_allclose(found["output"][:, 1], [2.0] * 6 + [0.0] * 6, atol=1e-12)  # 2 days, then 4 of stock
    np.testing.assert_allclose(found["output"][:, 0], [3.0] * 2 + [2.0] * 10)
    np.testing.assert_allclose(found["output"][:, 2], 3.0)


def detour(days: float, share: float = 1.0, until: float = 1e9) -> RouteCut:
    """What firm 0 sells to firm 1 makes a detour from day 2 on, until a day."""
    course = Recovery(column(share), column(2), column(until), column(1e9))
    return RouteCut(column([1.0, 0]), column([0, 1.0]), course, column(days))


def test_a_detour_of_one_day_is_one_day_without_deliveries(float64):
    """What left the day before arrives each day: the stock is lower by a day's use, and whole again with the route."""
    pair = firm_network([0], [1], [2.0], [0, 2.0])
    found = run(pair, Scenario(cuts=(detour(1, until=6),)), 12, inventory_days=4.0)
    np.testing.assert_allclose(found["inventory"][:, 1], [8.0] * 3 + [6.0] * 5 + [8.0] * 4, rtol=1e-12)
    for name in ("output", "demand", "final_consumption"):
        np.testing.assert_allclose(found[name], np.tile(found[name][0], (12, 1)), rtol=1e-12)


@pytest.mark.parametrize("days", [1.0, 2.5, 7.0, 20.0])
@pytest.mark.parametrize("share", [0.3, 1.0])
def test_goods_are_delayed_by_exactly_the_mean(float64, days: float, share: float):
    """Stock that is missing is what is on the way: in the end its flow times the delay (Little's law). No order
    changes while it lasts, and all of it is there again once the route is open."""
    pair, until = firm_network([0], [1], [2.0], [0, 2.0]), 402.0
    found = run(pair, Scenario(cuts=(detour(days, share, until),)), 1000, inventory_days=30.0)
    missing = 60 - found["inventory"][:, 1]
    np.testing.assert_allclose(missing[400], 2 * share * days, rtol=1e-6)
    np.testing.assert_allclose(missing[-1], 0, atol=1e-9)
    np.testing.assert_allclose(found["demand"], 2.0, rtol=1e-12)
    # one batch of goods: 1 − share go straight, the rest arrive at age k with (1 − 1/d)^(k − 1) / d
    ages = np.arange(1, 10_000)
    np.testing.assert_allclose((ages * (1 - 1 / days) ** (ages - 1) / days).sum(), days)


def test_a_long_detour_starves_like_a_cut_and_does_not_hide_the_orders(float64):
    pair = firm_network([0, 0], [1, 2], [1.0, 2.0], [0, 2.0, 3.0])
    ends = column([1.0, 0, 0]), column([0, 1.0, 0])
    course = Recovery(column(1), column(2), column(2), column(0))
    gone, late = (
        run(pair, Scenario(cuts=(RouteCut(*ends, course, days),)), 12, inventory_days=4.0)
        for days in (None, column(1e9))
    )
    for name in ("output", "inventory"):
        np.testing.assert_allclose(late[name][:, 1:], gone[name][:, 1:], atol=1e-7)
    np.testing.assert_allclose(gone["demand"][2:, 0], 2.0)
    np.testing.assert_allclose(late["demand"][:6, 0], 3.0)


def test_a_detour_has_the_derivative_of_finite_differences(float64):
    """Of what is consumed while stocks do not last, by the days of the detour and by its share."""
    pair = firm_network([0], [1], [2.0], [0, 2.0])

    def eaten(days: float, share: float) -> jax.Array:
        model, scenario = numbers(inventory_days=3.0), Scenario(cuts=(detour(days, share),))
        found = rollout(lay_out(pair, np.float64), Switches(), model, scenario, days=30, record={"output": None})
        return found["output"].sum()

    slopes = jax.grad(eaten, argnums=(0, 1))(5.0, 0.9)
    assert max(slopes) < -1
    for which, slope in enumerate(slopes):
        up, down = (eaten(*(x + h * (i == which) for i, x in enumerate((5.0, 0.9)))) for h in (1e-6, -1e-6))
        np.testing.assert_allclose(slope, (up - down) / 2e-6, rtol=1e-6)


def test_capital_is_rebuilt_by_a_part_of_the_rest_each_day(float64):
    """Firm 1 loses half its capital, 5 days of value added; firm 0, never short, builds a tenth of the rest a day."""
    pair = firm_network([0], [1], [1.0], [1.0, 3.0])
    quake = Damage(column([0.0, 0.5]), *map(column, (5, 1, 2, 2, 3, 10)))  # at twice the price
    found = run(pair, Scenario(damages=(quake,)), 40, capacity=4.0, inventory_days=30.0)
    left = 0.5 * 0.9 ** np.maximum(np.arange(40) - 3, 0) * (np.arange(40) >= 2)
    np.testing.assert_allclose(found["capacity"][:, 1], 4 * 3 * (1 - left))
    worth = 2 * 5 * (3 - 1)
    np.testing.assert_allclose(found["demand"][:3, 0], 2.0)
    np.testing.assert_allclose(found["demand"][3:, 0], 2 + worth * left[3:] / 10)


def test_capital_that_nobody_can_rebuild_stays_lost(float64):
    pair = firm_network([0], [1], [1.0], [1.0, 3.0])
    quake = Damage(column([0.0, 0.5]), *map(column, (5, [0.0, 1.0], 1, 2, 3, 10)))
    found = run(pair, Scenario(damages=(quake,)), 30, capacity=1.0)
    np.testing.assert_allclose(found["capacity"][2:, 1], 1.5)
    assert (found["demand"][:, 0] <= 2 + 1e-12).all()


@pytest.mark.parametrize(("losses", "stands"), [([0.5, 0.5], 0.25), ([0.5, 0.2, 1.0], 0.0), ([0.3], 0.7)])
@pytest.mark.parametrize("builder", [[1.0, 0.0], [0.0, 1.0]], ids=["rebuilt", "lost for good"])
def test_damages_of_one_firm_multiply(float64, losses: list[float], stands: float, builder: list[float]):
    pair = firm_network([0], [1], [1.0], [1.0, 3.0])
    quakes = tuple(Damage(column([0.0, of]), *map(column, (100, builder, 1, 2, 2, 1000))) for of in losses)
    found = run(pair, Scenario(damages=quakes), 4, capacity=2.0)
    np.testing.assert_allclose(found["capacity"][:3, 1], [6, 6, 6 * stands], atol=1e-12)


INCOMPLETE = {
    "ces": (Switches(production="ces"), r"parameters: \['elasticity'\] missing"),
    "hiring": (Switches(capacity_rule="hiring"), r"parameters: \['hiring_days', 'firing_days'\] missing"),
    "labour": (Switches(consumption="labour_income"), "consumption = labour_income needs capacity_rule = hiring"),
    "critical": (Switches(production="half_critical"), "criticality missing: needed by production = half_critical"),
}


@pytest.mark.parametrize(("switches", "says"), INCOMPLETE.values(), ids=INCOMPLETE)
def test_what_the_switches_need_must_be_there(random_network, switches: Switches, says: str):
    with pytest.raises(ValueError, match=says):
        rollout(lay_out(random_network()), switches, numbers(), Scenario(), days=2, record={"output": None})


@pytest.mark.parametrize(
    ("matrix", "says"),
    [
        (np.ones((2, 4)), r"expected \(4 products, 4 sectors\)"),
        (np.full((4, 4), 1.5), "1.5 … 1.5: must be ≥ 0 and ≤ 1"),
    ],
)
def test_a_wrong_criticality_is_refused(random_network: Any, matrix: np.ndarray, says: str):
    with pytest.raises(ValueError, match=says):
        lay_out(random_network(), np.float32, matrix)
