"""Names and groups of sectors and places: what a spec may say in place of codes, and what is told of them."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from shockmesh.cluster.cli import main
from shockmesh.cluster.planning.prepare import prepare
from shockmesh.cluster.spec.binding import bind
from shockmesh.cluster.spec.load import load_spec
from shockmesh.cluster.spec.models import Spec
from shockmesh.cluster.spec.naming import on_economy
from shockmesh.cluster.spec.selection import Directory
from shockmesh.cluster.spec.source import SpecError
from shockmesh.cluster.verbs.printing import DONE
from shockmesh.io.inputs.names import NAMES, Kind, NamesError, groups_of, label, meant, named
from shockmesh.io.inputs.survey import CROSSWALK
from shockmesh.io.networks.industries import industry_network
from shockmesh.io.networks.store import write_network
from tables import random_table
from toy import toy_network

WIOD = ["A01", "B", "C10-C12", "C19", "C29", "D35", "F", "G47", "R_S"]
REV3 = ["AtB", "C", "15t16", "64", "J"]
WORLD = ["AUT", "CHE", "DEU", "GBR", "ROW"]

MEANT: dict[str, tuple[Kind, str, list[str], list[str]]] = {
    "a code": ("sector", "C29", WIOD, ["C29"]),
    "a name": ("sector", "motor vehicles", WIOD, ["C29"]),
    "a section": ("sector", "C", WIOD, ["C10-C12", "C19", "C29"]),
    "a section by its name": ("sector", "Manufacturing", WIOD, ["C10-C12", "C19", "C29"]),
    "industry": ("sector", "Industry", WIOD, ["B", "C10-C12", "C19", "C29", "D35"]),
    "services": ("sector", "services", WIOD, ["G47", "R_S"]),
    "a code that is a group elsewhere": ("sector", "C", REV3, ["C"]),
    "a group of another classification": ("sector", "Manufacturing", REV3, ["15t16"]),
    "a code of another classification": ("sector", "C31_32", ["C31_C32", "C33"], ["C31_C32"]),
    "one that is several here": ("sector", "B", ["B05_06", "B07_08", "B09", "C16"], ["B05_06", "B07_08", "B09"]),
    "one that is a part here": ("sector", "C10", ["C10-C12", "C16"], []),
    "nothing": ("sector", "Umbrellas", WIOD, []),
    "codes of nobody": ("sector", "Manufacturing", ["mine", "mill"], []),
    "a country": ("region", "germany", WORLD, ["DEU"]),
    "a country of two letters": ("region", "Greece", ["DE", "EL"], ["EL"]),
    "the rest": ("region", "Rest of the world", WORLD, ["ROW"]),
    "a union": ("region", "EU", WORLD, ["AUT", "DEU"]),
    "a union by its name": ("region", "European Union", ["AT", "CH", "DE"], ["AT", "DE"]),
    "the seven": ("region", "G7", WORLD, ["DEU", "GBR"]),
    "those of the OECD": ("region", "OECD", WORLD, ["AUT", "CHE", "DEU", "GBR"]),
    "a country in parts": ("region", "China", ["CN1", "CN2"], []),
}


@pytest.mark.parametrize("name", MEANT)
def test_a_word_means_these_codes(name: str) -> None:
    kind, word, codes, expected = MEANT[name]
    assert meant(kind, word, codes) == expected


UNSURE: dict[str, tuple[Kind, str, list[str], str]] = {
    "one partly in a group": ("sector", "H", REV3, "H: 64 only partly belong to it; name the codes"),
    "two of a name": ("region", "Rest of the world", ["ROW", "FIGW1"], "may be ROW or FIGW1; name the code"),
}


@pytest.mark.parametrize("name", UNSURE)
def test_a_word_that_is_not_sure_is_refused(name: str) -> None:
    kind, word, codes, says = UNSURE[name]
    with pytest.raises(NamesError, match=says):
        meant(kind, word, codes)


def test_every_code_of_the_survey_has_a_name() -> None:
    with CROSSWALK.open(encoding="utf-8") as lines:
        known = {row["sector"]: row["used_by"].split() for row in csv.DictReader(lines)}
    for classification in ("wiod2016", "icio", "nace64", "isic"):
        codes = [code for code, used in known.items() if classification in used]
        found = named("sector", codes)
        assert [code for code in codes if code not in found or not found[code].name] == []


def test_a_name_means_the_same_divisions_throughout_a_classification() -> None:
    with (NAMES / "sectors.csv").open(encoding="utf-8") as lines:
        rows = [(used, row) for row in csv.DictReader(lines) for used in row["used_by"].split() if row["divisions"]]
    parts = ("C24A", "C24B", "C301", "C302T309")  # of a division
    ways: dict[tuple[str, str], set[str]] = {}
    for used, row in rows:
        if row["code"] not in parts:
            ways.setdefault((used, row["name"]), set()).add(row["divisions"])
    assert {key: of for key, of in ways.items() if len(of) > 1} == {}


def test_groups_have_as_many_members_as_they_say() -> None:
    assert {code: len(of.covers) for code, of in groups_of("region").items()} == {
        "EU": 27,
        "EA": 21,
        "OECD": 38,
        "G7": 7,
    }
    members = {member for of in groups_of("region").values() for member in of.covers}
    assert members <= named("region", [*members]).keys()


def test_exiobase_is_known_by_what_pymrio_brings() -> None:
    import pymrio

    brought: Any = pymrio.get_classification("exio3_ixi")
    names, codes = brought.sectors["ExioName"].tolist(), brought.sectors["ExioCode"].tolist()
    assert label("sector", "i01.b", codes) == "i01.b Cultivation of wheat"
    assert len(meant("sector", "D", names)) == 16
    assert {"Processed rice"} <= {*meant("sector", "Manufacturing", names)}


@pytest.mark.parametrize(("used", "sectors", "made"), [("gloria", 120, 52), ("eora26", 26, 8), ("adb", 35, 14)])
def test_tables_of_other_classifications_have_their_sectors_and_groups(used: str, sectors: int, made: int) -> None:
    with (NAMES / "sectors.csv").open(encoding="utf-8") as lines:
        codes = [row["code"] for row in csv.DictReader(lines) if row["used_by"] == used]
    assert (len(codes), len(named("sector", codes)), len(meant("sector", "Manufacturing", codes))) == (
        sectors,
        sectors,
        made,
    )


SPEC: dict[str, Any] = {
    "economy": "toy.zarr", "horizon": {"days": 4},
    "model": {"preset": "hallegatte2014", "inventory_days": {"default": 9, "by_region": {"EU": 5, "ESP": 7}}},
    "shocks": [
        {"name": "strike", "kind": "recovery", "loss": {"by_sector": {"Manufacturing": 0.5, "Services": 0.25}},
         "where": {"region": ["United Kingdom", "EA"], "sector": ["Food", "I", "Services"]}},
        {"name": "quake", "kind": "damage", "where": {"region": "France"}, "loss": 0.1,
         "builders": {"Retail trade": 1}},
    ],
}  # fmt: skip


@pytest.fixture
def spec(tmp_path: Path) -> Any:
    write_network(toy_network(), tmp_path / "toy.zarr")

    def file(**changes: Any) -> Path:
        path = tmp_path / "spec.yaml"
        path.write_text(yaml.safe_dump(SPEC | changes))
        return path

    return file


def test_a_spec_of_names_is_the_spec_of_their_codes(spec: Any) -> None:
    found = on_economy(load_spec(spec()))
    resolved: Any = found.spec
    strike, quake = resolved.shocks
    assert resolved.model.inventory_days.by_region == {"ESP": 7, "FRA": 5}
    assert (strike.where.region, strike.where.sector) == (("GBR", "ESP", "FRA"), ("C10", "I", "G47"))
    assert strike.loss.by_sector == {"C10": 0.5, "G47": 0.25, "I": 0.25}
    assert (quake.where.region, quake.builders) == (("FRA",), {"G47": 1})
    assert "Services: stands for G47, I" in found.remarks
    assert "EU: stands for ESP, FRA; 25 of its countries are no regions of the economy" in found.remarks
    assert on_economy(found.spec).spec == found.spec


def test_a_sweep_takes_names_and_groups_too(spec: Any) -> None:
    sweep = {"grid": {"shocks.strike.where.region": ["EU", "GBR", "Spain"]}}
    ready = prepare(spec(shocks=SPEC["shocks"][:1], sweep=sweep, resources={"gangs": 1}))
    bound = bind(ready.spec, ready.network)
    shock: Any = bound.shocks[0]
    hit = shock.places["where"].at(bound.members.values, np.arange(3))
    regions = [{ready.network.regions[k] for k in ready.network.region[hit[:, member]]} for member in range(3)]
    assert regions == [{"ESP", "FRA"}, {"GBR"}, {"ESP"}]


GRID = {"model.inventory_days.by_sector.Services": [3, 4], "model.inventory_days.by_region.Spain": [5]}
DAYS = {"default": 9, "by_sector": {"Services": 7, "I": 2}}


def test_a_sweep_moves_a_group_as_one(spec: Any) -> None:
    """Its sectors have the number that a member draws; of a code itself, what is said of it."""
    ready = prepare(spec(model={"inventory_days": DAYS}, shocks=SPEC["shocks"][:1], sweep={"grid": GRID},
                         resources={"gangs": 1}))  # fmt: skip
    assert ready.spec.model_dump()["model"]["inventory_days"]["by_sector"] == {"Services": 7, "I": 2}
    bound, network = bind(ready.spec, ready.network), ready.network
    days = bound.parameters["inventory_days"].at(bound.members.values)
    sector, region = np.array(network.sectors)[network.sector], np.array(network.regions)[network.region]
    for member, drawn in enumerate((3, 4)):
        other = np.where(region == "ESP", 5, 9)
        expected = np.where(sector == "G47", drawn, np.where(sector == "I", 2, other))
        np.testing.assert_array_equal(np.broadcast_to(days, (network.n_firms, 2))[:, member], expected)


def test_the_names_that_a_table_brings_are_known_too() -> None:
    table = random_table(1, 2)
    table.attrs["sector_names"] = {"S0": "Umbrellas", "S1": "Raincoats"}
    network = industry_network(table)
    assert Directory(network).find("sector", "raincoats") == [1]


TWICE = {"default": 9, "by_region": {"EU": 5, "EA": 6}}
SWEPT_TWICE = {"grid": {"model.inventory_days.by_region.EU": [1], "model.inventory_days.by_region.EA": [2]}}
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "two groups of a sweep": (
        {"sweep": SWEPT_TWICE},
        "model.inventory_days.by_region.EA: EA: ESP has a number of EU already; name the code",
    ),
    "no group": (
        {"sweep": {"grid": {"model.inventory_days.by_sector.Magic": [1]}}},
        "model.inventory_days.by_sector.Magic: Magic: no such sector in the economy",
    ),
    "two groups": ({"model": {"inventory_days": TWICE}}, "model.inventory_days.by_region: EU: ESP has another number"),
    "a group that builds": (
        {"shocks": [SPEC["shocks"][1] | {"builders": {"Services": 1}}]},
        r"shocks.quake.builders.Services: Services: stands for G47, I: give each its own share",
    ),
}


def bound_of(read: Spec) -> Any:
    found = on_economy(read)
    return bind(found.spec, found.network)


@pytest.mark.parametrize("name", BAD)
def test_groups_that_contradict_each_other_are_refused(name: str, spec: Any) -> None:
    changes, says = BAD[name]
    with pytest.raises(SpecError, match=rf"spec.yaml:\d+: {says}"):
        bound_of(load_spec(spec(**changes)))


def test_the_verbs_tell_codes_and_groups(spec: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", str(spec(shocks=SPEC["shocks"][:1])), "--json"]) == DONE
    assert "Services: stands for G47, I" in json.loads(capsys.readouterr().out)["notes"]
    assert main(["describe", str(tmp_path / "toy.zarr"), "--codes", "--json"]) == DONE
    told = json.loads(capsys.readouterr().out)
    assert told["region"]["GBR"] == {"name": "United Kingdom", "groups": ["OECD", "G7"]}
    assert told["sector"]["C10"] == {"name": "Food", "groups": ["C", "Industry"]}
    assert main(["describe", str(tmp_path / "toy.zarr"), "--codes"]) == DONE
    assert "Spain, EU, EA, OECD" in capsys.readouterr().out
