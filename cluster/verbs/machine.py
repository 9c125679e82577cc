"""Verbs on this machine: doctor, bench."""

import argparse
import sys
from dataclasses import asdict
from typing import Any

from shockmesh.cluster.verbs.options import add_verb
from shockmesh.cluster.verbs.printing import BAD_INPUT, DONE, show, tell

FILES = ("spec", "run", "store", "table", "job", "source", "out", "file", "firms", "corrections", "runs")


def doctor(options: argparse.Namespace) -> int:
    """Say whether this machine has what a run needs."""
    from shockmesh.cluster.verbs import doctor as medicine

    findings = medicine.examine()
    if options.json:
        tell(options, {of.what: asdict(of) for of in findings}, "")
    else:
        show(options, {of.what: f"{of.verdict}: {of.line()}" for of in findings}, "What a run needs of this machine")
    return BAD_INPUT if any(of.verdict == "bad" for of in findings) else DONE


def bench(options: argparse.Namespace) -> int:
    """Run a benchmark: of speed, in a clone, or of predictions of past shocks; what follows is its own."""
    from shockmesh.cluster.verbs.bench import run_bench

    run_bench(options.name, options.arguments)
    return DONE


def completion(options: argparse.Namespace) -> int:
    """Print what completes verbs, options and files in a shell, to be kept where the shell looks for it."""
    import shtab
    from shockmesh.cluster.cli import make_parser, verbs_of

    parser = make_parser()
    for action in (action for verb in verbs_of(parser).values() for action in verb._actions):
        if action.dest in FILES:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    script = shtab.complete(parser, options.shell)
    return tell(options, {"shell": options.shell, "script": script}, "") if options.json else _write(script)


def _write(text: str) -> int:
    sys.stdout.write(text)
    return DONE


def add_verbs(verbs: Any) -> None:
    shells = add_verb(verbs, "completion", completion, "what completes calls in a shell when you press Tab")
    shells.add_argument("shell", choices=("bash", "zsh", "tcsh"), help="which")
    add_verb(verbs, "doctor", doctor, "whether this machine has what a run needs")
    text = "run a benchmark: kernels, scaling, sweeps, calibration or prediction"
    measured = verbs.add_parser("bench", help=text, description=bench.__doc__)
    measured.add_argument("name", help="kernels, scaling, sweeps, calibration or prediction")
    measured.add_argument("arguments", nargs=argparse.REMAINDER, help="of the benchmark: NAME --help lists them")
    measured.set_defaults(verb=bench, json=False)
