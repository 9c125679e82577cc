"""The command line: what each verb prints, and its exit code."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import yaml
from shockmesh.cluster.cli import main
from shockmesh.cluster.verbs.printing import BAD_INPUT, DONE, PARTLY_DONE
from shockmesh.io.sources import KINDS


@pytest.fixture
def chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Path:
    """The packaged chain, copied out and imported, as the working directory."""
    monkeypatch.chdir(tmp_path)
    assert main(["example", "chain", ".", "--quiet"]) == DONE
    assert main(["import", "links", "links.csv", "chain.zarr", "--firms", "firms.csv", "--quiet"]) == DONE
    assert capsys.readouterr().out == ""
    Path("network").mkdir()
    Path("network/mine.txt").write_text("keep me", "utf-8")
    return tmp_path


def test_version_is_quick_and_loads_nothing_heavy():
    code = (
        "import sys\nfrom shockmesh.cluster.cli import main\n"
        "try:\n    main(['--version'])\nexcept SystemExit as end:\n    print(end.code)\n"
        "print(sorted({'jax', 'ray', 'xarray', 'zarr', 'pandas', 'pydantic'} & set(sys.modules)))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.splitlines() == ["shockmesh 0.1.0", "0", "[]"]


@pytest.mark.parametrize("arguments", [["import", "--help"], ["import", "nonsense", "a", "b"]])
def test_every_kind_of_import_is_named_by_help_and_by_refusal(arguments: list[str], capsys: Any):
    with pytest.raises(SystemExit):
        main(arguments)
    told = "".join(capsys.readouterr())
    assert [kind for kind in KINDS if kind not in told] == []


def test_examples_are_listed(capsys: Any):
    assert main(["example", "--json"]) == DONE
    assert {"chain", "inoue-todo", "world2014"} <= set(json.loads(capsys.readouterr().out))


def test_a_good_spec_is_valid(chain: Path, capsys: Any):
    assert main(["validate", "outage.yaml"]) == DONE
    assert (
        capsys.readouterr().out == "outage.yaml: valid: 1 members, 5 firms\n"
        "note: shocks.outage: loss is of the capacity to produce, felt beyond the 20 % that may be spare: 1 firm that "
        "makes 20 % of output\nnote: production: every input is critical (leontief)\n"
    )


def test_a_plan_is_printed(chain: Path, capsys: Any):
    assert main(["plan", "outage.yaml"]) == DONE
    told = capsys.readouterr().out
    assert "Plan of outage.yaml" in told
    assert "1 in 1 blocks of 1" in told
    assert "on one RTX 5090" in told


def test_a_plan_and_a_report_say_what_a_cut_does_not_hold(chain: Path, capsys: Any):
    cut = "{name: canal, kind: cut, loss: 0.5}"
    spec = f"economy: chain.zarr\nhorizon: {{days: 5}}\nshocks: [{cut}]\n"
    Path("cut.yaml").write_text(spec, "utf-8")
    said = "shocks.canal: is of trade between firms only, for the economy does not say who buys for final use"
    assert main(["plan", "cut.yaml"]) == DONE
    assert said in capsys.readouterr().out
    assert main(["plan", "cut.yaml", "--json"]) == DONE
    assert json.loads(capsys.readouterr().out)["notes"][0].startswith(said)
    assert main(["run", "cut.yaml", "--out", "cut.run", "--address", "local", "--quiet"]) == DONE
    assert main(["report", "cut.run", "--quiet"]) == DONE
    assert said in Path("cut.run/report.html").read_text("utf-8")


def test_brackets_in_names_are_printed_as_they_are(chain: Path, capsys: Any):
    Path("outage [old].yaml").write_text(Path("outage.yaml").read_text("utf-8"), "utf-8")
    Path("named.csv").write_text("firm,region,sector,final_demand\na [/old],R,S,1\nb [bold],R,S,1\n", "utf-8")
    Path("sold.csv").write_text("supplier,buyer,amount\na [/old],b [bold],1\n", "utf-8")
    assert main(["import", "links", "sold.csv", "named.zarr", "--firms", "named.csv", "--per", "day"]) == DONE
    assert main(["plan", "outage [old].yaml"]) == DONE
    assert main(["esri", "named.zarr"]) == DONE
    told = capsys.readouterr().out
    assert all(name in told for name in ("outage [old].yaml", "a [/old]", "b [bold]"))


def test_a_plan_is_printed_as_json(chain: Path, capsys: Any):
    assert main(["plan", "outage.yaml", "--json", "--set", "horizon.days=7"]) == DONE
    told = json.loads(capsys.readouterr().out)
    assert (told["firms"], told["links"], told["days"], told["output_bytes"]) == (5, 4, 7, 7 * 8 * 6)
    assert [one["device"] for one in told["devices"]] == ["H100", "H200", "A100", "RTX 5090"]


def test_a_network_is_described(chain: Path, capsys: Any):
    assert main(["describe", "chain.zarr", "--json"]) == DONE
    told = json.loads(capsys.readouterr().out)
    assert (told["kind"], told["firms"], told["links"], told["findings"]) == ("network", 5, 4, [])


def test_a_run_is_run_reported_and_described(chain: Path, capsys: Any):
    assert main(["run", "outage.yaml", "--address", "local", "--quiet"]) == DONE
    assert capsys.readouterr().out == ""
    assert main(["status", "outage.run", "--json"]) == DONE
    told = json.loads(capsys.readouterr().out)
    assert (told["state"], told["done"], told["of"], told["unit"]) == ("complete", 1, 1, "members")
    assert (told["bytes"] > 0, told["seconds_since_commit"] >= 0) == (True, True)
    assert main(["status", "outage.run"]) == DONE
    assert re.search(r"members +1 of 1", capsys.readouterr().out)
    assert main(["resume", "outage.run", "--address", "local", "--json"]) == DONE
    told = json.loads(capsys.readouterr().out)
    assert (told["complete"], told["committed"], told["simulated"]) == (True, 1, 0)
    assert main(["report", "outage.run"]) == DONE
    told = capsys.readouterr().out
    assert "78" in told
    assert told.endswith("wrote outage.run/report.html\n")
    assert Path("outage.run/report.html").is_file()
    assert main(["describe", "outage.run", "--json"]) == DONE
    told = json.loads(capsys.readouterr().out)
    assert (told["kind"], told["member"], told["time"], told["firm"], told["findings"]) == ("run", 1, 30, 5, [])
    assert told["loss"]["median"] == pytest.approx(117 / 150)


def test_the_seed_and_the_folder_are_options(chain: Path, capsys: Any):
    assert main(["run", "outage.yaml", "--seed", "11", "-o", "here", "--address", "local", "--json"]) == DONE
    assert json.loads(capsys.readouterr().out)["path"] == "here"
    assert json.loads(Path("here/RUN.json").read_text("utf-8"))["seed"] == 11


def test_a_run_with_failed_members_is_partly_done(chain: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch):
    def broken(self: object, members: range) -> dict[str, np.ndarray]:
        return {"output": np.full((1, 30, 5), np.nan), "final_consumption": np.zeros((1, 30))}

    monkeypatch.setattr("shockmesh.cluster.running.batch.Simulator.simulate", broken)
    assert main(["run", "outage.yaml", "--address", "local"]) == PARTLY_DONE
    assert "not finite in members 0" in capsys.readouterr().out


def test_a_table_becomes_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any):
    monkeypatch.chdir(tmp_path)
    assert main(["import", "wiod2016", "example", "world.zarr"]) == DONE
    told = capsys.readouterr().out.splitlines()
    assert told[0] == (
        "wrote world.zarr: regions 44, sectors 56, categories of final demand 5, years 1, in million USD / year"
    )
    assert any(line.startswith("note: zero output: 136 industries have no output: ") for line in told)
    assert main(["describe", "world.zarr", "--json"]) == DONE
    told = json.loads(capsys.readouterr().out)
    assert (told["kind"], told["region"], told["sector"], told["year"]) == ("table", 44, 56, 2014)
    assert main(["generate", "world.zarr", "firms.zarr", "--firms", "4000", "--seed", "3", "--json"]) == DONE
    told = json.loads(capsys.readouterr().out)
    assert told["firms"] == 4000
    assert told["aggregate_error"]["output"] < 1e-3
    assert main(["generate", "world.zarr", "more.zarr", "--firms", "5"]) == BAD_INPUT
    assert capsys.readouterr().err.startswith("firms: 5 asked for, this table needs at least ")
    assert not Path("more.zarr").exists()


def test_links_are_counted_and_their_unit_is_said(chain: Path, capsys: Any):
    files = ["import", "links", "links.csv", "again.zarr", "--firms", "firms.csv"]
    assert main([*files, "--unit", "thousand HUF", "--per", "day"]) == DONE
    assert capsys.readouterr().out.splitlines() == [
        "wrote again.zarr: firms 5, links 4, regions 2, sectors 4, in thousand HUF / day",
        "note: amounts are taken as thousand HUF per day (--unit, --per)",
        "rows read: 4; links carry 100 % of their amounts",
        "read links.csv: encoding utf-8; split by commas; header line 1; decimal mark .",
        "read firms.csv: encoding utf-8; split by commas; header line 1; decimal mark .",
    ]


BAD: dict[str, tuple[list[str], str]] = {
    "spec that is not there": (
        ["validate", "none.yaml"],
        "none.yaml: (document): cannot be read: No such file or directory",
    ),
    "value outside its domain": (
        ["validate", "outage.yaml", "--set", "shocks.outage.loss=3"],
        "--set shocks.outage.loss=3: shocks.outage.loss: 3: must be ≥ 0 and ≤ 1",
    ),
    "firm that is not there": (
        ["validate", "outage.yaml", "--set", "shocks.outage.where.firm=mien"],
        "--set shocks.outage.where.firm=mien: shocks.outage.where.firm: mien: "
        "no such firm in the economy, did you mean «mine»?",
    ),
    "negative seed": (
        ["plan", "outage.yaml", "--seed", "-1"],
        "--set sweep.seed=-1: sweep.seed: -1: must be greater than or equal to 0",
    ),
    "too little memory": (
        ["plan", "outage.yaml", "--set", "resources.memory=1 MB"],
        "memory: a worker with 1 members at once needs 600 MB and has 1 MB; use fewer workers (resources.gangs), "
        "record less, or a machine with more memory",
    ),
    "example that is not there": (["example", "moon"], "moon"),
    "example in the way": (["example", "chain", "."], "links.csv"),
    "store in the way": (["import", "links", "links.csv", "chain.zarr", "--firms", "firms.csv"], "chain.zarr"),
    "run in the way": (["run", "outage.yaml", "-o", "network", "--address", "local"], "network: exists already"),
    "nothing to resume": (["resume", "."], ".: no run here"),
    "nothing to ask": (["status", "."], ".: no run here"),
    "nothing to report": (["report", "."], ".: no run here"),
    "nothing to describe": (["describe", "."], ".: no table, network or run of shockmesh is there"),
}


@pytest.mark.parametrize(("arguments", "message"), BAD.values(), ids=BAD)
def test_bad_input_is_one_line_and_exit_code_2(chain: Path, capsys: Any, arguments: list[str], message: str):
    assert main(arguments) == BAD_INPUT
    told = capsys.readouterr()
    assert told.out == ""
    assert len(told.err.splitlines()) == 1
    assert message in told.err


def test_several_problems_are_several_lines(chain: Path, capsys: Any):
    spec = yaml.safe_load(Path("outage.yaml").read_text("utf-8"))
    spec["horizon"]["days"], spec["precision"] = 0, "float16"
    Path("bad.yaml").write_text(yaml.safe_dump(spec, sort_keys=False), "utf-8")
    assert main(["validate", "bad.yaml"]) == BAD_INPUT
    assert capsys.readouterr().err.splitlines() == [
        "bad.yaml:7: horizon.days: 0: must be greater than or equal to 1",
        "bad.yaml:18: precision: float16: must be 'float32' or 'float64', did you mean «float64»?",
    ]


@pytest.mark.parametrize("arguments", [[], ["fly"], ["plan"], ["generate", "a", "b"]], ids=str)
def test_a_wrong_call_is_exit_code_2(arguments: list[str], capsys: Any):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == BAD_INPUT
    assert "usage: shockmesh" in capsys.readouterr().err


def test_a_fault_of_ours_is_not_called_bad_input(monkeypatch: pytest.MonkeyPatch):
    def broken(name: str, directory: str) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr("shockmesh.io.examples.copy_example", broken)
    with pytest.raises(ValueError, match="a bug"):
        main(["example", "chain"])


@pytest.mark.parametrize(
    "arguments", [["validate", "none.yaml"], ["describe", "none.zarr"], ["plan"], ["fly"]], ids=str
)
def test_what_is_wrong_is_told_to_programs_as_json(arguments: list[str], capsys: Any):
    assert called([*arguments, "--json"]) == BAD_INPUT
    told = capsys.readouterr()
    assert told.out == ""
    (problem,) = json.loads(told.err)["errors"]
    assert len(problem) > 10


@pytest.mark.parametrize("arguments", [["--help"], ["bench", "--help"], ["run", "--help"]], ids=str)
def test_help_is_no_error(arguments: list[str], capsys: Any):
    assert called(arguments) == DONE
    assert "usage: shockmesh" in capsys.readouterr().out


def called(arguments: list[str]) -> int:
    """The exit code of a call, as a shell sees it."""
    try:
        return main(arguments)
    except SystemExit as end:
        return cast(int, end.code)
