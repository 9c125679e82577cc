"""Particles of variational inference on workers: their average is that of one process, whatever becomes of a worker."""

import os
import signal
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from pathlib import Path

import jax
import numpy as np
import pytest
from drivers import start, wait_for, workers_under
from shockmesh.cluster.calibrating.calibration import bind_calibration
from shockmesh.cluster.calibrating.fit import Fitted, fit_guide, make_method
from shockmesh.cluster.calibrating.particles import steps_on
from shockmesh.cluster.running.execute import LocalExecutor, Note, WorkersError
from shockmesh.cluster.running.run import create, resume
from shockmesh.cluster.running.work import ParticleWork
from shockmesh.cluster.spec.load import parse_spec
from shockmesh.io.networks.store import write_network
from shockmesh.io.stores.checkpoints import CHECKPOINTS, last_checkpoint, numbered

pytestmark = pytest.mark.timeout(240)
STEPS = 30
SPEC = f"""
economy: economy.zarr
precision: float64
horizon: {{days: 30}}
shocks: [{{name: storm, kind: recovery, loss: 0.6, recovery_days: 15}}]
observe: [{{file: series.csv, by: total, noise: 0.02}}]
infer:
  parameters:
    shocks.storm.loss: {{spread: {{all: 0.5, firm: 0.3}}}}
    model.inventory_days: {{spread: {{sector: 0.5}}}}
  guide: mean_field
  steps: {STEPS}
  particles: 5
  checkpoint_every: 5
  draws: 4
resources: {{gangs: 2, members_per_block: 2}}
sweep: {{seed: 3}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, random_network: Callable) -> Path:
    path = tmp_path_factory.mktemp("particles")
    write_network(random_network(firms=60, links=240), path / "economy.zarr")
    seen = "".join(f"{day},{1 - 0.4 * 0.9**day}\n" for day in range(30))
    (path / "series.csv").write_text("day,total\n" + seen)
    (path / "fit.yaml").write_text(SPEC)
    return path


def fit(folder: Path, out: str, workers: bool) -> Fitted:
    """Fit in this process: step by step in one program, or block by block as workers do."""
    job, network = create(folder / "fit.yaml", folder / out)
    spec = parse_spec(job.spec)
    bound = bind_calibration(spec, network)
    assert (job.plan.blocks, job.plan.members_per_block) == (3, 2)
    stepping = steps_on(LocalExecutor(ParticleWork(job, network)), job.plan) if workers else None
    with jax.enable_x64(True):
        return fit_guide(spec, bound, folder / out, lambda *_: None, stepping)


@pytest.fixture(scope="module")
def quiet(folder: Path) -> Fitted:
    return fit(folder, "quiet", workers=True)


def test_blocks_of_particles_average_to_one_process(folder: Path, quiet: Fitted) -> None:
    whole = fit(folder, "one", workers=False)
    np.testing.assert_allclose(quiet.track.objective, whole.track.objective, rtol=1e-9)
    for name, value in whole.state.params.items():
        np.testing.assert_allclose(quiet.state.params[name], value, rtol=1e-8, atol=1e-9)


def test_a_block_that_fails_is_told_with_its_step(folder: Path) -> None:
    job, network = create(folder / "fit.yaml", folder / "fails")
    spec = parse_spec(job.spec)

    def work(block: int, shared: object) -> Callable[[], Note]:
        raise MemoryError("no room")

    with jax.enable_x64(True):
        method = make_method(spec, bind_calibration(spec, network))
        take = steps_on(LocalExecutor(work), job.plan)(method)
        with pytest.raises(WorkersError, match=r"step 0: .*MemoryError: no room"):
            take(method.init(), 2)


@pytest.mark.slow
@pytest.mark.ray
def test_killed_workers_and_drivers_change_no_bit(folder: Path, quiet: Fitted, processes: ForkServerContext) -> None:
    checkpoints = folder / "killed" / CHECKPOINTS
    driver = start(processes, "run", "fit.yaml", "--out", "killed", folder=folder)
    wait_for(lambda: bool(numbered(checkpoints)), 90, "the first checkpoint")
    os.kill(workers_under(driver.pid)[0], signal.SIGKILL)
    before = max(numbered(checkpoints))
    wait_for(lambda: max(numbered(checkpoints)) > before, 90, "a checkpoint after the kill")
    driver.send(signal.SIGKILL)
    driver.end(10)
    summary = resume(folder / "killed", address="local", quiet=True)
    assert f"{STEPS} of {STEPS} steps" in summary.text()
    found = last_checkpoint(folder / "killed")
    assert found is not None
    for k, leaf in enumerate(jax.tree.leaves(quiet.state)):
        np.testing.assert_array_equal(found[f"leaf_{k}"], leaf)
