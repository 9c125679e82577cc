"""Files that a spec names: factors by day, and how much of them is felt, numbers of firms, criticality of inputs; and
what is wrong with them."""

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from shockmesh.cluster.running.batch import Simulator
from shockmesh.io.inputs.scenarios import ScenarioError, read_criticality, read_factors, read_numbers
from shockmesh.kernels.mechanisms.courses import Table
from shockmesh.kernels.network import FirmNetwork
from toy import DAYS, REGIONS, TABLES, MakeSpec, expected_factors


@pytest.mark.parametrize("text", TABLES.values(), ids=TABLES)
def test_tables_are_read(toy: FirmNetwork, tmp_path: Path, text: str):
    path = tmp_path / "t.csv"
    path.write_text(text)
    np.testing.assert_array_equal(read_factors(str(path), toy, DAYS), expected_factors())


def test_tables_are_read_from_zarr(toy: FirmNetwork, tmp_path: Path):
    factors = expected_factors()[:, :2]
    coords = {"time": np.arange(5), "firm": ["f0", "f1"]}
    xr.Dataset({"factor": (("time", "firm"), factors)}, coords).to_zarr(tmp_path / "t.zarr", consolidated=False)
    np.testing.assert_array_equal(read_factors(str(tmp_path / "t.zarr"), toy, DAYS), expected_factors())


def test_a_table_that_claims_to_be_endless_is_refused_at_once(toy: FirmNetwork, tmp_path: Path):
    coords = {"time": np.arange(5), "firm": ["f0", "f1"]}
    xr.Dataset({"factor": (("time", "firm"), np.ones((5, 2)))}, coords).to_zarr(tmp_path / "t.zarr", consolidated=False)
    for name, shape in (("factor", [5 * 10**8, 2]), ("time", [5 * 10**8])):
        file = tmp_path / "t.zarr" / name / "zarr.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"shape": shape}))
    with pytest.raises(ScenarioError, match=r"t\.zarr: (factor|time): [0-9,]*00,000,000 values: must be at most"):
        read_factors(str(tmp_path / "t.zarr"), toy, DAYS)


def test_tables_by_region_and_sector_are_read(toy: FirmNetwork, tmp_path: Path):
    path = tmp_path / "t.csv"
    path.write_text("region,sector,day,factor\nGBR,I,1,0.5\nESP,A01,0,0.25\n")
    factors = read_factors(str(path), toy, DAYS)
    assert (factors[1, (toy.region == 2) & (toy.sector == 3)] == 0.5).all()
    assert (factors[:, (toy.region == 0) & (toy.sector == 0)] == 0.25).all()
    assert (factors[0, toy.region != 0] == 1).all()


BAD_TABLES = {
    "unknown firm": ("firm,day,factor\nf0,1,1\nx9,1,1\n", "firm: row 3: x9: must be a firm of the economy"),
    "unknown region": ("region,day,factor\nUK,1,1\n", "region: row 2: UK: must be a region of the economy"),
    "negative day": ("firm,day,factor\nf0,-1,1\n", "day: row 2: -1: must be a whole number ≥ 0"),
    "half a day": ("firm,day,factor\nf0,1.5,1\n", "day: row 2: 1.5: must be a whole number ≥ 0"),
    "a factor above one": ("firm,day,factor\nf0,1,1.5\n", "factor: row 2: 1.5: must be ≥ 0 and ≤ 1"),
    "no factor": ("firm,day,factor\nf0,1,\n", "factor: row 2: : must be ≥ 0 and ≤ 1"),
    "a day twice": ("firm,day,factor\nf0,1,1\nf0,1,0\n", "day: row 3: 1: must be one row for each firm and day"),
    "no rows": ("firm,day,factor\n", "rows: 0: must be at least one"),
    "many bad rows": (
        "day,f0\n" + "".join(f"{day},2\n" for day in range(9)),
        "factor: row 2: 2, row 3: 2, row 4: 2, row 5: 2, row 6: 2 and 4 more: must be ≥ 0 and ≤ 1",
    ),
}


@pytest.mark.parametrize(("text", "message"), BAD_TABLES.values(), ids=BAD_TABLES)
def test_a_bad_table_names_file_row_value_and_rule(toy: FirmNetwork, tmp_path: Path, text: str, message: str):
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(ScenarioError) as caught:
        read_factors(str(path), toy, DAYS)
    assert str(caught.value) == f"{path}: {message}"


def test_factors_at_a_place_with_credentials_are_refused_without_telling_them(toy: FirmNetwork):
    with pytest.raises(ScenarioError) as caught:
        read_factors("s3://key:secret@bucket/x", toy, 3)
    told = "s3://bucket/x: credentials do not belong into a name; they come from the environment"
    assert str(caught.value) == told


BAD_NUMBERS = {
    "unknown firm": ("firm,value\nx9,1\n", "firm: row 2: x9: must be a firm of the economy"),
    "a text": ("firm,value\nf0,ten\n", "value: row 2: ten: must be a finite number"),
    "a firm twice": ("firm,value\nf0,1\nf0,2\n", "firm: row 3: f0: must be named once"),
    "no firms": ("id,value\nf0,1\n", "1: columns: id, value: must be firm and one column of values"),
}


@pytest.mark.parametrize(("text", "message"), BAD_NUMBERS.values(), ids=BAD_NUMBERS)
def test_bad_numbers_name_file_row_value_and_rule(toy: FirmNetwork, tmp_path: Path, text: str, message: str):
    path = tmp_path / "n.csv"
    path.write_text(text)
    with pytest.raises(ScenarioError) as caught:
        read_numbers(str(path), toy)
    assert str(caught.value).removeprefix(f"{path}:").strip() == message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x,A01,C10\nA01,1,1\n", "row: C10, G47, I: each sector must be named once"),
        ("x,A01,C10,G47,I\nA01,1,1,1,1\nC10,1,2,1,1\nG47,1,1,1,1\nI,1,1,1,1\n", "C10, C10: 2: must be ≥ 0 and ≤ 1"),
        ("x,A01,C10,G47,I\nA01,1,1,1,1\nC10,1,1,,1\nG47,1,1,1,1\nI,1,1,1,1\n", "C10, G47: : must be ≥ 0 and ≤ 1"),
    ],
)
def test_a_criticality_that_breaks_a_rule_is_named(toy: FirmNetwork, tmp_path: Path, text: str, says: str):
    (tmp_path / "ihs.csv").write_text(text)
    with pytest.raises(ScenarioError) as caught:
        read_criticality(str(tmp_path / "ihs.csv"), toy)
    assert str(caught.value) == f"{tmp_path}/ihs.csv: {says}"


@pytest.mark.parametrize("on", ["production", "final_demand"])
def test_a_table_may_say_how_much_of_a_loss_is_felt(toy: FirmNetwork, make: MakeSpec, tmp_path: Path, on: str):
    (tmp_path / "t.csv").write_text(TABLES["long"])
    loss = {"default": 0.5, "by_region": {REGIONS[0]: 0.2}, "by_sector": {}}
    shocks = [{"name": "storm", "kind": "table", "file": "t.csv", "on": on, "loss": loss}]
    simulator = Simulator(make(shocks=shocks), toy)
    (felt,) = getattr(simulator.inputs(range(1))[1], "productivity" if on == "production" else on)
    share = np.where(toy.region == 0, 0.2, 0.5)
    np.testing.assert_allclose(felt.path[..., 0], 1 - share * (1 - expected_factors()))


def test_the_loss_of_a_table_can_be_swept(toy: FirmNetwork, make: MakeSpec, tmp_path: Path):
    (tmp_path / "t.csv").write_text(TABLES["long"])
    shocks = [{"name": "storm", "kind": "table", "file": "t.csv", "loss": 1.0}]
    sweep = {"list": [{"shocks.storm.loss": loss} for loss in (0.0, 0.3, 1.0)]}
    simulator = Simulator(make(shocks=shocks, sweep=sweep), toy)
    (felt,) = simulator.inputs(range(3))[1].productivity
    assert isinstance(felt, Table)
    for k, loss in enumerate((0.0, 0.3, 1.0)):
        np.testing.assert_allclose(felt.path[..., k], 1 - loss * (1 - expected_factors()))
