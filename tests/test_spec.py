"""What a good spec says, by our names and by BoARIO's; what is read back is the same."""

from pathlib import Path

from shockmesh.cluster.spec.load import load_spec, parse_spec
from specs import GOOD, Write


def test_a_good_spec_is_read_whole(write: Write):
    spec = load_spec(write(GOOD))
    assert spec.economy.endswith("world.zarr")
    assert Path(spec.economy).is_absolute()
    assert (spec.members, spec.horizon.days, spec.precision) == (200, 365, "float32")
    assert spec.shocks[0].kind == "recovery"
    assert spec.shocks[0].where.sector == ("I", "G47")
    assert spec.record == {"output": ("region", "sector"), "value_added": ("region",)}


def test_boario_names_are_ours(write: Write):
    economy = "economy: world.zarr\nhorizon: {days: 9}\nmodel: "
    theirs = (
        "{preset: hallegatte2014, main_inv_dur: {default: 60, by_sector: {A: 9}}, inventory_restoration_tau: 30, "
        "inventory_dict: {A: 3, D: inf}, psi_param: 0.7, alpha_max: 1.4, alpha_base: 1.1, alpha_tau: 200, "
        "order_type: noalt}"
    )
    ours = (
        "{preset: hallegatte2014, inventory_days: {default: 60, by_sector: {A: 9}}, adjustment_days: 30, "
        "inventory_by_product: {A: 3, D: .inf}, inventory_threshold: 0.7, capacity: 1.4, base_capacity: 1.1, "
        "overproduction_days: 200, order_split: baseline}"
    )
    found, expected = (load_spec(write(economy + model)).model_dump(mode="json") for model in (theirs, ours))
    assert found == expected


def test_boario_names_of_events_are_ours(write: Write):
    spec = "economy: world.zarr\nhorizon: {days: 9}\nshocks:\n"
    theirs = (
        "  - {name: quake, kind: damage, loss: 0.3, occurrence: 5, rebuild_start: 15, rebuild_tau: 40, "
        "rebuilding_sectors: {F: 0.6, I: 0.4}, rebuilding_factor: 1.2}\n"
        "  - {name: flood, kind: recovery, loss: 0.3, occurrence: 5, recovery_start: 16, recovery_tau: 40, "
        "recovery_function: linear}\n"
        "  - {name: storm, kind: recovery, loss: 0.3, recovery_tau: 40, recovery_function: concave}\n"
    )
    ours = (
        "  - {name: quake, kind: damage, loss: 0.3, onset: 5, rebuild_start: 15, rebuild_days: 40, "
        "builders: {F: 0.6, I: 0.4}, cost: 1.2}\n"
        "  - {name: flood, kind: recovery, loss: 0.3, onset: 5, recovery_start: 16, recovery_days: 40, "
        "course: linear}\n"
        "  - {name: storm, kind: recovery, loss: 0.3, recovery_days: 40, course: s_shaped}\n"
    )
    found, expected = (load_spec(write(spec + shocks)).model_dump(mode="json") for shocks in (theirs, ours))
    assert found == expected


def test_a_resolved_spec_reads_back_the_same(write: Write):
    more = GOOD.replace("inventory_days: {default", "inventory_by_product: {A: 3, D: inf}, inventory_days: {default", 1)
    resolved = load_spec(write(more)).model_dump(mode="json")
    assert resolved["model"]["inventory_by_product"] == {"A": 3.0, "D": "inf"}
    assert parse_spec(resolved).model_dump(mode="json") == resolved


def test_a_detour_reads_back_the_same(write: Write):
    route = "  - {name: route, kind: cut, origin: {region: CHN}, loss: 0.7, detour_days: 12}\nsweep:\n"
    resolved = load_spec(write(GOOD.replace("sweep:\n", route))).model_dump(mode="json")
    assert resolved["shocks"][1]["detour_days"] == 12
    assert parse_spec(resolved).model_dump(mode="json") == resolved


def test_nothing_but_the_economy_and_the_horizon_is_required(write: Write):
    spec = load_spec(write("economy: world.zarr\nhorizon: {days: 3}\n"))
    assert (spec.members, spec.shocks, spec.model.preset) == (1, (), "hamid2025")
