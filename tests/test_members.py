"""Members are drawn alone: neither the other members nor the other paths change a value."""

from statistics import NormalDist
from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shockmesh.cluster.spec.distributions import parse_distribution
from shockmesh.cluster.spec.load import Spec, SpecError, parse_spec
from shockmesh.cluster.spec.members import draw_members, member_key, uniforms

LOSS, DAYS = "shocks.strike.loss", "model.inventory_days"


@pytest.fixture
def spec(tmp_path: Any):
    """Makes a spec with one shock and the sweep asked for."""

    def make(shock: dict[str, Any] | None = None, **sweep: Any) -> Spec:
        strike = {"name": "strike", "kind": "recovery", "loss": 0.5, **(shock or {})}
        return parse_spec({"economy": str(tmp_path), "horizon": {"days": 5}, "shocks": [strike], "sweep": sweep})

    return make


def test_a_longer_sweep_begins_with_the_shorter(spec: Any):
    vary = {LOSS: {"uniform": [0, 1]}}
    few, many = (draw_members(spec(seed=3, members=n, vary=vary)) for n in (5, 50))
    np.testing.assert_array_equal(few.values[LOSS], many.values[LOSS][:5])


def test_a_path_does_not_change_another(spec: Any):
    alone = draw_members(spec(members=20, vary={LOSS: {"uniform": [0, 1]}}))
    both = draw_members(spec(members=20, vary={DAYS: {"uniform": [1, 9]}, LOSS: {"uniform": [0, 1]}}))
    np.testing.assert_array_equal(alone.values[LOSS], both.values[LOSS])
    assert abs(np.corrcoef(both.values[LOSS], both.values[DAYS])[0, 1]) < 0.6


def test_another_seed_draws_anew(spec: Any):
    one, two = (draw_members(spec(seed=s, members=9, vary={LOSS: {"uniform": [0, 1]}})) for s in (1, 2))
    assert not np.intersect1d(one.values[LOSS], two.values[LOSS]).size


@given(seed=st.integers(0, 2**32 - 1), member=st.integers(0, 30))
@settings(max_examples=20, deadline=None)
def test_a_uniform_number_is_that_of_its_key(seed: int, member: int):
    drawn = uniforms(seed, 31, LOSS)
    high, low = (int(bits) for bits in jax.random.bits(member_key(seed, member, LOSS), (2,), "uint32"))
    assert ((drawn > 0) & (drawn < 1)).all()
    assert drawn[member] == ((high << 20 | low >> 12) + 0.5) / 2**52


@pytest.mark.parametrize("seed", [0, 7, 2**31, 2**32 - 1])
def test_precision_does_not_change_the_draw(seed: int):
    with jax.enable_x64(True):
        double = uniforms(seed, 5, LOSS)
    np.testing.assert_array_equal(uniforms(seed, 5, LOSS), double)


def test_these_are_the_numbers_for_good():
    """Published results name a seed: its numbers never change."""
    assert uniforms(7, 3, LOSS).tolist() == PINNED


PINNED = [0.24180928920307465, 0.6132093351582891, 0.09463631175272635]

# distribution → probability → quantile
QUANTILES = {
    "uniform": ({"uniform": [0.2, 0.8]}, 0.25, 0.35),
    "uniform by name": ({"uniform": {"low": 0.2, "high": 0.8}}, 0.25, 0.35),
    "loguniform": ({"loguniform": [1, 100]}, 0.5, 10),
    "normal": ({"normal": {"mean": 1, "sd": 2}}, 0.975, 1 + 2 * 1.959963984540054),
    "truncated normal, middle": ({"truncated_normal": [0, 1, -1, 1]}, 0.5, 0),
    "truncated normal, end": ({"truncated_normal": [0, 1, -1, 1]}, 1, 1),
    "truncated normal, far above": ({"truncated_normal": [5, 0.5, 10, 20]}, 0.5, 10.034205918040715),
    "truncated normal, far below": ({"truncated_normal": [15, 0.5, 0, 10]}, 0.5, 10 - 0.034205918040715),
    "truncated normal, 1,000 sd above": ({"truncated_normal": [0, 1, 1000, 2000]}, 0.5, 1000.000693146247),
    "lognormal": ({"lognormal": {"median": 10, "sigma": 0.3}}, 0.5, 10),
    "triangular, left": ({"triangular": [0, 1, 4]}, 0.25, 1),
    "triangular, right": ({"triangular": [0, 1, 4]}, 0.75, 4 - np.sqrt(3)),
    "beta": ({"beta": [2, 1]}, 0.25, 0.5),
    "choice": ({"choice": [1, 5, 7]}, 0.4, 5),
}


@pytest.mark.parametrize(("raw", "u", "value"), QUANTILES.values(), ids=QUANTILES)
def test_quantiles(raw: dict[str, Any], u: float, value: float):
    distribution = parse_distribution(raw)
    assert distribution.quantile(np.array([u], float))[0] == pytest.approx(value, rel=1e-12, abs=1e-12)
    assert parse_distribution(distribution.as_dict()) == distribution


@pytest.mark.parametrize("raw", [raw for raw, _, _ in QUANTILES.values() if "choice" not in raw], ids=str)
def test_quantiles_rise_and_stay_within_the_support(raw: dict[str, Any]):
    distribution = parse_distribution(raw)
    values = distribution.quantile(np.linspace(1e-9, 1 - 1e-9, 101))
    assert (np.diff(values) > 0).all()
    if distribution.support:
        low, high = distribution.support
        assert low <= values[0] <= values[-1] <= high


REFUSED = {
    "two families": ({"uniform": [0, 1], "beta": [1, 1]}, "must be one distribution"),
    "a number": (3, "must be one distribution"),
    "too few": ({"uniform": [0]}, r"uniform takes \[low, high\]"),
    "wrong names": ({"uniform": {"from": 0, "to": 1}}, "uniform takes low, high; given from, to"),
    "a text": ({"uniform": [0, "one"]}, "the parameters of uniform must be finite numbers"),
    "negative sigma": ({"lognormal": [1, -1]}, "lognormal needs median > 0 and sigma > 0"),
    "empty choice": ({"choice": []}, "must be a list of values, at least one"),
    "mixed choice": ({"choice": [1, "a"]}, "must be all numbers or all texts"),
}


@pytest.mark.parametrize(("raw", "rule"), REFUSED.values(), ids=REFUSED)
def test_a_bad_distribution_is_refused(raw: object, rule: str):
    with pytest.raises(ValueError, match=rule):
        parse_distribution(raw)


def test_a_grid_is_every_combination_the_last_path_fastest(spec: Any):
    members = draw_members(spec(grid={LOSS: [0.1, 0.2], DAYS: [5, 6, 7]}))
    assert members.n == 6
    assert members.values[LOSS].tolist() == [0.1, 0.1, 0.1, 0.2, 0.2, 0.2]
    assert members.values[DAYS].tolist() == [5, 6, 7, 5, 6, 7]


def test_a_list_is_its_entries(spec: Any):
    members = draw_members(spec(list=[{LOSS: 0.1, DAYS: 5}, {LOSS: 0.9, DAYS: 2}]))
    assert (members.n, members.values[LOSS].tolist()) == (2, [0.1, 0.9])


def test_names_can_be_swept(spec: Any):
    members = draw_members(spec(grid={"shocks.strike.where.region": ["ESP", "FRA"]}))
    assert members.values["shocks.strike.where.region"].tolist() == ["ESP", "FRA"]


REFUSED_SWEEPS = {
    "grid beyond the domain": ({"grid": {LOSS: [0.5, 2]}}, f"spec: sweep.grid.{LOSS}: 2: must be ≥ 0 and ≤ 1"),
    "list beyond the domain": ({"list": [{LOSS: 2}]}, f"spec: sweep.list[0].{LOSS}: 2: must be ≥ 0 and ≤ 1"),
    "list of uneven entries": (
        {"list": [{LOSS: 0.2}, {DAYS: 2}]},
        f"spec: sweep.list[1]: ['{DAYS}']: must have the paths of the first, ['{LOSS}']",
    ),
    "members against the grid": (
        {"grid": {LOSS: [0.5]}, "members": 3},
        "spec: sweep.members: 3: grid makes 1; leave members out",
    ),
    "a name as a number": (
        {"grid": {"shocks.strike.where.region": [1]}},
        "spec: sweep.grid.shocks.strike.where.region: 1: must be a name; put it in quotes",
    ),
    "a number as a name": (
        {"grid": {LOSS: ["high"]}},
        f"spec: sweep.grid.{LOSS}: high: must be a number, or per cent such as 30 %",
    ),
    "a name drawn from numbers": (
        {"members": 2, "vary": {"shocks.strike.where.region": {"uniform": [0, 1]}}},
        "spec: sweep.vary.shocks.strike.where.region: {'uniform': {'low': 0.0, 'high': 1.0}}: "
        "a name is drawn by choice: [ … ]",
    ),
}


@pytest.mark.parametrize(("sweep", "message"), REFUSED_SWEEPS.values(), ids=REFUSED_SWEEPS)
def test_a_bad_sweep_is_refused(spec: Any, sweep: dict[str, Any], message: str):
    with pytest.raises(SpecError) as caught:
        spec(**sweep)
    assert message in str(caught.value).splitlines()


def test_an_unbounded_draw_outside_the_domain_names_its_members(spec: Any):
    sweep = {"seed": 1, "members": 40, "vary": {DAYS: {"lognormal": {"median": 2, "sigma": 0.5}}}}
    values = np.array([2 * np.exp(0.5 * NormalDist().inv_cdf(u)) for u in uniforms(1, 40, DAYS)])
    first = int(np.flatnonzero(values < 1)[0])
    with pytest.raises(SpecError) as caught:
        draw_members(spec(**sweep))
    assert f"sweep.vary.{DAYS}: member {first}: {values[first]:.6g}" in str(caught.value)
    assert str(caught.value).endswith(": must be ≥ 1 and ≤ 1,000,000")


def test_a_recovery_before_the_shock_names_its_members(spec: Any):
    made = spec({"recovery_start": 10}, grid={"shocks.strike.onset": [5, 10, 15]})
    with pytest.raises(SpecError, match=r"recovery_start: member 2: 10: must not be before the onset"):
        draw_members(made)
