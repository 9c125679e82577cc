"""Verbs on a run, from its beginning to its report: run, submit, resume, status, verify, logs, report, export, cite."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shockmesh.cluster.verbs.options import add_overrides, add_verb, overrides_of
from shockmesh.cluster.verbs.printing import BAD_INPUT, DONE, PARTLY_DONE, show, tell

if TYPE_CHECKING:
    from shockmesh.cluster.calibrating.run import CalibrationSummary
    from shockmesh.cluster.running.run import RunSummary

ADDRESS = (
    "a Ray cluster; default: this process for a run of seconds, else a cluster for its time; `local`: this process"
)
HEAD = "the dashboard of a cluster's head, http://HOST:8265"


def run(options: argparse.Namespace) -> int:
    """Run a spec into a new store."""
    _leave_the_gpu(options)
    from shockmesh.cluster.running.run import run as run_spec

    out = options.out or f"{Path(options.spec).stem}.run"
    summary = run_spec(
        options.spec, out, overrides=options.set, seed=options.seed, address=options.address, quiet=options.quiet,
        go_on=options.go_on,
    )  # fmt: skip
    return _summarise(options, summary)


def submit(options: argparse.Namespace) -> int:
    """Ship a spec to a cluster as a Ray job, follow its log, and end with its exit code."""
    from shockmesh.cluster.verbs.jobs import follow
    from shockmesh.cluster.verbs.jobs import submit as submit_spec

    job = submit_spec(options.spec, options.address, options.out, overrides_of(options))
    tell(options, {"job": job, "out": options.out}, f"job {job} at {options.address}, into {options.out}")
    return DONE if options.no_follow else follow(job, options.address)


def resume(options: argparse.Namespace) -> int:
    """Complete a run that was interrupted."""
    _leave_the_gpu(options)
    from shockmesh.cluster.running.run import resume as resume_run

    summary = resume_run(options.run, address=options.address, quiet=options.quiet)
    return _summarise(options, summary)


def status(options: argparse.Namespace) -> int:
    """Say how far a run is."""
    if options.address:
        from shockmesh.cluster.verbs.jobs import job_status

        return show(options, job_status(options.run, options.address), f"Job {options.run}")
    from shockmesh.cluster.running.run import status as status_of
    from shockmesh.cluster.running.run import status_text

    found = status_of(options.run)
    return tell(options, found, "") if options.json else show(options, status_text(found), f"Run {options.run}")


def verify(options: argparse.Namespace) -> int:
    """Read all that a run has committed, and compare it with its check sums."""
    from shockmesh.io.results import is_calibration
    from shockmesh.io.results import verify as verify_run

    problems, go_on = verify_run(options.run), f"`shockmesh resume {options.run}` does"
    if is_calibration(options.run):
        advice = f"delete {options.run}/posterior.zarr, and {go_on} again what is damaged, and writes it anew"
    else:
        advice = f"{go_on} a block again that lost a file, or whose journal/BLOCK.json is deleted"
    text = "\n".join([*problems, advice]) if problems else f"{options.run}: all is as it was committed"
    tell(options, {"problems": problems}, text)
    return BAD_INPUT if problems else DONE


def logs(options: argparse.Namespace) -> int:
    """Print what a job has printed so far, or what happened in a run, a JSON object a line."""
    if not options.address:
        from shockmesh.io.runlog import read_log

        found = read_log(options.job)
        return tell(options, {"records": found}, "\n".join(map(json.dumps, found)))
    from shockmesh.cluster.verbs.jobs import job_log

    text = job_log(options.job, options.address)
    return tell(options, {"job": options.job, "log": text}, text)


def report(options: argparse.Namespace) -> int:
    """Write a run's report, one HTML file."""
    from shockmesh.io.reports.headline import headline, headline_text
    from shockmesh.io.reports.report import write_report
    from shockmesh.io.results import open_run, read_manifest

    path, spec = write_report(options.run, options.out), read_manifest(options.run).get("spec", {})
    if spec.get("infer") is not None:
        return tell(options, {"report": str(path)}, f"wrote {path}")
    with open_run(options.run) as opened:
        numbers = headline(opened, spec)
    return tell(options, {"report": str(path), **numbers}, "\n".join([*headline_text(numbers), f"wrote {path}"]))


def export(options: argparse.Namespace) -> int:
    """Write what a run recorded as NetCDF, Excel, Parquet or CSV, by day or as means of weeks or months."""
    from shockmesh.io.exports import export_run

    names = export_run(options.run, options.file, tuple(options.variable), options.every)
    return tell(options, {"file": options.file, "variables": names}, f"wrote {options.file}: {', '.join(names)}")


def cite(options: argparse.Namespace) -> int:
    """Print BibTeX of what a run used: its data, the paper of its preset, its methods."""
    from shockmesh.cluster.verbs.cite import cite as cite_run

    found = cite_run(options.run)
    return tell(options, {"references": found}, "\n".join(found.values()))


def add_verbs(verbs: Any) -> None:
    _add_run(verbs)
    _add_submit(verbs)
    add_verb(verbs, "resume", resume, "complete a run", "run").add_argument("--address", help=ADDRESS)
    asked = add_verb(verbs, "status", status, "how far a run or a job is", "run")
    asked.add_argument("--address", help=f"of a job: {HEAD}")
    told = add_verb(verbs, "logs", logs, "what happened in a run, or what a job has printed", "job")
    told.add_argument("--address", help=f"of a job: {HEAD}")
    add_verb(verbs, "verify", verify, "hold a run's files against its check sums", "run")
    written = add_verb(verbs, "report", report, "write a run's report", "run")
    written.add_argument("-o", "--out", help="the HTML file; default: RUN/report.html")
    taken = add_verb(verbs, "export", export, "write a run as NetCDF, Excel, Parquet or CSV", "run")
    taken.add_argument("file", help="to write: .nc, .xlsx, .parquet or .csv")
    taken.add_argument("--variable", action="append", default=[], help="as recorded, repeatable; default: all")
    taken.add_argument("--every", choices=("day", "week", "month", "quarter", "year"), default="day", help="means of")
    add_verb(verbs, "cite", cite, "print BibTeX of what a run used", "run")


def _add_run(verbs: Any) -> None:
    parser = add_verb(verbs, "run", run, "run a spec", "spec")
    add_overrides(parser)
    parser.add_argument("-o", "--out", help="the run's folder; default: the spec's name with .run")
    parser.add_argument("--address", help=ADDRESS)
    parser.add_argument("--continue", dest="go_on", action="store_true", help="complete the run if it was begun")


def _add_submit(verbs: Any) -> None:
    parser = add_verb(verbs, "submit", submit, "run a spec as a job on a Ray cluster", "spec")
    add_overrides(parser)
    parser.add_argument("--address", required=True, help=HEAD)
    parser.add_argument("-o", "--out", required=True, help="the run's folder: shared by all nodes, or s3://…")
    parser.add_argument("--no-follow", action="store_true", help="return once the job is there")


def _summarise(options: argparse.Namespace, summary: "RunSummary | CalibrationSummary") -> int:
    from shockmesh.io.reports.remarks import notes_of
    from shockmesh.io.results import read_manifest

    notes = list(notes_of(read_manifest(summary.path)))
    text = "\n".join([*(f"note: {note}" for note in notes), summary.text()])
    tell(options, {**asdict(summary), "complete": summary.complete, "notes": notes}, text)
    return DONE if summary.complete else PARTLY_DONE


def _leave_the_gpu(options: argparse.Namespace) -> None:
    """Keep this process, which only plans and waits, off the GPUs that its Ray workers use."""
    if options.address != "local":
        import jax

        jax.config.update("jax_platforms", "cpu")
