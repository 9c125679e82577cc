"""A calibration run in its folder: fit or pull what is not done yet, then write the posterior.

run/RUN.json                the manifest, as a sweep's
run/checkpoints/<step>.npz  a guide's state, the last two
run/members/<block>.npz     an ensemble's members, block by block
run/posterior.zarr          what was found, written when the calibration ends
run/journal/posterior.json  the check sums of all of these, written with the posterior
"""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import jax
import numpy as np
import xarray as xr
from shockmesh.cluster.calibrating.calibration import Calibration, bind_calibration
from shockmesh.cluster.calibrating.fit import (
    LAST_STEPS,
    FitPace,
    Steps,
    Track,
    describe_ensemble,
    describe_guide,
    fit_guide,
)
from shockmesh.cluster.calibrating.particles import steps_on
from shockmesh.cluster.planning.amounts import human_bytes
from shockmesh.cluster.planning.plan import Plan
from shockmesh.cluster.running.execute import Tally, WorkersError, execute
from shockmesh.cluster.running.executors import IN_PROCESS, executor_of, interruptible
from shockmesh.cluster.running.work import MEMBERS, Job
from shockmesh.cluster.seeing.events import RunBegan, RunEnded, StepsTaken, Tell
from shockmesh.cluster.seeing.listeners import seeing
from shockmesh.cluster.seeing.progress import Pace, Progress, duration
from shockmesh.cluster.spec.load import parse_spec
from shockmesh.cluster.spec.models import Spec
from shockmesh.inference.svi import Variational
from shockmesh.io.posteriors import POSTERIOR, Posterior, open_posterior, write_posterior
from shockmesh.io.results import read_manifest
from shockmesh.io.stores.checkpoints import CHECKPOINTS, discard_damaged, numbered, read_arrays
from shockmesh.io.stores.disks import reason
from shockmesh.io.stores.places import ROOT, Place, discard_partial, sizes
from shockmesh.io.stores.template import PROVENANCE, plain_attrs
from shockmesh.kernels.network import FirmNetwork


@dataclass(frozen=True)
class CalibrationSummary:
    """How a calibration ended."""

    path: str
    done: int  # steps of a guide, or members of an ensemble
    of: int
    unit: str  # steps or members
    stopped: str  # why it ended early, if it did
    skipped: int  # steps not taken, or members left out, because a number was not finite
    interrupted: bool
    seconds: float
    fit: dict[str, float]  # variable → RMSE of the posterior mean over the fitted values [% of the undisturbed day]
    held_out: dict[str, float]  # variable → the same over the held-out values
    simpler: dict[str, dict[str, float]]  # variable → simpler model → its RMSE over the held-out values, or the fitted
    bytes: int
    again: tuple[str, ...] = ()  # files that were cut short or changed, whose work was done again
    already: bool = False  # it was complete before: nothing was done

    @property
    def complete(self) -> bool:
        """The posterior is there."""
        return bool(self.fit)

    def text(self) -> str:
        """What a person wants to know at the end."""
        size = human_bytes(self.bytes)
        time_taken = "complete already, nothing was done" if self.already else f"in {duration(self.seconds)}"
        lines = [f"{self.path}: {self.done:,} of {self.of:,} {self.unit}, {time_taken}, {size}"]
        lines += [f"{told}; what it held was done again" for told in self.again]
        for name, error in self.fit.items():
            held = f", held out {self.held_out[name]:.3g} %" if name in self.held_out else ""
            lines.append(f"{name}: error of the posterior mean {error:.3g} %{held} of the undisturbed day")
            told = ", ".join(f"{model} {other:.3g} %" for model, other in self.simpler[name].items())
            lines.append(f"{name}, {'held out' if held else 'fitted'}, by simpler models: {told}")
        if self.skipped:
            lines.append(f"{self.skipped} {self.unit} left out: a number was not finite")
        if self.stopped:
            lines.append(f"stopped early: {self.stopped}")
        if self.complete:
            lines.append(f"look at it with: shockmesh report {self.path}")
        else:
            state = "interrupted" if self.interrupted else "not complete"
            lines.append(f"{state}; go on with: shockmesh resume {self.path}")
        return "\n".join(lines)


def calibrate(job: Job, network: FirmNetwork, address: str | None, quiet: bool) -> CalibrationSummary:
    """Do what is not done yet of a calibration, then write its posterior."""
    began, spec = time.monotonic(), parse_spec(job.spec, f"{job.run}/RUN.json")
    if (job.run / POSTERIOR / ROOT).is_file():
        return _already(job)
    again = [told for folder in (CHECKPOINTS, MEMBERS) for told in discard_damaged(job.run / folder)]
    with Progress(quiet) as progress, seeing(job.run, job.plan, progress) as tell:
        try:
            ended, found = _work(job, spec, network, address, progress, tell)
        except (KeyboardInterrupt, SystemExit):  # Ray, while it starts, exits on SIGTERM
            ended, found = _so_far(job, interrupted=True), None
        tell(RunEnded(ended.done, ended.of, ended.stopped, ended.interrupted, time.monotonic() - began))
    fit, held_out = ({}, {}) if found is None else (errors(found, "fitted"), errors(found, "held_out"))
    parts = {name: "held_out" if name in held_out else "fitted" for name in fit}
    simpler = {
        name: {model: 100 * error for model, error in found.simpler[f"{name}_{part}"].items()}
        for name, part in parts.items()
        if found is not None
    }
    return CalibrationSummary(
        path=str(job.run), unit=_counted(job.run, job.spec["infer"], job.plan)[0], seconds=time.monotonic() - began,
        fit=fit, held_out=held_out, simpler=simpler, bytes=sum(sizes(job.run / POSTERIOR).values()),
        again=tuple(again), **asdict(ended),
    )  # fmt: skip


def _already(job: Job) -> CalibrationSummary:
    """What a calibration that was complete before has to say."""
    unit, done, of = _counted(job.run, job.spec["infer"], job.plan)
    with open_posterior(job.run) as tree:
        table = tree["scores"].to_dataset()
        names = [str(name) for name in tree["observed_data"].data_vars]
        fit, held_out = (_stored_errors(table, names, part) for part in ("fitted", "held_out"))
        simpler = {name: _stored_simpler(table, name, "held_out" if name in held_out else "fitted") for name in fit}
    return CalibrationSummary(
        path=str(job.run), done=done, of=of, unit=unit, stopped="", skipped=0, interrupted=False, seconds=0.0, fit=fit,
        held_out=held_out, simpler=simpler,
        bytes=sum(sizes(job.run / POSTERIOR).values()), already=True,
    )  # fmt: skip


def _stored_errors(table: xr.Dataset, names: list[str], part: str) -> dict[str, float]:
    by_name = {name: 100 * float(table[f"{name}_{part}"].sel(score="rmse")) for name in names}
    return {name: error for name, error in by_name.items() if np.isfinite(error)}


def _stored_simpler(table: xr.Dataset, name: str, part: str) -> dict[str, float]:
    errors = table[f"{name}_{part}_baselines"]
    return {
        str(model): 100 * float(error) for model, error in zip(table["baseline"].values, errors.values, strict=True)
    }


@dataclass(frozen=True)
class _Ended:
    """How the work ended, whatever it was."""

    done: int
    of: int
    skipped: int = 0
    stopped: str = ""
    interrupted: bool = False


def _so_far(job: Job, stopped: str = "", interrupted: bool = False) -> _Ended:
    """How far a calibration is that ends early."""
    _, done, of = _counted(job.run, job.spec["infer"], job.plan)
    return _Ended(done, of, stopped=stopped, interrupted=interrupted)


def _work(
    job: Job, spec: Spec, network: FirmNetwork, address: str | None, progress: Progress, tell: Tell
) -> tuple[_Ended, Posterior | None]:
    """Fit or pull what is not done yet, and write what was found once it all is."""
    bound, work = bind_calibration(spec, network), _pull if job.spec["infer"]["method"] == "rml" else _fit
    with jax.enable_x64(spec.precision == "float64"):
        ended, found = work(job, spec, bound, address, progress, tell)
    return (ended, None) if found is None else _kept(job, ended, found, network)


def _kept(job: Job, ended: _Ended, found: Posterior, network: FirmNetwork) -> tuple[_Ended, Posterior | None]:
    """Write what was found; on a full disk there is nothing of it, and `resume` finds it again."""
    try:
        write_posterior(job.run, found, network, _attrs(job.run))
        discard_partial(job.run)
    except OSError as error:
        return replace(ended, stopped=reason(error)), None
    return ended, found


def _fit(
    job: Job, spec: Spec, bound: Calibration, address: str | None, progress: Progress, tell: Tell
) -> tuple[_Ended, Posterior | None]:
    """Step a guide to its end: on workers where there are several, or a cluster was named; else in this process."""
    assert spec.infer is not None
    steps, began, start = spec.infer.steps, max(numbered(job.run / CHECKPOINTS), default=0), time.monotonic()
    here = IN_PROCESS if job.plan.workers == 1 and address is None else address
    tell(RunBegan(steps, began, job.plan.workers, job.plan.devices))
    try:
        with interruptible(), _stepping(job, bound, here, tell) as stepping:

            def watch(step: int, track: Track) -> None:
                tell(StepsTaken(step, float(np.mean(track.objective[-LAST_STEPS:])), float(track.held_out[-1])))
                progress.show(FitPace(step, steps, began, time.monotonic() - start, track))

            fitted = fit_guide(spec, bound, job.run, watch, stepping)
            found = describe_guide(spec, bound, fitted)
    except WorkersError as error:
        return _so_far(job, str(error)), None
    except OSError as error:  # no room for a checkpoint
        return _so_far(job, reason(error)), None
    return _Ended(int(fitted.state.step), steps, fitted.track.bad_steps, fitted.stopped), found


@contextmanager
def _stepping(
    job: Job, bound: Calibration, address: str | None, tell: Tell
) -> Generator[Callable[[Variational], Steps] | None]:
    """How the steps of a guide are taken, where not in one program of this process: by blocks of particles.

    A plan of several blocks is stepped by blocks in this process too, so that a fit ends in the same bits everywhere.
    """
    if address == IN_PROCESS and job.plan.blocks == 1:
        yield None
        return
    with executor_of(job, bound.network, address, tell) as on, interruptible():
        yield steps_on(on, job.plan)


def _pull(
    job: Job, spec: Spec, bound: Calibration, address: str | None, progress: Progress, tell: Tell
) -> tuple[_Ended, Posterior | None]:
    """Pull the members of an ensemble that are not there yet, block by block."""
    plan, folder = job.plan, job.run / MEMBERS
    todo = sorted({*range(plan.blocks)} - {*numbered(folder)})
    start, tally = time.monotonic(), Tally()
    already, interrupted = plan.members - plan.count(todo), False
    tell(RunBegan(plan.members, already, plan.workers, plan.devices))

    def watch(latest: Tally) -> None:
        nonlocal tally
        tally = latest
        done, steps = already + plan.count(latest.done), plan.links * plan.days
        progress.show(Pace(done, plan.members, steps, time.monotonic() - start, already))

    try:
        if todo:
            with interruptible(), executor_of(job, bound.network, address, tell) as on, interruptible():
                execute(todo, on, watch, tell)
    except (KeyboardInterrupt, SystemExit):
        interrupted = True
    except WorkersError as error:
        tally.stopped = str(error)
    done = numbered(folder)
    blocks = [read_arrays(folder / f"{block}.npz") for block in done]
    failed = sum(int(block["failed"].sum()) for block in blocks)
    stopped = tally.stopped or next(iter(tally.given_up.values()), "")
    ended = _Ended(plan.count(done), plan.members, failed, stopped, interrupted)
    whole = len(done) == plan.blocks and failed < plan.members
    return ended, describe_ensemble(spec, bound, blocks) if whole else None


def errors(found: Posterior, part: Literal["fitted", "held_out"]) -> dict[str, float]:
    """RMSE of the posterior mean by observed variable, over the values that are fitted or held out [%]."""
    by_name = {name: 100 * found.scores[f"{name}_{part}"]["rmse"] for name in found.seen}
    return {name: error for name, error in by_name.items() if np.isfinite(error)}


def _counted(run: Place, infer: dict[str, Any], plan: Plan) -> tuple[str, int, int]:
    """What a calibration is counted in, how many of these are done, and of how many."""
    if infer["method"] == "rml":
        return "members", plan.count(numbered(run / MEMBERS)), plan.members
    return "steps", max(numbered(run / CHECKPOINTS), default=0), infer["steps"]


def _attrs(run: Place) -> dict[str, Any]:
    said = read_manifest(run)
    return plain_attrs({name: said[name] for name in PROVENANCE})


def calibration_status(run: Place, said: dict[str, Any]) -> dict[str, Any]:
    """How far a calibration is, with the keys of `status`."""
    unit, done, of = _counted(run, said["spec"]["infer"], Plan(**said["plan"]))
    found = (run / POSTERIOR / ROOT).is_file()
    return {
        "state": "complete" if found else "not complete",
        "unit": unit,
        "done": done,
        "of": of,
        "started": said["created"],
        "store": str(run / POSTERIOR),
        "bytes": sum(sizes(run / POSTERIOR).values()) if found else 0,
    }
