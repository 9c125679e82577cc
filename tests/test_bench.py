"""The benchmarks as verbs: they run, and print what they measured."""

import json
import runpy
from itertools import product
from pathlib import Path

import pytest
from shockmesh.cluster.cli import main
from shockmesh.cluster.verbs.bench import FOLDER


def test_kernels_beside_their_peers(capsys):
    sizes = {"firms": 300, "small": 100, "regions": 2, "days": 10, "repeat": 2}
    assert main(["bench", "kernels", *[f"--{name}={size}" for name, size in sizes.items()], "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"device", "versions", "firms", "links", "days", "repeat", "rows"} <= set(found)
    assert found["rows"][0]["case"] == "numba, 1 thread"
    dense = ["dense matrices in JAX", "dense, one-hot, in JAX", "dense, 8 members", "dense, one-hot, 8 members"]
    small = [*dense, "an object for each firm", "the loop in plain Python"]
    cases = [row["case"] for row in found["rows"]]
    assert cases[cases.index(small[0]) : cases.index(small[-1]) + 1] == small
    assert [row["case"] for row in found["rows"] if "peak_bytes" in row] == [
        "BoARIO, own process",
        "shockmesh, own process",
    ]
    for row in found["rows"]:
        steps = row["links"] * row["days"] * row["members"]
        assert row["link_steps_per_second"] == pytest.approx(steps / row["seconds"])


def test_scaling_of_a_size(tmp_path: Path, capsys):
    given = ["--firms", "400", "--days", "5", "--repeat", "1", "--out", str(tmp_path / "scaling.json")]
    assert main(["bench", "scaling", *given]) == 0
    lines, found = capsys.readouterr().out.splitlines(), json.loads((tmp_path / "scaling.json").read_text())
    assert [line.split()[0] for line in lines[1:]] == ["400"]
    for row in found["rows"]:
        assert row["ms_a_day"] > 0
        assert row["gradient_to_forward"] > 0
        assert all(0 < peak < 10**10 for peak in row["peak_bytes"])
        assert row["planned_bytes"][1] > row["planned_bytes"][0] > 600_000_000


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.timeout(900)
def test_a_sweep_beside_the_bare_kernel(capsys):
    given = ["--members", "128", "--firms", "4000", "--days", "12", "--repeat", "1", "--json"]
    assert main(["bench", "sweeps", *given]) == 0
    found = json.loads(capsys.readouterr().out)["rows"]
    assert [row["record"] for row in found] == ["few", "many"]
    for row in found:
        assert row["blocks"] == 4
        assert 0 < row["to_bare"] == pytest.approx(row["members_per_second"] / row["bare_members_per_second"])


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_calibration_beside_rejection(tmp_path, capsys):
    given = ["--firms", "100", "--seeds", "1", "--quick", "--json", "--plot", str(tmp_path / "losses.png")]
    assert main(["bench", "calibration", *given]) == 0
    found = json.loads(capsys.readouterr().out)
    further = {f"rml, {what}" for what in ("sector prior", "three shocks", "three shocks, sector prior")}
    assert {row["method"] for row in found["rows"]} == further | {
        "prior", "abc", "abc_100", "abc_smc", "cma_es", "es_mda", "svi", "rml", "npe, sector prior"
    }  # fmt: skip
    assert {row["observations"] for row in found["rows"]} == {"sector", "total"}
    errors = {
        (row["method"], row["evaluations"]): row["loss_in_sample"]
        for row in found["rows"]
        if row["observations"] == "sector"
    }
    assert errors["rml", 100] < errors["abc", 3000]
    assert (tmp_path / "losses.png").read_bytes().startswith(b"\x89PNG")


ERRORS = {  # method, evaluations → losses of two seeds
    ("prior", 0): (2.0, 2.0),
    ("abc", 300): (1.5, 1.5),
    ("abc", 30_000): (1.0, 1.2),
    ("svi", 100): (1.4, 1.5),
    ("rml", 100): (1.1, 1.1),
    ("rml", 990): (0.5, 0.5),
    ("rml, three shocks", 300): (1.9, 1.7),
}


def rows_of(errors: dict) -> list[dict]:
    about = {"truth": "independent", "observations": "sector"}
    return [
        about
        | {"method": method, "evaluations": spent, "forward_equivalents": 2 * spent, "seed": seed}
        | dict.fromkeys(("loss_in_sample", "loss_later_window", "loss_new_shock"), errors[method, spent][seed])
        for (method, spent), seed in product(errors, (0, 1))
    ]


def test_wins_of_gradients_are_counted_by_seed_and_drawn(tmp_path: Path) -> None:
    bench = runpy.run_path(str(FOLDER / "calibration.py"))
    assert bench["wins"](rows_of(ERRORS)) == [
        "independent, sector: the best gradient method at 100 evaluations, rml, is below ABC's best of 30,000 in "
        "sample on 1 of 2, in the later window on 1 of 2, in a new shock on 1 of 2 seeds.",
        "independent, sector: rml, three shocks: error in a new shock 1.80 % against the prior's 2.00 %, below it on "
        "2 of 2 seeds.",
    ]
    bench["draw"](rows_of(ERRORS), tmp_path / "losses.png")
    assert (tmp_path / "losses.png").read_bytes().startswith(b"\x89PNG")


def test_unknown_benchmark_is_refused(capsys):
    assert main(["bench", "speed"]) == 2
    told = "speed: no such benchmark; there are kernels, scaling, sweeps, calibration, prediction"
    assert told in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.ray
def test_what_the_driver_spends_on_a_block(capsys):
    assert main(["bench", "driver", "--workers", "20", "--blocks", "200", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert 0 < found["driver_ms"] < 20
    assert 0 < found["open_packed_s"] < found["finalise_s"]
