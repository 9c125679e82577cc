"""Calibration: latent fields, losses, the model's gradient, guides, SVI, ensembles; answers known exactly."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from calibrations import DAYS, economy, with_data
from shockmesh.inference.choices import GUIDES, GuideName, Penalty, Residual
from shockmesh.inference.ensemble import Pull, perturbed, pull
from shockmesh.inference.guides import Stretch, latent_neighbourhoods, make_guide
from shockmesh.inference.latents import Effect, LatentField, Support, get
from shockmesh.inference.losses import Loss, observed, temperature_of
from shockmesh.inference.problem import (
    Problem,
    batch_value_and_gradient,
    field_values,
    loss,
    losses,
    member_keys,
    predictions,
    prior_draws,
    problem,
)
from shockmesh.inference.svi import (
    advance,
    log_weights,
    particle_gradients,
    posterior_draws,
    take_step,
    variational,
)
from shockmesh.kernels.devices.segments import segments
from shockmesh.kernels.network import FirmNetwork, firm_network

pytestmark = pytest.mark.usefixtures("quickly")

# -- latent fields


@pytest.mark.parametrize(
    ("support", "median", "fixed"), [("positive", 0.05, 0.0), ("above_one", 9.0, 1.0), ("share", 0.3, 1.0)]
)
def test_field_is_its_median_at_zero_and_stays_within_its_support(
    support: Support, median: float, fixed: float
) -> None:
    effects = (Effect("all", segments(np.zeros(3, int), 1), 1.0), Effect("firm", segments(np.arange(3), 3), 2.0))
    field = LatentField("x", ("parameters", "capacity"), support, effects)
    medians = jnp.asarray([[median], [median], [fixed]])
    zero = {"x.all": jnp.zeros((1, 2)), "x.firm": jnp.zeros((3, 2))}
    np.testing.assert_allclose(field.values(zero, medians), np.broadcast_to(medians, (3, 2)), rtol=1e-6)
    far = {"x.all": jnp.asarray([[2.0, -2.0]]), "x.firm": jnp.zeros((3, 2))}
    values = np.asarray(field.values(far, medians))
    low, high = {"positive": (0, np.inf), "above_one": (1, np.inf), "share": (0, 1)}[support]
    assert np.all((values[:2] > low) & (values[:2] < high))
    assert values[0, 0] > median > values[0, 1]
    np.testing.assert_array_equal(values[2], fixed)  # on the bound: not hit, not moved
    slope = jax.grad(lambda z: field.values({"x.all": z, "x.firm": far["x.firm"]}, medians).sum())(far["x.all"])
    assert np.all(np.isfinite(slope))


def test_hierarchy_of_effects_adds_up_on_the_scale_of_the_field() -> None:
    sector = segments(np.array([0, 0, 1]), 2)
    effects = (Effect("sector", sector, 0.4), Effect("firm", segments(np.arange(3), 3), 0.2, spread_doubt=0.5))
    field = LatentField("n", ("parameters", "inventory_days"), "positive", effects)
    assert field.sizes() == {"n.sector": 2, "n.firm": 3, "n.firm.spread": 1}
    latents = {
        "n.sector": jnp.asarray([[1.0], [-1.0]]),
        "n.firm": jnp.asarray([[0.0], [1.0], [2.0]]),
        "n.firm.spread": jnp.asarray([[1.0]]),
    }
    firm_spread = 0.2 * np.exp(0.5)
    expected = 9 * np.exp([0.4, 0.4 + firm_spread, -0.4 + 2 * firm_spread])
    np.testing.assert_allclose(field.values(latents, jnp.full((1, 1), 9.0))[:, 0], expected, rtol=1e-6)


def test_a_field_like_another_strays_with_it_from_its_own_median() -> None:
    effects = (Effect("firm", segments(np.arange(3), 3), 2.0, spread_doubt=0.5),)
    one = LatentField("spring", ("productivity", 0, "loss"), "share", effects)
    other = LatentField("autumn", ("productivity", 1, "loss"), "share", effects, like="spring")
    assert other.sizes() == one.sizes() == {"spring.firm": 3, "spring.firm.spread": 1}
    latents = {"spring.firm": jnp.asarray([[1.0], [-1.0], [0.0]]), "spring.firm.spread": jnp.zeros((1, 1))}
    for field, median in ((one, 0.6), (other, 0.3)):
        values = field.values(latents, jnp.full((3, 1), median))[:, 0]
        logit = np.log(median / (1 - median))
        np.testing.assert_allclose(np.log(values / (1 - values)), [logit + 2, logit - 2, logit], rtol=1e-5)


# -- losses


@pytest.mark.parametrize(
    ("residual", "penalty", "expected"),
    [
        ("absolute", "squared", 0.5 * (0.1 / 0.05) ** 2),
        ("relative", "squared", 0.5 * (0.1 / 0.8 / 0.05) ** 2),
        ("log", "squared", 0.5 * (np.log(0.9 / 0.8) / 0.05) ** 2),
        ("absolute", "robust", 2.5 * np.log1p((0.1 / 0.05) ** 2 / 4)),
    ],
)
def test_loss_of_one_residual(residual: Residual, penalty: Penalty, expected: float) -> None:
    one = segments(np.zeros(2, int), 1)
    seen = observed("output", one, np.array([[0.8], [np.nan], [0.5]]), 0.05, held_out=np.array([[0], [0], [1]]))
    values = jnp.asarray([0.9, 7.0, 0.5])[:, None, None]
    found = Loss(residual, penalty)
    np.testing.assert_allclose(found(seen, values), [expected], rtol=1e-5)
    np.testing.assert_allclose(found(seen, values, held_out=True), [0.0], atol=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"noise": 0.0}, "noise 0.0: must be > 0"),
        ({"values": np.ones((4, 2))}, "must be (period, series) with 1 series"),
        ({"period": np.array([0, 9])}, "period 9: there are 3 periods"),
        ({"fitted": np.ones((3, 1), bool), "held_out": np.ones((3, 1), bool)}, "3 values are fitted and held out"),
    ],
)
def test_observed_refuses(change: dict, message: str) -> None:
    given: dict[str, Any] = {"values": np.ones((3, 1)), "noise": 0.1} | change
    with pytest.raises(ValueError, match=message.replace("(", r"\(").replace(")", r"\)")):
        observed("output", segments(np.zeros(2, int), 1), **given)


def test_temperature_of_correlated_noise() -> None:
    assert temperature_of(0.0) == 1
    assert temperature_of(0.5) == 3
    with pytest.raises(ValueError, match="correlation = 1"):
        temperature_of(1.0)


def test_days_after_the_last_that_is_fitted_change_no_loss(small: Problem) -> None:
    early = np.repeat(np.arange(DAYS)[:, None] < 12, 3, axis=1)
    (experiment,) = small.experiments
    seen = replace(experiment.seen[0], fitted=jnp.asarray(early[..., None]), held_out=jnp.asarray(~early[..., None]))
    whole = replace(small, experiments=(replace(experiment, seen=(seen,)),))
    short = replace(small, experiments=(replace(experiment, seen=(seen,), fitted_days=12),))
    latents = prior_draws(small, member_keys(5, range(3)))
    for expected, found in zip(
        batch_value_and_gradient(whole, latents), batch_value_and_gradient(short, latents), strict=True
    ):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12), expected, found)
    np.testing.assert_allclose(losses(whole, latents, held_out=True), losses(short, latents, held_out=True))


def test_periods_average_days_as_ratios_to_the_baseline(small: Problem) -> None:
    period = np.repeat([0, 1, -1], 10)
    (daily,) = predictions(small, prior_draws(small, member_keys(3, [0])))[0]
    seen = observed("output", small.experiments[0].seen[0].groups, np.ones((2, 3)), 0.1, period=period, dtype="float64")
    coarse = replace(small, experiments=(replace(small.experiments[0], seen=(seen,)),))
    (found,) = predictions(coarse, prior_draws(small, member_keys(3, [0])))[0]
    np.testing.assert_allclose(found, np.asarray(daily)[:20].reshape(2, 10, 3, 1).mean(axis=1), rtol=1e-12)


def test_problem_refuses(small: Problem) -> None:
    given = (small.layout, small.switches, small.parameters)
    with pytest.raises(ValueError, match="fields: nothing is unknown"):
        problem(*given, small.experiments, [])
    with pytest.raises(ValueError, match="field given twice: recovery_rate"):
        problem(*given, small.experiments, [*small.fields, small.fields[1]])
    with pytest.raises(ValueError, match="temperature = 0"):
        problem(*given, small.experiments, small.fields, Loss(temperature=0))


# -- the loss as NumPyro sees it


def test_vmapped_draws_are_members_with_the_same_loss_and_gradient(small: Problem) -> None:
    latents = prior_draws(small, member_keys(5, range(3)))
    found, gradient = batch_value_and_gradient(small, latents)
    rows = jax.tree.map(lambda part: part.T, latents)
    values, slopes = jax.vmap(jax.value_and_grad(partial(loss, small)))(rows)
    np.testing.assert_allclose(values, found, rtol=1e-12)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b.T, rtol=1e-9, atol=1e-9), slopes, gradient)
    one = loss(small, jax.tree.map(lambda part: part[:, 1], latents))
    np.testing.assert_allclose(one, found[1], rtol=1e-12)
    np.testing.assert_allclose(losses(small, latents), found, rtol=1e-12)


def test_gradient_equals_finite_differences(small: Problem) -> None:
    latents = jax.tree.map(lambda part: part[:, 0], prior_draws(small, member_keys(6, [0])))
    gradient = jax.grad(partial(loss, small))(latents)
    for site, index in [("inventory_days.firm", 3), ("recovery_rate.firm", 4), ("recovery_rate.firm", 10)]:
        by = 1e-6
        up, down = (loss(small, latents | {site: latents[site].at[index].add(d)}) for d in (by, -by))
        np.testing.assert_allclose(gradient[site][index], (up - down) / (2 * by), rtol=1e-5, atol=1e-5)


def test_prior_draws_depend_on_seed_and_member_alone(small: Problem) -> None:
    alone = prior_draws(small, member_keys(7, [5]))
    among = prior_draws(small, member_keys(7, range(8)))
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a[:, 0], b[:, 5]), alone, among)


# -- guides


def test_stretch_is_a_bijection_with_its_jacobian(float64: None) -> None:
    rng = np.random.default_rng(0)
    stretch = Stretch(jnp.asarray(rng.normal(size=7)), jnp.asarray([0.2, 3.0]), jnp.asarray([0, 1, 0, 1, 1, 0, 0]))
    x = jnp.asarray(rng.normal(size=(5, 7)))
    np.testing.assert_allclose(stretch._inverse(stretch(x)), x, rtol=1e-12)
    jacobian = jax.jacfwd(lambda v: stretch(v))(x[0])
    np.testing.assert_allclose(stretch.log_abs_det_jacobian(x, x), np.linalg.slogdet(jacobian)[1], rtol=1e-12)


def test_neighbourhoods_hold_a_series_firms_and_effects_apart_from_shared_numbers(small: Problem) -> None:
    n, sector = small.layout.n_firms, np.arange(small.layout.n_firms) % 3
    effects = (
        Effect("all", segments(np.zeros(n, int), 1), 1.0),
        Effect("firm", segments(np.arange(n), n), 1.0),
        Effect("sector", segments(sector, 3), 1.0, spread_doubt=0.1),
    )
    field = LatentField("f", ("parameters", "capacity"), "above_one", effects)
    found = latent_neighbourhoods(replace(small, fields=(field,)), sector)
    np.testing.assert_array_equal(found, [3, *sector, 0, 1, 2, 3])  # sites in order: all, firm, sector, sector.spread


@pytest.mark.parametrize("name", ["mean_field", "low_rank", "structured"])
def test_guides_start_at_the_prior(small: Problem, name: GuideName) -> None:
    method = variational(small, make_guide(name, small, np.arange(24) % 3), steps=10)
    draws = posterior_draws(method, small, method.init(), 2000)
    moments = np.array([(part.mean(), part.std()) for part in draws.values()])
    np.testing.assert_allclose(moments, [[0, 1]] * 2, atol=0.02)


def test_unknown_guide_is_refused(small: Problem) -> None:
    with pytest.raises(ValueError, match="guide 'mean': there are mean_field, low_rank, structured, flow"):
        make_guide(cast(GuideName, "mean"), small, np.zeros(24, int))


# -- variational inference


@pytest.mark.parametrize("name", GUIDES)
def test_svi_lowers_the_loss_for_every_guide(random_network: Callable[..., FirmNetwork], name: GuideName) -> None:
    unknown = economy(random_network(firms=12, links=40, sectors=2), dtype="float32")
    known = with_data(unknown, prior_draws(unknown, member_keys(1, [0])))
    method = variational(known, make_guide(name, known, np.arange(12) % 2, rank=2), steps=60, particles=4, rate=0.1)
    _, info = advance(method, known, method.init(), 60)
    assert not info.bad_particles.any()
    assert info.loss[-10:].mean() < 0.6 * info.loss[:10].mean()


def test_a_firm_that_no_data_touch_keeps_its_prior_exactly(random_network: Callable[..., FirmNetwork]) -> None:
    seen_part = random_network(firms=12, links=40, sectors=2)
    pairs = [(seen_part.supplier, seen_part.buyer), (seen_part.supplier + 12, seen_part.buyer + 12)]
    supplier, buyer = (np.concatenate(ends) for ends in zip(*pairs, strict=True))
    both = firm_network(
        supplier,
        buyer,
        np.tile(seen_part.amount, 2),
        np.tile(seen_part.final_demand, 2),
        sector=np.concatenate([seen_part.sector, seen_part.sector + 2]),
        sectors=["a", "b", "c", "d"],
    )
    unknown = economy(both, dtype="float32")
    experiment = unknown.experiments[0]
    fitted = jnp.asarray(np.arange(4) < 2)[None, :, None] & experiment.seen[0].fitted
    half = replace(unknown, experiments=(replace(experiment, seen=(replace(experiment.seen[0], fitted=fitted),)),))
    for name in ("mean_field", "structured"):
        method = variational(half, make_guide(name, half, np.asarray(both.sector), rank=1), steps=20)
        state, _ = advance(method, half, method.init(), 20)
        params = method.constrain(state.params)
        unseen = np.tile(np.arange(24) >= 12, 2)
        np.testing.assert_array_equal(params["auto_loc"][unseen], 0)
        assert np.mean(params["auto_loc"][~unseen] != 0) > 0.6
        if name == "mean_field":
            np.testing.assert_array_equal(params["auto_scale"][unseen], method.constrain(method.start)["auto_scale"][0])


def test_steps_taken_in_two_parts_are_the_same_steps(small: Problem) -> None:
    method = variational(small, make_guide("structured", small, np.arange(24) % 3), steps=4, particles=2)
    whole, info = advance(method, small, method.init(), 4)
    half, first = advance(method, small, method.init(), 2)
    rest, second = advance(method, small, half, 2)
    jax.tree.map(np.testing.assert_array_equal, whole, rest)
    np.testing.assert_array_equal(info.loss, np.concatenate([first.loss, second.loss]))


def test_steps_take_over_the_memory_of_the_state_before(small: Problem) -> None:
    method = variational(small, make_guide("mean_field", small, np.arange(24) % 3), steps=12)
    state = method.init()
    held = {leaf.unsafe_buffer_pointer() for leaf in jax.tree.leaves(state)}
    after, _ = advance(method, small, state, 2)
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(state))
    assert {leaf.unsafe_buffer_pointer() for leaf in jax.tree.leaves(after)} == held
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves(method.start))


def test_particles_may_be_computed_apart_and_averaged(small: Problem) -> None:
    method = variational(small, make_guide("mean_field", small, np.arange(24) % 3), steps=12, particles=4)
    state = method.init()
    gradients = jax.jit(partial(particle_gradients, method))
    losses, gradient = gradients(small, state, jnp.arange(4))
    parts = [gradients(small, state, jnp.asarray(ids)) for ids in ([0, 1], [2, 3])]
    np.testing.assert_allclose(losses, np.concatenate([part[0] for part in parts]), rtol=1e-12)
    mean = jax.tree.map(lambda a, b: (a + b) / 2, parts[0][1], parts[1][1])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12), gradient, mean)


def test_a_step_with_a_number_that_is_not_finite_is_not_taken_and_is_named(small: Problem) -> None:
    method = variational(small, make_guide("mean_field", small, np.arange(24) % 3), steps=12, particles=2)
    state = method.init()
    gradient = jax.tree.map(jnp.ones_like, state.params)
    gradient["auto_scale"] = gradient["auto_scale"].at[3].set(jnp.nan)
    moved, info = take_step(method, state, jnp.asarray([1.0, jnp.inf]), gradient)
    jax.tree.map(np.testing.assert_array_equal, moved.params, state.params)
    assert moved.step == 1
    assert info.bad_particles.tolist() == [False, True]
    assert {name: bool(bad) for name, bad in info.bad_params.items()} == {"auto_loc": False, "auto_scale": True}


def test_weights_are_those_of_the_posterior_draws(small: Problem) -> None:
    method = variational(small, make_guide("mean_field", small, np.zeros(1, int)), steps=1)
    start = method.init()  # the prior: only the loss weighs
    weights = log_weights(method, small, start, 7, seed=4, batch=3)
    expected = -losses(small, posterior_draws(method, small, start, 7, seed=4))
    np.testing.assert_allclose(weights, expected, rtol=1e-6)


# -- ensembles


def test_members_of_an_ensemble_do_not_depend_on_their_batch(small: Problem) -> None:
    alone = pull(small, member_keys(4, [3]), Pull(steps=3))
    among = pull(small, member_keys(4, range(5)), Pull(steps=3))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[:, 0], b[:, 3], rtol=1e-9), alone.latents, among.latents)


def test_members_take_the_data_to_err_by_the_noise_and_the_temperature(small: Problem) -> None:
    hot = replace(small, loss=Loss(temperature=9))
    error = np.asarray(perturbed(hot, member_keys(4, range(400))).experiments[0].seen[0].error)
    assert error.shape == (DAYS, 3, 400)
    np.testing.assert_allclose([error.mean(), error.std()], [0, 3], atol=0.06)


def test_field_values_are_the_parameters_of_the_model(small: Problem) -> None:
    zero = {site: jnp.zeros((size, 1)) for site, size in small.sites.items()}
    found = field_values(small, zero)
    scenario = small.experiments[0].scenario
    for field in small.fields:
        np.testing.assert_allclose(found[field.name], get(small.parameters, scenario, field), rtol=1e-12)
