"""The rules of a spec's delays and routes."""

from collections import Counter
from collections.abc import Iterator

from shockmesh.cluster.spec.delays import PLACES
from shockmesh.cluster.spec.fields import PerFirm
from shockmesh.cluster.spec.models import Spec
from shockmesh.cluster.spec.problems import suggestion
from shockmesh.cluster.spec.shocks import ClosureShock
from shockmesh.cluster.spec.source import KeyPath
from shockmesh.kernels.rollout import quantity

type Broken = tuple[KeyPath, object, str]

WITHOUT_STAGES = "where there are no stages: the delay is fixed; stages: 1 and more make it a mean"


def passages(spec: Spec) -> Iterator[Broken]:
    """Every rule of delays and routes that the spec breaks, as (path, value, rule)."""
    yield from _places(spec)
    yield from _delays(spec)
    yield from _routes(spec)


def _places(spec: Spec) -> Iterator[Broken]:
    """A delay or a route has a name of its own, and is the same in every member."""
    for kind, of_kind in (("delay", spec.model.delays), ("route", spec.model.routes)):
        counts = Counter(passage.name for passage in of_kind)
        for i, passage in enumerate(of_kind):
            here = "model", f"{kind}s", i
            if counts[passage.name] > 1:
                yield (*here, "name"), passage.name, f"each {kind} needs a name of its own"
            for place in PLACES:
                if (share := passage.place(place).share) is not None:
                    rule = f"a {kind} is of the same firms in every member: leave it out"
                    yield (*here, place, "share"), share, rule


def _delays(spec: Spec) -> Iterator[Broken]:
    """A delay has days that its kind can have."""
    for i, delay in enumerate(spec.model.delays):
        here = "model", "delays", i
        if (delay.days is None) == (delay.pairs is None):
            yield (*here, "days"), delay.days or "missing", "give days, or pairs in their place"
        elif delay.pairs is not None and delay.stages is not None:
            yield (*here, "stages"), delay.stages, "the days of pairs are whole: leave stages out"
        for keys, days in written(delay.days).items():
            if days is not None and not delay.domain.admits(days):
                yield (*here, "days", *keys), days, f"{delay.domain.rule} with stages: {delay.stages or 'none'}"
        if delay.stages is not None:
            continue
        if isinstance(delay.days, PerFirm):
            yield (*here, "days"), delay.days.model_dump(exclude_defaults=True), f"must be one number {WITHOUT_STAGES}"
        elif delay.days is not None and delay.days % 1:
            yield (*here, "days"), delay.days, f"must be whole {WITHOUT_STAGES}"


def _routes(spec: Spec) -> Iterator[Broken]:
    """What a route costs needs a detour and prices; what closes a route, or records what waits there, needs it."""
    for i, route in enumerate(spec.model.routes):
        here = "model", "routes", i
        if route.first is not None and route.first.share is not None:
            yield (
                (*here, "first", "share"),
                route.first.share,
                "the same buyers are first in every member: leave it out",
            )
        if route.detour_cost is not None and route.detour_days is None:
            yield (*here, "detour_cost"), route.detour_cost, "is of a detour: it needs detour_days"
        elif route.detour_cost is not None and spec.model.prices is None:
            yield (*here, "detour_cost"), route.detour_cost, "needs prices that move: model.prices, {} for all defaults"
    names = [route.name for route in spec.model.routes]
    for i, shock in enumerate(spec.shocks):
        if isinstance(shock, ClosureShock) and shock.route not in names:
            rule = "no such route in model.routes" + (suggestion(shock.route, names) if names else "")
            yield ("shocks", i, "route"), shock.route, rule
    needs = "needs routes with a capacity: model.routes"
    for name, dims in spec.record.items():
        if quantity(name) == "waiting" and not names:
            yield ("record", name), list(dims), needs
    for i, observe in enumerate(spec.observe):
        if observe.variable == "waiting":
            yield ("observe", i, "variable"), observe.variable, "is 0 on an undisturbed day, to which ratios are taken"


def written(value: float | PerFirm[float] | None) -> dict[KeyPath, float | None]:
    """The numbers that a value says, by key."""
    if not isinstance(value, PerFirm):
        return {(): value}
    groups = {"by_region": value.by_region, "by_sector": value.by_sector}
    default: dict[KeyPath, float | None] = {("default",): value.default}
    return default | {(by, name): of for by, given in groups.items() for name, of in given.items()}
