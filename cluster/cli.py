"""The command line: each verb is one short function over a library call.

Exit codes: 0 done; 2 bad input, one line per problem on standard error; 3 partly done, `shockmesh resume` goes on;
130 interrupted before anything was done.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from dataclasses import asdict
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shockmesh.cluster.printing import BAD_INPUT, DONE, INTERRUPTED, PARTLY_DONE, refuse, show, tell
from shockmesh.io.sources import KINDS, Said

if TYPE_CHECKING:
    from shockmesh.cluster.calibrating.run import CalibrationSummary
    from shockmesh.cluster.running.run import RunSummary

ADDRESS = "a Ray cluster; default: a local one for this run; `local`: no Ray, this process"
HEAD = "the dashboard of a cluster's head, http://HOST:8265"

type Verb = Callable[[argparse.Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; return its exit code."""
    options = _parsed(sys.argv[1:] if argv is None else argv)
    verb: Verb = options.verb
    try:
        return verb(options)
    except ValueError as error:
        if not type(error).__module__.startswith("shockmesh."):
            raise
        return refuse(options.json, str(error).splitlines(), BAD_INPUT)
    except OSError as error:
        if error.strerror is None:
            raise
        return refuse(options.json, [f"{error.filename or 'the disk'}: {error.strerror}"], BAD_INPUT)
    except KeyboardInterrupt:
        return refuse(options.json, ["interrupted"], INTERRUPTED)


def _parsed(words: Sequence[str]) -> argparse.Namespace:
    """The options of a call; a wrong call ends here, with JSON if the call asks for it."""
    said = StringIO()
    try:
        with redirect_stderr(said if "--json" in words else sys.stderr):
            return _parser().parse_args(words)
    except SystemExit as end:
        if problems := said.getvalue().splitlines()[-1:]:
            refuse(True, problems, BAD_INPUT)
        raise end


def import_(options: argparse.Namespace) -> int:
    """Turn a published table, or a user's own links, into a store."""
    from shockmesh.cluster.verbs.describe import size_of, told

    said, findings = Said(options.money, options.year, options.origin, options.licence), list[str]()
    if options.kind == "links":
        from shockmesh.io.networks.import_links import MONEY, import_links

        import_links(options.source, options.store, options.firms, said, unit_per=options.per)
        findings = [f"note: amounts are taken as {said.money or MONEY} per {options.per} (--money, --per)"]
    elif options.kind == "inoue-todo":
        from shockmesh.io.networks.import_inoue_todo import import_inoue_todo

        import_inoue_todo(options.source, options.store, said)
    else:
        from shockmesh.io.tables.importing import import_table

        findings = [told(finding) for finding in import_table(options.kind, options.source, options.store, said)]
    size = size_of(options.store)
    found = {"store": options.store, **size, "findings": findings}
    counts = ", ".join(f"{name} {value:,}" for name, value in size.items() if name != "unit")
    return tell(options, found, "\n".join([f"wrote {options.store}: {counts}, in {size['unit']}", *findings]))


def generate(options: argparse.Namespace) -> int:
    """Draw a firm network consistent with a table."""
    from shockmesh.cluster.verbs.describe import differences
    from shockmesh.io.networks.generate import generate_network
    from shockmesh.io.networks.store import write_network
    from shockmesh.io.stores.damage import reading
    from shockmesh.io.tables.store import one_year, open_table

    with reading(options.table), open_table(options.table, year=options.year) as table:
        network = generate_network(one_year(table), options.firms, options.seed, options.mean_degree)
    write_network(network, options.store)
    counts, errors = {"firms": network.n_firms, "links": network.n_links}, network.attrs["aggregate_error"]
    if options.json:
        return tell(options, {**counts, "aggregate_error": errors}, "")
    return show(options, counts | differences(errors), f"wrote {options.store}")


def describe(options: argparse.Namespace) -> int:
    """Say what is in a store, and what its checks find."""
    from shockmesh.cluster.verbs.describe import describe_store

    described = describe_store(options.store)
    found = {"kind": described.kind, **(described.numbers or described.facts), "findings": list(described.findings)}
    if options.json:
        return tell(options, found, "")
    show(options, described.facts, f"{options.store}: a {described.kind}")
    return tell(options, found, "\n".join(described.findings) or "every check passes")


def example(options: argparse.Namespace) -> int:
    """List the packaged examples, or copy one out."""
    from shockmesh.io.examples import copy_example, list_examples

    if options.name is None:
        return show(options, list_examples(), "Examples; `shockmesh example NAME DIR` copies one out")
    files = copy_example(options.name, options.directory or options.name)
    return tell(options, {"files": [str(file) for file in files]}, "\n".join(f"wrote {file}" for file in files))


def validate(options: argparse.Namespace) -> int:
    """Check a spec against its economy without running it."""
    from shockmesh.cluster.spec.prepare import prepare

    ready = prepare(options.spec, _overrides(options))
    spec, network = ready.spec, ready.network
    found = {"spec": options.spec, "valid": True, "members": spec.members, "firms": network.n_firms}
    line = f"{options.spec}: valid: {spec.members:,} members, {network.n_firms:,} firms"
    text = "\n".join([line, *(f"note: {caution}" for caution in ready.cautions)])
    return tell(options, {**found, "notes": ready.cautions}, text)


def plan(options: argparse.Namespace) -> int:
    """Print the integers that a spec implies."""
    from shockmesh.cluster.planning.forecast import forecasts, told_of
    from shockmesh.cluster.planning.plan import readable
    from shockmesh.cluster.spec.prepare import prepare

    ready = prepare(options.spec, _overrides(options))
    planned, notes = ready.plan, ready.cautions
    foreseen = forecasts(ready.spec, ready.sizes, planned)
    if options.json:
        return tell(options, planned.as_dict() | {"devices": [asdict(one) for one in foreseen], "notes": notes}, "")
    rows = readable(planned) | told_of(foreseen, planned) | {f"note {i}": note for i, note in enumerate(notes, 1)}
    return show(options, rows, f"Plan of {options.spec}")


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

    job = submit_spec(options.spec, options.address, options.out, _overrides(options))
    tell(options, {"job": job, "out": options.out}, f"job {job} at {options.address}, into {options.out}")
    return DONE if options.no_follow else follow(job, options.address)


def logs(options: argparse.Namespace) -> int:
    """Print what a job has printed so far, or what happened in a run, a JSON object a line."""
    if not options.address:
        from shockmesh.io.stores.runlog import read_log

        found = read_log(options.job)
        return tell(options, {"records": found}, "\n".join(map(json.dumps, found)))
    from shockmesh.cluster.verbs.jobs import job_log

    text = job_log(options.job, options.address)
    return tell(options, {"job": options.job, "log": text}, text)


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
    """Read all that a run has committed, and hold it against its check sums."""
    from shockmesh.io.results import verify as verify_run

    problems = verify_run(options.run)
    advice = (
        f"`shockmesh resume {options.run}` does a block again that lost a file, or whose journal/BLOCK.json is deleted"
    )
    text = "\n".join([*problems, advice]) if problems else f"{options.run}: all is as it was committed"
    tell(options, {"problems": problems}, text)
    return BAD_INPUT if problems else DONE


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


def doctor(options: argparse.Namespace) -> int:
    """Say whether this machine has what a run needs."""
    from shockmesh.cluster.verbs import doctor as medicine

    findings = medicine.examine()
    if options.json:
        tell(options, {of.what: asdict(of) for of in findings}, "")
    else:
        show(options, {of.what: f"{of.verdict}: {of.line()}" for of in findings}, "What a run needs of this machine")
    return BAD_INPUT if any(of.verdict == "bad" for of in findings) else DONE


def esri(options: argparse.Namespace) -> int:
    """Rank the firms of a network by the share of the economy that stops when one of them does (Diem et al. 2022)."""
    from shockmesh.cluster.verbs.esri import rank_by_esri

    out = options.out or str(Path(options.store).with_suffix(".esri.csv"))
    ranking = rank_by_esri(
        options.store, out, essential=options.essential, market=options.market, size=options.size,
        tolerance=options.tolerance, batch=options.batch,
    )  # fmt: skip
    return _top(options, ranking, "esri", out, "no firm that stops takes anything from another")


def sensitivity(options: argparse.Namespace) -> int:
    """Rank the firms of a spec by the derivative of its loss, all firms in one backward pass."""
    from shockmesh.cluster.verbs.sensitivity import rank_by_sensitivity

    out = options.out or str(Path(options.spec).with_suffix(".sensitivity.csv"))
    ranking = rank_by_sensitivity(options.spec, out, overrides=_overrides(options), loss=options.loss)
    none = "no firm's capacity binds under this spec, so that more of it avoids no loss; the other columns may tell"
    return _top(options, ranking, "importance", out, none)


def bench(options: argparse.Namespace) -> int:
    """Run a benchmark of a clone; what follows its name is its own."""
    from shockmesh.cluster.verbs.bench import run_bench

    run_bench(options.name, options.arguments)
    return DONE


def _top(options: argparse.Namespace, ranking: Any, by: str, out: str, none: str) -> int:
    """Print the ten firms that matter most, or that none does."""
    top = ranking[ranking[by] != 0].head(10)[["rank", "firm", "region", "sector", by]].to_dict("records")
    if options.json:
        return tell(options, {"ranking": out, "firms": len(ranking), "by": by, "top": top}, "")
    if not top:
        return tell(options, {}, f"{out}: {len(ranking):,} firms, all of {by} 0: {none}")
    firms = {f"{row['rank']}  {row['firm']}": f"{row[by]:.4g}  {row['region']}, {row['sector']}" for row in top}
    return show(options, firms, f"{out}: {len(ranking):,} firms by {by}")


def _leave_the_gpu(options: argparse.Namespace) -> None:
    """Keep this process, which only plans and waits, off the GPUs that its Ray workers use."""
    if options.address != "local":
        import jax

        jax.config.update("jax_platforms", "cpu")


def _overrides(options: argparse.Namespace) -> list[str]:
    return [*options.set, *([] if options.seed is None else [f"sweep.seed={options.seed}"])]


def _summarise(options: argparse.Namespace, summary: "RunSummary | CalibrationSummary") -> int:
    from shockmesh.io.reports.remarks import notes_of
    from shockmesh.io.results import read_manifest

    notes = list(notes_of(read_manifest(summary.path)))
    text = "\n".join([*(f"note: {note}" for note in notes), summary.text()])
    tell(options, {**asdict(summary), "complete": summary.complete, "notes": notes}, text)
    return DONE if summary.complete else PARTLY_DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="shockmesh", description="Simulate how shocks travel through supply networks."
    )
    parser.add_argument("--version", action="version", version=f"shockmesh {version('shockmesh')}")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    _import_parser(verbs)
    _generate_parser(verbs)
    _add(verbs, "describe", describe, "what is in a table, a network or a run", "store")
    named = _add(verbs, "example", example, "list the packaged examples, or copy one out")
    named.add_argument("name", nargs="?")
    named.add_argument("directory", nargs="?")
    for name, verb, text in (
        ("validate", validate, "check a spec without running it"),
        ("plan", plan, "print the integers that a spec implies"),
        ("run", run, "run a spec"),
        ("submit", submit, "run a spec as a job on a Ray cluster"),
    ):
        spec = _add(verbs, name, verb, text, "spec")
        spec.add_argument("--set", action="append", default=[], metavar="KEY.PATH=VALUE", help="override a key")
        spec.add_argument("--seed", type=int, help="override sweep.seed")
        if name == "run":
            spec.add_argument("-o", "--out", help="the run's folder; default: the spec's name with .run")
            spec.add_argument("--address", help=ADDRESS)
            spec.add_argument("--continue", dest="go_on", action="store_true", help="complete the run if it was begun")
        if name == "submit":
            spec.add_argument("--address", required=True, help=HEAD)
            spec.add_argument("-o", "--out", required=True, help="the run's folder: shared by all nodes, or s3://…")
            spec.add_argument("--no-follow", action="store_true", help="return once the job is there")
    told = _add(verbs, "logs", logs, "what happened in a run, or what a job has printed", "job")
    told.add_argument("--address", help=f"of a job: {HEAD}")
    _ranking_parsers(verbs)
    text = "run a benchmark: kernels, scaling, sweeps or calibration"
    measured = verbs.add_parser("bench", help=text, description=bench.__doc__)
    measured.add_argument("name", help="kernels, scaling, sweeps or calibration")
    measured.add_argument("arguments", nargs=argparse.REMAINDER, help="of the benchmark: NAME --help lists them")
    measured.set_defaults(verb=bench, json=False)
    _add(verbs, "doctor", doctor, "whether this machine has what a run needs")
    going_on = _add(verbs, "resume", resume, "complete a run", "run")
    going_on.add_argument("--address", help=ADDRESS)
    asked = _add(verbs, "status", status, "how far a run or a job is", "run")
    asked.add_argument("--address", help=f"of a job: {HEAD}")
    _add(verbs, "verify", verify, "hold a run's files against its check sums", "run")
    written = _add(verbs, "report", report, "write a run's report", "run")
    written.add_argument("-o", "--out", help="the HTML file; default: RUN/report.html")
    return parser


def _add(verbs: Any, name: str, verb: Verb, text: str, *arguments: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=verb.__doc__)
    for argument in arguments:
        parser.add_argument(argument)
    parser.add_argument("-q", "--quiet", action="store_true", help="print nothing but problems")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(verb=verb)
    return parser


def _import_parser(verbs: Any) -> None:
    parser = _add(verbs, "import", import_, "turn a published table, or your own links, into a store")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = "\n".join(["kinds, and what is handed in:", *(f"  {kind:<11} {of}" for kind, of in KINDS.items())])
    parser.add_argument("kind", choices=KINDS, metavar="kind", help="see below")
    parser.add_argument("source", help="file or folder; `example` for the packaged table")
    parser.add_argument("store", help="the Zarr store to write")
    parser.add_argument("--money", help="what amounts are counted in, where no file says it: 'million USD'")
    parser.add_argument("--year", type=int, help="of a table whose name does not say it, or one of several")
    parser.add_argument("--origin", help="who published the source, to be cited")
    parser.add_argument("--licence", help="of the source, where it is your own or its kind's is not known")
    parser.add_argument("--firms", help="links: CSV or Parquet of firms (firm, region, sector, final_demand)")
    parser.add_argument("--per", choices=("year", "day"), default="year", help="links: amounts are per year or per day")


def _generate_parser(verbs: Any) -> None:
    parser = _add(verbs, "generate", generate, "draw a firm network consistent with a table", "table", "store")
    parser.add_argument("--firms", type=int, required=True, help="how many firms")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--year", type=int, help="of a table with several years")
    parser.add_argument("--mean-degree", type=float, default=10.0, help="links per firm")


def _ranking_parsers(verbs: Any) -> None:
    index = _add(verbs, "esri", esri, "rank a network's firms by systemic risk", "store")
    index.add_argument("-o", "--out", help="the CSV file; default: STORE with .esri.csv")
    index.add_argument(
        "--essential", default="all", help="all, none, or a CSV of levels 0, 1, 2 (input × buyer sector)"
    )
    index.add_argument(
        "--market", choices=("sector", "industry", "none"), default="sector", help="who can replace a firm"
    )
    index.add_argument("--size", choices=("sales", "output"), default="sales", help="sales to firms, or all output")
    index.add_argument("--tolerance", type=float, default=1e-2, help="a cascade ends when no firm moves by more")
    index.add_argument("--batch", type=int, default=32, help="failures at a time")
    ranked = _add(verbs, "sensitivity", sensitivity, "rank a spec's firms by what they add to its loss", "spec")
    ranked.add_argument("-o", "--out", help="the CSV file; default: SPEC with .sensitivity.csv")
    ranked.add_argument("--loss", choices=("output", "value_added", "final_consumption"), default="output")
    ranked.add_argument("--set", action="append", default=[], metavar="KEY.PATH=VALUE", help="override a key")
    ranked.add_argument("--seed", type=int, help="override sweep.seed")


if __name__ == "__main__":
    sys.exit(main())
