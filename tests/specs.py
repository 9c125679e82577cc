"""A spec that is right, and what is wrong with one."""

from collections.abc import Callable
from pathlib import Path

import pytest
from shockmesh.cluster.spec.load import SpecError, load_spec

GOOD = """\
economy: world.zarr
model: {preset: hamid2025, inventory_days: {default: 10, by_sector: {C10-C12: 5}}}
horizon: {days: 365}
shocks:
  - {name: lockdown, kind: recovery, where: {region: GBR, sector: [I, G47]}, loss: 0.6, onset: 10, recovery_days: 40}
sweep:
  seed: 7
  members: 200
  vary:
    shocks.lockdown.loss: {uniform: [0.2, 0.8]}
    model.inventory_days: {lognormal: {median: 10, sigma: 0.3}}
record: {output: [region, sector], value_added: [region]}
"""

type Write = Callable[[str], Path]


def problems(path: Path, *overrides: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        load_spec(path, overrides)
    return [line.removeprefix(f"{path.parent}/") for line in str(caught.value).splitlines()]
