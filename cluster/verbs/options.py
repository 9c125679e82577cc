"""The options that verbs share."""

import argparse
from collections.abc import Callable
from typing import Any

ARGUMENTS = {  # that verbs share
    "spec": "the YAML file that says what to run",
    "run": "the folder of a run, or s3://…",
    "store": "a store of a table or a network, or a run",
    "table": "the store of a table",
    "job": "a run's folder; with --address, a job's name",
}

type Verb = Callable[[argparse.Namespace], int]


def add_verb(verbs: Any, name: str, verb: Verb, text: str, *arguments: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=verb.__doc__)
    for argument in arguments:
        parser.add_argument(argument, help=ARGUMENTS.get(argument))
    parser.add_argument("-q", "--quiet", action="store_true", help="print nothing but problems")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(verb=verb)
    return parser


def add_overrides(parser: argparse.ArgumentParser) -> None:
    """Give a verb that reads a spec the options that change it."""
    parser.add_argument("--set", action="append", default=[], metavar="KEY.PATH=VALUE", help="override a key")
    parser.add_argument("--seed", type=int, help="override sweep.seed")


def overrides_of(options: argparse.Namespace) -> list[str]:
    return [*options.set, *([] if options.seed is None else [f"sweep.seed={options.seed}"])]
