"""The result store: what it refuses, what it never shows, what it notices."""

import json
import os
import random
import re
import shutil
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from runpy import run_path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import zarr
from drivers import wait_for
from shockmesh.io.results import (
    ResultsError,
    committed,
    create_folder,
    create_run,
    failed_members,
    finalise,
    lost,
    mend,
    open_run,
    read_manifest,
    verify,
    write_block,
)
from shockmesh.io.stores import journal
from shockmesh.io.stores import template as template_module
from shockmesh.io.stores.template import CHUNK_BYTES, Template, Variable

WRITER = "writer"  # the name under which a writer's process runs this file
MEMBERS, BLOCK, DAYS = 7, 3, 5
LABELS = {"region": np.array(["AUT", "DEU"]), "sector": np.array(["A", "B", "C"]), "firm": np.arange(9000)}
DIMS = {"output": ("region", "sector"), "value_added": (), "demand": ("region",), "capacity": ("firm",)}


def template() -> Template:
    def variable(name: str, dims: tuple[str, ...]) -> Variable:
        return Variable(name, dims, "USD / day", name, np.ones([len(LABELS[dim]) for dim in dims], np.float32))

    drawn = {"shocks.storm.loss": np.linspace(0, 1, MEMBERS), "model.preset": np.array(["hamid2025"] * MEMBERS)}
    variables = tuple(variable(name, dims) for name, dims in DIMS.items())
    places = {"firm_region": LABELS["region"][np.arange(9000) % 2]}
    return Template(MEMBERS, BLOCK, DAYS, variables, LABELS, drawn, {"title": "a test"}, places)


def values_of(block: int) -> dict[str, np.ndarray]:
    rng, size = np.random.default_rng(block), min(BLOCK, MEMBERS - block * BLOCK)
    return {
        name: rng.random((size, DAYS, *(len(LABELS[dim]) for dim in dims)), dtype=np.float32)
        for name, dims in DIMS.items()
    }


@pytest.fixture
def run(tmp_path: Path) -> Path:
    create_run(tmp_path / "run", {"seed": 7, "git_commit": "abc", "versions": {"jax": "1"}}, template())
    return tmp_path / "run"


@pytest.mark.parametrize("chunk_bytes", [0, CHUNK_BYTES])
def test_round_trip_in_every_shape(tmp_path, monkeypatch, chunk_bytes):
    monkeypatch.setattr(template_module, "CHUNK_BYTES", chunk_bytes)
    create_run(run := tmp_path / "run", {"seed": 7, "git_commit": "abc"}, template())
    for block in (2, 0, 1):
        assert write_block(run, block, values_of(block), {"failed": []})
    with open_run(run) as ds:
        assert ds.sizes == {"member": 7, "time": 5, "region": 2, "sector": 3, "firm": 9000}
        for name in DIMS:
            assert ds[name].dims == ("member", "time", *DIMS[name])
            expected = np.concatenate([values_of(block)[name] for block in range(3)])
            np.testing.assert_array_equal(ds[name], expected)
            np.testing.assert_array_equal(ds[f"{name}_baseline"], np.ones(ds[name].shape[2:]))
        np.testing.assert_array_equal(ds["shocks.storm.loss"], np.linspace(0, 1, 7))
        assert ds["model.preset"].dims == ("member",)
        assert (ds.attrs["seed"], ds.attrs["git_commit"], ds.attrs["title"]) == (7, "abc", "a test")
    assert verify(run) == []


def test_uncommitted_members_are_not_seen(run):
    write_block(run, 1, values_of(1), {"failed": [4]})
    values = values_of(2)
    group = zarr.open_group(str(run / "results.zarr"), mode="r+")
    group["output"][6:7] = values["output"]  # pyright: ignore  # written, not committed
    with open_run(run) as ds:
        assert ds.member.values.tolist() == [3, 4, 5]
        assert ds.status.values.tolist() == [1, 2, 1]
        assert np.isfinite(ds.output).all()
    assert committed(run) == {1}
    assert failed_members(run) == [4]


def test_what_died_half_written_is_not_counted_and_goes_in_the_end(run):
    litter = run / "results.zarr" / "output" / "c" / "1" / "0" / "0" / "0.ab12.partial"
    litter.parent.mkdir(parents=True)
    litter.write_bytes(b"half a shard")
    write_block(run, 1, values_of(1), {"failed": []})
    finalise(run)
    assert litter.exists()
    for block in (0, 2):
        write_block(run, block, values_of(block), {"failed": []})
    finalise(run)
    assert not litter.exists()
    assert verify(run) == []


def test_a_finished_run_opens_as_any_zarr_store(run):
    for block in range(3):
        write_block(run, block, values_of(block), {"failed": []})
    finalise(run)
    with xr.open_zarr(run / "results.zarr", chunks=None) as ds:
        assert "shocks.storm.loss" in ds.coords
        assert ds.status.values.tolist() == [1] * 7
        np.testing.assert_array_equal(ds.output.isel(member=6), values_of(2)["output"][0])


def test_every_swept_path_is_a_coordinate(tmp_path: Path):
    sectors = ("Steel", "Wood/paper", "Food, drink", "50% wool", "Café", "Nord-Est")
    drawn = {f"shocks.q.loss.by_sector.{name}": np.arange(MEMBERS) + k for k, name in enumerate(sectors)}
    create_run(tmp_path / "run", {}, replace(template(), member_coords=drawn))
    write_block(tmp_path / "run", 0, values_of(0), {"failed": []})
    with open_run(tmp_path / "run") as ds:
        assert {str(name) for name, of in ds.coords.items() if of.dims == ("member",)} == {"member", *drawn}
        for path, values in drawn.items():
            np.testing.assert_array_equal(ds[path], values[:BLOCK])


def test_a_run_goes_into_netcdf_data_frames_and_excel(run):
    write_block(run, 0, values_of(0), {"failed": []})
    with open_run(run) as ds:
        ds.to_netcdf(run / "run.nc")
        with xr.open_dataset(run / "run.nc") as again:
            xr.testing.assert_equal(again, ds)
            assert (again.attrs["seed"], again.attrs["recorded"]) == (7, "capacity demand output value_added")
        frame = ds.capacity.isel(time=0, member=0).to_dataframe()
        assert frame["firm_region"].tolist() == ["AUT", "DEU"] * 4500
        frame = ds.output.sel(member=1, time=2).to_dataframe()
        frame.to_excel(run / "run.xlsx")
    values = pd.read_excel(run / "run.xlsx", index_col=[0, 1], engine="openpyxl")["output"]
    np.testing.assert_allclose(values, values_of(0)["output"][1, 2].ravel(), rtol=1e-6)


def test_a_calibration_says_what_opens_it(tmp_path):
    create_folder(tmp_path / "run", {"spec": {"infer": {}}})
    with pytest.raises(
        ResultsError, match=r"a calibration, which keeps no members: `shockmesh report` .*open_posterior"
    ):
        open_run(tmp_path / "run")


def test_reading_is_lazy(run):
    with open_run(run) as ds:
        assert not any(array.variable._in_memory for name, array in ds.data_vars.items() if name in DIMS)


def _without(name: str) -> dict[str, np.ndarray]:
    return {key: values for key, values in values_of(0).items() if key != name}


@pytest.mark.parametrize(
    ("block", "arrays", "says"),
    [
        (0, _without("output"), r"block 0: variables \['capacity', 'demand', 'value_added'\], the store has"),
        (0, values_of(2), r"block 0: capacity is \(1, 5, 9000\) float32, expected \(3, 5, 9000\) float32"),
        (0, values_of(0) | {"value_added": np.zeros((3, 5))}, r"value_added is \(3, 5\) float64"),
        (3, values_of(0), r"block 3: the store has blocks 0 … 2"),
        (-1, values_of(0), r"block -1: the store has blocks 0 … 2"),
    ],
)
def test_what_is_not_exactly_a_block_is_refused(run, block, arrays, says):
    with pytest.raises(ResultsError, match=says):
        write_block(run, block, arrays, {})
    assert committed(run) == set()


def test_a_store_whose_shards_are_not_blocks_is_refused(run):
    zarr.open_group(str(run / "results.zarr"), mode="r+").attrs["block"] = 2
    with pytest.raises(ResultsError, match=r"capacity: shards \(3, 5, 16384\) are not blocks of 2 members"):
        write_block(run, 0, values_of(0), {})


def test_a_folder_with_something_in_it_is_refused(tmp_path, run):
    with pytest.raises(ResultsError, match="exists already; a run is written once, to a new folder"):
        create_run(run, {}, template())
    with pytest.raises(ResultsError, match=r"no run here \(RUN.json is missing\)"):
        open_run(tmp_path)
    (run / "RUN.json").write_text("{")
    with pytest.raises(ResultsError, match=r"RUN.json: not JSON"):
        read_manifest(run)


def test_a_committed_block_is_not_written_again(run):
    assert write_block(run, 0, values_of(0), {})
    before = _stamps(run)
    assert not write_block(run, 0, {name: values + 1 for name, values in values_of(0).items()}, {})
    assert _stamps(run) == before


def _stamps(run: Path) -> dict[Path, tuple[int, int]]:
    files = [path for path in run.rglob("*") if path.is_file() and "status" not in path.parts]
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in files}


def test_one_of_many_markers_wins(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        for key in range(20):
            wins = list(
                pool.map(lambda who, key=key: journal.publish(tmp_path / f"{key}.json", {"who": who}), range(8))
            )
            assert sum(wins) == 1
            assert json.loads((tmp_path / f"{key}.json").read_text()) == {"who": wins.index(True)}
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("name", ["output/c/0/0/0/0", "value_added/c/0/0", "capacity/c/0/0/0"])
def test_a_flipped_bit_and_a_missing_shard_are_found(run, name):
    write_block(run, 0, values_of(0), {})
    shard = run / "results.zarr" / name
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 4
    shard.write_bytes(content)
    assert [problem.partition(": ")[2] for problem in verify(run)] == ["contents changed since block 0 was committed"]
    shard.unlink()
    assert [problem.partition(": ")[2] for problem in verify(run)] == ["missing, though block 0 is committed"]


LOSSES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a shard": (lambda store: (store / "value_added/c/1/0").unlink(), r"value_added/c/1/0: missing, though block 1 is"),
    "the end of a shard": (
        lambda store: os.truncate(store / "capacity/c/1/0/0", 50),
        r"0/0: 50 bytes of .*, though block 1",
    ),
    "a variable's block": (
        lambda store: shutil.rmtree(store / "demand/c/1"),
        r"demand/c/1/0/0: missing, though block 1",
    ),
}


@pytest.fixture(params=LOSSES.values(), ids=[*LOSSES])
def loss(request: pytest.FixtureRequest, run: Path) -> str:
    """A run whose block 1 of 3 lost something; the words that say what."""
    for block in range(3):
        write_block(run, block, values_of(block), {"failed": []})
    finalise(run)
    lose, says = request.param
    lose(run / "results.zarr")
    return says


def test_members_whose_shard_is_lost_are_not_complete(run, loss):
    assert [re.search(loss, problem) is not None for problem in lost(run)] == [True]
    assert committed(run) == {0, 2}
    with open_run(run) as found:
        assert found.member.values.tolist() == [0, 1, 2, 6]
        assert (found.status == 1).all()
        assert np.isfinite(found.value_added).all()


def test_a_lost_block_is_taken_back_and_done_again(run, loss):
    assert [re.search(loss, problem) is not None for problem in mend(run, template)] == [True]
    assert write_block(run, 1, values_of(1), {"failed": []})
    assert (verify(run), committed(run), mend(run, template)) == ([], {0, 1, 2}, [])
    with open_run(run) as found:
        np.testing.assert_array_equal(found.value_added[3:6], values_of(1)["value_added"])


def test_a_variable_that_is_gone_is_laid_out_and_done_again(run):
    for block in range(3):
        write_block(run, block, values_of(block), {"failed": []})
    finalise(run)
    for name in ("output", "output_baseline"):
        shutil.rmtree(run / "results.zarr" / name)
    with open_run(run) as found:
        assert found.sizes["member"] == 0
    assert len(mend(run, template)) == 3
    for block in range(3):
        assert write_block(run, block, values_of(block), {"failed": []})
    finalise(run)
    assert verify(run) == []
    with open_run(run) as found:
        np.testing.assert_array_equal(found.output[:3], values_of(0)["output"])
        np.testing.assert_array_equal(found.output_baseline, np.ones((2, 3)))


def _packed_anew(run: Path) -> None:
    """Packed copies that say that the first member of every block failed."""
    file = run / journal.JOURNAL / journal.PACKED
    copies = [(stamp, said | {"failed": said["members"][:1]}) for stamp, said in json.loads(file.read_text())]
    file.write_text(json.dumps(copies))


@pytest.mark.parametrize(
    ("change", "failed", "there"),
    [
        (lambda run: None, [], {0, 1, 2}),
        (_packed_anew, [0, 3, 6], {0, 1, 2}),  # copies are read in place of markers …
        (
            lambda run: (_packed_anew(run), os.utime(run / "journal/1.json")),
            [0, 6],
            {0, 1, 2},
        ),  # … that are as they were
        (lambda run: (_packed_anew(run), (run / "journal/1.json").unlink()), [0, 6], {0, 2}),
        (lambda run: (run / "journal/packed.json").unlink(), [], {0, 1, 2}),
        (lambda run: (run / "journal/packed.json").write_text("[[1"), [], {0, 1, 2}),
        (lambda run: (run / "journal/packed.json").write_text("[[1, 2]]"), [], {0, 1, 2}),
    ],
)
def test_packed_markers_are_believed_as_long_as_their_files_are_the_same(run, change, failed, there):
    for block in range(3):
        assert write_block(run, block, values_of(block), {"failed": []})
    finalise(run)
    change(run)
    assert failed_members(run) == failed
    assert committed(run) == there
    assert verify(run) == []


@pytest.mark.parametrize("tear", [lambda found: b"", lambda found: found[:-9], lambda found: bytes(len(found))])
@pytest.mark.parametrize("block", [0, 2], ids=["a whole block", "the last, short block"])
def test_what_a_power_cut_tore_is_written_anew(run, block, tear):
    assert write_block(run, block, values_of(block), {"failed": []})
    journal.marker_path(run, block).unlink()
    for shard in run.glob(f"results.zarr/*/c/{block}/**/*"):
        if shard.is_file():
            shard.write_bytes(tear(shard.read_bytes()))
    assert write_block(run, block, values_of(block), {"failed": []})
    assert verify(run) == []
    with open_run(run) as found:
        for name, values in values_of(block).items():
            np.testing.assert_array_equal(found[name], values)


def test_a_killed_writer_leaves_whole_blocks(processes, tmp_path):
    """A process writes the blocks over and over into new runs and is killed at a random moment, ten times."""
    rng, seen = random.Random(0), 0
    for trial in range(10):
        folder = tmp_path / str(trial)
        writer = processes.Process(target=run_path, args=(__file__, {"FOLDER": folder}, WRITER))
        writer.start()
        wait_for(folder.exists, 60, "the first run")
        time.sleep(rng.uniform(0, 0.5))
        writer.kill()
        writer.join()
        assert writer.exitcode == -signal.SIGKILL
        for run in folder.glob("*"):
            if (run / "RUN.json").exists():
                assert verify(run) == []
                seen += _check_whole(run)
    assert seen > 0


def write_on(folder: Path) -> None:
    for attempt in range(1000):
        create_run(run := folder / str(attempt), {}, template())
        for block in range(3):
            write_block(run, block, values_of(block), {})


def _check_whole(run: Path) -> int:
    with open_run(run) as ds:
        for block in committed(run):
            members = range(block * BLOCK, min(block * BLOCK + BLOCK, MEMBERS))
            for name, values in values_of(block).items():
                np.testing.assert_array_equal(ds[name].sel(member=list(members)), values)
    return len(committed(run))


if __name__ == WRITER:
    write_on(globals()["FOLDER"])
