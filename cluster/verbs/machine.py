"""Verbs on this machine: doctor, bench."""

import argparse
from dataclasses import asdict
from typing import Any

from shockmesh.cluster.verbs.options import add_verb
from shockmesh.cluster.verbs.printing import BAD_INPUT, DONE, show, tell


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


def add_verbs(verbs: Any) -> None:
    add_verb(verbs, "doctor", doctor, "whether this machine has what a run needs")
    text = "run a benchmark: kernels, scaling, sweeps, calibration or prediction"
    measured = verbs.add_parser("bench", help=text, description=bench.__doc__)
    measured.add_argument("name", help="kernels, scaling, sweeps, calibration or prediction")
    measured.add_argument("arguments", nargs=argparse.REMAINDER, help="of the benchmark: NAME --help lists them")
    measured.set_defaults(verb=bench, json=False)
