"""A spec bound to its network: which firms each shock hits, and each number as a field over firms and members.

Everything that can only be checked against the economy is checked here, once, before anything is computed.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from scipy import special
from shockmesh.cluster.spec.criticality import read_ratings, without_rating
from shockmesh.cluster.spec.delays import PLACES
from shockmesh.cluster.spec.domains import DOMAINS
from shockmesh.cluster.spec.events import BoundEvents, bind_events, unknown_events, with_events
from shockmesh.cluster.spec.fields import PerFirm
from shockmesh.cluster.spec.members import Members, draw_members
from shockmesh.cluster.spec.models import Spec, path_of
from shockmesh.cluster.spec.problems import suggestion
from shockmesh.cluster.spec.rules import MODEL_VALUES, WHERE_NAMES
from shockmesh.cluster.spec.selection import Directory, Selection, named
from shockmesh.cluster.spec.shocks import (
    ENERGY,
    ClosureShock,
    CostShock,
    CutShock,
    DamageShock,
    EventsShock,
    FailuresShock,
    HouseholdShock,
    RecoveryShock,
    Shock,
    TableShock,
    TariffShock,
    Where,
    place_of,
)
from shockmesh.cluster.spec.source import Problem, SpecError
from shockmesh.cluster.spec.values import Field, group_names, make_field, shock_fields
from shockmesh.cluster.spec.ways import BoundDelay, BoundRoute, bind_delays, bind_routes, empty_ways
from shockmesh.io.inputs.names import NamesError
from shockmesh.io.inputs.scenarios import read_factors
from shockmesh.kernels.network import FirmNetwork


@dataclass(frozen=True)
class BoundShock:
    """A shock on its firms."""

    shock: (
        RecoveryShock | FailuresShock | DamageShock | HouseholdShock | CutShock | ClosureShock | TariffShock | CostShock
    )
    places: dict[str, Selection]  # where, or origin and destination, or from and to, or none
    fields: dict[str, Field]  # its numbers, those that the spec or its sweep says
    failures: int = 0  # of each firm that are drawn, where the shock is failures
    pooled: bool = False  # whether some firms are rebuilt by all who build, where the shock is damage


@dataclass(frozen=True)
class BoundTable:
    """A table shock, read."""

    shock: TableShock
    factors: Float[np.ndarray, "time firm"]
    loss: Field | None = None  # of which the factors leave a part; None: 1


type BoundAny = BoundShock | BoundTable | BoundEvents


@dataclass(frozen=True)
class Bound:
    """A spec on its network."""

    members: Members
    parameters: dict[str, Field]
    shocks: tuple[BoundAny, ...]
    criticality: Float[np.ndarray, "product sector"] | None = None
    product_days: Float[np.ndarray, " product"] | None = None  # 0 where the spec gives none
    delays: tuple[BoundDelay, ...] = ()
    routes: tuple[BoundRoute, ...] = ()


def bind(spec: Spec, network: FirmNetwork) -> Bound:
    """Bind a spec to its network.

    Raises:
        SpecError: a member, region, sector, firm or value that cannot be; all problems at once.
        ScenarioError: a file of the spec breaks a rule.
    """
    members = draw_members(spec)
    directory = Directory(network)
    problems = [*_beyond_precision(spec, network), *_unknown_names(spec, directory, members)]
    problems += [] if problems else _swept_twice(spec, directory, members)
    problems += [*without_rating(spec, network), *_nobody_to_turn_to(spec, network)]
    if problems:
        raise SpecError(problems)
    model = spec.model
    parameters = {
        name: make_field(model.given(name), path_of(name), model.default(name), DOMAINS[name], spec, network)
        for name in model.numbers
    }
    shocks = tuple(_bind_shock(spec, shock, directory, members) for shock in spec.shocks)
    for shock in shocks:
        members = with_events(members, shock) if isinstance(shock, BoundEvents) else members
    by_product = model.inventory_by_product
    days = None if by_product is None else np.array([by_product.get(name, 0.0) for name in network.sectors])
    ways = bind_delays(spec, directory), bind_routes(spec, directory)
    bound = Bound(members, parameters, shocks, read_ratings(spec, network), days, *ways)
    problems = [problem for shock in bound.shocks for problem in _empty(spec, shock, members, network)]
    problems += empty_ways(spec, *ways, network)
    if problems:
        raise SpecError(problems)
    return bound


def _bind_shock(spec: Spec, shock: Shock, directory: Directory, members: Members) -> BoundAny:
    network = directory.network
    if isinstance(shock, EventsShock):
        return bind_events(spec, shock, network)
    path, fields = f"shocks.{shock.name}", shock_fields(spec, shock, network)
    if isinstance(shock, TableShock):
        high, of = DOMAINS[shock.on].high, spec.horizon
        factors = read_factors(shock.file, network, of.days, high, of.start)
        return BoundTable(shock, factors, fields.get("loss"))
    places = {
        place: Selection(f"{path}.{place}", place_of(shock, place), spec.sweep.seed, directory)
        for place in shock.PLACES
    }
    between = fields.get("days_between_failures")
    failures = failures_within(spec.horizon.days / between.least(members.values)) if between else 0
    pooled = isinstance(shock, DamageShock) and (alone(shock, network) & ever_hit(places["where"], members)).any()
    return BoundShock(shock, places, fields, failures, bool(pooled))


def failures_within(mean: float) -> int:
    """How many failures of a firm to draw: even if repairs took no time, more happen with a probability below 1e-6.

    >>> failures_within(0.01), failures_within(1.0), failures_within(12.0)
    (2, 9, 32)
    """
    return next(k for k in itertools.count(1) if special.pdtrc(k, mean) < 1e-6)


def _beyond_precision(spec: Spec, network: FirmNetwork) -> Iterator[Problem]:
    """Amounts whose sums over days or whose ratios would leave the numbers of the run's precision."""
    kept = np.finfo(spec.precision)
    low, high = float(kept.tiny) ** 0.25, float(kept.max) ** 0.75
    total = network.output.sum()
    if total > 0 and not low <= total <= high:
        told = f"output of {total:.3g} {network.unit} in all"
        other = f"give its amounts in units of 1e{np.log10(total):.0f} {network.unit}"
        other += ", or say precision: float64" if spec.precision == "float32" else ""
        rule = f"{spec.precision} needs {low:.2g} … {high:.2g}: {other}"
        yield spec.problem("economy", told, rule)


def _nobody_to_turn_to(spec: Spec, network: FirmNetwork) -> Iterator[Problem]:
    """Suppliers that change, on a network that says of nobody who else could supply."""
    if spec.model.suppliers is not None and not len(network.candidates):
        rule = (
            "needs candidates, firms that buyers could turn to: make the network with `shockmesh generate … "
            "--candidates K` or `shockmesh import links … --candidates FILE|K`"
        )
        yield spec.problem("model.suppliers", "a network without candidates", rule)


def _unknown_names(spec: Spec, directory: Directory, members: Members) -> Iterator[Problem]:
    """Names of regions, sectors and firms that the economy does not have."""
    for path, key, name in _names_used(spec, members):
        known = directory.codes(key)
        try:
            in_words = path.endswith(f".{key}") or f".by_{key}." in path
            found = str(name) in known or (in_words and directory.find(key, str(name)))
        except NamesError as error:
            yield spec.problem(path, name, str(error))
            continue
        if not found:
            yield spec.problem(
                path, name, f"no such {key} in the economy" + _alternatives(str(name), known, directory.words(key))
            )


def _swept_twice(spec: Spec, directory: Directory, members: Members) -> Iterator[Problem]:
    """Codes that two swept words mean, so that it is open whose number they have."""
    seen: dict[tuple[str, int], str] = {}
    for path, key, name in _names_used(spec, members):
        if f".by_{key}." in path and name not in directory.codes(key):
            of = path.removesuffix(f".{name}")
            for code in directory.find(key, name):
                if (other := seen.setdefault((of, code), name)) != name:
                    label = list(directory.codes(key))[code]
                    yield spec.problem(path, name, f"{label} has a number of {other} already; name the code")


def _names_used(spec: Spec, members: Members) -> Iterator[tuple[str, str, Any]]:
    products = spec.model.inventory_by_product or {}
    yield from ((f"model.inventory_by_product.{name}", "sector", name) for name in products)
    values = [(path_of(name), spec.model.given(name)) for name in MODEL_VALUES]
    values += [(f"{delay.path}.days", delay.days) for delay in spec.model.delays]
    for (path, where), key in itertools.product(_places(spec), WHERE_NAMES):
        swept = members.values.get(f"{path}.{key}", np.array([]))
        yield from ((f"{path}.{key}", key, name) for name in (*getattr(where, key), *np.unique(swept)))
    for shock in spec.shocks:
        path = f"shocks.{shock.name}"
        values += [(f"{path}.{name}", getattr(shock, name)) for name in shock.NUMBERS]
        if isinstance(shock, DamageShock | HouseholdShock):
            yield from ((f"{path}.builders.{name}", "sector", name) for name in shock.builders)
        if isinstance(shock, HouseholdShock):
            yield from ((f"{path}.region", "region", name) for name in shock.region)
        if isinstance(shock, CostShock):
            yield from ((f"{path}.energy", "sector", name) for name in shock.energy)
    for path, value in values:
        per_firm = value if isinstance(value, PerFirm) else PerFirm[float]()
        for part, key, given in (
            ("by_region", "region", per_firm.by_region),
            ("by_sector", "sector", per_firm.by_sector),
        ):
            names = group_names(f"{path}.{part}", given, spec.sweep.paths)
            yield from ((f"{path}.{part}.{name}", key, name) for name in names)


def _places(spec: Spec) -> Iterator[tuple[str, Where]]:
    """Every place that a spec names, by its path."""
    for passage in (*spec.model.delays, *spec.model.routes):
        yield from ((f"{passage.path}.{name}", passage.place(name)) for name in PLACES)
    yield from ((f"{route.path}.first", route.first) for route in spec.model.routes if route.first)
    if spec.allocate is not None:
        yield "allocate.where", spec.allocate.where
    for shock in spec.shocks:
        yield from ((f"shocks.{shock.name}.{name}", place_of(shock, name)) for name in shock.PLACES)


def _alternatives(name: str, known: dict[str, int], words: Sequence[str]) -> str:
    """Codes, plain names and groups that look alike; if there are none, the first codes."""
    shown = ", ".join(list(known)[:8]) + (", …" if len(known) > 8 else "")
    return suggestion(name, [*known, *words], 3) or f"; it has {len(known)}: {shown}"


def _empty(spec: Spec, bound: BoundAny, members: Members, network: FirmNetwork) -> Iterator[Problem]:
    """Shocks that hit no firm, or never, or firms without a value, or what nobody rebuilds; events that are unknown."""
    if isinstance(bound, BoundTable):
        if bound.loss is not None:
            hit = (bound.factors != 1).any(axis=0)
            yield from _uncovered(spec, f"shocks.{bound.shock.name}.loss", bound.loss, hit, members, network)
        return
    if isinstance(bound, BoundEvents):
        yield from unknown_events(spec, bound, members)
        return
    path = f"shocks.{bound.shock.name}"
    yield from _too_late(spec, bound, members)
    if isinstance(bound.shock, HouseholdShock):
        for name in [name for name in bound.shock.builders if not asked_to_build(bound.shock, network, name).any()]:
            told = "no firm there of this sector meets final demand"
            yield spec.problem(f"{path}.builders.{name}", bound.shock.builders[name], told)
        return
    if isinstance(bound.shock, ClosureShock):
        return
    hit: Bool[np.ndarray, " firm"] = np.zeros(0, bool)
    for place, selection in bound.places.items():
        hit = ever_hit(selection, members)
        for names in _combinations(selection, members):
            if not selection.matching(**names).any():
                given = names or selection.where.model_dump(exclude_defaults=True)
                yield spec.problem(f"{path}.{place}", given, "no firm matches")
            elif (most := selection.where.largest or 0) > (n := selection.matching(**names).sum()):
                yield spec.problem(f"{path}.{place}.largest", most, f"only {n} firms are in this place")
    for name, field in bound.fields.items():
        yield from _uncovered(spec, f"{path}.{name}", field, hit, members, network)
    if isinstance(bound.shock, DamageShock):
        yield from _not_rebuilt(spec, bound.shock, network)
    if (
        isinstance(bound.shock, CostShock)
        and bound.shock.on == "energy"
        and not sells_energy(bound.shock, network).any()
    ):
        told = f"none of the economy's sectors is one of {', '.join(ENERGY)}"
        yield spec.problem(f"{path}.energy", "missing", f"{told}: name those that sell energy")


def ever_hit(selection: Selection, members: Members) -> Bool[np.ndarray, " firm"]:
    """The firms that a place names in any member."""
    return np.any([selection.matching(**names) for names in _combinations(selection, members)], axis=0)


def _too_late(spec: Spec, bound: BoundShock, members: Members) -> Iterator[Problem]:
    """A shock of which no part begins within the run, in any member."""
    name = "rebuild_start" if isinstance(bound.shock, HouseholdShock) else "onset"
    field, days = bound.fields.get(name), spec.horizon.days
    if field is not None and (first := field.least(members.values)) >= days:
        yield spec.problem(f"shocks.{bound.shock.name}.{name}", f"{first:g}", f"must be < {days}, the run's days")


def asked_to_build(shock: HouseholdShock, network: FirmNetwork, sector: str) -> Float[np.ndarray, " firm"]:
    """The final demand of the firms of a sector that households ask to build, 0 elsewhere."""
    here = np.isin(network.regions, shock.region)[network.region] if shock.region else True
    return network.final_demand * (here & of_sectors(network, [sector]))


def sells_energy(shock: CostShock, network: FirmNetwork) -> Bool[np.ndarray, " firm"]:
    """The firms whose product is energy to a cost shock."""
    return of_sectors(network, shock.energy or ENERGY)


def of_sectors(network: FirmNetwork, names: Iterable[str]) -> Bool[np.ndarray, " firm"]:
    """The firms of some sectors."""
    return np.isin(network.sectors, [*names])[network.sector]


def _combinations(selection: Selection, members: Members) -> list[dict[str, Any]]:
    """Every combination of names that the sweep gives a place; a single empty one if it gives none."""
    swept = {key: members.values.get(f"{selection.path}.{key}") for key in WHERE_NAMES}
    columns = {key: values.tolist() for key, values in swept.items() if values is not None}
    combinations = dict.fromkeys(zip(*columns.values(), strict=True)) if columns else [()]
    return [dict(zip(columns, combination, strict=True)) for combination in combinations]


def alone(shock: DamageShock, network: FirmNetwork) -> Bool[np.ndarray, " firm"]:
    """The firms that buy from no sector that builds: all firms of these sectors rebuild them together."""
    found = np.ones(network.n_firms, bool)
    found[network.buyer[of_sectors(network, shock.builders)[network.supplier]]] = False
    return found


def pool_of(shock: DamageShock, network: FirmNetwork) -> Float[np.ndarray, " firm"]:
    """Each firm's part of the pool of all who build: its sector's part, by output within the sector; they sum to 1."""
    parts = np.zeros(network.n_firms)
    for name, part in shock.builders.items():
        made = np.where(of_sectors(network, [name]), network.output, 0)
        parts += part * made / (made.sum() or 1)
    return parts / (parts.sum() or 1)


def _not_rebuilt(spec: Spec, shock: DamageShock, network: FirmNetwork) -> Iterator[Problem]:
    """Builders that make nothing."""
    for name in shock.builders:
        if not network.output[of_sectors(network, [name])].any():
            rule = "no firm of this sector makes anything: name one that builds"
            yield spec.problem(f"shocks.{shock.name}.builders.{name}", shock.builders[name], rule)


def _uncovered(
    spec: Spec, path: str, field: Field, hit: np.ndarray, members: Members, network: FirmNetwork
) -> Iterator[Problem]:
    values = np.broadcast_to(field.at(members.take(np.arange(1)))[:, 0], hit.shape)
    silent = np.flatnonzero(np.isnan(values) & hit)
    if len(silent):
        told = f"{len(silent)} firms without a value ({named(network, silent)})"
        yield spec.problem(path, told, "give a default")
