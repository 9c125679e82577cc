"""A run, from a spec to a store: validate, plan, create, execute, finalise; and to resume one, or ask how far it is."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shockmesh.cluster.calibrating.run import CalibrationSummary, calibrate, calibration_status
from shockmesh.cluster.planning.amounts import human_bytes, scaled
from shockmesh.cluster.planning.plan import Plan, PlanError, shards_of
from shockmesh.cluster.planning.prepare import prepare
from shockmesh.cluster.running import provenance
from shockmesh.cluster.running.batch import Simulator
from shockmesh.cluster.running.execute import Tally, WorkersError, execute
from shockmesh.cluster.running.executors import executor_of, interruptible
from shockmesh.cluster.running.work import Job
from shockmesh.cluster.seeing.events import RunBegan, RunEnded
from shockmesh.cluster.seeing.listeners import seeing
from shockmesh.cluster.seeing.progress import Pace, Progress, duration
from shockmesh.cluster.spec.load import load_spec, parse_spec
from shockmesh.cluster.spec.models import Spec
from shockmesh.cluster.spec.naming import on_economy
from shockmesh.io.results import (
    MANIFEST,
    committed,
    committing,
    create_folder,
    create_run,
    disk_bytes,
    engine_of,
    failed_members,
    finalise,
    lost,
    mend,
    notes,
)
from shockmesh.io.stores.disks import reason
from shockmesh.io.stores.engines import EngineError
from shockmesh.io.stores.journal import JournalError, marker_path
from shockmesh.io.stores.places import Place, place
from shockmesh.kernels.native import library
from shockmesh.kernels.network import FirmNetwork

NOTED = ("finished", "seconds", "worker")  # what the worker of a block notes
SHOWN = 5  # files that are lost


class ResumeError(ValueError):
    """A run that cannot be resumed as it is. The message names what changed."""


@dataclass(frozen=True)
class RunSummary:
    """How a run ended."""

    path: str
    members: int
    committed: int  # members whose results are there
    failed: tuple[int, ...]  # members that are there, with numbers that are not finite
    again: tuple[str, ...]  # what was missing or cut of committed blocks, which were done again
    given_up: dict[int, str]  # block → why
    stopped: str  # why the run ended early, if it did
    lost: int  # times a block ran again because its worker died
    interrupted: bool
    seconds: float
    simulated: int  # members of this call
    link_steps: int  # of this call
    bytes: int  # of the store on disk

    @property
    def ended(self) -> bool:
        """Every member is there, and the store is ready for all readers."""
        return self.committed == self.members and not self.stopped and not self.interrupted

    @property
    def complete(self) -> bool:
        """The run has ended, and every member is finite."""
        return self.ended and not self.failed

    def text(self) -> str:
        """What a person wants to know at the end."""
        already = "" if self.simulated or not self.complete else ", complete already, nothing was done"
        lines = [f"{self.path}: {self.committed:,} of {self.members:,} members{already}, {human_bytes(self.bytes)}"]
        if self.simulated:
            speed = f", {scaled(self.link_steps / self.seconds, ' link-steps/s')}" if self.seconds else ""
            lines.append(f"{self.simulated:,} members in {duration(self.seconds)}{speed}")
        if self.again:
            lines.append(f"{len(self.again)} files of committed blocks were lost; the blocks were done again:")
            lines += self.again[:SHOWN]
        if self.lost:
            lines.append(f"{self.lost} blocks ran again because their workers died")
        if self.failed:
            lines.append(f"numbers that are not finite in members {', '.join(map(str, self.failed[:20]))}")
        lines += [f"block {block} was given up: {why}" for block, why in sorted(self.given_up.items())]
        if self.stopped:
            lines.append(f"stopped early: {self.stopped}")
        if self.ended:
            lines.append(f"look at it with: shockmesh report {self.path}")
        else:
            state = "interrupted" if self.interrupted else "not complete"
            lines.append(f"{state}; go on with: shockmesh resume {self.path}")
        return "\n".join(lines)


def run(
    spec_path: str | Path,
    out: str | Place,
    overrides: Sequence[str] = (),
    seed: int | None = None,
    address: str | None = None,
    quiet: bool = False,
    go_on: bool = False,
) -> RunSummary | CalibrationSummary:
    """Run a spec into a new folder: a sweep, or a calibration if it says what to infer.

    Args:
        go_on: where the folder has a run of this spec already, complete it.
        address: a Ray cluster; None starts a local one for this run; "local" runs in this process without Ray.

    Raises:
        SpecError, PlanError, NetworkStoreError, ResultsError: before anything is computed or written.
    """
    settings = [*overrides, *([] if seed is None else [f"sweep.seed={seed}"])]
    if go_on and (place(out) / MANIFEST).is_file():
        return _go_on(*_begun(out, load_spec(spec_path, settings)), address, quiet)
    return _go_on(*create(spec_path, out, settings), address, quiet)


def create(spec_path: str | Path, out: str | Place, overrides: Sequence[str] = ()) -> tuple[Job, FirmNetwork]:
    """Lay out the run of a spec in a new folder; what its workers need.

    Raises:
        SpecError, PlanError, NetworkStoreError, ResultsError: before anything is computed or written.
    """
    ready = prepare(spec_path, overrides)
    spec, network, plan = with_kernel(ready.spec), ready.network, ready.plan
    manifest = provenance.manifest(spec, plan, network) | {"notes": list(ready.cautions)}
    if spec.infer is None:
        create_run(out, manifest, Simulator(spec, network).template(plan.members_per_block), spec.engine)
    else:
        create_folder(out, manifest)
    return Job(place(out), spec.model_dump(mode="json"), plan, ready.shard_of), network


def with_kernel(spec: Spec) -> Spec:
    """The spec with the kernel that all workers of a run use, by what there is here.

    Raises:
        PlanError: native kernels where there are none.
    """
    asked, why = spec.resources.kernel, library.missing()
    if asked == "native" and why:
        raise PlanError(f"resources.kernel: native: {why}")
    chosen = "native" if asked != "xla" and why is None else "xla"
    return spec.model_copy(update={"resources": spec.resources.model_copy(update={"kernel": chosen})})


def resume(path: str | Place, address: str | None = None, quiet: bool = False) -> RunSummary | CalibrationSummary:
    """Complete a run: simulate the blocks that are not committed, and no other.

    Raises:
        ResultsError, ManifestError, JournalError: no run there, or one whose files are not as they were written.
        ResumeError: the spec's inputs or the code are not those the run was started with.
    """
    spec = parse_spec(provenance.manifest_of(path)["spec"], f"{path}/RUN.json")
    return _go_on(*_begun(path, spec), address, quiet)


def _begun(path: str | Place, spec: Spec) -> tuple[Job, FirmNetwork]:
    """What the workers of a run that was begun need, if the spec, its inputs and the code are still the same."""
    said = provenance.manifest_of(path)
    if provenance.fingerprint(said) != said["fingerprint"]:
        raise ResumeError(f"{path}/RUN.json: fingerprint: is not that of what the file says; restore what was changed")
    plan, economy = Plan(**said["plan"]), on_economy(spec)
    spec, network = economy.spec, economy.network
    now = provenance.manifest(spec, plan, network)
    if now["fingerprint"] != said["fingerprint"]:
        changed = ", ".join(provenance.changes(said, now))
        raise ResumeError(f"{path}: started with another {changed}; start a new run, or restore what changed")
    return Job(place(path), spec.model_dump(mode="json"), plan, shards_of(spec, network)), network


def status(path: str | Place) -> dict[str, Any]:
    """How far a run is, be it going on, dead or finished; `status_text` says it to people.

    Keys: state (complete, not complete), unit (members, steps), done and of (how many of these), started, store, bytes;
    of a sweep also failed (members), workers, members_per_second and seconds_since_commit (None: no block yet),
    and lost (what is missing of blocks that are committed, a sentence each).

    Raises:
        ResultsError, ManifestError, JournalError: no run there, or one whose files are not as they were written.
    """
    run_path, said = place(path), provenance.manifest_of(path)
    if said["spec"].get("infer") is not None:
        return calibration_status(run_path, said)
    plan, done = Plan(**said["plan"]), committed(path)
    members = plan.count(done)
    told, gone = _noted(run_path), lost(path)
    finished = [note["finished"] for note in told]
    span = max(finished) - min(note["finished"] - note["seconds"] for note in told) if told else 0.0
    return {
        "state": "complete" if members == plan.members else "not complete",
        "unit": "members",
        "done": members,
        "of": plan.members,
        "failed": len(failed_members(path)),
        "members_per_second": members / span if span else None,
        "seconds_since_commit": time.time() - max(finished) if finished else None,
        "workers": len({note["worker"] for note in told}),
        "started": said["created"],
        "store": str(engine_of(run_path).tree),
        "bytes": disk_bytes(run_path),
        "lost": gone,
    }


def status_text(found: dict[str, Any]) -> dict[str, str]:
    """The status of a run as a person reads it: names and values."""
    of_sweep, missing = dict[str, str](), found.get("lost", [])
    if found["unit"] == "members" and "failed" in found:
        rate, since = found["members_per_second"], found["seconds_since_commit"]
        of_sweep = {
            "failed": str(found["failed"]),
            "members per second": "–" if rate is None else f"{rate:.3g}",
            "last commit": "none yet" if since is None else f"{duration(since)} ago",
            "workers": str(found["workers"]),
        }
    return {
        found["unit"]: f"{found['done']:,} of {found['of']:,}",
        "state": found["state"],
        **of_sweep,
        "started": found["started"],
        "store": f"{found['store']} ({human_bytes(found['bytes'])})" if found["bytes"] else "none yet",
        **({"lost": f"{'; '.join(missing[:SHOWN])}: shockmesh resume does these blocks again"} if missing else {}),
    }


def _noted(run_path: Place) -> list[dict[str, Any]]:
    """What workers noted of the committed blocks. Raises JournalError where a note lacks something."""
    told = notes(run_path)
    for note in told:
        missing = [name for name in NOTED if name not in note]
        if missing:
            marker = marker_path(run_path, note["block"])
            raise JournalError(f"{marker}: {', '.join(missing)}: missing; delete it to have the block done again")
    return told


def _go_on(job: Job, network: FirmNetwork, address: str | None, quiet: bool) -> RunSummary | CalibrationSummary:
    work = _execute if job.spec.get("infer") is None else calibrate
    with interruptible():
        return work(job, network, address, quiet)


def _execute(job: Job, network: FirmNetwork, address: str | None, quiet: bool) -> RunSummary:
    """Run what is not committed yet, then finalise; an interrupt ends it cleanly."""
    path, plan = job.run, job.plan
    spec = parse_spec(job.spec, f"{path}/RUN.json")
    again = mend(path, lambda: Simulator(spec, network).template(plan.members_per_block))
    before = committed(path)
    todo = [block for block in range(plan.blocks) if block not in before]
    start, steps = time.monotonic(), math.prod((plan.links, plan.days))
    already = plan.members - plan.count(todo)
    tally, interrupted = Tally(), False

    with Progress(quiet) as progress, seeing(job.run, job.plan, progress) as tell:
        tell(RunBegan(plan.members, already, plan.workers, plan.devices))

        def watch(latest: Tally) -> None:
            nonlocal tally
            tally = latest
            done = already + plan.count(latest.done)
            progress.show(Pace(done, plan.members, steps, time.monotonic() - start, already))
            commit(latest.done)

        try:
            if todo:
                with (
                    interruptible(),
                    committing(path) as commit,
                    executor_of(job, network, address, tell) as on,
                    interruptible(),
                ):
                    execute(todo, on, watch, tell)  # interruptible twice: Ray sets signals of its own
        except (KeyboardInterrupt, SystemExit):  # Ray, while it starts, exits on SIGTERM
            interrupted = True
        except (WorkersError, EngineError) as error:
            tally.stopped = str(error)
        done, seconds = plan.count(committed(path)), time.monotonic() - start
        tell(RunEnded(done, plan.members, tally.stopped, interrupted, seconds))
    try:
        finalise(path)
    except OSError as error:  # a full disk: what is committed stays readable without
        tally.stopped = tally.stopped or reason(error)
    except KeyboardInterrupt:
        interrupted = True
    done = committed(path)
    simulated = plan.count(done - before)
    return RunSummary(
        path=str(path), members=plan.members, committed=plan.count(done), failed=tuple(failed_members(path)),
        given_up={block: why for block, why in tally.given_up.items() if block not in done}, stopped=tally.stopped,
        lost=tally.lost, interrupted=interrupted, seconds=time.monotonic() - start, simulated=simulated,
        link_steps=simulated * steps, bytes=disk_bytes(path), again=tuple(again),
    )  # fmt: skip
