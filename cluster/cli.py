"""The command line: each verb is one short function over a library call; `verbs` has a module for each family.

Exit codes: 0 done; 2 bad input, one line per problem on standard error; 3 partly done, `shockmesh resume` goes on;
130 interrupted before anything was done.
"""

import argparse
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr
from importlib.metadata import version
from io import StringIO

from shockmesh.cluster.verbs import data, machine, rankings, risks, runs, specs, trust
from shockmesh.cluster.verbs.options import HelpText, Verb, finish
from shockmesh.cluster.verbs.printing import BAD_INPUT, INTERRUPTED, refuse
from shockmesh.io.stores.disks import reason

EPILOG = """a first run:
  shockmesh example world2014 demo                # a spec to edit, and its data
  shockmesh import wiod2016 example demo/world2014.zarr
  shockmesh init demo/spec.yaml --economy world2014.zarr
  shockmesh run demo/spec.yaml --out demo/run
  shockmesh report demo/run
exit codes: 0 done; 2 bad input; 3 partly done, `shockmesh resume` goes on; 130 interrupted
`shockmesh VERB --help` has examples; with --json a verb answers, and refuses, as JSON"""
FAMILIES = (data, specs, runs, trust, risks, rankings, machine)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; return its exit code."""
    options = _parsed(sys.argv[1:] if argv is None else argv)
    verb: Verb = options.verb
    try:
        return verb(options)
    except ValueError as error:
        if not type(error).__module__.startswith("shockmesh."):
            raise
        return refuse(options.json, str(error).splitlines(), BAD_INPUT, error)
    except OSError as error:
        if error.strerror is None:
            raise
        return refuse(options.json, [reason(error)], BAD_INPUT, error)
    except KeyboardInterrupt:
        return refuse(options.json, ["interrupted"], INTERRUPTED)


def _parsed(words: Sequence[str]) -> argparse.Namespace:
    """The options of a call; a wrong call ends here, with JSON if the call asks for it."""
    said = StringIO()
    try:
        with redirect_stderr(said if "--json" in words else sys.stderr):
            parser = make_parser()
            options = parser.parse_args(words)
            if empty := [name for name, of in vars(options).items() if of == ""]:
                parser.error(f"{', '.join(empty)}: empty; leave it out, or name something")
            return options
    except SystemExit as end:
        if problems := said.getvalue().splitlines()[-1:]:
            refuse(True, problems, BAD_INPUT)
        raise end


def make_parser() -> argparse.ArgumentParser:
    """The verbs of all families."""
    parser = argparse.ArgumentParser(
        prog="shockmesh", description="Simulate how shocks travel through supply networks.", epilog=EPILOG,
        formatter_class=HelpText,
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=f"shockmesh {version('shockmesh')}")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    for family in FAMILIES:
        family.add_verbs(verbs)
    for name, verb in verbs.choices.items():
        finish(name, verb)
    return parser


def verbs_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The parser of each verb."""
    (choices,) = (of.choices for of in parser._actions if isinstance(of, argparse._SubParsersAction))
    return dict(choices or {})


if __name__ == "__main__":
    sys.exit(main())
