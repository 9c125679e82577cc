"""The rules of a spec that concern more than one field: sweeps, paths, records and files."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from shockmesh.cluster.spec.domains import DOMAINS, Domain, base_of
from shockmesh.cluster.spec.fields import MOST, SURVEYS, PerFirm
from shockmesh.cluster.spec.models import Spec, path_of
from shockmesh.cluster.spec.passages import Broken, passages, written
from shockmesh.cluster.spec.problems import suggestion
from shockmesh.cluster.spec.shocks import (
    ClosureShock,
    CostShock,
    CutShock,
    EventsShock,
    FailuresShock,
    HouseholdShock,
    RecoveryShock,
    Shock,
    TableShock,
    TariffShock,
    domain_of,
    place_of,
)
from shockmesh.cluster.spec.source import KeyPath
from shockmesh.cluster.spec.unknowns import Observe, Spreads, Unknown
from shockmesh.io.inputs.calendar import FIRST, LAST
from shockmesh.kernels.model import DEFAULTS
from shockmesh.kernels.rollout import PRICED, quantity

MODEL_VALUES = ("inventory_days", "adjustment_days", "capacity", *DEFAULTS)
LEVELS_OR_LIKE = "needs a level (all, region, series, sector or firm), or like in its place"
WHERE_NAMES = ("region", "sector", "firm")
SHOWN = 12  # paths


def broken_rules(spec: Spec) -> Iterator[Broken]:
    """Every rule that the spec breaks, as (path, value, rule)."""
    for rule in (
        _horizon,
        _mechanisms,
        _prices,
        _suppliers,
        passages,
        _shock_names,
        _selections,
        _events,
        _s_shaped,
        _members,
        _sweep_paths,
        _sweep_values,
        _records,
        _calibration,
    ):
        yield from rule(spec)


def targets(spec: Spec) -> dict[str, Domain | None]:
    """What a sweep may set: the domain of each number, None for a name (region, sector, firm or event)."""
    found: dict[str, Domain | None] = {path_of(name): DOMAINS[name] for name in spec.model.numbers}
    found |= {f"{delay.path}.days": delay.domain for delay in spec.model.delays if delay.stages}
    found |= {f"{route.path}.{name}": DOMAINS[name] for route in spec.model.routes for name in route.numbers}
    for shock in spec.shocks:
        found |= {f"shocks.{shock.name}.{name}": domain_of(shock, name) for name in shock.NUMBERS}
        for place in shock.PLACES:
            found |= {f"shocks.{shock.name}.{place}.{name}": None for name in WHERE_NAMES}
            found[f"shocks.{shock.name}.{place}.share"] = DOMAINS["share"]
        if isinstance(shock, EventsShock):
            found[f"shocks.{shock.name}.event"] = None
    return found


def _horizon(spec: Spec) -> Iterator[Broken]:
    """Dates that a store can hold."""
    start, days = spec.horizon.start, spec.horizon.days
    if start is not None and not (start >= FIRST and days <= (LAST - start).days):
        yield ("horizon", "start"), start.isoformat(), f"a run with dates must lie within {FIRST} … {LAST}"


def _mechanisms(spec: Spec) -> Iterator[Broken]:
    """Numbers and files that the model's mechanisms do not read, or lack."""
    model, switches = spec.model, spec.model.switches
    chosen = f"production: {switches.production} and capacity_rule: {switches.capacity_rule}"
    chosen += f" and consumption: {switches.consumption}" if switches.consumption != "exogenous" else ""
    for name in MODEL_VALUES:
        if name not in model.numbers and model.given(name) is not None:
            yield ("model", name), model.given(name), f"is not read by {chosen}"
    if switches.consumption == "labour_income" and switches.capacity_rule != "hiring":
        yield ("model", "consumption"), switches.consumption, "needs labour: capacity_rule: hiring"
    if model.criticality is not None and not switches.needs_criticality:
        yield ("model", "criticality"), model.criticality, f"is not read by {chosen}"


def _prices(spec: Spec) -> Iterator[Broken]:
    """What acts by prices, or records them, needs prices that move."""
    needs = "needs prices that move: model.prices, {} for all its defaults"
    for i, shock in enumerate(spec.shocks):
        if isinstance(shock, TariffShock | CostShock) and spec.model.prices is None:
            yield ("shocks", i, "kind"), shock.kind, needs
        if isinstance(shock, CostShock) and shock.energy and shock.on != "energy":
            yield ("shocks", i, "energy"), list(shock.energy), f"is not read by on: {shock.on}"
    for name, dims in spec.record.items():
        if quantity(name) in PRICED and spec.model.prices is None:
            yield ("record", name), list(dims), needs
        if quantity(name) == "consumer_price_index" and dims not in ((), ("region",)):
            yield ("record", name), list(dims), "is of regions: [region], or [] for their mean"
    for i, observe in enumerate(spec.observe):
        if observe.variable in PRICED and spec.model.prices is None:
            yield ("observe", i, "variable"), observe.variable, needs


def _suppliers(spec: Spec) -> Iterator[Broken]:
    """What records suppliers that change needs them to."""
    if spec.model.suppliers is None:
        needs = "needs suppliers that change: model.suppliers, {} for all its defaults"
        for name, dims in spec.record.items():
            if quantity(name) == "switched":
                yield ("record", name), list(dims), needs
        for i, observe in enumerate(spec.observe):
            if observe.variable == "switched":
                yield ("observe", i, "variable"), observe.variable, needs


def _selections(spec: Spec) -> Iterator[Broken]:
    """What firms are the largest by has to be read, and be the same in every member where it takes long to find."""
    for i, shock in enumerate(spec.shocks):
        for place in shock.PLACES:
            where, here = place_of(shock, place), ("shocks", i, place, "top_by")
            if where.largest is None and where.top_by != "output":
                yield here, where.top_by, "is not read without largest"
            moves = [path for path in spec.sweep.paths if path.startswith(f"shocks.{shock.name}.{place}.")]
            if where.top_by == "esri" and any(path.rpartition(".")[2] in WHERE_NAMES for path in moves):
                yield here, where.top_by, f"a sweep may not move a place whose firms are ranked by it: {moves[0]}"


def _shock_names(spec: Spec) -> Iterator[Broken]:
    counts = Counter(shock.name for shock in spec.shocks)
    for i, shock in enumerate(spec.shocks):
        if counts[shock.name] > 1:
            yield ("shocks", i, "name"), shock.name, "each shock needs a name of its own"


def _events(spec: Spec) -> Iterator[Broken]:
    """A member has one event, and a fit has no members that could have one each."""
    kinds = [i for i, shock in enumerate(spec.shocks) if isinstance(shock, EventsShock)]
    for i in kinds[1:]:
        yield ("shocks", i, "kind"), "events", "a spec has one catalogue, whose events are the members of its sweep"
    if spec.infer is not None and catalogue(spec) is not None:
        yield ("shocks", kinds[0], "event"), "missing", "name the event that was seen: a calibration has no sweep"


def catalogue(spec: Spec) -> EventsShock | None:
    """The shock whose events are the members of the sweep; None where there is none, or where the spec names events."""
    found = [shock for shock in spec.shocks if isinstance(shock, EventsShock) and shock.event is None]
    return next((shock for shock in found if f"shocks.{shock.name}.event" not in spec.sweep.paths), None)


def _s_shaped(spec: Spec) -> Iterator[Broken]:
    """The days of an s-shaped recovery as written: other courses admit more."""
    for i, shock in enumerate(spec.shocks):
        if (
            isinstance(shock, RecoveryShock | CutShock | ClosureShock | EventsShock | TariffShock | CostShock)
            and shock.course == "s_shaped"
        ):
            domain = domain_of(shock, "recovery_days")
            for keys, days in written(shock.recovery_days).items():
                if days is not None and not domain.admits(days):
                    yield ("shocks", i, "recovery_days", *keys), days, f"{domain.rule} with course: s_shaped"


def _members(spec: Spec) -> Iterator[Broken]:
    sweep = spec.sweep
    ways = [name for name, given in (("vary", sweep.vary), ("grid", sweep.grid), ("list", sweep.entries)) if given]
    if len(ways) > 1:
        yield ("sweep", ways[1]), " and ".join(ways), "a sweep has one of vary, grid and list"
    if sweep.vary and sweep.members is None and catalogue(spec) is None:
        yield ("sweep", "members"), "missing", "required with vary"
    if (sweep.grid or sweep.entries) and sweep.members not in (None, spec.members):
        yield ("sweep", "members"), sweep.members, f"{ways[0]} makes {spec.members}; leave members out"
    if spec.members > MOST:
        yield ("sweep", "grid"), f"{spec.members:,} members", f"at most {MOST:,}"
    for i, entry in enumerate(sweep.entries):
        if set(entry) != set(sweep.entries[0]):
            yield ("sweep", "list", i), sorted(entry), f"must have the paths of the first, {sorted(sweep.entries[0])}"


def _sweep_paths(spec: Spec) -> Iterator[Broken]:
    known = targets(spec)
    for keys, path, _ in _swept(spec):
        if base_of(path) not in known:
            yield keys, path, _unknown_path(path, list(known))
        elif path != base_of(path) and known[base_of(path)] is None:
            yield keys, path, "a name has no parts"
        elif path != base_of(path) and base_of(path) in (alike := _alike(spec)):
            yield keys, path, f"a {alike[base_of(path)]} has one number for all firms"
        elif path.endswith(".default") and path.removesuffix(".default") in spec.sweep.paths:
            yield keys, path, f"is the same value as {path.removesuffix('.default')}"


def _alike(spec: Spec) -> dict[str, str]:
    """The numbers of shocks and routes that do not differ by firm, and their kind."""
    kinds = CutShock | ClosureShock | EventsShock | HouseholdShock | TariffShock
    shocks = [shock for shock in spec.shocks if isinstance(shock, kinds)]
    found = {f"shocks.{shock.name}.{name}": shock.kind for shock in shocks for name in shock.NUMBERS}
    return found | {f"{route.path}.{name}": "route" for route in spec.model.routes for name in route.numbers}


def _unknown_path(path: str, known: Sequence[str]) -> str:
    if base_of(path) in map(path_of, MODEL_VALUES):
        return "is not read by the model's mechanisms"
    if path.split(".")[0] in ("economy", "horizon", "record", "resources", "precision", "engine") or path.startswith(
        "model."
    ):
        return "is fixed within a sweep" + suggestion(path, known)
    more = ", …" if len(known) > SHOWN else ""
    return "no such path" + (suggestion(path, known) or f"; a sweep may set {', '.join(known[:SHOWN])}{more}")


def _sweep_values(spec: Spec) -> Iterator[Broken]:
    known = targets(spec)
    for keys, path, values in _swept(spec):
        if base_of(path) in known:
            domain = known[base_of(path)]
            yield from ((keys, value, rule) for value, rule in _refused(domain, path, values))


def _swept(spec: Spec) -> Iterator[tuple[KeyPath, str, Any]]:
    """Every path of the sweep, as (keys, path, distribution or values)."""
    for path, drawn in spec.sweep.vary.items():
        yield ("sweep", "vary", path), path, drawn.choices or drawn
    for path, levels in spec.sweep.grid.items():
        yield ("sweep", "grid", path), path, levels
    for i, entry in enumerate(spec.sweep.entries):
        for path, value in entry.items():
            yield ("sweep", "list", i, path), path, (value,)


def _refused(domain: Domain | None, path: str, values: Any) -> Iterator[tuple[object, str]]:
    if not isinstance(values, tuple):
        yield from _refused_distribution(domain, values)
        return
    for value in values:
        if domain is None:
            if isinstance(value, float) or (not path.endswith((".firm", ".event")) and not isinstance(value, str)):
                yield value, "must be a name; put it in quotes"
        elif isinstance(value, str):
            yield value, domain.no_number
        elif not domain.admits(value):
            yield value, domain.rule


def _refused_distribution(domain: Domain | None, drawn: Any) -> Iterator[tuple[object, str]]:
    if domain is None:
        yield drawn.as_dict(), "a name is drawn by choice: [ … ]"
    elif drawn.support and not all(map(domain.admits, drawn.support)):
        low, high = drawn.support
        yield drawn.as_dict(), f"draws from {low:g} to {high:g}; every value {domain.rule}"


def _records(spec: Spec) -> Iterator[Broken]:
    if not spec.record:
        yield ("record",), "empty", "record at least one variable"
    for name, dims in spec.record.items():
        if len(set(dims)) != len(dims):
            yield ("record", name), list(dims), "names a dim twice"
        if "firm" in dims and len(dims) > 1:
            rule = "firm stands alone: its region and sector are stored as firm_region and firm_sector"
            yield ("record", name), list(dims), rule
        if "_by_" in name and name != (named := f"{quantity(name)}_by_{'_'.join(dims) or 'total'}"):
            yield ("record", name), list(dims), f"a second recording is named by its dims, {named}"


def _calibration(spec: Spec) -> Iterator[Broken]:
    """A calibration has unknown numbers, something seen, and no sweep."""
    if (spec.infer is None) != (not spec.observe):
        yield ("infer",) if spec.observe else ("observe",), "missing", "observe and infer come together"
    if spec.infer is None:
        return
    if spec.sweep.paths or spec.sweep.members not in (None, 1):
        yield ("sweep",), spec.sweep.paths, "a calibration has no sweep: what varies is what infer.parameters name"
    if spec.resources.devices_per_gang != 1:
        path = ("resources", "devices_per_gang")
        yield path, spec.resources.devices_per_gang, "must be 1: a calibration's simulations each run on one device"
    if spec.engine != "zarr":
        yield ("engine",), spec.engine, "must be zarr: a calibration keeps no members"
    yield from _unknowns(spec, spec.infer.parameters)
    variables = Counter(observe.variable for observe in spec.observe)
    for i, observe in enumerate(spec.observe):
        if variables[observe.variable] > 1:
            yield ("observe", i, "variable"), observe.variable, "each variable is observed once"
        yield from _windows(("observe", i), observe, spec.horizon.days)


def _unknowns(spec: Spec, given: Mapping[str, Unknown]) -> Iterator[Broken]:
    known, keys = inferable(spec), ("infer", "parameters")
    if not given:
        yield keys, "empty", "nothing to infer"
    for path, unknown in given.items():
        own = [name for name in given if name != path and given[name].spread and _number(name) == _number(path)]
        if path not in known:
            yield (*keys, path), path, "is not a number that can be inferred" + suggestion(path, known)
        elif bool(unknown.spread) == (unknown.like is not None):
            yield (*keys, path, "spread"), dict(unknown.spread) or "empty", LEVELS_OR_LIKE
        elif unknown.like is not None and unknown.like not in own:
            rule = "must be a number of the same kind that has a spread here" + suggestion(unknown.like, own)
            yield (*keys, path, "like"), unknown.like, rule


def _number(path: str) -> str:
    """What a path is a number of: loss, inventory_days, …"""
    return path.rpartition(".")[2]


def inferable(spec: Spec) -> list[str]:
    """The numbers that a calibration may infer: the model's, and those of losses that recover and of failures."""
    of_shocks = [f"shocks.{shock.name}.{number}" for shock in spec.shocks for number in _inferable_numbers(shock)]
    of_delays = [f"{delay.path}.days" for delay in spec.model.delays if delay.stages == 1]  # others might fall below
    return [*map(path_of, spec.model.numbers), *of_delays, *of_shocks]


def _inferable_numbers(shock: Shock) -> tuple[str, ...]:
    if isinstance(shock, FailuresShock):
        return "loss", "days_between_failures", "repair_days"
    if isinstance(shock, RecoveryShock) and shock.course == "s_shaped":
        return ("loss",)  # days must be above 2 here, and a latent number might fall below
    return ("loss", "recovery_days") if isinstance(shock, RecoveryShock) else ()


def _windows(path: KeyPath, observe: Observe, days: int) -> Iterator[Broken]:
    for name in ("window", "held_out"):
        window = getattr(observe, name)
        if window is not None and not window[0] < window[1] <= days:
            yield (*path, name), list(window), f"must be two days, the first below the second, within 0 … {days}"
    if observe.window and observe.held_out and _overlap(observe.window, observe.held_out):
        yield (*path, "held_out"), list(observe.held_out), "overlaps the window that is fitted"


def _overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def missing_files(spec: Spec) -> Iterator[Broken]:
    """The economy and every file of the spec that is not there."""
    for keys, name in [(("economy",), spec.economy), *_named_files(spec)]:
        if "://" not in name and not Path(name).exists():
            yield keys, name, "no such file or store"


def _named_files(spec: Spec) -> Iterator[tuple[KeyPath, str]]:
    fields: list[tuple[KeyPath, Any]] = [
        (tuple(path_of(name).split(".")), spec.model.given(name)) for name in MODEL_VALUES
    ]
    fields += [(("model", "delays", i, "days"), delay.days) for i, delay in enumerate(spec.model.delays)]
    yield from ((("model", "delays", i, "pairs"), of.pairs) for i, of in enumerate(spec.model.delays) if of.pairs)
    for i, shock in enumerate(spec.shocks):
        fields += [(("shocks", i, name), getattr(shock, name)) for name in shock.NUMBERS]
        if isinstance(shock, TableShock | EventsShock):
            yield ("shocks", i, "file"), shock.file
    if spec.model.criticality not in (None, *SURVEYS):
        yield ("model", "criticality"), spec.model.criticality
    for i, observe in enumerate(spec.observe):
        yield ("observe", i, "file"), observe.file
        if observe.groups is not None:
            yield ("observe", i, "groups"), observe.groups
        if isinstance(observe.noise, Spreads):
            yield ("observe", i, "noise", "file"), observe.noise.file
    for keys, value in fields:
        if isinstance(value, PerFirm) and value.file is not None:
            yield (*keys, "file"), value.file
