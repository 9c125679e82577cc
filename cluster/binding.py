"""A spec bound to its network: which firms each shock hits, and each number as a field over firms and members.

Everything that can only be checked against the economy is checked here, once, before anything is computed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from shockmesh.cluster.domains import DOMAINS
from shockmesh.cluster.members import Members, draw_members
from shockmesh.cluster.models import PerFirm, RecoveryShock, Spec, TableShock
from shockmesh.cluster.problems import suggestion
from shockmesh.cluster.rules import MODEL_VALUES, SHOCK_VALUES, WHERE_NAMES
from shockmesh.cluster.selection import Directory, Selection
from shockmesh.cluster.source import Problem, SpecError
from shockmesh.cluster.values import Field, group_names, make_field
from shockmesh.io.scenarios import read_criticality, read_factors
from shockmesh.kernels.network import FirmNetwork


@dataclass(frozen=True)
class BoundRecovery:
    """A recovery shock on its firms."""

    shock: RecoveryShock
    selection: Selection
    fields: dict[str, Field | None]  # loss, onset, recovery_start, recovery_days


@dataclass(frozen=True)
class BoundTable:
    """A table shock, read."""

    shock: TableShock
    factors: Float[np.ndarray, "time firm"]


@dataclass(frozen=True)
class Bound:
    """A spec on its network."""

    members: Members
    parameters: dict[str, Field]
    shocks: tuple[BoundRecovery | BoundTable, ...]
    criticality: Float[np.ndarray, "product sector"] | None = None


def bind(spec: Spec, network: FirmNetwork) -> Bound:
    """Bind a spec to its network.

    Raises:
        SpecError: a member, region, sector, firm or value that cannot be; all problems at once.
        ScenarioError: a file of the spec breaks a rule.
    """
    members = draw_members(spec)
    directory = Directory(network)
    problems = list(_unknown_names(spec, directory, members))
    if problems:
        raise SpecError(problems)
    model, swept = spec.model, spec.sweep.paths
    parameters = {
        name: make_field(getattr(model, name), f"model.{name}", model.default(name), DOMAINS[name], swept, network)
        for name in model.numbers
    }
    critical = None if model.criticality is None else read_criticality(model.criticality, network)
    bound = Bound(members, parameters, tuple(_bind_shock(spec, shock, directory) for shock in spec.shocks), critical)
    problems = [problem for shock in bound.shocks for problem in _empty(spec, shock, members)]
    if problems:
        raise SpecError(problems)
    return bound


def _bind_shock(spec: Spec, shock: RecoveryShock | TableShock, directory: Directory) -> BoundRecovery | BoundTable:
    network = directory.network
    if isinstance(shock, TableShock):
        return BoundTable(shock, read_factors(shock.file, network, spec.horizon.days, DOMAINS[shock.on].high))
    path, swept = f"shocks.{shock.name}", spec.sweep.paths
    fields = {
        name: make_field(getattr(shock, name), f"{path}.{name}", None, DOMAINS[name], swept, network)
        if getattr(shock, name) is not None or any(given.startswith(f"{path}.{name}") for given in swept)
        else None
        for name in SHOCK_VALUES
    }
    return BoundRecovery(shock, Selection(f"{path}.where", shock.where, spec.sweep.seed, directory), fields)


def _unknown_names(spec: Spec, directory: Directory, members: Members) -> Iterator[Problem]:
    """Names of regions, sectors and firms that the economy does not have."""
    for path, key, name in _names_used(spec, members):
        known = directory.codes(key)
        if str(name) not in known:
            yield spec.problem(path, name, f"no such {key} in the economy" + _alternatives(str(name), known))


def _names_used(spec: Spec, members: Members) -> Iterator[tuple[str, str, Any]]:
    values = [(f"model.{name}", getattr(spec.model, name)) for name in MODEL_VALUES]
    for shock in spec.shocks:
        if isinstance(shock, RecoveryShock):
            path = f"shocks.{shock.name}"
            values += [(f"{path}.{name}", getattr(shock, name)) for name in SHOCK_VALUES]
            for key in WHERE_NAMES:
                yield from ((f"{path}.where.{key}", key, name) for name in getattr(shock.where, key))
                swept = members.values.get(f"{path}.where.{key}", np.array([]))
                yield from ((f"{path}.where.{key}", key, name) for name in np.unique(swept))
    for path, value in values:
        per_firm = value if isinstance(value, PerFirm) else PerFirm[float]()
        for part, key, given in (
            ("by_region", "region", per_firm.by_region),
            ("by_sector", "sector", per_firm.by_sector),
        ):
            names = group_names(f"{path}.{part}", given, spec.sweep.paths)
            yield from ((f"{path}.{part}.{name}", key, name) for name in names)


def _alternatives(name: str, known: dict[str, int]) -> str:
    shown = ", ".join(list(known)[:8]) + (", …" if len(known) > 8 else "")
    return suggestion(name, list(known), 3) or f"; it has {len(known)}: {shown}"


def _empty(spec: Spec, bound: BoundRecovery | BoundTable, members: Members) -> Iterator[Problem]:
    """Shocks that hit no firm, or firms without a value."""
    if isinstance(bound, BoundTable):
        return
    path, where = f"shocks.{bound.shock.name}", bound.shock.where
    swept = {key: members.values.get(f"{path}.where.{key}") for key in WHERE_NAMES}
    columns = {key: values.tolist() for key, values in swept.items() if values is not None}
    ever_hit = np.zeros(bound.selection.directory.network.n_firms, bool)
    for combination in dict.fromkeys(zip(*columns.values(), strict=True)) if columns else [()]:
        names = dict(zip(columns, combination, strict=True))
        hit = bound.selection.matching(**names)
        ever_hit |= hit
        if not hit.any():
            yield spec.problem(f"{path}.where", names or where.model_dump(exclude_defaults=True), "no firm matches")
    for name, field in bound.fields.items():
        if field is not None:
            yield from _uncovered(spec, f"{path}.{name}", field, ever_hit, members, bound.selection.directory.network)


def _uncovered(
    spec: Spec, path: str, field: Field, hit: np.ndarray, members: Members, network: FirmNetwork
) -> Iterator[Problem]:
    values = np.broadcast_to(field.at(members.take(np.arange(1)))[:, 0], hit.shape)
    silent = np.flatnonzero(np.isnan(values) & hit)
    if len(silent):
        firms = ", ".join(str(network.firm[i]) for i in silent[:5])
        yield spec.problem(path, f"{len(silent)} firms without a value ({firms}, …)", "give a default")
