"""Guides, ensembles, HMC and methods without gradients: against an exact posterior, and against each other."""

import logging

import jax
import numpy as np
import pytest
from calibrations import Exact, economy, linear, with_data
from shockmesh.inference.choices import GuideName
from shockmesh.inference.diagnostics import pareto_k, rank_uniformity
from shockmesh.inference.ensemble import Pull, pull
from shockmesh.inference.evolution import evolve
from shockmesh.inference.guides import make_guide
from shockmesh.inference.hmc import Chains, sample
from shockmesh.inference.losses import GAUSSIAN, Loss
from shockmesh.inference.problem import Latents, Problem, losses, member_keys, predictions, prior_draws
from shockmesh.inference.rejection import accept, prior_losses, sequential
from shockmesh.inference.smoother import smooth
from shockmesh.inference.svi import State, Variational, advance, log_weights, posterior_draws, variational
from shockmesh.kernels.network import firm_network

LOG = logging.getLogger(__name__)


@pytest.fixture(scope="module")
def exact() -> Exact:
    return linear()


@pytest.fixture(scope="module")
def guides(exact: Exact) -> dict[str, tuple[Variational, State]]:
    """Guides fitted to the exact problem."""
    known, found = exact.problem, {}
    sector = np.asarray(known.experiments[0].seen[0].groups.index)
    with jax.enable_x64(True):
        for name in ("mean_field", "structured"):
            method = variational(known, make_guide(name, known, sector), steps=1500, particles=4, rate=0.05)
            found[name] = method, advance(method, known, method.init(), 1500)[0]
    return found


def test_structured_guide_finds_the_covariance_that_a_diagonal_cannot(
    exact: Exact, guides: dict[str, tuple[Variational, State]], float64: None
) -> None:
    found = {}
    for name, (method, state) in guides.items():
        draws = flat(posterior_draws(method, exact.problem, state, 4000))
        assert np.abs((draws.mean(axis=1) - exact.mean) / exact.sd).max() < 0.2
        found[name] = np.abs(np.cov(draws) - exact.covariance).max()
    assert found["structured"] < 0.1 < found["mean_field"]


LOSSES = [GAUSSIAN, Loss("relative", temperature=9), Loss("log", temperature=4)]


@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_randomised_maximum_likelihood_samples_the_exact_posterior_of_a_linear_model(loss: Loss, float64: None) -> None:
    exact = linear(loss)
    found = pull(exact.problem, member_keys(3, range(600)), Pull(steps=100, rate=0.3))
    draws = np.concatenate([part for _, part in sorted(found.latents.items())])
    assert not found.failed.any()
    assert np.abs((draws.mean(axis=1) - exact.mean) / exact.sd).max() < 4.5 / np.sqrt(600)
    np.testing.assert_allclose(draws.std(axis=1) / exact.sd, 1, atol=0.12)


@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_smoother_samples_the_exact_posterior_of_a_linear_model(loss: Loss, float64: None) -> None:
    exact = linear(loss)
    latents = smooth(exact.problem, member_keys(3, range(600)), batch=300)
    draws = np.concatenate([part for _, part in sorted(latents.items())])
    assert np.abs((draws.mean(axis=1) - exact.mean) / exact.sd).max() < 6 / np.sqrt(600)
    np.testing.assert_allclose(draws.std(axis=1) / exact.sd, 1, atol=0.15)


def test_rejection_keeps_the_draws_of_least_loss(small: Problem) -> None:
    found = prior_losses(small, 3, 10, batch=4)
    np.testing.assert_allclose(found, losses(small, prior_draws(small, member_keys(3, range(10)))), rtol=1e-9)
    kept = accept(found, 3)
    np.testing.assert_array_equal(kept.loss, np.sort(found)[:3])
    np.testing.assert_array_equal(found[kept.draws], kept.loss)
    assert kept.evaluations == 10


def test_sequential_sampler_moves_members_below_falling_tolerances(small: Problem) -> None:
    found = sequential(small, 3, 60, rounds=6)
    assert found.tolerance == sorted(found.tolerance, reverse=True)
    assert found.tolerance[-1] < 0.5 * found.tolerance[0]
    assert float(found.loss.max()) <= found.tolerance[-1]
    np.testing.assert_allclose(losses(small, found.latents), found.loss, rtol=1e-9)
    assert found.evaluations == 60 * 7


def test_moves_without_a_tolerance_keep_the_prior(small: Problem) -> None:
    found = sequential(small, 3, 400, rounds=3, keep=1.0).latents
    z = np.concatenate([np.asarray(part).ravel() for part in found.values()])
    assert abs(z.mean()) < 4 / np.sqrt(len(z))
    assert abs(z.std() - 1) < 0.05


def test_evolution_finds_the_most_likely_point_of_a_linear_model(exact: Exact, float64: None) -> None:
    found = evolve(exact.problem, 12_000)
    best = np.concatenate([np.asarray(part)[:, 0] for _, part in sorted(found.latents.items())])
    assert np.abs((best - exact.mean) / exact.sd).max() < 0.1
    assert found.evaluations <= 12_000


def test_evolution_leaves_the_random_numbers_of_others_alone(exact: Exact, float64: None) -> None:
    """One seed is one search, whatever NumPy's shared stream stands at, and the stream stands there still."""
    shared = np.random.mtrand._rand
    found = {}
    for seed, stream in ((3, 5), (3, 6), (4, 6)):
        shared.seed(stream)
        found[seed, stream] = evolve(exact.problem, 96, seed=seed).objective
        np.testing.assert_array_equal(shared.get_state()[1], np.random.RandomState(stream).get_state()[1])
    assert found[3, 5] == found[3, 6] != found[4, 6]


def test_pareto_k_tells_a_guide_that_is_too_narrow(
    exact: Exact, guides: dict[str, tuple[Variational, State]], float64: None
) -> None:
    known, (method, state) = exact.problem, guides["structured"]
    assert pareto_k(log_weights(method, known, state, 2000)) < 0.7
    assert pareto_k(log_weights(method, known, state._replace(params=narrower(state.params)), 2000)) > 0.7


@pytest.mark.slow
def test_ranks_of_truths_are_uniform_but_for_a_guide_that_is_too_sure(exact: Exact, float64: None) -> None:
    """Simulation-based calibration of 100 fits: a truth of the prior, its data, a fit, the truth's rank."""
    sector = np.asarray(exact.problem.experiments[0].seen[0].groups.index)
    method = variational(exact.problem, make_guide("structured", exact.problem, sector), steps=600, particles=4)
    ranks: dict[str, list[np.ndarray]] = {"right": [], "too sure": []}
    for fit in range(100):
        truth = prior_draws(exact.problem, member_keys(5, [fit]))
        known = with_data(exact.problem, truth, seed=fit)
        state, _ = advance(method, known, method.init(), 600)
        for name, params in (("right", state.params), ("too sure", narrower(state.params))):
            drawn = posterior_draws(method, known, state._replace(params=params), 99, seed=fit)
            below = [(np.asarray(drawn[site]) < np.asarray(z)).sum(axis=1) for site, z in sorted(truth.items())]
            ranks[name].append(np.concatenate(below))
    of = {name: np.array(found) for name, found in ranks.items()}
    p = {name: np.array([rank_uniformity(column, 99) for column in found.T]) for name, found in of.items()}
    assert p["right"].min() > 0.01 / len(p["right"])
    assert np.median(p["too sure"]) < 1e-4


def narrower(params: dict) -> dict:
    """A guide of half the width."""
    return params | {"auto_scale": params["auto_scale"] - np.log(2)}


def test_hmc_samples_the_exact_posterior_of_a_linear_model(exact: Exact, float64: None) -> None:
    found = sample(exact.problem, draws=250, warmup=150, chains=2)
    draws = flat(found.latents)
    assert np.abs((draws.mean(axis=1) - exact.mean) / exact.sd).max() < 0.25
    np.testing.assert_allclose(draws.std(axis=1) / exact.sd, 1, atol=0.2)
    assert found.r_hat < 1.05
    assert found.divergences == 0
    assert found.evaluations >= 500


def flat(latents: Latents) -> np.ndarray:
    """Latent numbers of all sites, one after the other (number, draw)."""
    return np.concatenate([np.asarray(part) for _, part in sorted(latents.items())])


# -- beside HMC on an economy whose stocks run out


@pytest.fixture(scope="module")
def bent() -> tuple[Problem, Chains]:
    """A problem of 24 firms that is far from linear, and what HMC says of it."""
    rng = np.random.default_rng(2)
    pairs = np.unique(rng.integers(0, 24, (110, 2)), axis=0)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    amount, sector = rng.uniform(0.1, 1, len(pairs)), rng.integers(0, 3, 24)
    with jax.enable_x64(True):
        final_demand = rng.uniform(1, 4, 24)
        network = firm_network(pairs[:, 0], pairs[:, 1], amount, final_demand, sector=sector, sectors=["a", "b", "c"])
        unknown = economy(network, spread=0.3, noise=0.05)
        known = with_data(unknown, prior_draws(unknown, member_keys(1, [0])))
        return known, sample(known, draws=250, warmup=250)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ["mean_field", "low_rank", "structured", "flow", None], ids=lambda name: name or "rml")
def test_every_method_beside_hmc_where_stocks_run_out(
    bent: tuple[Problem, Chains], name: GuideName | None, float64: None
) -> None:
    """Predictions within half of HMC's width of its mean, and as wide within 0.8 to 1.4; numbers within one.

    `--log-cli-level=INFO` shows them.
    """
    known, gold = bent
    assert gold.r_hat < 1.1
    if name is None:
        found: Latents = pull(known, member_keys(3, range(300)), Pull(steps=200, rate=0.1)).latents
    else:
        guide = make_guide(name, known, np.asarray(known.experiments[0].seen[0].groups.index))
        fit = variational(known, guide, steps=1500, particles=4, rate=0.01)
        state, _ = advance(fit, known, fit.init(), 1500)
        found = posterior_draws(fit, known, state, 1000)
    says, told = (np.asarray(predictions(known, latents)[0][0]) for latents in (found, gold.latents))
    off = np.sqrt(np.mean((says.mean(axis=-1) - told.mean(axis=-1)) ** 2) / np.mean(told.var(axis=-1)))
    width = np.sqrt(np.mean(says.var(axis=-1)) / np.mean(told.var(axis=-1)))
    numbers, gold_numbers = flat(found), flat(gold.latents)
    away = np.abs(numbers.mean(axis=1) - gold_numbers.mean(axis=1)) / gold_numbers.std(axis=1)
    spread = numbers.std(axis=1) / gold_numbers.std(axis=1)
    LOG.info(
        "%s: off %.2f, wide %.2f; numbers off %.2f, wide %s",
        name or "rml",
        off,
        width,
        away.max(),
        np.quantile(spread, [0, 0.5, 1]).round(2),
    )
    assert off < 0.5
    assert 0.8 < width < 1.4
    assert away.max() < 1
    assert 0.9 < np.median(spread) < 1.1
