"""BibTeX of what a run used."""

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest
from shockmesh.cluster.cli import main
from shockmesh.cluster.spec.load import parse_spec
from shockmesh.cluster.verbs.cite import DEFAULT, METHOD, PRESET, SHOCK, SWITCH, papers_of, references
from shockmesh.io.examples import copy_example
from shockmesh.kernels.model import PRESETS, Switches

NAMED = {*DEFAULT.values(), "sterman2000"}.union(*PRESET.values(), *SWITCH.values(), *SHOCK.values(), *METHOD.values())


def test_every_preset_has_papers_and_every_paper_an_entry_that_is_used():
    assert set(PRESET) == set(PRESETS)
    assert set(references()) == NAMED


@pytest.mark.parametrize("name", sorted(NAMED))
def test_an_entry_is_whole(name: str):
    entry = references()[name]
    assert entry.count("{") == entry.count("}")
    assert all(re.search(rf"\b{field} = \{{", entry) for field in ("author", "title", "year"))


def test_mechanisms_are_those_of_the_model():
    assert [of for of in SWITCH if of[1] not in get_args(Switches.__annotations__[of[0]])] == []


DAMAGE = {"name": "quake", "kind": "damage", "loss": 0.1, "builders": {"F": 1}}
DETOUR = {"name": "cape", "kind": "cut", "detour_days": 10}
OBSERVED = [{"file": "series.csv"}]
UNKNOWN = {"model.inventory_days": {"spread": {"all": 0.5}}}
USED: dict[str, tuple[dict[str, Any], list[str]]] = {
    "a preset": ({}, ["hamid2025"]),
    "a model of BoARIO's": ({"model": {"preset": "hallegatte2014"}}, ["hallegatte2014", "juhel2024"]),
    "a mechanism in place of the preset's": ({"model": {"production": "half_critical"}}, ["hamid2025", "pichler2022"]),
    "a mechanism that the preset has": (
        {"model": {"preset": "pichler2022", "capacity_rule": "hiring"}},
        ["pichler2022"],
    ),
    "a number that is ours": ({"model": {"production": "ces"}}, ["arrow1961", "atalay2017", "hamid2025"]),
    "a number that is the user's": ({"model": {"production": "ces", "elasticity": 0.2}}, ["arrow1961", "hamid2025"]),
    "shocks": ({"shocks": [DAMAGE, DETOUR]}, ["hallegatte2008", "hallegatte2014", "hamid2025", "sterman2000"]),
    "a calibration": (
        {"observe": OBSERVED, "infer": {"parameters": UNKNOWN, "method": "svi"}},
        ["bissiri2016", "hamid2025", "roeder2017"],
    ),
}


@pytest.mark.parametrize("name", USED)
def test_what_a_spec_uses_is_cited(name: str):
    keys, papers = USED[name]
    assert sorted(set(papers_of(parse_spec({"economy": "x.zarr", "horizon": {"days": 9}, **keys})))) == papers


def test_a_run_says_where_its_numbers_are_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    copy_example("chain", ".")
    said = ["--firms", "firms.csv", "--per", "day", "--origin", "A survey of mines", "--licence", "CC0 1.0"]
    assert main(["import", "links", "links.csv", "chain.zarr", *said, "--quiet"]) == 0
    assert main(["run", "outage.yaml", "--out", "run", "--address", "local", "--quiet"]) == 0
    assert main(["cite", "run"]) == 0
    told = capsys.readouterr().out
    for part in ("@misc{shockmesh,", "howpublished = {A survey of mines}", "note = {CC0 1.0}", "eprint = {2511.05231}"):
        assert part in told
    manifest = json.loads(Path("run/RUN.json").read_text("utf-8"))
    Path("run/RUN.json").write_text(json.dumps({key: of for key, of in manifest.items() if key != "data"}), "utf-8")
    assert main(["cite", "run", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["references"]
    assert list(found) == ["shockmesh", "economy", "hamid2025"]
    assert found["economy"].startswith("% its economy")
