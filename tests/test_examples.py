"""The packaged examples: listed, copied whole, never over anything; their data and specs are sound."""

import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from shockmesh.cluster.running.batch import Simulator
from shockmesh.cluster.spec.load import load_spec
from shockmesh.io import examples
from shockmesh.io.examples import EXAMPLES as SOURCE
from shockmesh.io.examples import ExampleError, copy_example, list_examples
from shockmesh.io.networks.import_inoue_todo import import_inoue_todo
from shockmesh.io.networks.import_links import import_links
from shockmesh.io.networks.store import read_network

NAMES = ["chain", "gas2014", "inoue-todo", "tariff2014", "uk2020", "world2014"]


def test_the_module_wins_over_the_folder_of_the_same_name():
    assert Path(str(examples.__file__)).name == "examples.py"
    assert SOURCE.is_dir()


def test_lists_each_example_with_a_line_of_prose():
    listed = list_examples()
    assert list(listed) == NAMES
    assert all(re.fullmatch(r"[A-Z].{40,160}\.", line) for line in listed.values())


@pytest.mark.parametrize("name", NAMES)
def test_copies_every_file(name: str, tmp_path: Path):
    written = copy_example(name, tmp_path / "new" / "place")
    source = {
        path.relative_to(SOURCE / name): path.read_bytes() for path in (SOURCE / name).rglob("*") if path.is_file()
    }
    assert {path.relative_to(tmp_path / "new" / "place"): path.read_bytes() for path in written} == source


def test_never_overwrites(tmp_path: Path):
    (tmp_path / "links.csv").write_text("mine")
    with pytest.raises(ExampleError, match=r"links\.csv: there already; nothing is overwritten"):
        copy_example("chain", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["links.csv"]
    assert (tmp_path / "links.csv").read_text() == "mine"


def test_refuses_a_file_as_directory(tmp_path: Path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(ExampleError, match="taken: is a file; an example is copied into a directory"):
        copy_example("chain", tmp_path / "taken")


@pytest.mark.parametrize("name", ["nowhere", "", ".", "../examples", "chain/../chain"])
def test_names_what_there_is(name: str, tmp_path: Path):
    with pytest.raises(ExampleError, match="there are chain, gas2014, inoue-todo, tariff2014, uk2020, world2014"):
        copy_example(name, tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_readme_states_licence_citation_and_commands_on_files_that_exist(name: str):
    readme = (SOURCE / name / "README.md").read_text("utf-8")
    assert readme.startswith(f"# {name}\n")
    assert re.search(r"CC0 1\.0|CC BY 4\.0", readme)
    assert re.search(r"[Cc]ite |no citation is needed", readme)
    commands = re.findall(r"^    (shockmesh .*)$", readme, re.MULTILINE)
    made = {command.split()[i + 1] for command in commands for i, word in enumerate(command.split()) if word == "--out"}
    inputs = {word for command in commands for word in command.split() if re.search(r"\.(csv|yaml)$", word)}
    assert commands[-1].startswith("shockmesh ")
    assert made
    assert all((SOURCE / name / word).is_file() for word in inputs)


@pytest.mark.parametrize("spec", sorted(SOURCE.rglob("*.yaml")), ids=lambda path: path.name)
def test_a_spec_names_a_store_that_its_readme_makes(spec: Path):
    economy = yaml.safe_load(spec.read_text("utf-8"))["economy"]
    assert f" {economy}" in (spec.parent / "README.md").read_text("utf-8")


def simulated(folder: Path, spec: str) -> dict[str, np.ndarray]:
    """What a copied example computes, by variable, of its only member."""
    loaded = load_spec(folder / spec)
    found = Simulator(loaded, read_network(loaded.economy)).simulate(range(1))
    return {name: values[0] for name, values in found.items()}


def test_the_chain_gives_the_days_that_its_readme_says(tmp_path: Path):
    copy_example("chain", tmp_path)
    import_links(tmp_path / "links.csv", tmp_path / "chain.zarr", tmp_path / "firms.csv", unit_per="day")
    found = simulated(tmp_path, "outage.yaml")
    firms = read_network(tmp_path / "chain.zarr").firm.tolist()
    working = dict(zip(firms, (found["output"] > 1e-9).sum(0).tolist(), strict=True))
    readme = (tmp_path / "README.md").read_text("utf-8")
    said = dict(re.findall(r"^\| (\w+) \| \S+ \| (\d+) \|$", readme, re.MULTILINE))
    assert working == {firm: int(day) for firm, day in said.items()}
    assert found["final_consumption"].sum() == pytest.approx(14, abs=1e-9)


def test_the_random_network_repeats_the_numbers_of_its_readme(tmp_path: Path):
    copy_example("inoue-todo", tmp_path)
    import_inoue_todo(tmp_path / "network", tmp_path / "inoue-todo.zarr")
    total = simulated(tmp_path, "disaster.yaml")["output"].sum(1)
    readme = " ".join((tmp_path / "README.md").read_text("utf-8").split())
    said = re.findall(r"(\d{3}\.\d{3}) on day (\d+)", readme)
    assert len(said) == 5
    np.testing.assert_allclose([total[int(day)] for _, day in said], [float(value) for value, _ in said], atol=5e-4)
    assert total.argmin() == 6


def test_the_lockdown_is_a_sound_spec(tmp_path: Path):
    copy_example("world2014", tmp_path)
    (tmp_path / "world2014-20k.zarr").mkdir()
    spec = load_spec(tmp_path / "lockdown.yaml")
    assert (spec.members, spec.horizon.days) == (64, 180)
    assert set(spec.sweep.vary) == {"shocks.lockdown.loss", "shocks.lockdown.recovery_days", "model.inventory_days"}


def test_the_random_network_balances():
    network = SOURCE / "inoue-todo" / "network"
    links = np.loadtxt(network / "links.txt")
    demand, output = (np.loadtxt(network / name)[:, 1] for name in ("final_demand.txt", "output.txt"))
    sales = np.bincount(links[:, 0].astype(int), links[:, 2], len(demand))
    np.testing.assert_allclose(sales + demand, output, atol=1e-9)
    assert np.loadtxt(network / "sector.txt").shape == (60, 2)
