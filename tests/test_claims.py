"""What a table's store claims is held against the files that are there, before room is made for it."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shockmesh.io.networks.store import write_network
from shockmesh.io.stores.damage import DamagedStoreError
from shockmesh.io.tables.store import Header, Rows, TableError, open_table, write_table
from shockmesh.kernels.network import firm_network

HEADER = Header(["A", "B"], ["s"], ["c"], "million EUR / year", "a table", "made up", "CC0", "none", (2019,))
LABELS = {"region": ["region", "region_from", "region_to"], "sector": ["sector", "sector_from", "sector_to"]}
MANY = 5 * 10**8


@pytest.fixture
def store(tmp_path: Path) -> Path:
    rows = [Rows(name, np.ones((1, 2, 1)), np.ones((1, 2, 1))) for name in HEADER.regions]
    write_table(tmp_path / "t.zarr", HEADER, lambda year: rows)
    return tmp_path / "t.zarr"


def rewrite(array: Path, **fields: Any) -> None:
    file = array / "zarr.json"
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | fields), "utf-8")


@pytest.mark.parametrize(
    ("array", "shape", "says"),
    [
        ("Z", [MANY, 1, 2, 1], "Z: claims 1,000,000,000 values in 500,000,000 files, of which 2 are there"),
        ("value_added", [MANY, 1], "value_added: claims 500,000,000 values in 250,000,000 files, of which 1 are there"),
        *((name, [MANY], f"{name}: claims 500,000,000 values") for name in (*LABELS["region"], "sector", "category")),
    ],
)
def test_more_than_its_files_hold_is_refused_at_once(store: Path, array: str, shape: list[int], says: str) -> None:
    rewrite(store / array, shape=shape)
    with pytest.raises(DamagedStoreError, match=rf"t\.zarr: {says}"):
        open_table(store)


@pytest.mark.parametrize("names", LABELS.values(), ids=LABELS)
def test_one_file_that_claims_it_all_is_damaged(store: Path, names: list[str]) -> None:
    for name in names:
        grid = {"name": "regular", "configuration": {"chunk_shape": [MANY]}}
        rewrite(store / name, shape=[MANY], chunk_grid=grid)
    with pytest.raises(DamagedStoreError, match=r"t\.zarr: "):
        open_table(store)


def test_a_lost_region_is_told(store: Path) -> None:
    (store / "Z/c/1/0/0/0").unlink()
    with pytest.raises(DamagedStoreError, match=r"t\.zarr: Z: claims 4 values in 2 files, of which 1 are there"):
        open_table(store)


def test_a_lost_variable_is_told(store: Path) -> None:
    shutil.rmtree(store / "output")
    with pytest.raises(TableError, match=r"t\.zarr: output: missing; make the store again"):
        open_table(store)


def test_a_network_in_place_of_a_table_is_told_so(tmp_path: Path) -> None:
    write_network(firm_network([0], [1], [1.0], [0, 1.0]), tmp_path / "n.zarr")
    with pytest.raises(TableError, match=r"n\.zarr: is a network of firms, not a table"):
        open_table(tmp_path / "n.zarr")
