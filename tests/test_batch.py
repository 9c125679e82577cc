"""A batch is what a rollout made by hand gives, whichever members share it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from rollouts import rollout
from shockmesh.cluster.running.batch import Simulator, failed_members
from shockmesh.kernels.devices.layout import lay_out, suits_table
from shockmesh.kernels.mechanisms.courses import Course, Recovery, Rise, Table
from shockmesh.kernels.mechanisms.rebuilding import Damage, HouseholdDamage
from shockmesh.kernels.mechanisms.routes import RouteCut
from shockmesh.kernels.mechanisms.shocks import Scenario, Tariff
from shockmesh.kernels.model import DEFAULTS, PRESETS, Parameters, Switches
from shockmesh.kernels.network import FirmNetwork
from toy import DAYS, REGIONS, SECTORS, TABLES, MakeSpec, expected_factors

LOSS, INVENTORY = "shocks.strike.loss", "model.inventory_days"


def by_hand(
    network: FirmNetwork,
    productivity: Any = (),
    final_demand: Any = (),
    members: int = 1,
    switches: Switches = PRESETS["hamid2025"].switches,
    criticality: np.ndarray | None = None,
    product_days: np.ndarray | None = None,
    cuts: Any = (),
    damages: Any = (),
    homes: Any = (),
    tariffs: Any = (),
    costs: Any = (),
    record: Any = ("output", "final_consumption"),
    **parameters: Any,
) -> dict[str, np.ndarray]:
    """Firm-level output and consumption [member, time, firm] by the kernels alone, in float64."""
    with jax.enable_x64(True):
        defaults = dict(PRESETS["hamid2025"].defaults) | parameters
        arrays = {name: jnp.asarray(np.atleast_2d(value), "float64") for name, value in defaults.items()}
        arrays["capacity"] = jnp.broadcast_to(arrays["capacity"], (1, members))
        as_table = suits_table(network, switches, by_link=bool(cuts or damages))
        found = rollout(
            lay_out(network, jnp.float64, criticality, product_days, as_table=as_table), switches,
            Parameters.of(arrays),
            Scenario(productivity, final_demand, cuts, damages, homes, tariffs, costs), days=DAYS,
            record=dict.fromkeys(record),
        )  # fmt: skip
        return {name: np.moveaxis(np.asarray(values), -1, 0) for name, values in found.items()}


def recovery(
    loss: Any, onset: float = 0, start: float = 0, days: float = np.inf, course: Course = "exponential"
) -> Recovery:
    with jax.enable_x64(True):
        return Recovery(*columns(loss, onset, start, 1 / days), course=course)


def columns(*values: Any) -> Any:
    return (jnp.asarray(np.atleast_2d(value), "float64") for value in values)


FIRM = {"output": ["firm"], "final_consumption": ["firm"]}

# strike → the loss of each firm, by hand
LOSSES: dict[str, tuple[dict[str, Any], Callable[[FirmNetwork], np.ndarray]]] = {
    "every firm": ({}, lambda net: np.full(24, 0.5)),
    "a region": ({"where": {"region": "GBR"}}, lambda net: np.where(net.region == 2, 0.5, 0)),
    "sectors": ({"where": {"sector": ["I", "G47"]}}, lambda net: np.where(net.sector >= 2, 0.5, 0)),
    "a region's sector": (
        {"where": {"region": "ESP", "sector": "A01"}},
        lambda net: np.where((net.region == 0) & (net.sector == 0), 0.5, 0),
    ),
    "firms": ({"where": {"firm": ["f3", "f7"]}}, lambda net: np.where(np.isin(np.arange(24), (3, 7)), 0.5, 0)),
    "loss by sector": (
        {"loss": {"default": 0.1, "by_sector": {"C10": 0.9}}},
        lambda net: np.where(net.sector == 1, 0.9, 0.1),
    ),
    "sector over region": (
        {"loss": {"default": 0.1, "by_region": {"GBR": 0.4}, "by_sector": {"C10": 0.9}}},
        lambda net: np.where(net.sector == 1, 0.9, np.where(net.region == 2, 0.4, 0.1)),
    ),
    "only where it is given": (
        {"loss": {"by_region": {"GBR": 0.4}}, "where": {"region": "GBR"}},
        lambda net: np.where(net.region == 2, 0.4, 0),
    ),
}


@pytest.mark.parametrize(("strike", "loss"), LOSSES.values(), ids=LOSSES)
def test_a_shock_hits_its_firms(toy: FirmNetwork, make: MakeSpec, strike: dict[str, Any], loss: Any):
    found = Simulator(make(strike, record=FIRM), toy).simulate(range(1))
    expected = by_hand(toy, (recovery(loss(toy)[:, None]),))
    assert (expected["output"] < 0.99 * toy.output).any()
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)


def test_mechanisms_and_their_numbers_reach_the_kernels(toy: FirmNetwork, make: MakeSpec, tmp_path: Path):
    critical = np.random.default_rng(0).choice([0, 0.5, 1], (4, 4))
    table = pd.DataFrame(critical, index=SECTORS, columns=SECTORS)
    table.assign(T=1.0).to_csv(tmp_path / "ihs.csv")  # a file may name more sectors
    model = {"production": "half_critical", "capacity_rule": "hiring", "criticality": "ihs.csv", "inventory_days": 2}
    model |= {"consumption": "labour_income", "benefit_share": {"default": 0.3, "by_sector": {"I": 0.1}}}
    model |= {"rationing": "water_filling", "firing_days": {"default": 10, "by_sector": {"I": 4}}}
    found = Simulator(make({"onset": 2}, model=model, record=FIRM), toy).simulate(range(1))
    firing = np.where(toy.sector == 3, 4.0, 10.0)[:, None]
    benefits = np.where(toy.sector == 3, 0.1, 0.3)[:, None]
    switches = Switches(
        production="half_critical", capacity_rule="hiring", rationing="water_filling", consumption="labour_income"
    )
    expected = by_hand(
        toy, (recovery(0.5, 2, 2),), switches=switches, criticality=critical, inventory_days=2, hiring_days=30,
        firing_days=firing, household_share=0.6, consumption_persistence=1 - 0.4 / 90, benefit_share=benefits,
    )  # fmt: skip
    assert (expected["output"] < 0.9 * toy.output).any()
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)


def test_inventories_by_product_reach_the_kernels(toy: FirmNetwork, make: MakeSpec):
    model, loss = {"inventory_by_product": {"C10": 1, "I": "inf"}}, recovery(0.95 * (toy.sector == 1)[:, None])
    strike = {"loss": 0.95, "where": {"sector": "C10"}}
    found = Simulator(make(strike, model=model, record=FIRM), toy).simulate(range(1))
    expected = by_hand(toy, (loss,), product_days=np.array([0, 1, 0, np.inf]))
    assert np.abs(expected["output"] - by_hand(toy, (loss,))["output"]).max() > 0.01
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_chosen_by_its_name(toy: FirmNetwork, make: MakeSpec, tmp_path: Path, preset: str):
    model = {"preset": preset}
    if PRESETS[preset].switches.needs_criticality:
        pd.DataFrame(1.0, SECTORS, SECTORS).to_csv(tmp_path / "ihs.csv")
        model["criticality"] = "ihs.csv"
    found = Simulator(make({"loss": 0.95}, model=model, record=FIRM), toy).simulate(range(1))
    numbers: dict[str, Any] = dict(PRESETS[preset].defaults)
    switches, critical = PRESETS[preset].switches, np.ones((4, 4))
    expected = by_hand(toy, (recovery(0.95),), switches=switches, criticality=critical, **numbers)
    assert expected["output"].sum() < 0.9 * DAYS * toy.output.sum()
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)


def test_prices_tariffs_and_costs_reach_the_kernels(toy: FirmNetwork, make: MakeSpec):
    """A tariff on region ESP's C10 at GBR that fades, dearer value added of a sector, a levy on what I sells."""
    prices = {"pass_through": 0.3, "elasticity_within": {"default": 2, "by_region": {"ESP": 1}}, "scarcity": 0.5}
    duty = {"name": "duty", "kind": "tariff", "from": {"region": "ESP", "sector": "C10"}, "to": {"region": "GBR"}}
    duty |= {"rate": 0.25, "onset": 2, "recovery_start": 4, "recovery_days": 5}
    wages = {
        "name": "wages",
        "kind": "cost",
        "where": {"sector": "A01"},
        "rate": {"default": 0.1, "by_region": {"FRA": 0.2}},
    }
    fuel = {"name": "fuel", "kind": "cost", "on": "energy", "energy": "I", "where": {"region": "FRA"}, "rate": 0.5}
    strike = {"name": "strike", "kind": "recovery", "loss": 0.5}
    record = FIRM | {"price": ["firm"], "tariff_revenue": ["firm"]}
    spec = make(model={"prices": prices}, record=record, shocks=[strike, duty, wages, fuel])
    found = Simulator(spec, toy).simulate(range(1))
    esp, fra, gbr = (toy.region == k for k in range(3))
    numbers: dict[str, Any] = {name: DEFAULTS[name] for name in ("elasticity_between", "elasticity_final")}
    rise = lambda rate, *dates: Rise(*columns(np.reshape(rate, (-1, 1)), *dates))  # noqa: E731
    firms = lambda chosen: next(columns(chosen[:, None]))  # noqa: E731
    with jax.enable_x64(True):
        tariffs = (
            Tariff(firms(esp & (toy.sector == 1)), firms(gbr), rise(0.25, 2, 4, 1 / 5)),
            Tariff(firms(toy.sector == 3), firms(fra), rise(0.5 * fra, 0, 0, 0)),
        )
        costs = (rise(np.where(toy.sector == 0, np.where(fra, 0.2, 0.1), 0), 0, 0, 0),)
    expected = by_hand(
        toy, (recovery(0.5),), switches=Switches(prices="cost"), tariffs=tariffs, costs=costs, record=record,
        **numbers, pass_through=0.3, scarcity=0.5, elasticity_within=np.where(esp, 1.0, 2.0)[:, None],
    )  # fmt: skip
    assert expected["tariff_revenue"][0, :, gbr | fra].any(axis=0).all()
    assert np.ptp(expected["price"]) > 0.1
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


def test_numbers_of_prices_may_be_swept(toy: FirmNetwork, make: MakeSpec):
    """A member of a sweep over the rate of a tariff and over elasticities is what a spec of those numbers gives."""
    duty = {"name": "duty", "kind": "tariff", "to": {"region": "GBR"}, "rate": 0.1}
    sweep = {"grid": {"shocks.duty.rate": [0.1, 0.3], "model.prices.elasticity_within": [0.0, 1.0]}}
    top = {"shocks": [duty], "record": {"price": ["sector"], "output": []}}
    together = Simulator(make(model={"prices": {}}, sweep=sweep, **top), toy).simulate(range(4))
    last = {"prices": {"elasticity_within": 1.0}}
    alone = Simulator(make(model=last, **top | {"shocks": [duty | {"rate": 0.3}]}), toy).simulate(range(1))
    for name, values in alone.items():
        np.testing.assert_allclose(together[name][3:], values, rtol=1e-12)


def test_a_route_that_is_cut_and_capital_that_is_rebuilt(toy: FirmNetwork, make: MakeSpec):
    route = {"kind": "cut", "origin": {"region": "GBR"}, "destination": {"sector": ["C10", "I"]}, "onset": 1}
    route |= {"name": "route", "course": "linear", "recovery_start": 3, "recovery_days": 5}
    detour = {"kind": "cut", "origin": {"region": "ESP"}, "loss": 0.6, "name": "detour"}
    quake = {
        "kind": "damage",
        "where": {"region": "ESP", "sector": ["A01", "I"]},
        "loss": {"default": 0.3, "by_sector": {"I": 0.6}},
    }
    quake |= {"name": "quake", "builders": {"A01": 0.5, "C10": 1.0, "I": 1.0, "G47": 0.1}, "capital_days": 40.0}
    quake |= {"onset": 2, "rebuild_start": 4, "rebuild_days": 8}
    sweep = {
        "grid": {"shocks.route.loss": [0.0, 0.9], "shocks.quake.cost": [1.0, 1.5], "shocks.detour.detour_days": [1, 4]}
    }
    spec = make(shocks=[quake, route, detour], sweep=sweep, record=FIRM)
    found = Simulator(spec, toy).simulate(range(8))
    with jax.enable_x64(True):
        ends = columns((toy.region == 2)[:, None], np.isin(toy.sector, (1, 3))[:, None])
        cut = RouteCut(*ends, course=recovery([[0, 0, 0, 0, 0.9, 0.9, 0.9, 0.9]], 1, 3, 5, "linear"))
        ends = columns((toy.region == 0)[:, None], np.ones((24, 1)))
        (days,) = columns([[1, 4] * 4])
        around = RouteCut(*ends, course=recovery(0.6), detour_days=days)
        hit = (toy.region == 0) & np.isin(toy.sector, (0, 3))
        loss = np.where(hit, np.where(toy.sector == 3, 0.6, 0.3), 0)[:, None]
        builder = np.array([0.5, 1.0, 0.1, 1.0])[toy.sector][:, None]
        damage = Damage(*columns(loss, 40.0, builder, [[1.0, 1.0, 1.5, 1.5] * 2], 2.0, 4.0, 8.0))
        expected = by_hand(toy, cuts=(cut, around), damages=(damage,), members=8)
    assert len({values.sum() for values in expected["output"]}) == 8
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-13)


def test_homes_are_rebuilt_by_those_who_sell_to_consumers_there(toy: FirmNetwork, make: MakeSpec):
    homes = {"name": "homes", "kind": "household_damage", "region": ["ESP", "GBR"], "worth": 30.0}
    homes |= {"rebuilding_sectors": {"C10": 3 / 4, "I": 1 / 4}, "rebuild_start": 2, "rebuild_tau": 5}
    spec = make(shocks=[homes], sweep={"grid": {"shocks.homes.worth": [30.0, 60.0]}}, record=FIRM)
    found = Simulator(spec, toy).simulate(range(2))
    met = toy.final_demand * (toy.region != 1)
    parts = [part * met * (toy.sector == k) / met[toy.sector == k].sum() for k, part in ((1, 0.75), (3, 0.25))]
    with jax.enable_x64(True):
        lost = HouseholdDamage(*columns(np.add(*parts)[:, None] * [[30.0, 60.0]], 2.0, 5.0))
        expected = by_hand(toy, homes=(lost,), members=2)
    assert (expected["output"][:, 2].sum(axis=1) > toy.output.sum() + 1).all()
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-13)


def test_a_sweep_is_its_members_one_by_one(toy: FirmNetwork, make: MakeSpec):
    vary = {LOSS: {"uniform": [0.2, 0.8]}, INVENTORY: {"lognormal": [6, 0.3]}}
    shock = {"onset": 2, "recovery_start": 4, "recovery_days": 3, "where": {"region": "ESP"}}
    simulator = Simulator(make(shock, sweep={"members": 5, "vary": vary}, record=FIRM), toy)
    found, drawn = simulator.simulate(range(5)), simulator.bound.members.values
    for member in range(5):
        loss = np.where(toy.region == 0, drawn[LOSS][member], 0)[:, None]
        expected = by_hand(toy, (recovery(loss, 2, 4, 3),), inventory_days=drawn[INVENTORY][member])
        np.testing.assert_allclose(found["output"][member], expected["output"][0], rtol=1e-13)


def test_a_value_by_sector_keeps_its_sectors_when_the_default_is_swept(toy: FirmNetwork, make: MakeSpec):
    model = {"inventory_days": {"default": 9, "by_sector": {"C10": 3}}}
    sweep = {"grid": {INVENTORY: [5, 6], f"{INVENTORY}.by_sector.I": [2]}}
    simulator = Simulator(make(model=model, sweep=sweep), toy)
    days = np.asarray(simulator.inputs(range(2))[0].inventory_days)
    np.testing.assert_array_equal(days[toy.sector == 0], [[5, 6]] * 8)
    assert (days[toy.sector == 1] == 3).all()
    assert (days[toy.sector == 3] == 2).all()


def test_where_can_be_swept(toy: FirmNetwork, make: MakeSpec):
    grid = {"shocks.strike.where.firm": [f"f{i}" for i in range(24)]}
    found = Simulator(make({"loss": 1.0}, sweep={"grid": grid}, record=FIRM), toy).simulate(range(24))
    assert (np.diagonal(found["output"][:, 1], axis1=0, axis2=1) == 0).all()
    expected = by_hand(toy, (recovery(np.eye(24)),), members=24)
    np.testing.assert_array_equal(found["output"], expected["output"])


def hit(simulator: Simulator, members: range) -> np.ndarray:
    """Which firms the strike hits [firm, member]."""
    shock: Any = simulator.inputs(members)[1].productivity[0]
    return np.asarray(shock.loss) > 0


def test_a_share_of_firms_is_drawn_afresh_by_member_alone(toy: FirmNetwork, make: MakeSpec):
    simulator = Simulator(make({"where": {"region": "ESP", "share": 0.5}}, sweep={"members": 12}), toy)
    chosen = hit(simulator, range(12))
    assert (chosen.sum(axis=0) == 4).all()
    assert not chosen[toy.region != 0].any()
    assert len(np.unique(chosen, axis=1).T) > 6
    np.testing.assert_array_equal(hit(simulator, range(3, 5)), chosen[:, 3:5])


def test_a_share_can_be_drawn_once_for_all(toy: FirmNetwork, make: MakeSpec):
    where = {"share": 0.25, "redraw": False}
    assert hit(Simulator(make({"where": where}, sweep={"members": 12}), toy), range(12)).shape == (24, 1)


def test_a_larger_share_adds_to_a_smaller(toy: FirmNetwork, make: MakeSpec):
    sweep = {"grid": {"shocks.strike.where.share": [0.25, 0.5, 1.0]}}
    chosen = hit(Simulator(make({"where": {"share": 0.1, "redraw": False}}, sweep=sweep), toy), range(3))
    assert chosen.sum(axis=0).tolist() == [6, 12, 24]
    assert (chosen[:, 0] <= chosen[:, 1]).all()


def shapes(simulator: Simulator, members: range) -> list[tuple[int, ...]]:
    return [leaf.shape for leaf in jax.tree.leaves(simulator.inputs(members))]


def test_a_short_batch_is_padded_and_changes_nothing(toy: FirmNetwork, make: MakeSpec):
    sweep = {"members": 7, "vary": {LOSS: {"uniform": [0, 1]}}}
    simulator = Simulator(make(sweep=sweep, record=FIRM), toy, block=4)
    parts = [simulator.simulate(members)["output"] for members in (range(4), range(4, 7))]
    assert [len(part) for part in parts] == [4, 3]
    whole = Simulator(make(sweep=sweep, record=FIRM), toy).simulate(range(7))["output"]
    np.testing.assert_allclose(np.concatenate(parts), whole, rtol=1e-14)
    assert shapes(simulator, range(4)) == shapes(simulator, range(4, 7))


def test_sums_by_region_and_sector_fill_the_rectangle(toy: FirmNetwork, make: MakeSpec):
    dims = {"output": ["sector", "region"], "demand": ["region"], "capacity": ["sector"], "value_added": []}
    simulator = Simulator(make(record=dims), toy)
    found, firms = simulator.simulate(range(1)), by_hand(toy, (recovery(0.5),))["output"][0]
    assert {name: values.shape for name, values in found.items()} == {
        "output": (1, DAYS, 3, 4), "demand": (1, DAYS, 3), "capacity": (1, DAYS, 4), "value_added": (1, DAYS),
    }  # fmt: skip
    for r in range(3):
        for s in range(4):
            of_cell = (toy.region == r) & (toy.sector == s)
            np.testing.assert_allclose(found["output"][0, :, r, s], firms[:, of_cell].sum(axis=1), rtol=1e-13)
    assert (found["output"][:, :, 1, 3] == 0).all()


def test_one_variable_by_firm_and_by_region(toy: FirmNetwork, make: MakeSpec):
    record = {"output": ["region"], "output_by_firm": ["firm"], "output_by_total": []}
    simulator = Simulator(make(record=record), toy)
    found, template = simulator.simulate(range(1)), simulator.template(1)
    of_region = template.firm_coords["firm_region"]
    assert template.firm_coords["firm_sector"].tolist() == [SECTORS[of] for of in toy.sector]
    for i, region in enumerate(template.coords["region"]):
        by_hand = found["output_by_firm"][..., of_region == region].sum(-1)
        np.testing.assert_allclose(found["output"][..., i], by_hand, rtol=1e-12)
    np.testing.assert_allclose(found["output_by_total"], found["output"].sum(-1), rtol=1e-12)


def test_the_template_says_what_the_store_holds(toy: FirmNetwork, make: MakeSpec):
    sweep = {"members": 3, "vary": {LOSS: {"uniform": [0, 1]}}}
    record = {"output": ["region", "sector"], "inventory": ["region"]}
    simulator = Simulator(make(sweep=sweep, record=record), toy)
    template = simulator.template(2)
    assert (template.members, template.block, template.days) == (3, 2, DAYS)
    output, inventory = template.variables
    assert (output.name, output.dims, output.unit) == ("output", ("region", "sector"), "million USD / day")
    assert (inventory.dims, inventory.unit) == (("region",), "million USD")
    np.testing.assert_allclose(output.baseline.sum(), toy.output.sum())
    assert template.coords["region"].tolist() == list(REGIONS)
    np.testing.assert_array_equal(template.member_coords[LOSS], simulator.bound.members.values[LOSS])


def test_without_a_shock_nothing_moves(toy: FirmNetwork, make: MakeSpec):
    simulator = Simulator(make({"loss": 0.0}, record={"output": ["region", "sector"]}), toy)
    still = np.broadcast_to(simulator.template(1).variables[0].baseline, (1, DAYS, 3, 4))
    np.testing.assert_allclose(simulator.simulate(range(1))["output"], still, rtol=1e-12)


def test_precision_is_what_the_spec_asks(toy: FirmNetwork, make: MakeSpec):
    single, double = (Simulator(make(precision=p), toy).simulate(range(1))["output"] for p in ("float32", "float64"))
    assert (single.dtype, double.dtype) == (np.float32, np.float64)
    np.testing.assert_allclose(single, double, rtol=1e-4)


def test_failed_members_are_named():
    values = np.zeros((3, 4, 2))
    values[1, 2, 0] = np.nan
    more = np.zeros((3, 4))
    more[2, 0] = np.inf
    assert failed_members({"output": values, "demand": more}, range(8, 11)) == [9, 10]
    assert failed_members({"output": values[:1]}, range(8, 9)) == []


def test_a_table_shock_is_its_table(toy: FirmNetwork, make: MakeSpec, tmp_path: Path):
    (tmp_path / "t.csv").write_text(TABLES["long"])
    for on in ("production", "final_demand"):
        shocks = [{"name": "storm", "kind": "table", "file": "t.csv", "on": on}]
        found = Simulator(make(shocks=shocks, record=FIRM), toy).simulate(range(1))
        with jax.enable_x64(True):
            table = (Table(jnp.asarray(expected_factors()[:, :, None])),)
        expected = by_hand(toy, table if on == "production" else (), table if on == "final_demand" else ())
        np.testing.assert_array_equal(found["final_consumption"], expected["final_consumption"])


def test_numbers_from_a_file_are_over_the_default(toy: FirmNetwork, make: MakeSpec, tmp_path: Path):
    (tmp_path / "n.csv").write_text("firm,days\nf3,4\nf1,2.5\n")
    simulator = Simulator(make(model={"inventory_days": {"default": 7, "file": "n.csv"}}), toy)
    days = np.asarray(simulator.inputs(range(1))[0].inventory_days)[:, 0]
    assert (days[3], days[1], days[0]) == (4, 2.5, 7)
