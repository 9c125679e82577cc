"""Scores, coverage, importance weights, shrinkage: against their definitions and known values."""

import numpy as np
import pytest
from shockmesh.inference.diagnostics import coverage, crps, moved, pareto_k, scores, shrinkage


@pytest.mark.parametrize(("width", "k"), [(0.25, 1 - 0.25**2), (0.5, 1 - 0.5**2), (0.8, 1 - 0.8**2), (1.2, -0.44)])
def test_pareto_k_of_a_normal_guide_is_the_known_one(width: float, k: float) -> None:
    """Weights of a guide N(0, s²) for N(0, 1) have a tail of shape 1 − s²: heavy if too narrow, bounded if too wide.

    With logarithms in the tail it comes slowly: the estimate of a million draws is within 0.2.
    """
    z = width * np.random.default_rng(0).standard_normal(1_000_000)
    found = pareto_k((z / width) ** 2 / 2 - z**2 / 2)
    assert abs(found - k) < 0.2 if k > 0 else found < 0


@pytest.mark.parametrize(
    ("weights", "k"),
    [
        (np.arange(29.0), np.nan),
        (np.append(np.arange(40.0), np.nan), np.nan),
        (np.full(40, 3.0), 0.0),
        (1e4 * np.random.default_rng(0).standard_normal(40).astype(np.float32), np.inf),
    ],
    ids=["few", "not finite", "equal", "one outweighs all"],
)
def test_pareto_k_of_weights_without_a_tail(weights: np.ndarray, k: float) -> None:
    np.testing.assert_equal(pareto_k(weights), k)


def test_scores_of_a_known_forecast() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(40, 50))
    draws = rng.normal(size=(40, 50, 400))  # the forecast is the distribution of the truth
    found = scores(draws, truth, np.ones(truth.shape, bool), noise=0.0)
    np.testing.assert_allclose([found["coverage_50"], found["coverage_90"]], [0.5, 0.9], atol=0.03)
    np.testing.assert_allclose(found["crps"], 1 / np.sqrt(np.pi), rtol=0.03)  # of N(0, 1) for its own draws
    np.testing.assert_allclose(found["rmse"], 1, rtol=0.05)
    assert np.isnan(scores(draws, truth, np.zeros(truth.shape, bool), noise=0.0)["rmse"])


@pytest.mark.parametrize(("draws", "level"), [(20, 0.9), (19, 0.9), (7, 0.5), (400, 0.9)])
def test_coverage_of_few_draws_is_the_level(draws: int, level: float) -> None:
    rng = np.random.default_rng(1)
    found = coverage(rng.normal(size=(20_000, draws)), rng.normal(size=20_000), level)
    np.testing.assert_allclose(found, level, atol=0.012)  # 3 standard errors of a half


def test_crps_equals_its_definition() -> None:
    draws, truth = np.array([[0.0, 1.0, 3.0]]), np.array([2.0])
    between = np.abs(draws[0][:, None] - draws[0][None, :]).mean()
    np.testing.assert_allclose(crps(draws, truth), np.abs(draws - 2).mean() - between / 2)


def test_shrinkage_and_what_the_data_moved() -> None:
    rng = np.random.default_rng(0)
    prior = np.concatenate([rng.normal(size=(3, 500)), np.full((1, 500), 7.0)])
    posterior = prior * np.array([[1.0], [0.5], [1.0], [1.0]]) + np.array([[0.0], [0.0], [2.0], [0.0]])
    np.testing.assert_allclose(shrinkage(prior, posterior), [0, 0.5, 0, np.nan], atol=1e-12)
    assert moved({"n": prior}, {"n": posterior}) == {"n": pytest.approx(2 / 3)}
