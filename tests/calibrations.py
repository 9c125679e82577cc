"""Small problems with known truths, for tests of calibration."""

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
from shockmesh.inference.latents import Effect, LatentField
from shockmesh.inference.losses import GAUSSIAN, Loss, observed
from shockmesh.inference.problem import Experiment, Problem, member_keys, predictions, prior_draws, problem
from shockmesh.kernels.devices.layout import lay_out
from shockmesh.kernels.devices.segments import segments
from shockmesh.kernels.mechanisms.courses import Recovery
from shockmesh.kernels.mechanisms.shocks import Scenario
from shockmesh.kernels.model import PRESETS, Parameters
from shockmesh.kernels.network import FirmNetwork, firm_network

DAYS = 30
NOISE = 0.01


def economy(network: FirmNetwork, *, spread: float = 0.5, noise: float = NOISE, dtype: str = "float64") -> Problem:
    """Unknown inventories and recovery rates of every firm; sector output seen after a loss at every second firm."""
    n, rng = network.n_firms, np.random.default_rng(9)  # numbers differ by firm, so that no minimum is a tie
    hit = np.where(np.arange(n) % 2 == 0, rng.uniform(0.7, 0.95, n), 0.0)
    shock = (hit, np.zeros(n), np.zeros(n), rng.uniform(0.04, 0.06, n))
    scenario = Scenario(productivity=(Recovery(*(jnp.asarray(values[:, None], dtype) for values in shock)),))
    sector = segments(network.sector, len(network.sectors))
    effects = (Effect("firm", segments(np.arange(n), n), spread),)
    fields = (
        LatentField("inventory_days", ("parameters", "inventory_days"), "above_one", effects),
        LatentField("recovery_rate", ("productivity", 0, "recovery_rate"), "positive", effects),
    )
    numbers = (jnp.asarray(value + rng.uniform(0, 0.2, (n, 1)), dtype) for value in (4.0, 6.0, 1.25))
    seen = observed("output", sector, np.ones((DAYS, sector.n)), noise, dtype=dtype)
    return problem(
        lay_out(network, dtype),
        PRESETS["hamid2025"].switches,
        Parameters(*numbers),
        [Experiment(scenario, (seen,), DAYS)],
        fields,
    )


def with_data(unknown: Problem, truth: dict, seed: int = 0) -> Problem:
    """The problem with data of a member of its own, noise added."""
    experiment = unknown.experiments[0]
    (values,) = predictions(unknown, truth)[0]
    noise = experiment.seen[0].noise * np.random.default_rng(seed).standard_normal(values.shape)
    seen = replace(experiment.seen[0], values=values + noise)
    return replace(unknown, experiments=(replace(experiment, seen=(seen,)),))


@dataclass(frozen=True)
class Exact:
    """A problem whose posterior is normal, and known: spreads so small that the simulator is linear in them."""

    problem: Problem
    mean: np.ndarray
    sd: np.ndarray
    covariance: np.ndarray


def linear(loss: Loss = GAUSSIAN) -> Exact:
    """A problem of twelve firms in two sectors with its exact posterior, in double precision: of exp(−loss / w)."""
    rng = np.random.default_rng(3)
    pairs = np.array([(i, j) for i in range(12) for j in range(12) if i != j and rng.random() < 0.25])
    amount, sector = rng.uniform(0.1, 1, len(pairs)), np.arange(12) % 2
    network = firm_network(pairs[:, 0], pairs[:, 1], amount, np.full(12, 4.0), sector=sector, sectors=["a", "b"])
    with jax.enable_x64(True):
        unknown = economy(network, spread=2e-4, noise=5e-5)
        known = replace(with_data(unknown, prior_draws(unknown, member_keys(1, [0]))), loss=loss)

        @jax.jit
        def residual(flat: jax.Array) -> jax.Array:
            latents = {"inventory_days.firm": flat[:12, None], "recovery_rate.firm": flat[12:, None]}
            (values,) = predictions(known, latents)[0]
            return (loss.off(known.experiments[0].seen[0], values) / jnp.sqrt(loss.temperature)).ravel()

        slope, at = np.asarray(jax.jacfwd(residual)(jnp.zeros(24))), np.asarray(residual(jnp.zeros(24)))
        covariance = np.linalg.inv(np.eye(24) + slope.T @ slope)
        return Exact(known, -covariance @ slope.T @ at, np.sqrt(np.diag(covariance)), covariance)
