"""A spec must fit its network; what does not is named before anything is computed."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shockmesh.cluster.spec.binding import BoundShock, bind
from shockmesh.cluster.spec.load import SpecError
from shockmesh.io.inputs.scenarios import ScenarioError
from shockmesh.kernels.network import FirmNetwork, firm_network
from toy import MakeSpec


@pytest.mark.parametrize(("written", "hit"), [("00456", [0]), ("456", [1]), (456, [1])])
def test_ids_are_text(make: MakeSpec, written: str | int, hit: list[int]):
    ids = firm_network([0], [1], [1.0], [1.0, 2.0], firm=["00456", "456"])
    (shock,) = bind(make({"where": {"firm": [written]}}), ids).shocks
    assert isinstance(shock, BoundShock)
    assert np.flatnonzero(shock.places["where"].matching()).tolist() == hit


@pytest.mark.parametrize("scale", [1e37, 1e-42])
def test_amounts_beyond_the_precision_are_refused(toy: FirmNetwork, make: MakeSpec, scale: float):
    parts = {name: getattr(toy, name) * scale for name in ("amount", "final_demand", "output")}
    scaled = replace(toy, **parts)
    with pytest.raises(
        SpecError, match=r"economy: output of .* in all: float32 needs 3.3e-10 … 7.9e\+28: give its amounts in units"
    ):
        bind(make(precision="float32"), scaled)
    bind(make(precision="float64"), scaled)


HOMES = {"name": "homes", "kind": "household_damage", "worth": 3.0}
MISFITS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "no such region": (
        {"where": {"region": "GBX"}},
        {},
        "spec: shocks.strike.where.region: GBX: no such region in the economy, did you mean «GBR»?",
    ),
    "nothing alike": (
        {"where": {"sector": "Q86"}},
        {},
        "spec: shocks.strike.where.sector: Q86: no such sector in the economy; it has 4: A01, C10, G47, I",
    ),
    "no such firm": (
        {"where": {"firm": "f99"}},
        {},
        "spec: shocks.strike.where.firm: f99: no such firm in the economy, did you mean «f9» or «f19»?",
    ),
    "no firm matches": (
        {"where": {"region": "FRA", "sector": "I"}},
        {},
        "spec: shocks.strike.where: {'region': ('FRA',), 'sector': ('I',)}: no firm matches",
    ),
    "nobody builds there": (
        {},
        {"shocks": [HOMES | {"region": "FRA", "builders": {"C10": 1.0, "I": 1.0}}]},
        "spec: shocks.homes.builders.I: 1.0: no firm there of this sector meets final demand",
    ),
    "no such region of households": (
        {},
        {"shocks": [HOMES | {"region": "GBX", "builders": {"C10": 1.0}}]},
        "spec: shocks.homes.region: GBX: no such region in the economy, did you mean «GBR»?",
    ),
    "no such product": (
        {},
        {"model": {"inventory_by_product": {"C11": 3.0}}},
        "spec: model.inventory_by_product.C11: C11: no such sector in the economy, did you mean «C10»?",
    ),
    "no such sector of a value": (
        {},
        {"model": {"capacity": {"by_sector": {"C11": 2}}}},
        "spec: model.capacity.by_sector.C11: C11: no such sector in the economy, did you mean «C10»?",
    ),
    "no such region in a sweep": (
        {},
        {"sweep": {"grid": {"shocks.strike.where.region": ["ESP", "GBX"]}}},
        "spec: shocks.strike.where.region: GBX: no such region in the economy, did you mean «GBR»?",
    ),
    "firms without a value": (
        {"loss": {"by_region": {"GBR": 0.5, "ESP": 0.5}}},
        {},
        "spec: shocks.strike.loss: 8 firms without a value (f1, f4, f7, f10, f13, …): give a default",
    ),
}


@pytest.mark.parametrize(("strike", "top", "message"), MISFITS.values(), ids=MISFITS)
def test_a_spec_that_does_not_fit_its_network_is_refused(
    toy: FirmNetwork, make: MakeSpec, strike: dict[str, Any], top: dict[str, Any], message: str
):
    with pytest.raises(SpecError) as caught:
        bind(make(strike, **top), toy)
    assert message in str(caught.value).splitlines()


def test_a_file_with_a_value_outside_the_domain_is_refused(toy: FirmNetwork, make: MakeSpec, tmp_path: Path):
    (tmp_path / "n.csv").write_text("firm,value\nf3,0.5\n")
    with pytest.raises(ScenarioError, match=r"n.csv: value: firm f3: 0.5: must be ≥ 1"):
        bind(make(model={"inventory_days": {"default": 7, "file": "n.csv"}}), toy)
