"""How much of an answer is the model's: the design, the shares of variance, a study from end to end, its short form."""

import json
from pathlib import Path
from shutil import rmtree
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from shockmesh.cluster.cli import main
from shockmesh.cluster.spec.load import parse_spec
from shockmesh.cluster.spec.members import Members, draw_members
from shockmesh.cluster.spec.source import SpecError
from shockmesh.cluster.trust.design import FACTORS, Design, make_design, model_under
from shockmesh.cluster.trust.robustness import other_networks, robustness
from shockmesh.cluster.trust.variance import first_order
from shockmesh.cluster.verbs.printing import BAD_INPUT, DONE
from shockmesh.io.networks.generate import generate_network
from shockmesh.io.networks.store import content_hash, read_network, write_network
from shockmesh.io.reports.losses import measure
from shockmesh.io.reports.robust import UNKNOWN, told
from shockmesh.io.results import open_run
from shockmesh.io.tables.store import Header, Rows, open_table, write_table
from shockmesh.kernels.network import FirmNetwork

LEVELS = st.lists(st.floats(-9, 9), min_size=1, max_size=4)


@given(LEVELS, LEVELS, LEVELS)
def test_factors_that_add_up_have_the_shares_of_their_variances(a: list[float], b: list[float], c: list[float]):
    values = np.array(a)[:, None, None] + np.array(b)[:, None] + np.array(c)
    found, whole = first_order(values, ["a", "b", "c"]), np.var(a) + np.var(b) + np.var(c)
    if whole > 1e-6:
        for name, levels in {"a": a, "b": b, "c": c}.items():
            assert len(levels) == 1 or found[name].share == pytest.approx(np.var(levels) / whole, abs=1e-6)
        assert found["together"].share == pytest.approx(0, abs=1e-6)


def test_factors_that_act_only_together_have_no_share_alone():
    found = first_order(np.outer([-1.0, 1], [-1.0, 1]), ["a", "b"])
    assert {name: of.share for name, of in found.items()} == {"a": 0, "b": 0, "together": 1}


def test_an_answer_that_nothing_changes_has_no_drivers():
    assert {of.share for of in first_order(np.full((2, 3), 0.78) + 1e-12 * np.eye(2, 3), ["a", "b"]).values()} == {0}


def test_the_sampling_error_is_how_far_shares_of_other_samples_stray():
    """A factor of fixed levels and 40 draws: the bootstrap's error against the spread over 300 samples."""

    def sample(seed: int) -> np.ndarray:
        random = np.random.default_rng(seed)
        return np.array([0.0, 1, 2])[:, None] + random.normal(0, 1, 40) + random.normal(0, 0.5, (3, 40))

    strayed = np.std([first_order(sample(seed), ["rule", "draw"])["rule"].share for seed in range(300)])
    errors = [first_order(sample(seed), ["rule", "draw"], ["draw"])["rule"].error for seed in range(5)]
    assert np.mean([error for error in errors if error]) == pytest.approx(strayed, rel=0.35)


SPEC: dict[str, Any] = {
    "economy": "toy.zarr",
    "horizon": {"days": 12},
    "shocks": [{"name": "strike", "kind": "recovery", "where": {"region": "GBR"}, "loss": 0.6, "onset": 2}],
}


def design(changes: dict[str, Any], sectors: tuple[str, ...] = ("A01", "C10-C12"), draws: int = 4) -> Design:
    spec = parse_spec(SPEC | changes)
    return make_design(spec, sectors, draw_members(spec), {"as-given": "toy.zarr"}, draws)


def test_all_combinations_of_levels_are_run():
    made = design({})
    assert made.levels["preset"] == ("hamid2025", "hallegatte2014", "pichler2022")
    assert made.levels["production"] == ("leontief", "half_critical", "weakly_critical")
    assert made.levels["inventory_days"] == ("5 days", "15 days", "60 days")
    assert (made.shape, len(made.cells), made.remarks) == ((3, 3, 1, 3, 1), 9, ())
    assert tuple(made.levels) == FACTORS


DESIGNS: dict[str, tuple[dict[str, Any], str, Any, str]] = {  # changes → a factor, its levels, how a remark begins
    "its own preset and rule first": (
        {"model": {"preset": "inoue_todo2019", "production": "ces"}},
        "production", ("ces", "leontief", "half_critical", "weakly_critical"), "",
    ),
    "stocks by sector": (
        {"model": {"inventory_days": {"default": 9, "by_sector": {"A01": 2}}}},
        "inventory_days", ("× 0.33", "× 1", "× 3"), "",
    ),
    "numbers that others do not read": (
        {"model": {"preset": "pichler2022", "hiring_days": 20}},
        "preset", ("pichler2022", "hamid2025", "hallegatte2014"),
        "model.hiring_days: not read by hamid2025, hallegatte2014",
    ),
    "draws": (
        {"sweep": {"members": 9, "vary": {"shocks.strike.loss": {"uniform": [0.1, 0.9]}}}},
        "draw", ("0", "1", "2", "3"), "",
    ),
    "goods alone are critical": (
        {"model": {"preset": "shockmesh2026"}}, "production", ("half_critical", "leontief", "weakly_critical"), "",
    ),
    "a grid": ({"sweep": {"grid": {"shocks.strike.loss": [0.1, 0.2]}}}, "draw", ("0", "1"), ""),
    "stocks that are swept": (
        {"sweep": {"members": 2, "vary": {"model.inventory_days": {"uniform": [5, 9]}}}},
        "inventory_days", ("5 days", "15 days", "60 days"), "sweep: model.inventory_days: the levels of stock take",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "factor", "levels", "remark"), DESIGNS.values(), ids=DESIGNS)
def test_a_design_follows_its_spec(changes: dict[str, Any], factor: str, levels: Any, remark: str):
    made = design(changes)
    assert made.levels[factor] == levels
    assert "".join(made.remarks)[: len(remark)] == remark
    for cell in made.cells:  # each is a spec
        data = {name: yaml.safe_load(of) for name, _, of in (setting.partition("=") for setting in cell.settings)}
        spec = parse_spec(SPEC | changes | data)
        assert (spec.model.preset, spec.model.switches.production) == (cell.levels["preset"], cell.levels["production"])
        assert spec.members == made.shape[3] * made.shape[4]


@pytest.mark.parametrize("preset", ["hamid2025", "pichler2022", "shockmesh2026"])
def test_sectors_that_nobody_rated_have_bounds(preset: str):
    made = design({"model": {"preset": preset, "production": "leontief"}}, ("mining", "metals"))
    assert made.levels["production"] == ("leontief", "linear")
    assert made.remarks[0].startswith("production: no sector is rated for criticality here (mining, metals")


def test_what_no_mechanism_reads_is_left_out_of_a_cell():
    given = {"preset": "pichler2022", "consumption": "labour_income", "benefit_share": 0.5}
    model = parse_spec(SPEC | {"model": given}).model
    kept = model_under(model, "hallegatte2014", "leontief")
    assert kept.model_fields_set == {"preset", "production"}
    assert model_under(model, "pichler2022", "half_critical").benefit_share == 0.5


def test_prices_alone_have_no_loss():
    with pytest.raises(SpecError, match=r"record: .*has nothing that can be lost; record output"):
        design({"record": {"price": ["region"]}, "model": {"prices": {}}})


def test_each_event_of_a_catalogue_is_in_every_cell():
    spec = parse_spec(SPEC)
    events = Members(2, {"shocks.storm.event": np.array(["a", "b"]), "shocks.storm.frequency": np.array([0.1, 0.2])})
    made = make_design(spec, ["A01"], events, {"as-given": "toy.zarr"}, 4)
    entries = yaml.safe_load(made.cells[0].settings[2].partition("=")[2])["list"]
    assert [entry["shocks.storm.event"] for entry in entries] == ["a", "b"] * 3
    assert {key for entry in entries for key in entry} == {"shocks.storm.event", "model.inventory_days"}


@pytest.fixture
def study(toy: FirmNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A spec on the toy economy, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    write_network(toy, tmp_path / "toy.zarr")
    data = SPEC | {"model": {"production": "leontief"}, "shocks": [SPEC["shocks"][0] | {"recovery_days": 4}]}
    Path("s.yaml").write_text(yaml.safe_dump(data))
    return tmp_path


def test_a_study_from_end_to_end(study: Path, capsys: Any):
    words = ["robustness", "s.yaml", "--presets", "hamid2025", "--days", "3,9", "-o", "out"]
    assert main([*words, "--json"]) == DONE
    found = json.loads(capsys.readouterr().out)
    assert (found["models"], found["members"], len(found["cells"])) == (6, 6, 3)
    assert set(found["drivers"]) == {"production", "inventory_days", "together"}
    again = main(["run", "s.yaml", "--address", "local", "-o", "by-hand", "-q", *_sets(found["cells"][1])])
    assert again == DONE
    assert _loss("by-hand") == pytest.approx(found["cells"][1]["loss"])

    manifests = {path: path.stat().st_mtime_ns for path in study.glob("out/**/RUN.json")}
    rmtree(study / "out/cells" / found["cells"][2]["name"])
    assert main([*words, "-q"]) == DONE
    kept = {path for path, time in manifests.items() if path.stat().st_mtime_ns == time}
    assert manifests.keys() - kept == {study / "out/cells" / found["cells"][2]["name"] / "RUN.json"}
    assert json.loads(Path("out/robustness.json").read_text()) == found

    for run, says in {"out/as-written": told(found), "by-hand": UNKNOWN}.items():
        assert main(["report", run, "-q"]) == DONE
        assert says in Path(run, "report.html").read_text("utf-8").replace("&#x27;", "'")


def test_a_study_of_another_spec_is_not_gone_on_with(study: Path, capsys: Any):
    robustness("s.yaml", "out", presets=["hamid2025"], days=[3])
    assert main(["robustness", "s.yaml", "--set", "horizon.days=13", "-o", "out"]) == BAD_INPUT
    assert "out/as-written: started with another spec" in capsys.readouterr().err


def small_table(path: Path) -> Path:
    """Two industries in two years."""
    header = Header(["R"], ["A01", "C10-C12"], ["c"], "million EUR / year", "two", "s", "CC0", "", (2010, 2011))
    flows = np.array([[30.0, 20], [10, 40]])[:, None, :]
    write_table(path, header, lambda year: [Rows("R", flows, np.array([[[year - 1950.0]], [[50.0]]]))])
    return path


@pytest.mark.parametrize(
    ("named", "beside", "seeds"),
    [(False, True, ["5", "6", "7"]), (True, False, ["5", "6", "7"]), (False, False, ["5"])],
)
def test_other_networks_are_drawn_from_the_same_table(tmp_path: Path, named: bool, beside: bool, seeds: list[str]):
    table = small_table(tmp_path / ("here" if beside else "there") / "table.zarr")
    economy = tmp_path / "here" / "firms.zarr"
    with open_table(table, year=2011) as opened:
        write_network(generate_network(opened, 40, 5, 6.0), economy)
    spec, network = parse_spec(SPEC | {"economy": str(economy)}), read_network(economy)
    found, remarks = other_networks(
        spec, network, tmp_path / "out", table if named else None, 3, lambda what, part: None
    )
    assert [*found] == [f"seed-{seed}" for seed in seeds]
    assert len(remarks) == (len(seeds) == 1)
    for seed in seeds[1:]:
        with open_table(table, year=2011) as opened:
            again = generate_network(opened, 40, int(seed), 6.0)
        assert content_hash(read_network(found[f"seed-{seed}"])) == content_hash(again)


def test_firms_that_a_shock_names_are_in_one_network_only(tmp_path: Path):
    table = small_table(tmp_path / "table.zarr")
    with open_table(table, year=2011) as opened:
        network = generate_network(opened, 40, 5, 6.0)
    spec = parse_spec(SPEC | {"shocks": [SPEC["shocks"][0] | {"where": {"firm": 3}}]})
    found, remarks = other_networks(spec, network, tmp_path / "out", table, 3, lambda what, part: None)
    assert ([*found], remarks) == (["seed-5"], ["network: shocks name firms, which other networks do not have"])


def _sets(cell: dict[str, Any]) -> list[str]:
    return [word for setting in cell["set"] for word in ("--set", setting)]


def _loss(run: str) -> list[float]:
    with open_run(run) as ds:
        return measure(ds, "output").share().values.tolist()
