"""What a calibration must beat: simpler models of the firms of a problem, against the same on dense matrices."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from calibrations import DAYS, economy
from shockmesh.inference.baselines import BASELINES, baselines, first_order, through_leontief
from shockmesh.inference.diagnostics import rmse_over
from shockmesh.inference.losses import observed
from shockmesh.inference.problem import Problem, predictions
from shockmesh.kernels.devices.layout import lay_out
from shockmesh.kernels.devices.segments import segments
from shockmesh.kernels.mechanisms.courses import Recovery
from shockmesh.kernels.mechanisms.shocks import Scenario
from shockmesh.kernels.model import PRESETS
from shockmesh.kernels.network import FirmNetwork

pytestmark = pytest.mark.usefixtures("quickly")


def shocked(network: FirmNetwork, days: int) -> Problem:
    """Supply lost at every second firm and final demand at every third; each firm's output and consumption seen."""
    known = economy(network)
    firms, n = np.arange(network.n_firms), network.n_firms

    def recovery(loss: np.ndarray, rate: float) -> Recovery:
        return Recovery(*(jnp.full((n, 1), value).at[:, 0].multiply(of) for value, of in (
            (1.0, loss), (3.0, 1), (8.0, 1), (rate, 1)
        )))  # fmt: skip

    scenario = Scenario((recovery(0.6 * (firms % 2), 0.05),), (recovery(0.5 * (firms % 3 == 0), 0.1),))
    seen = tuple(
        observed(of, segments(firms, n), np.ones((days, n)), 0.01, dtype="float64")
        for of in ("output", "final_consumption", "inventory")
    )
    experiment = replace(known.experiments[0], scenario=scenario, seen=seen, days=days)
    return replace(known, experiments=(experiment,))


def lost(rate: float, days: int) -> np.ndarray:
    day = np.arange(days)
    return np.where(day >= 3, np.exp(-rate * np.maximum(day - 8, 0)), 0)[:, None]


@pytest.mark.parametrize("days", [DAYS, 40], ids=["in one batch", "in two"])
def test_baselines_of_firms_are_those_of_dense_matrices(random_network, float64, days: int) -> None:
    network = random_network(firms=24, links=90, sectors=3, seed=2)
    found, firms = baselines(shocked(network, days)), np.arange(24)
    flows = np.zeros((24, 24))
    np.add.at(flows, (network.supplier, network.buyer), network.amount)
    supply, demand = 0.6 * (firms % 2) * lost(0.05, days), 0.5 * (firms % 3 == 0) * lost(0.1, days)
    alone = first_order(supply, demand, network.final_demand / network.output)
    passed_on = np.array([through_leontief(flows, network.final_demand, of) for of in demand])
    np.testing.assert_allclose(found["shocks alone"][0], alone, rtol=1e-12)
    np.testing.assert_allclose(found["Leontief's inverse"][0], passed_on, atol=1e-4)
    np.testing.assert_allclose(found["shocks alone"][1], np.minimum(alone, 1 - demand), rtol=1e-12)
    np.testing.assert_allclose(found["no change"], 1)
    np.testing.assert_allclose(found["shocks alone"][2], 1, rtol=1e-12)
    assert tuple(found) == BASELINES


def test_baselines_of_a_table_are_those_of_its_links(random_network, float64) -> None:
    network = random_network(firms=24, links=90, sectors=3, seed=2)
    by_link = shocked(network, DAYS)
    numbers = replace(
        by_link.parameters,
        **{name: jnp.full((1, 1), value) for name, value in PRESETS["hallegatte2014"].defaults.items()},
    )
    by_link = replace(
        by_link, switches=PRESETS["hallegatte2014"].switches, parameters=numbers, fields=by_link.fields[1:]
    )
    as_table = replace(by_link, layout=lay_out(network, "float64", as_table=True))
    links, table = baselines(by_link), baselines(as_table)
    for name in BASELINES:
        for one, other in zip(links[name], table[name], strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-9)


def test_before_the_fit_is_the_model_at_its_medians(random_network, float64) -> None:
    problem = shocked(random_network(firms=24, links=90, sectors=3, seed=2), DAYS)
    medians = {site: jnp.zeros((size, 1)) for site, size in problem.sites.items()}
    for before, own in zip(baselines(problem)["before the fit"], predictions(problem, medians)[0], strict=True):
        np.testing.assert_allclose(before, own[..., 0], rtol=1e-12)


def test_error_over_what_counts() -> None:
    predicted, seen = np.array([[1.0, 2], [3, 4]]), np.array([[1.0, 5], [0, 4]])
    assert rmse_over(predicted, seen, np.array([[True, True], [False, True]])) == pytest.approx(np.sqrt(3))
    assert np.isnan(rmse_over(predicted, seen, np.zeros((2, 2), bool)))
