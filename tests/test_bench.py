"""The benchmarks as verbs: they run, and print what they measured."""

import json

import pytest
from shockmesh.cluster.cli import main


def test_kernels_beside_their_peers(capsys):
    sizes = {"firms": 300, "links": 2000, "small": 100, "regions": 2, "days": 10, "repeat": 2}
    assert main(["bench", "kernels", *[f"--{name}={size}" for name, size in sizes.items()], "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"device", "versions", "firms", "links", "days", "repeat", "rows"} <= set(found)
    assert found["rows"][0]["case"] == "numba, 1 thread"
    assert {"dense matrices in JAX", "the loop in plain Python"} <= {row["case"] for row in found["rows"]}
    assert [row["case"] for row in found["rows"] if "peak_bytes" in row] == [
        "BoARIO, own process",
        "shockmesh, own process",
    ]
    for row in found["rows"]:
        steps = row["links"] * row["days"] * row["members"]
        assert row["link_steps_per_second"] == pytest.approx(steps / row["seconds"])


@pytest.mark.slow
def test_calibration_beside_rejection(capsys):
    assert main(["bench", "calibration", "--firms", "100", "--seeds", "1", "--quick", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {row["method"] for row in found["rows"]} == {"prior", "abc", "abc_100", "abc_smc", "es_mda", "svi", "rml"}
    errors = {(row["method"], row["evaluations"]): row["loss_in_sample"] for row in found["rows"]}
    assert errors["rml", 100] < errors["abc", 3000]


def test_unknown_benchmark_is_refused(capsys):
    assert main(["bench", "speed"]) == 2
    assert "speed: no such benchmark; there are kernels, calibration" in capsys.readouterr().err
