"""The options that verbs share."""

import argparse
from collections.abc import Callable
from typing import Any

from shockmesh.cluster.verbs.examples import EXAMPLES

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


class HelpText(argparse.RawDescriptionHelpFormatter):
    """Help that keeps the lines of examples, and says the default of an option that has one."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        said, has = action.help or "", action.default not in (None, False, [], argparse.SUPPRESS)
        return f"{said}; default: %(default)s" if has and "default" not in said else said


def finish(name: str, parser: argparse.ArgumentParser) -> None:
    """Give a verb's help its examples."""
    parser.formatter_class = HelpText
    examples = "\n".join(["examples:", *(f"  {call}" for call in EXAMPLES.get(name, ()))])
    parser.epilog = f"{parser.epilog}\n\n{examples}" if parser.epilog else examples


def add_overrides(parser: argparse.ArgumentParser) -> None:
    """Give a verb that reads a spec the options that change it."""
    parser.add_argument("--set", action="append", default=[], metavar="KEY.PATH=VALUE", help="override a key")
    parser.add_argument("--seed", type=int, help="override sweep.seed")


def overrides_of(options: argparse.Namespace) -> list[str]:
    return [*options.set, *([] if options.seed is None else [f"sweep.seed={options.seed}"])]
