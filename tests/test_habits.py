"""What a user of command lines is used to: examples in the help, completion, JSON refusals, a first spec, exports."""

import argparse
import json
import shlex
import shutil
import subprocess
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml
from recorded import run
from shockmesh.cluster.cli import main, make_parser, verbs_of
from shockmesh.cluster.planning.prepare import prepare
from shockmesh.cluster.spec.load import load_spec
from shockmesh.cluster.verbs.examples import EXAMPLES
from shockmesh.cluster.verbs.init import KINDS, QUESTIONS, InitError, answered, init
from shockmesh.io import exports
from shockmesh.io.exports import ExportError, averaged, export_run
from shockmesh.io.networks.store import write_network
from shockmesh.kernels.network import FirmNetwork

read_excel: Any = partial(pd.read_excel, engine="openpyxl")
VERBS = verbs_of(make_parser())


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_examples_that_its_parser_takes(verb: str, capsys: pytest.CaptureFixture[str]):
    assert EXAMPLES.get(verb), f"{verb}: say one in cluster/verbs/examples.py"
    told = VERBS[verb].format_help()
    for call in EXAMPLES[verb]:
        assert f"  {call}" in told
        words = shlex.split(call.partition(" > ")[0])
        assert words[:2] == ["shockmesh", verb]
        if verb != "bench":
            make_parser().parse_args(words[1:])


def test_defaults_are_in_the_help():
    told = " ".join(VERBS["esri"].format_help().split())
    assert "failures at a time; default: 32" in told
    assert "default: None" not in told
    defaults = [action.default for of in VERBS.values() for action in of._actions if action.help]
    assert defaults


def test_exit_codes_are_in_the_help():
    told = make_parser().format_help()
    assert all(f"{code} " in told for code in (0, 2, 3, 130))


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion_is_printed(shell: str, capsys: pytest.CaptureFixture[str]):
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert all(verb in script for verb in VERBS)
    if shutil.which(shell):
        assert subprocess.run([shell, "-n"], input=script, text=True, check=False).returncode == 0


def test_bash_completes_verbs_and_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["completion", "bash"]) == 0
    (tmp_path / "c.sh").write_text(capsys.readouterr().out)
    ask = 'source c.sh; COMP_WORDS=({}); COMP_CWORD={}; _shtab_shockmesh; echo "${{COMPREPLY[*]}}"'
    for words, last in (("shockmesh val", "validate"), ("shockmesh run --cont", "--continue")):
        call = ask.format(words, len(words.split()) - 1)
        done = subprocess.run(["bash", "-c", call], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.stdout.split() == [last], done.stderr


REFUSED = {
    "a wrong call": (["run"], "usage"),
    "no such file": (["validate", "nowhere.yaml"], "SpecError"),
    "no such key": (["explain", "nothing.like.it"], "UnknownKeyError"),
    "no such run": (["report", "nowhere"], "ResultsError"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_are_json_where_asked(tmp_path: Path, monkeypatch: Any, capsys: pytest.CaptureFixture[str], case: str):
    monkeypatch.chdir(tmp_path)
    words, kind = REFUSED[case]
    try:
        code = main([*words, "--json"])
    except SystemExit as end:
        code = end.code
    assert isinstance(code, int)
    told = json.loads(capsys.readouterr().err)
    assert (code, told["exit_code"], told["kind"]) == (2, 2, kind)
    assert told["errors"]
    if kind == "SpecError":
        (problem,) = told["problems"]
        assert set(problem) == {"where", "field", "value", "rule"}


@pytest.fixture
def here(tmp_path: Path, toy: FirmNetwork, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_network(toy, "toy.zarr")
    return tmp_path


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("members", ["1", "3"])
def test_a_first_spec_is_valid(here: Path, kind: str, members: str):
    given = {"economy": "toy.zarr", "kind": kind, "region": "Spain, GBR", "start": "2020-03-01", "members": members}
    given |= {"builders": "A01"} if kind == "damage" else {"to": "FRA"} if kind in ("cut", "tariff") else {}
    init("spec.yaml", given, ask=None)
    ready = prepare("spec.yaml")
    assert ready.spec.members == int(members)
    text = Path("spec.yaml").read_text()
    assert "start: 2020-03-01" in text.replace("'", "")
    assert load_spec("spec.yaml", ["shocks.shock.onset=2020-03-05"])


@pytest.mark.parametrize(("sectors", "preset"), [("ABCD", "shockmesh2026"), ("AB!?", "hallegatte2014")])
def test_a_first_spec_takes_what_does_no_harm(here: Path, toy: FirmNetwork, sectors: str, preset: str):
    write_network(replace(toy, sectors=tuple(sectors)), here / "other.zarr")
    init("spec.yaml", {"economy": "other.zarr"}, ask=None)
    ready = prepare("spec.yaml")
    assert ready.spec.model.preset == preset
    assert not [said for said in ready.cautions if "outlasts stocks" in said]


def test_a_first_spec_is_asked_for(here: Path):
    replies = {"economy": "toy.zarr", "region": "ESP", "sector": "A01,I"}
    asked: list[str] = []

    def ask(question: Any) -> str:
        asked.append(question.name)
        return str(replies.get(question.name, question.default))

    init("spec.yaml", {"loss": "30 %"}, ask)
    assert asked == [of.name for of in QUESTIONS if not of.of and of.name != "loss"]
    (shock,) = yaml.safe_load(Path("spec.yaml").read_text())["shocks"]
    assert shock == {
        "name": "shock", "kind": "recovery", "where": {"region": "ESP", "sector": ["A01", "I"]}, "loss": "30 %",
        "onset": "10 days", "recovery_days": "60 days",
    }  # fmt: skip


def test_init_writes_nothing_that_does_not_validate(here: Path, capsys: pytest.CaptureFixture[str]):
    for words, told in (
        (["--region", "Spayn"], "no such region"),
        (["--economy", "nowhere.zarr"], "nowhere.zarr"),
        (["--loss", "most"], "must be a number, or per cent such as 30 %"),
        (["--kind", "war"], "--kind: war: must be recovery, damage, cut, tariff"),
        (["--builders", "F"], "--builders: F: is not asked of a recovery"),
    ):
        assert main(["init", "spec.yaml", "--yes", "--economy", "toy.zarr", *words]) == 2
        assert told in capsys.readouterr().err
        assert not Path("spec.yaml").exists()
    assert main(["init", "spec.yaml", "--yes", "--economy", "toy.zarr", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["spec"]["economy"] == "toy.zarr"
    with pytest.raises(InitError, match="exists already"):
        init("spec.yaml", {}, None)
    assert argparse.Namespace(**answered({}, None)).kind == "recovery"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> xr.Dataset:
    """A recorded run, from 2020-03-01 on, as `open_run` gives it."""
    ds = run(members=2)
    dated = ds.assign_coords(time=pd.date_range("2020-03-23", periods=ds.sizes["time"]))
    monkeypatch.setattr(exports, "open_run", lambda path: dated)
    return dated


@pytest.mark.parametrize("ending", [".xlsx", ".parquet", ".csv"])
def test_a_table_has_every_number_of_a_run(tmp_path: Path, opened: xr.Dataset, ending: str):
    file = tmp_path / f"run{ending}"
    assert export_run("run", file) == ["output"]
    read = {".xlsx": read_excel, ".parquet": pd.read_parquet, ".csv": pd.read_csv}[ending]
    table = read(file)
    assert len(table) == opened.output.size
    row = table[(table.member == 1) & (table.region == "ITA") & (table.sector == "I")].iloc[4]
    assert str(row.time)[:10] == "2020-03-27"
    np.testing.assert_allclose(row.output, opened.output.sel(member=1, region="ITA", sector="I")[4])
    np.testing.assert_allclose(row["shocks.lockdown.loss"], 0.6)
    with pytest.raises(ExportError, match="exists already"):
        export_run("run", file)


def test_netcdf_keeps_dims_units_and_dates(tmp_path: Path, opened: xr.Dataset):
    export_run("run", tmp_path / "run.nc")
    with xr.open_dataset(tmp_path / "run.nc") as found:
        xr.testing.assert_allclose(found.output, opened.output)
        assert found.output.attrs["units"] == opened.output.attrs["units"]
        assert "output_baseline" in found


def test_months_are_means_of_their_days(opened: xr.Dataset):
    months = averaged(opened, "month")
    assert np.datetime_as_string(months.time.values, "D").tolist() == ["2020-03-23", "2020-04-01"]
    np.testing.assert_allclose(months.output[:, 0], opened.output[:, :9].mean("time"))
    np.testing.assert_allclose(months.output[:, 1], opened.output[:, 9:].mean("time"))
    weeks = averaged(opened, "week")
    assert weeks.sizes["time"] == 3
    np.testing.assert_allclose(weeks.output[:, 1], opened.output[:, 7:14].mean("time"))
    by_number = averaged(opened.assign_coords(time=np.arange(20)), "week")
    assert by_number.time.values.tolist() == [0, 7, 14]
    with pytest.raises(ExportError, match=r"needs a run with dates: horizon\.start"):
        averaged(opened.assign_coords(time=np.arange(20)), "month")


WRONG: dict[str, tuple[tuple[Any, ...], str]] = {
    "an ending": (("run.txt",), r"must end with \.nc, \.xlsx, \.parquet, \.csv"),
    "a variable": (("run.csv", ("price",)), "variable: price: not recorded; there are output"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_exported_is_refused(tmp_path: Path, opened: xr.Dataset, case: str):
    (name, *more), told = WRONG[case]
    with pytest.raises(ExportError, match=told):
        export_run("run", tmp_path / str(name), *more)


def test_one_table_has_one_kind_of_rows_and_a_sheet_its_most(tmp_path: Path, opened: xr.Dataset, monkeypatch: Any):
    more = opened.assign(total=opened.output.sum(["region", "sector"]), total_baseline=1.0)
    monkeypatch.setattr(exports, "open_run", lambda path: more)
    with pytest.raises(ExportError, match="output by region and sector, total by total"):
        export_run("run", tmp_path / "run.csv")
    export_run("run", tmp_path / "run.xlsx")
    assert set(read_excel(tmp_path / "run.xlsx", sheet_name=None)) == {"output", "total", "about"}
    monkeypatch.setattr(exports, "ROWS", 10)
    with pytest.raises(ExportError, match="240 rows: a sheet has 10"):
        export_run("run", tmp_path / "more.xlsx")
