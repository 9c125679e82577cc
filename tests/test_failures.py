"""Random failures: dates drawn once, so that losses are smooth in what their dates depend on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rollouts import rollout
from scipy import special, stats
from shockmesh.cluster.calibrating.calibration import bind_calibration
from shockmesh.cluster.planning.plan import sizes_of, worker_bytes
from shockmesh.cluster.running.batch import Simulator
from shockmesh.cluster.spec.binding import failures_within
from shockmesh.cluster.spec.load import Spec, SpecError, parse_spec
from shockmesh.cluster.spec.members import arrivals
from shockmesh.cluster.verbs.sensitivity import rank_by_sensitivity
from shockmesh.inference.problem import losses
from shockmesh.io.networks.store import write_network
from shockmesh.kernels.devices.layout import lay_out
from shockmesh.kernels.devices.partition import partition
from shockmesh.kernels.devices.segments import segments
from shockmesh.kernels.mechanisms.courses import Failures
from shockmesh.kernels.mechanisms.shocks import Scenario
from shockmesh.kernels.model import PRESETS, Parameters
from shockmesh.kernels.network import FirmNetwork

pytestmark = pytest.mark.usefixtures("quickly")


def failures(clock: Any, loss: Any = 1.0, onset: Any = 0.0, between: Any = 1.0, repair: Any = 1.0) -> Failures:
    return Failures(
        jnp.asarray(clock), *(jnp.atleast_2d(jnp.asarray(of, float)) for of in (loss, onset, between, repair))
    )


def factors(shock: Failures, days: int) -> jax.Array:
    """[day, firm, member]."""
    return jax.vmap(shock.factor)(jnp.arange(days, dtype=shock.loss.dtype))


def clocks(firms: int, count: int, members: int = 1, seed: int = 3) -> np.ndarray:
    return np.stack(list(arrivals(seed, np.arange(members), "shocks.breakdown.failures", firms, count)))


def test_a_day_loses_the_share_of_it_that_a_firm_is_out(float64):
    """Out from 2.5 to 4.25, and, after 1.5 days at work, again from 5.75 to 7.5."""
    found = factors(failures(np.array([2.5, 4.0])[:, None, None] / 2, 0.8, between=2.0, repair=1.75), 9)[:, 0, 0]
    np.testing.assert_allclose(1 - found, 0.8 * np.array([0, 0, 0.5, 1, 0.25, 0.25, 1, 0.5, 0]), atol=1e-14)


@pytest.mark.parametrize(("between", "repair"), [(5.0, 0.25), (20.0, 7.0), (100.0, 30.0), (1.0, 3.0)])
def test_expected_downtime_is_that_of_the_renewal_process(float64, between: float, repair: float):
    """P(out at s) = Σ_k F_k(s − (k − 1) D) − F_k(s − k D), F_k of the gamma distribution: the mean of 10,000 firms is
    within 5 standard errors on every day and in all, and so is its derivative by M."""
    days, firms = 40, 10_000
    clock = clocks(firms, failures_within(days / between))

    def expected(between: float) -> np.ndarray:
        s, k = np.arange(0, days, 1 / 64) + 1 / 128, np.arange(1, 1 + len(clock))[:, None]
        chance = [special.gammainc(k, np.maximum(s - repair * (k - before), 0) / between) for before in (1, 0)]
        return (chance[0] - chance[1]).sum(0).reshape(days, 64).mean(1)

    def out(between: Any) -> jax.Array:
        return 1 - factors(failures(clock, between=between, repair=repair), days)[:, :, 0]

    found, by_day = jax.jit(lambda between: jax.jvp(out, (between,), (1.0,)))(between)
    by_between = by_day.sum(0)
    error = found.std(1) / np.sqrt(firms)
    assert (np.abs(found.mean(1) - expected(between)) <= 5 * error + 1e-4).all()
    in_all = found.sum(0)
    assert abs(in_all.mean() - expected(between).sum()) <= 5 * in_all.std() / np.sqrt(firms) + 1e-3
    slope = (expected(between + 1e-3) - expected(between - 1e-3)).sum() / 2e-3
    assert abs(by_between.mean() - slope) <= 5 * by_between.std() / np.sqrt(firms) + 1e-3 * abs(slope)


def test_gradients_equal_finite_differences_with_the_same_luck(float64, random_network: Callable[..., FirmNetwork]):
    """Of lost output, by mean days between failures (and so by hazard), repair, loss and onset of each firm."""
    network, rng = random_network(seed=8), np.random.default_rng(0)
    layout, one = lay_out(network, np.float64), jnp.ones((1, 1))
    total = segments(np.zeros(network.n_firms, int), 1)
    clock = jnp.asarray(clocks(network.n_firms, 8))

    def lost(numbers: list[jax.Array]) -> jax.Array:
        model, scenario = Parameters(5 * one, 6 * one, 1.1 * one), Scenario((Failures(clock, *numbers),))
        found = rollout(layout, PRESETS["hamid2025"].switches, model, scenario, days=40, record={"output": total})
        return jnp.square(found["output"] / layout.output.sum() - 1).sum()

    at = [jnp.asarray(rng.uniform(*of, (network.n_firms, 1))) for of in ((0.3, 0.9), (1.2, 3.4), (20, 60), (2.3, 7.7))]
    both = jax.jit(jax.value_and_grad(lost))
    slopes = both(at)[1]
    for which, slope in enumerate(slopes):
        assert (slope != 0).mean() > 0.3
        for seed in range(2):
            direction = jax.random.normal(jax.random.key(seed), slope.shape)
            up, down = (both([x + h * direction * (i == which) for i, x in enumerate(at)])[0] for h in (1e-7, -1e-7))
            np.testing.assert_allclose(jnp.vdot(slope, direction), (up - down) / 2e-7, rtol=2e-5)


@pytest.mark.parametrize("mean", [0.01, 0.5, 3.0, 40.0])
def test_all_failures_that_matter_are_drawn(mean: float):
    count = failures_within(mean)
    assert stats.poisson.sf(count, mean) < 1e-6 < stats.poisson.sf(count - 1, mean)


def test_a_longer_series_begins_with_the_shorter_one_whoever_else_is_drawn():
    longer = clocks(50, 6, members=4)
    np.testing.assert_array_equal(longer[:2], clocks(50, 2, members=4))
    (alone, *_) = arrivals(3, np.array([2]), "shocks.breakdown.failures", 50, 1)
    np.testing.assert_array_equal(longer[0, :, 2:3], alone)
    assert len(np.unique(longer)) == longer.size
    gaps = np.diff(np.concatenate([np.zeros((1, 50, 4)), longer]), axis=0)
    assert stats.kstest(gaps.ravel(), "expon").pvalue > 1e-3


BREAKDOWN = {"name": "breakdown", "kind": "failures", "days_between_failures": 30, "repair_days": 4, "loss": 0.9}


def spec_of(shock: dict[str, Any] | None = None, **top: Any) -> Spec:
    whole = {"economy": ".", "horizon": {"days": 20}, "shocks": [BREAKDOWN | (shock or {})], "precision": "float64"}
    return parse_spec(whole | {"record": {"output": ["firm"]}, "sweep": {"members": 6}} | top)


def test_a_member_is_the_same_in_blocks_of_any_size_and_in_shards(random_network: Callable[..., FirmNetwork]):
    network, spec = random_network(), spec_of()
    found = Simulator(spec, network, 6).simulate(range(6))["output"]
    assert len({member.sum() for member in found}) == 6
    for member in (0, 5):
        alone = Simulator(spec, network, 1).simulate(range(member, member + 1))["output"]
        np.testing.assert_allclose(alone[0], found[member], rtol=1e-13)
    pairs = [Simulator(spec, network, 4).simulate(range(first, 6))["output"] for first in (2, 4)]
    np.testing.assert_allclose(np.concatenate([pairs[0][:2], pairs[1]]), found[2:], rtol=1e-13)
    sharded = Simulator(spec, network, 6, partition(network, 3)).simulate(range(6))["output"]
    np.testing.assert_allclose(sharded, found, rtol=1e-12)


def test_numbers_reach_the_kernel_and_a_sweep_keeps_its_luck(random_network: Callable[..., FirmNetwork]):
    network, path = random_network(), "shocks.breakdown.days_between_failures"
    where = {"where": {"sector": ["S0", "S1"]}, "onset": 3, "repair_days": {"default": 2, "by_sector": {"S1": 5}}}
    spec = spec_of(where, sweep={"grid": {path: [5.0, 50.0]}})
    simulator = Simulator(spec, network, 2)
    shock: Any = simulator.inputs(range(2))[1].productivity[0]
    assert shock.clock.shape == (failures_within(20 / 5), 30, 2)
    np.testing.assert_array_equal(shock.days_between_failures, [[5, 50]])
    np.testing.assert_array_equal(shock.repair_days[:, 0], np.where(network.sector == 1, 5, 2))
    np.testing.assert_array_equal(shock.loss[:, 0], np.where(network.sector <= 1, 0.9, 0))
    rarer: Any = Simulator(spec_of(where), network, 2).inputs(range(2))[1].productivity[0]
    np.testing.assert_array_equal(rarer.clock, shock.clock[: len(rarer.clock)])
    with jax.enable_x64(True):
        assert (factors(shock, 3) == 1).all()
        assert (factors(shock, 20)[3:].min(axis=(0, 1)) < 0.2).all()


def test_failures_take_memory_for_each_firm(random_network: Callable[..., FirmNetwork]):
    network, plain = random_network(), spec_of(shocks=[])
    sizes = sizes_of(spec_of(), network)
    assert sizes.drawn.failures == failures_within(20 / 30)
    assert sizes_of(plain, network).drawn.failures == 0
    more = worker_bytes(spec_of(), sizes, 4) - worker_bytes(plain, sizes_of(plain, network), 4)
    assert more == 4 * 8 * sizes.drawn.failures * network.n_firms


def test_the_hazard_of_each_sector_can_be_inferred(tmp_path: Any, random_network: Callable[..., FirmNetwork]):
    network = random_network(firms=120, links=500)
    (tmp_path / "series.csv").write_text(
        "day,S0,S1,S2,S3\n" + "".join(f"{day},0.9,0.8,0.9,0.95\n" for day in range(20))
    )
    observe = [{"file": str(tmp_path / "series.csv"), "by": "sector", "noise": 0.02}]
    paths = ("shocks.breakdown.days_between_failures", "shocks.breakdown.repair_days", "shocks.breakdown.loss")
    infer = {"parameters": {path: {"spread": {"sector": 0.4}} for path in paths}}
    spec = spec_of(observe=observe, infer=infer, sweep={}, record={"output": ["sector"]})
    with jax.enable_x64(True):
        problem = bind_calibration(spec, network).problem
        at = {site: 0.1 * jnp.ones((size, 1)) for site, size in problem.sites.items()}
        loss = jax.jit(lambda latents: losses(problem, latents)[0])
        slopes = jax.grad(loss)(at)
        for site, slope in slopes.items():
            assert slope.shape == (4, 1)
            assert (slope != 0).all()
            moved = [loss(at | {site: at[site].at[1].add(h)}) for h in (1e-7, -1e-7)]
            np.testing.assert_allclose(slope[1, 0], (moved[0] - moved[1]) / 2e-7, rtol=1e-4)


def test_firms_are_ranked_by_what_their_failures_cost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, random_network: Callable[..., FirmNetwork]
):
    monkeypatch.chdir(tmp_path)
    write_network(random_network(), "economy.zarr")
    breakdown = "{name: breakdown, kind: failures, days_between_failures: 9, repair_days: 4}"
    Path("often.yaml").write_text(
        f"economy: economy.zarr\nhorizon: {{days: 20}}\nshocks: [{breakdown}]\nsweep: {{members: 3}}\n"
    )
    found = rank_by_sensitivity("often.yaml", "often.csv")
    assert np.isfinite(np.asarray(found["d_shocks.breakdown.loss"])).all()
    assert np.max(found["d_shocks.breakdown.loss"]) > 0
    assert np.any(found["d_shocks.breakdown.days_between_failures"])


REFUSED = {
    "failures every hour": (
        {"days_between_failures": 0.04},
        "days_between_failures: 0.04: must be ≥ 1 and ≤ 1,000,000",
    ),
    "no repair": ({"repair_days": 0}, "repair_days: 0: must be ≥ 0.001 and ≤ 1,000,000"),
    "loss above one": ({"loss": 1.2}, "loss: 1.2: must be ≥ 0 and ≤ 1"),
    "another's number": ({"recovery_days": 9}, "recovery_days: 9: unknown key"),
    "no such place": ({"origin": {"region": "R"}}, "origin: {'region': 'R'}: unknown key"),
}


@pytest.mark.parametrize(("shock", "says"), REFUSED.values(), ids=REFUSED)
def test_a_wrong_number_is_named(shock: dict[str, Any], says: str):
    with pytest.raises(SpecError) as caught:
        spec_of(shock)
    assert f"shocks.breakdown.{says}" in str(caught.value)


def test_a_mean_without_a_repair_is_missing_something():
    with pytest.raises(SpecError, match=r"shocks.breakdown.repair_days: missing: required"):
        spec_of(shocks=[{name: of for name, of in BREAKDOWN.items() if name != "repair_days"}])


def test_failures_read_back_the_same():
    resolved = spec_of({"repair_days": {"by_sector": {"S0": 3}}, "onset": 2}).model_dump(mode="json")
    assert parse_spec(resolved).model_dump(mode="json") == resolved
