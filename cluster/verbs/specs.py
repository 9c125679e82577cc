"""Verbs on a spec before it runs: validate, plan."""

import argparse
from dataclasses import asdict
from typing import Any

from shockmesh.cluster.verbs.options import add_overrides, add_verb, overrides_of
from shockmesh.cluster.verbs.printing import show, tell


def validate(options: argparse.Namespace) -> int:
    """Check a spec against its economy without running it."""
    from shockmesh.cluster.planning.prepare import prepare

    ready = prepare(options.spec, overrides_of(options))
    spec, network = ready.spec, ready.network
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


def add_verbs(verbs: Any) -> None:
    add_overrides(add_verb(verbs, "validate", validate, "check a spec without running it", "spec"))
    add_overrides(add_verb(verbs, "plan", plan, "print the integers that a spec implies", "spec"))
