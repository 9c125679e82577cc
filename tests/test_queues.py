"""Routes with a capacity in closed form; tests/test_together.py has the laws that hold of all mechanisms."""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from arrays import column
from priced import economy, numbers, single
from rollouts import rollout
from shockmesh.kernels.devices.layout import Layout, Routed, lay_out
from shockmesh.kernels.mechanisms.courses import Recovery
from shockmesh.kernels.mechanisms.queues import Closure
from shockmesh.kernels.mechanisms.shocks import Scenario
from shockmesh.kernels.model import PRESETS, Parameters, Route, Switches
from shockmesh.kernels.network import FirmNetwork, firm_network

pytestmark = pytest.mark.usefixtures("quickly")

PAIR = firm_network([0, 0], [1, 2], [1.0, 3.0], [0.0, 1, 3])  # firm 0 sells to both others
NOTHING_FINAL = np.zeros(3)
RECORD = dict.fromkeys(["output", "final_consumption", "waiting", "inventory"])


def closed(until: float, loss: float = 1.0) -> Scenario:
    """The first route is closed, or narrowed, from day 2 until a day."""
    return Scenario(closures=(Closure(Recovery(column(loss), column(2.0), column(until), column(1e9)), 0),))


def by(network: FirmNetwork, *goods: Routed) -> Layout:
    return lay_out(network, jnp.zeros(0).dtype, routes=goods)


def run(layout: Layout, route: Route, scenario: Scenario, days: int, stock: Any = 9.0) -> dict[str, np.ndarray]:
    model = Parameters(column(stock), column(6.0), column(1.25), routes=(route,))
    found = rollout(layout, Switches(), model, scenario, days=days, record=RECORD)
    return {name: np.asarray(values)[..., 0] for name, values in found.items()}


def test_a_route_that_is_closed_for_less_than_stocks_last_is_not_noticed(float64):
    """For 5 days F⁰ a day waits; then c − 1 = 1 / 4 of it a day is made up for, 20 days long."""
    layout = by(PAIR, Routed(np.arange(2), NOTHING_FINAL))
    found, days = run(layout, Route(column(1.25)), closed(6), 40), np.arange(40)
    waits = np.clip(np.minimum(days - 1, 5 - 0.25 * (days - 6)), 0, None)
    np.testing.assert_allclose(found["waiting"], np.outer(waits, [0, 1, 3]), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found["output"], np.tile(PAIR.output, (40, 1)), rtol=1e-12)
    stored = 9 - np.append(0, waits[:-1])
    np.testing.assert_allclose(found["inventory"], np.outer(stored, [0, 1, 3]), rtol=1e-12)


def test_a_route_that_is_closed_for_good_stops_all_once_stocks_are_used_up(float64):
    found = run(by(PAIR, Routed(np.array([1]), NOTHING_FINAL)), Route(column(1.25)), closed(1e6), 40)
    stops = 2 + 9  # the stock of that morning is for nine days
    np.testing.assert_allclose(found["output"][:, 2], np.where(np.arange(40) < stops, 3, 0), atol=1e-12)
    np.testing.assert_allclose(found["output"][:, 1], 1, rtol=1e-12)


def test_who_is_served_first_loses_nothing(float64):
    """Of F⁰ = 4 a half passes: with the second buyer first, of his 3 the 2; with the first, his 1 and 1 of the 3."""
    layout, days = by(PAIR, Routed(np.arange(2), NOTHING_FINAL)), 8
    for first, passing in (([0, 1, 0], [1, 1]), ([0, 0, 1], [0, 2])):
        of = run(layout, Route(column(1.0), column(first)), closed(1e6, 0.5), days)
        late = np.clip(np.arange(days) - 1, 0, None)
        np.testing.assert_allclose(of["waiting"][:, 1:], np.outer(late, np.array([1, 3]) - passing), atol=1e-12)
    alike = run(layout, Route(column(1.0)), closed(1e6, 0.5), days)
    np.testing.assert_allclose(alike["waiting"][:, 1:], np.outer(late, [0.5, 1.5]), atol=1e-12)


@pytest.mark.parametrize("days", [1.0, 4.5])
def test_what_goes_by_the_other_way_comes_later_and_all_of_it(float64, days):
    """In the end d (1 − g) F⁰ is on the detour, of final goods too, and nobody goes short."""
    layout = by(PAIR, Routed(np.arange(2), np.array([0, 0, 0.5])))
    route = Route(column(1.0), detour_days=column(days))
    found = run(layout, route, closed(1e6, 0.4), 300)
    np.testing.assert_allclose(found["waiting"][-1], [0, 0.4 * days, 3 * 0.4 * days], rtol=1e-9)
    np.testing.assert_allclose(found["output"], np.tile(PAIR.output, (300, 1)), rtol=1e-12)
    lost = (PAIR.final_demand - found["final_consumption"]).sum(0)
    np.testing.assert_allclose(lost, [0, 0, 1.5 * 0.4 * days], rtol=1e-9, atol=1e-12)


def test_a_detour_that_costs_makes_dearer_what_is_made_of_its_goods(float64):
    """Firm 2 buys all its inputs by the route. Consumers spend 4 on 1 and 3 at the level P = 1/4 + 3/4 p, so 3 / P goes
    to the route, g = 0.6 P, and p = 1 + χ (1 − g): p = 1.17 / 1.09. What the detour costs is told with tariffs."""
    layout = by(PAIR, Routed(np.array([1]), NOTHING_FINAL))
    route = Route(column(1.0), detour_days=column(2.0), detour_cost=column(0.2))
    model = numbers(PAIR, inventory_days=9, elasticity_within=0, elasticity_between=0, elasticity_final=0, scarcity=0)
    model = replace(model, routes=(route,))
    record = dict.fromkeys(["price", "tariff_revenue"])
    found = rollout(layout, Switches(prices="cost"), model, closed(1e6, 0.4), days=200, record=record)
    price = 1.17 / 1.09
    np.testing.assert_allclose(found["price"][-1, :, 0], [1, 1, price], rtol=1e-9)
    paid = 3 / (0.25 + 0.75 * price) * (price - 1)
    np.testing.assert_allclose(found["tariff_revenue"][-1, :, 0], [0, 0, paid], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("preset", ["hamid2025", "hallegatte2014"])
def test_a_route_with_room_for_all_changes_nothing(precision, preset):
    network, rng = economy(), np.random.default_rng(0)
    goods = Routed(np.flatnonzero(rng.random(network.n_links) < 0.5), rng.uniform(0, 1, 30))
    loss = column(rng.uniform(0, 0.9, 30) * (rng.random(30) < 0.4))
    scenario = Scenario((Recovery(loss, column(2.0), column(5.0), column(0.1)),))
    plain = numbers(network)
    wide = replace(plain, routes=(Route(column(1e6)),))
    found, expected = (
        rollout(
            lay_out(network, precision, routes=routes), PRESETS[preset].switches, *single(precision, (model, scenario)),
            days=15, record={"output": None, "final_consumption": None},
        )
        for model, routes in ((wide, (goods,)), (plain, ()))
    )  # fmt: skip
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


def test_several_closures_multiply_and_the_derivative_by_room_is_what_room_lets_through(float64):
    """Of F⁰ = 4 there is room for z c 4; each day that it binds, so much more passes by 4 z per unit of c."""
    layout = by(PAIR, Routed(np.arange(2), NOTHING_FINAL))
    once, again = closed(1e6, 0.5).closures[0], closed(1e6, 0.2).closures[0]

    def waits(capacity: jax.Array) -> jax.Array:
        model = Parameters(column(9.0), column(6.0), column(1.25), routes=(Route(capacity),))
        found = rollout(layout, Switches(), model, Scenario(closures=(once, again)), days=6, record=RECORD)
        return found["waiting"][-1].sum()

    value, slope = jax.value_and_grad(waits)(column(1.1))
    np.testing.assert_allclose([value, slope[0, 0]], [4 * 4 * (1 - 0.4 * 1.1), -4 * 4 * 0.4], rtol=1e-12)


def test_routes_need_their_numbers():
    layout = by(PAIR, Routed(np.arange(2), NOTHING_FINAL))
    model = Parameters(column(9.0), column(6.0), column(1.25))
    with pytest.raises(ValueError, match="parameters: routes: numbers of 0, and the layout has 1"):
        rollout(layout, Switches(), model, Scenario(), days=2, record={"output": None})
