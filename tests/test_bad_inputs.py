"""A table of bad inputs: each ends with exit code 2 and sentences that name the place, and nothing is written."""

import tarfile
import time
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import cast

import jax
import pytest
from bad_calls import bad_commands, bad_files, bad_sources, bad_stores, bad_values, write_files
from bad_specs import SPECS, bad_leaves, bad_names, bad_sweeps, every_leaf, fields_of_numbers, write_specs
from shockmesh.cluster.cli import main
from shockmesh.cluster.planning.prepare import prepare
from shockmesh.cluster.running.batch import Simulator
from shockmesh.cluster.verbs.printing import BAD_INPUT, DONE
from stores import DATA

GROUPS = {
    "leaf": bad_leaves, "name": bad_names, "sweep": bad_sweeps, "file": bad_files, "value": bad_values,
    "store": bad_stores, "source": bad_sources, "command": bad_commands,
}  # fmt: skip
LONGEST = 600  # characters of a sentence
SECONDS = 10
CASES = [pytest.param(*case, id=f"{name} {k}") for name, group in GROUPS.items() for k, case in enumerate(group())]


@pytest.fixture(scope="module", autouse=True)
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, float]]:
    """What lies in the working directory: a store of every kind, good specs, and files good and bad."""
    made = tmp_path_factory.mktemp("bad")
    with tarfile.open(max(DATA.glob("stores-*")) / "stores.tar.xz") as packed:
        packed.extractall(made, filter="data")
    with chdir(made):
        write_specs()
        write_files()
        before = listing("**/*")
        yield listing("*")
        assert listing("**/*") == before


def listing(pattern: str) -> dict[str, float]:
    """When each file or folder was changed."""
    return {str(path): path.stat().st_mtime for path in Path().glob(pattern)}


def called(words: list[str]) -> int:
    """The exit code of a call, as a shell sees it."""
    try:
        return main(words)
    except SystemExit as end:
        return cast(int, end.code)


@pytest.mark.parametrize("spec", SPECS)
def test_what_is_made_bad_is_good(spec: str) -> None:
    assert main(["validate", f"{spec}.yaml", "--quiet"]) == DONE


@pytest.mark.parametrize("spec", [name for name in SPECS if name != "fit"])
def test_what_is_valid_has_a_store_and_inputs(spec: str) -> None:
    """A run makes both of a spec before it simulates: nothing that validates is refused there."""
    ready = prepare(f"{spec}.yaml")
    simulator = Simulator(ready.spec, ready.network, shard_of=ready.shard_of)
    assert simulator.template(ready.plan.members_per_block).variables
    assert jax.tree.leaves(simulator.inputs(range(1)))


def test_an_engine_that_is_not_installed_is_found_by_validate(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("shockmesh.cluster.planning.prepare.find_spec", lambda name: None)
    assert main(["validate", "table.yaml", "--set", "engine=icechunk"]) == BAD_INPUT
    assert "engine: icechunk: is not installed" in capsys.readouterr().err


def test_the_table_has_every_number_of_every_model() -> None:
    assert fields_of_numbers() - {leaf.field for leaf in every_leaf()} == set()


@pytest.mark.parametrize(("words", "names"), CASES)
def test_bad_input_is_refused_and_named(
    words: list[str], names: list[str], untouched: dict[str, float], capsys: pytest.CaptureFixture[str]
) -> None:
    start = time.monotonic()
    assert called(words) == BAD_INPUT, words
    assert time.monotonic() - start < SECONDS, words
    told = capsys.readouterr().err
    assert [name for name in names if name not in told] == [], words
    assert [line for line in told.splitlines() if len(line) > LONGEST or "Traceback" in line] == [], words
    assert listing("*") == untouched, words
