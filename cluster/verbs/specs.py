"""Verbs on a spec before it runs: validate, plan, explain."""

import argparse
import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from shockmesh.cluster.verbs.options import add_overrides, add_verb, overrides_of
from shockmesh.cluster.verbs.printing import DONE, show, tell

if TYPE_CHECKING:
    from shockmesh.cluster.spec.reference import Key


def init(options: argparse.Namespace) -> int:
    """Write a first spec from a few answers: those that options give, those of you at a terminal, or defaults."""
    from shockmesh.cluster.verbs.init import QUESTIONS, asker
    from shockmesh.cluster.verbs.init import init as write_spec

    given = {of.name: said for of in QUESTIONS if (said := getattr(options, of.name)) is not None}
    spec = write_spec(options.spec, given, None if options.json or options.yes else asker())
    text = f"wrote {options.spec}, which is valid: look at it, then: shockmesh run {options.spec}"
    return tell(options, {"written": options.spec, "spec": spec}, text)


def validate(options: argparse.Namespace) -> int:
    """Check a spec against its economy without running it."""
    from shockmesh.cluster.planning.prepare import prepare

    ready = prepare(options.spec, overrides_of(options))
    spec, network = ready.spec, ready.network
    if options.python:
        from shockmesh.cluster.python.code import as_python

        return tell(options, {"python": as_python(spec)}, as_python(spec))
    found = {"spec": options.spec, "valid": True, "members": spec.members, "firms": network.n_firms}
    line = f"{options.spec}: valid: {spec.members:,} members, {network.n_firms:,} firms"
    text = "\n".join([line, *(f"note: {caution}" for caution in ready.cautions)])
    return tell(options, {**found, "notes": ready.cautions}, text)


def plan(options: argparse.Namespace) -> int:
    """Print the integers that a spec implies."""
    from shockmesh.cluster.planning.forecast import forecasts, told_of
    from shockmesh.cluster.planning.plan import readable
    from shockmesh.cluster.planning.prepare import prepare

    ready = prepare(options.spec, overrides_of(options))
    planned, notes = ready.plan, ready.cautions
    foreseen = forecasts(ready.spec, ready.sizes, planned)
    if options.json:
        return tell(options, planned.as_dict() | {"devices": [asdict(one) for one in foreseen], "notes": notes}, "")
    rows = readable(planned) | told_of(foreseen, planned) | {f"note {i}": note for i, note in enumerate(notes, 1)}
    return show(options, rows, f"Plan of {options.spec}")


def explain(options: argparse.Namespace) -> int:
    """Say what a key of a spec means: its unit, bounds, default and an example."""
    from shockmesh.cluster.spec.reference import below, find, keys
    from shockmesh.cluster.spec.schema import spec_schema

    if options.schema:
        sys.stdout.write(json.dumps(spec_schema(), indent=2, ensure_ascii=False) + "\n")
        return DONE
    found = [key for key in keys() if "." not in key.path] if options.key is None else find(options.key)
    text = "\n\n".join(_told(key, below(key) if len(found) == 1 else []) for key in found)
    within = {key.path: [of.path for of in below(key)] for key in found}
    return tell(options, {"keys": [asdict(key) | {"keys": within[key.path]} for key in found]}, text)


def _told(key: "Key", within: list["Key"]) -> str:
    """What a key means, and which keys it has."""
    lines = [f"{key.path}: {key.meaning}", *(f"    {heading}: {text}" for heading, text in key.lines())]
    return "\n".join([*lines, *(f"    {of.path}: {of.meaning}" for of in within)])


def _init_parser(verbs: Any) -> None:
    from shockmesh.cluster.verbs.init import QUESTIONS

    made = add_verb(verbs, "init", init, "write a first spec from a few answers", "spec")
    for question in QUESTIONS:
        of = f" (of {', '.join(question.of)})" if question.of else ""
        asks = question.asks.replace("%", "%%")
        default = question.default.replace("%", "%%")
        made.add_argument(f"--{question.name}", help=f"{asks}{of}; default: {default}")
    made.add_argument("-y", "--yes", action="store_true", help="ask nothing: take the default of what is not given")


def add_verbs(verbs: Any) -> None:
    _init_parser(verbs)
    checked = add_verb(verbs, "validate", validate, "check a spec without running it", "spec")
    add_overrides(checked)
    checked.add_argument("--python", action="store_true", help="print it as a Python program that makes the same")
    add_overrides(add_verb(verbs, "plan", plan, "print the integers that a spec implies", "spec"))
    told = add_verb(verbs, "explain", explain, "what a key of a spec means")
    told.add_argument("key", nargs="?", help="such as model.capacity, or its end; default: all at the top")
    told.add_argument("--schema", action="store_true", help="print the JSON schema of a spec, for editors")
