"""Neural posterior estimation against a posterior that is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from shockmesh.inference.latents import Effect, LatentField
from shockmesh.inference.losses import observed
from shockmesh.inference.npe import estimate
from shockmesh.inference.problem import Experiment, Problem, member_keys, predictions, prior_draws, problem
from shockmesh.kernels.devices.layout import lay_out
from shockmesh.kernels.devices.segments import segments
from shockmesh.kernels.mechanisms.courses import Recovery
from shockmesh.kernels.mechanisms.shocks import Scenario
from shockmesh.kernels.model import PRESETS, Parameters
from shockmesh.kernels.network import firm_network

pytestmark = pytest.mark.usefixtures("quickly")

SITE = "recovery_rate.sector"


@pytest.fixture(scope="module")
def linear() -> Problem:
    """Recovery rates of two sectors that sell to households alone, so little spread that output is linear in them."""
    network = firm_network([0, 2], [1, 3], [0.1, 0.1], np.full(4, 4.0), sector=[0, 0, 1, 1], sectors=["a", "b"])
    sector = segments(network.sector, 2)
    shock = (np.full(4, 0.5), np.zeros(4), np.zeros(4), np.full(4, 0.05))
    scenario = Scenario(productivity=(Recovery(*(jnp.asarray(part[:, None], jnp.float32) for part in shock)),))
    effects = (Effect("sector", sector, 0.02),)
    field = LatentField("recovery_rate", ("productivity", 0, "recovery_rate"), "positive", effects)
    numbers = Parameters(*(jnp.full((4, 1), value, jnp.float32) for value in (9.0, 6.0, 1.1)))

    def seeing(values: np.ndarray) -> Problem:
        seen = observed("output", sector, values, 0.01)
        return problem(
            lay_out(network), PRESETS["hamid2025"].switches, numbers, [Experiment(scenario, (seen,), 30)], [field]
        )

    unknown = seeing(np.ones((30, 2)))
    exact = np.asarray(predictions(unknown, prior_draws(unknown, member_keys(1, [0])))[0][0])[..., 0]
    return seeing(exact + 0.01 * np.random.default_rng(2).standard_normal(exact.shape))


def test_a_linear_posterior_is_learned(linear: Problem) -> None:
    def residual(z: jax.Array) -> jax.Array:
        seen = linear.experiments[0].seen[0]
        return ((predictions(linear, {SITE: z[:, None]})[0][0] - seen.values) / seen.noise).ravel()

    slope, at = np.asarray(jax.jacfwd(residual)(jnp.zeros(2))), np.asarray(residual(jnp.zeros(2)))
    covariance = np.linalg.inv(np.eye(2) + slope.T @ slope)
    mean, sd = -covariance @ slope.T @ at, np.sqrt(np.diag(covariance))
    assert sd.max() < 0.8  # the data say something
    found = np.asarray(estimate(linear, [SITE], 0, 3000, 2000)[SITE])
    assert np.abs((found.mean(axis=1) - mean) / sd).max() < 0.3
    np.testing.assert_allclose(found.std(axis=1), sd, rtol=0.2)


@pytest.mark.parametrize(
    ("sites", "simulations", "message"),
    [
        (["recovery_rate.firm"], 200, "recovery_rate.firm: must be among recovery_rate.sector"),
        ([SITE], 150, "simulations = 150: must be a multiple of the batch, 100"),
    ],
)
def test_a_wrong_call_is_refused(linear: Problem, sites: list[str], simulations: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        estimate(linear, sites, 0, simulations, 10)
