"""Parity of `pichler2022` with its published equations, written out for the 55 sectors of the United Kingdom in 2020.

Pichler, Pangallo, del Rio-Chanona, Lafond, Farmer (2022), JEDC 144:104527; equation numbers are theirs. Departures:
  1. the consumption function (eqs. 5, 6), which couples all households to all labour income, is tested by itself, with
     labour income in proportion to value added, the departures of `consumption.py` and no shock on final demand;
  2. the 11 pairs that the survey did not rate are taken as not critical, on both sides;
  3. each industry is one firm, which may buy from itself;
  4. only domestic flows count: imports never run short.
"""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from arrays import column
from rollouts import rollout
from shockmesh.kernels.devices.layout import lay_out
from shockmesh.kernels.mechanisms.courses import Recovery, Table
from shockmesh.kernels.mechanisms.shocks import Scenario
from shockmesh.kernels.model import PRESETS, Parameters, Production, Switches
from tables import of_industries

pytestmark = pytest.mark.usefixtures("quickly")

FOLDER = Path(__file__).parent / "data" / "uk_covid2020"
DAYS, LOCKDOWN, REOPENING, EASING = 140, 10, 70, 40  # the shocks hold from day 10 to 70, then fade until day 110
TAU, HIRING, FIRING = 10.0, 1 / 30, 1 / 15  # τ, γ_H, γ_F of the paper


class Economy(NamedTuple):
    """The United Kingdom: flows in million USD a day, shares of what is lost in the lockdown."""

    sectors: list[str]
    flows: np.ndarray  # Z
    households: np.ndarray  # c
    others: np.ndarray  # f
    criticality: np.ndarray  # [input, buyer]
    days: np.ndarray  # n, of the buyer
    labour_lost: np.ndarray  # ε^S
    households_lost: np.ndarray
    others_lost: np.ndarray

    @property
    def output(self) -> np.ndarray:
        return self.flows.sum(axis=1) + self.households + self.others

    def final_demand(self) -> np.ndarray:
        """c + f [time, sector]."""
        lost = fading()[:, None]
        return self.households * (1 - self.households_lost * lost) + self.others * (1 - self.others_lost * lost)


def fading() -> np.ndarray:
    """How much of a shock is felt on each day."""
    day = np.arange(DAYS)
    return np.where(day < LOCKDOWN, 0, np.clip(1 - (day - REOPENING) / EASING, 0, 1))


@pytest.fixture(scope="module")
def kingdom() -> Economy:
    table = pd.read_csv(FOLDER / "uk_niot_2014_wiod2016_musd.csv").query("origin == 'Domestic'").set_index("row")
    shocks = pd.read_csv(FOLDER / "uk_covid_shocks_wiod55.csv", index_col=0)
    ratings = pd.read_csv(FOLDER / "ihs_input_criticality_wiod55.csv", index_col=0)
    sectors = list(shocks.index)
    columns = lambda *names: table.loc[sectors, list(names)].to_numpy() / 365  # noqa: E731
    return Economy(
        sectors,
        columns(*sectors),
        columns("CONS_h")[:, 0],
        columns("CONS_np", "CONS_g", "GFCF", "INVEN", "EXP").sum(axis=1),
        ratings.reindex(index=sectors, columns=sectors).fillna(0.0).to_numpy(),
        30 * shocks["ratio_input_inv_go_monthly"].to_numpy(),
        -shocks["supply_shock"].to_numpy(),
        -shocks["demand_shock_household"].to_numpy(),
        -shocks["other_final_demand_shock"].to_numpy(),
    )


class Households(NamedTuple):
    """How spending follows labour income; with a persistence of 1 it does not."""

    persistence: float = 1.0  # ρ
    benefits: float = 0.8  # b


GIVEN = Households()


def published(
    uk: Economy, production: Production, final_demands: np.ndarray, households: Households = GIVEN
) -> np.ndarray:
    """Output [time, sector], equation by equation; A and S are [input, buyer]."""
    x0 = uk.output
    a = uk.flows / x0
    n = len(x0)
    stock, labour, demand = uk.days * uk.flows, np.ones(n), x0  # labour relative to l₀; d of the day before
    change = np.zeros(n)  # Δl of the day before
    pay, spent = x0 - uk.flows.sum(axis=0), uk.households.sum()
    propensity = spent / pay.sum()  # m
    outputs: list[np.ndarray] = []
    for final_demand, felt in zip(final_demands, fading(), strict=True):
        labour = np.minimum(labour + np.where(change > 0, HIRING, FIRING) * change, 1 - uk.labour_lost * felt)  # 19–21
        income = households.benefits * pay.sum() + (1 - households.benefits) * (pay * labour).sum()
        logs = np.log(propensity * np.array([income, pay.sum()]))
        spent = np.exp(households.persistence * np.log(spent) + (1 - households.persistence) / 2 * logs.sum())  # 5
        final_demand = final_demand + uk.households * (spent / uk.households.sum() - 1)  # 6
        orders = np.maximum(a * demand + (uk.days * uk.flows - stock) / TAU, 0)  # 4
        demand = orders.sum(axis=1) + final_demand  # 3
        by_inputs = input_bottleneck(uk, a, stock, production)
        output = np.minimum(np.minimum(labour * x0, by_inputs), demand)  # 7, 15
        delivered = orders * (output / demand)[:, None]  # 16
        stock = np.maximum(stock + delivered - a * output, 0)  # 18
        change = np.minimum(by_inputs, demand) / x0 - labour
        outputs.append(output)
    return np.array(outputs)


def input_bottleneck(uk: Economy, a: np.ndarray, stock: np.ndarray, production: Production) -> np.ndarray:
    """x^inp, equations 8 to 14."""
    found = np.full(len(a), np.inf)
    for i, x0 in enumerate(uk.output):
        used = a[:, i] > 0
        lasts = np.divide(stock[:, i], a[:, i], out=np.full(len(a), np.inf), where=used)
        critical, important = lasts[uk.criticality[:, i] == 1], lasts[uk.criticality[:, i] == 0.5]
        match production:
            case "leontief":
                found[i] = lasts.min()
            case "strongly_critical":
                found[i] = min([*critical, *important], default=np.inf)
            case "half_critical":
                found[i] = min([*critical, *((important + x0) / 2)], default=np.inf)
            case "weakly_critical":
                found[i] = min(critical, default=np.inf)
            case _:
                found[i] = stock[:, i].sum() / a[:, i].sum() if used.any() else np.inf
    return found


def simulated(kingdom: Economy, switches: Switches, demand: tuple[Table, ...], **more: object) -> np.ndarray:
    """Output [time, sector] in the lockdown."""
    network = of_industries(kingdom.flows, kingdom.households + kingdom.others, np.arange(55), kingdom.sectors)
    numbers = dict(PRESETS["pichler2022"].defaults) | {"inventory_days": kingdom.days} | more
    model = Parameters.of({name: column(value) for name, value in numbers.items()})
    lost, dates = column(kingdom.labour_lost), map(column, (LOCKDOWN, REOPENING, 1 / EASING))
    scenario = Scenario((Recovery(lost, *dates, course="linear"),), demand)
    layout = lay_out(network, np.float64, kingdom.criticality)
    found = rollout(layout, switches, model, scenario, days=DAYS, record={"output": None})["output"]
    return np.asarray(found)[:, :, 0]


@pytest.mark.parametrize("production", ["leontief", "strongly_critical", "half_critical", "weakly_critical", "linear"])
def test_pichler2022_is_its_equations(float64, kingdom: Economy, production: Production):
    preset = PRESETS["pichler2022"]
    assert preset.switches.production == "half_critical"
    path = kingdom.final_demand() / (kingdom.households + kingdom.others)
    demand = (Table(jnp.asarray(path)[:, :, None]),)
    found = simulated(kingdom, replace(preset.switches, production=production), demand)
    expected = published(kingdom, production, kingdom.final_demand())
    assert expected[60].sum() < 0.85 * expected[0].sum()
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("households", [Households(1 - 0.4 / 90), Households(0.95, 0.2)], ids=["published", "quick"])
def test_households_spend_by_its_consumption_function(float64, kingdom: Economy, households: Households):
    switches = replace(PRESETS["pichler2022"].switches, consumption="labour_income")
    share = kingdom.households / (kingdom.households + kingdom.others)
    persistence, benefits = households
    numbers = {"household_share": share, "consumption_persistence": persistence, "benefit_share": benefits}
    found = simulated(kingdom, switches, (), **numbers)
    undisturbed = np.tile(kingdom.households + kingdom.others, (DAYS, 1))
    expected = published(kingdom, "half_critical", undisturbed, households)
    without = published(kingdom, "half_critical", undisturbed)
    assert np.abs(expected / without - 1).max() > 0.003
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
