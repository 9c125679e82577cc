"""`--set` replaces one key of a spec, or says why not."""

from collections.abc import Callable

import pytest
from shockmesh.cluster.spec.load import Spec, load_spec
from specs import GOOD, Write, problems

KEYS = ", ".join(Spec.model_fields)
OVERRIDES = {
    "a number": ("horizon.days=5", lambda spec: spec.horizon.days == 5),
    "a shock by name": ("shocks.lockdown.loss=0.25", lambda spec: spec.shocks[0].loss == 0.25),
    "a mapping": ("model.inventory_days={default: 4}", lambda spec: spec.model.inventory_days.default == 4),
    "a distribution": (
        "sweep.vary.shocks.lockdown.loss={uniform: [0, 1]}",
        lambda spec: spec.sweep.vary["shocks.lockdown.loss"].support == (0, 1),
    ),
    "a key that was not there": ("resources.gangs=2", lambda spec: spec.resources.gangs == 2),
}


@pytest.mark.parametrize(("override", "holds"), OVERRIDES.values(), ids=OVERRIDES)
def test_an_override_replaces_one_key(write: Write, override: str, holds: Callable[[Spec], bool]):
    assert holds(load_spec(write(GOOD), [override]))


BAD_OVERRIDES = {
    "no value": ("horizon.days", "--set horizon.days: (override): horizon.days: must be key.path=value"),
    "bad value": (
        "shocks.lockdown.loss=2",
        "--set shocks.lockdown.loss=2: shocks.lockdown.loss: 2: must be ≥ 0 and ≤ 1",
    ),
    "no such shock": (
        "shocks.strike.loss=0.1",
        "--set shocks.strike.loss=0.1: shocks.strike.loss: strike: no entry of that name in the list",
    ),
    "below a number": (
        "horizon.days.first=1",
        "--set horizon.days.first=1: horizon.days.first: 365: «days» has no keys below it",
    ),
    "unknown key": (
        "horizn.days=1",
        f"--set horizn.days=1: horizn: {{'days': 1}}: unknown key, did you mean «horizon»?; there are {KEYS}",
    ),
}


@pytest.mark.parametrize(("override", "expected"), BAD_OVERRIDES.values(), ids=BAD_OVERRIDES)
def test_a_bad_override_is_named(write: Write, override: str, expected: str):
    assert problems(write(GOOD), override) == [expected]
