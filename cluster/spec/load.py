"""The spec: the YAML that says what to run, as frozen models that refuse unknown keys.

    economy: world.zarr
    horizon: {days: 365}
    shocks:
      - {name: lockdown, kind: recovery, where: {region: GBR, sector: [I, G47]}, loss: 0.6, recovery_days: 40}
    sweep: {seed: 7, members: 200, vary: {shocks.lockdown.loss: {uniform: [0.2, 0.8]}}}
    record: {output: [region, sector]}

Files are relative to the spec's folder. Every problem is reported at once as `file:line: field: value: rule`.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from shockmesh.cluster.spec.allocate import allocate_rules
from shockmesh.cluster.spec.designs import design_rules
from shockmesh.cluster.spec.models import Spec
from shockmesh.cluster.spec.problems import pydantic_problems
from shockmesh.cluster.spec.rules import Broken, broken_rules, missing_files
from shockmesh.cluster.spec.source import Source, SpecError, read_source
from shockmesh.io.inputs.calendar import date_in

__all__ = ["Spec", "SpecError", "load_spec", "parse_spec"]


def load_spec(path: str | Path, overrides: Sequence[str] = ()) -> Spec:
    """Read, complete and check a spec file; `overrides` are `key.path=value`.

    Raises:
        SpecError: with every problem found, each as `file:line: field: value: rule`.
    """
    spec = _parse(read_source(path, overrides), Path(path).resolve().parent)
    _refuse(spec, missing_files(spec))
    return spec


def parse_spec(data: dict[str, Any], name: str = "spec", folder: Path | None = None) -> Spec:
    """Check a spec given as a dict, such as one stored with a run; its files may be elsewhere.

    Raises:
        SpecError: as `load_spec` does.
    """
    return _parse(Source(name, data), folder)


def _parse(source: Source, folder: Path | None) -> Spec:
    try:
        context = {"folder": folder, "start": start_of(source.data)}
        spec = _complete(Spec.model_validate(source.data, context=context))
    except ValidationError as error:
        from shockmesh.cluster.spec.reference import unknown_key  # reads the schema of a spec, for messages alone

        raise SpecError(pydantic_problems(error, source, unknown_key)) from error
    spec._source = source
    _refuse(spec, [*broken_rules(spec), *design_rules(spec), *allocate_rules(spec)])
    return spec


def start_of(data: dict[str, Any]) -> date | None:
    """The date of day 0 that a spec gives; None where it gives none, or none that is a date."""
    horizon = data.get("horizon")
    try:
        return date_in(horizon["start"]) if isinstance(horizon, dict) and horizon.get("start") is not None else None
    except ValueError:
        return None


def _complete(spec: Spec) -> Spec:
    """The spec with its preset's criticality, where its model needs one and it names none."""
    if spec.model.criticality is not None or not spec.model.switches.needs_criticality:
        return spec
    named = spec.model.published.criticality
    return spec.model_copy(update={"model": spec.model.model_copy(update={"criticality": named})})


def _refuse(spec: Spec, broken: Iterable[Broken]) -> None:
    problems = [spec.problem(path, value, rule) for path, value, rule in broken]
    if problems:
        raise SpecError(problems)
