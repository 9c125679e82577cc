"""Parity with published simulators: the output of Inoue & Todo's, kept in tests/data/inoue_todo."""

from dataclasses import replace
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from rollouts import rollout
from shockmesh.kernels.devices.layout import lay_out
from shockmesh.kernels.devices.segments import segments
from shockmesh.kernels.mechanisms.courses import Recovery
from shockmesh.kernels.mechanisms.shocks import Scenario
from shockmesh.kernels.model import PRESETS, Parameters
from shockmesh.kernels.network import firm_network

FIXTURES = sorted((Path(__file__).parent / "data" / "inoue_todo").glob("*.npz"))


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_inoue_todo(float64, path):
    said = np.load(path)
    sectors = [str(k) for k in range(said["sector"].max() + 1)]
    network = firm_network(
        said["supplier"], said["buyer"], said["amount"], said["final_demand"], sector=said["sector"], sectors=sectors
    )
    number = lambda value: jnp.full((1, 1), float(value))  # noqa: E731
    model = Parameters(number(said["n_days"]), number(said["tau"]), number(1))
    lagged = Recovery(jnp.asarray(said["delta"])[:, None], number(0), number(1), number(1 / said["recovery_days"]))
    preset = PRESETS["inoue_todo2019"].switches
    switches = replace(preset, rationing=str(said["rationing"]))
    total, days = segments(np.zeros(network.n_firms, int), 1), len(said["total_output"]) - 1
    names = ("output", "final_consumption", "value_added")
    records = rollout(
        lay_out(network, np.float64),
        switches,
        model,
        Scenario((lagged,)),
        days=days,
        record=dict.fromkeys(names, total),
    )
    for name in names:
        np.testing.assert_allclose(records[name][:, 0, 0], said[f"total_{name}"][1:], rtol=1e-10)
    firms = rollout(
        lay_out(network, np.float64), switches, model, Scenario((lagged,)), days=days, record={"output": None}
    )
    for step, expected in zip(said["snapshot_step"], said["firm_output"], strict=True):
        np.testing.assert_allclose(firms["output"][step, :, 0], expected, rtol=1e-5, atol=1e-5)
