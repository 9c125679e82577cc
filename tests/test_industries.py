"""A table as an economy: its industries are firms, in every verb that takes an economy."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import yaml
from shockmesh.cluster.cli import main
from shockmesh.cluster.verbs.printing import BAD_INPUT, DONE
from shockmesh.io.networks.industries import industry_network, load_economy
from shockmesh.io.networks.store import write_network
from shockmesh.io.results import open_run
from shockmesh.io.tables.importing import import_table
from shockmesh.io.tables.store import Header, Rows, open_table, write_table
from shockmesh.kernels.esri import esri
from shockmesh.kernels.network import FirmNetwork, firm_network
from tables import dataset, random_table

FLOOD = {"name": "flood", "kind": "recovery", "where": {"sector": ["C20", "D35"]}, "loss": 0.5, "onset": 5}
SPEC: dict[str, Any] = {
    "economy": "table.zarr", "model": {"preset": "hallegatte2014"}, "horizon": {"days": 30},
    "shocks": [FLOOD | {"recovery_days": 10}], "precision": "float64",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the packaged table of the United Kingdom."""
    folder = tmp_path_factory.mktemp("industries")
    import_table("niot", "example", folder / "table.zarr")
    return folder


def by_hand(table: xr.Dataset) -> FirmNetwork:
    """The industries of a table of one region that has no negative cells, and no industry that buys too much."""
    flows = table["Z"].values[0, :, 0] / 365
    final = np.maximum(table["Y"].values[0, :, 0].sum(-1), 0) / 365
    live = np.flatnonzero(flows.sum(1) + final > 0)
    supplier, buyer = np.nonzero(flows[np.ix_(live, live)] > 1e-12 * flows.max())
    names = [str(name) for name in table["sector"].values]
    return firm_network(
        supplier, buyer, flows[np.ix_(live, live)][supplier, buyer], final[live], sector=live, sectors=names,
        regions=["GBR"], firm=[f"GBR {names[k]}" for k in live], unit="million USD / day",
    )  # fmt: skip


def write(folder: Path, name: str, **changes: Any) -> str:
    (folder / name).write_text(yaml.safe_dump(SPEC | changes))
    return str(folder / name)


@pytest.mark.usefixtures("quickly")
def test_a_table_runs_as_the_network_of_its_industries_made_by_hand(folder: Path) -> None:
    with open_table(folder / "table.zarr") as table:
        network = by_hand(table)
    write_network(network, folder / "network.zarr")
    found: dict[str, xr.Dataset] = {}
    for of in ("table", "network"):
        spec = write(folder, f"{of}.yaml", economy=f"{of}.zarr")
        assert main(["run", spec, "--out", str(folder / of), "--address", "local", "--quiet"]) == DONE
        with open_run(folder / of) as run:
            found[of] = run.load()
    one, other = found["table"]["output"], found["network"]["output"]
    assert one.sum("sector").min() < 0.999 * one.isel(time=0).sum()
    np.testing.assert_allclose(one, other, rtol=1e-12)
    assert (network.supplier == network.buyer).sum() > 40
    assert main(["report", str(folder / "table")]) == DONE
    assert "each of 55 industries is one firm" in (folder / "table" / "report.html").read_text("utf-8")


@pytest.mark.usefixtures("quickly")
def test_verbs_take_a_table_and_say_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = write(folder, "s.yaml")
    assert main(["validate", spec, "--json"]) == DONE
    told = json.loads(capsys.readouterr().out)
    assert told["firms"] == 55
    title = "National input-output table, domestic flows, GBR"
    assert told["notes"][0] == f"economy: the industries of: {title}; each of 55 industries is one firm"
    assert main(["plan", spec]) == DONE
    assert main(["esri", str(folder / "table.zarr"), "-o", str(folder / "esri.csv")]) == DONE
    costs = [{"name": "fuel", "kind": "cost", "on": "energy", "rate": 0.5}]
    assert main(["prices", write(folder, "p.yaml", model={"prices": {}}, shocks=costs, horizon={"days": 3})]) == DONE
    rows = (folder / "esri.csv").read_text("utf-8").splitlines()
    assert len(rows) == 56
    assert ",GBR," in rows[1]


def test_what_a_firm_cannot_have_is_repaired_and_told() -> None:
    flows = np.array([[[[2.0, 30.0]], [[-1.0, 4.0]]]]).reshape(1, 2, 1, 2)
    network = industry_network(dataset(flows, np.array([[-3.0, 20.0]]), np.array([[29.0, 23.0]])))
    assert network.firm.tolist() == ["R0 S0", "R0 S1"]
    assert [found["repair"] for found in network.attrs["repairs"]] == [
        "negative cells set to zero", "final demand below zero raised to zero",
        "output restated as sales plus final demand", "inputs above 0.98 of output scaled down",
    ]  # fmt: skip
    assert (network.value_added > 0).all()
    np.testing.assert_allclose(365 * network.output, [32, 24])


def test_esri_of_industries_that_buy_from_themselves_is_the_dense_one(float64) -> None:
    network = industry_network(random_table(1, 5, seed=4))
    found = esri(network, market="none", size="output", tolerance=1e-9, dtype=np.float64)
    flow = np.zeros((5, 5))
    flow[network.supplier, network.buyer] = network.amount
    for failed in range(5):
        limit = np.where(np.arange(5) == failed, 0.0, 1.0)
        down, up = limit.copy(), limit.copy()
        for _ in range(2000):  # every supplier is a product of its own, so that an essential input is all of it
            scarcest = np.where(flow > 0, down[:, None], 1).min(axis=0)
            down, up = np.minimum(limit, scarcest), np.minimum(limit, 1 - flow @ (1 - up) / network.output)
        lost = 1 - np.minimum(down, up)
        assert found[failed] == pytest.approx(lost @ network.output / network.output.sum(), abs=1e-6)


def two_years(path: Path) -> Path:
    def read(year: int) -> list[Rows]:
        one = np.array([[1.0, year - 2000], [2.0, 1.0]])
        return [Rows("R", one[:, None, :], np.array([[[9.0]], [[50.0]]]))]

    header = Header(["R"], ["a", "b"], ["c"], "million EUR / year", "two", "s", "CC0", "", (2010, 2011))
    write_table(path, header, read)
    return path


def test_a_year_of_several_is_chosen(tmp_path: Path) -> None:
    store = two_years(tmp_path / "t.zarr")
    network = load_economy(store, 2011)
    assert (network.attrs["year"], network.unit) == (2011, "million EUR / day")
    assert 365 * network.amount[(network.supplier == 0) & (network.buyer == 1)] == pytest.approx([11])


YEARS = {
    "none": ([], "year: none given; the table has 2010 … 2011"),
    "another": (["--set", "year=1999"], "year: 1999: the table has 2010 … 2011"),
    "no year": (["--set", "year=11"], "year: 11: must be greater than or equal to 1000"),
    "of a network": (["--set", "year=2010", "--set", "economy=n.zarr"], "a network of firms has no years"),
}


@pytest.mark.parametrize("name", YEARS)
def test_years_that_cannot_be_are_refused(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words, says = YEARS[name]
    store = two_years(tmp_path / "table.zarr")
    write_network(load_economy(store, 2010), tmp_path / "n.zarr")
    assert main(["validate", write(tmp_path, "s.yaml", shocks=[]), *words]) == BAD_INPUT
    assert says in capsys.readouterr().err
