"""What the model and the shocks of a spec add to the numbers that a member has: by link, by firm, and on the way."""

from dataclasses import dataclass

import numpy as np
from shockmesh.cluster.spec.binding import Bound, BoundShock, bind
from shockmesh.cluster.spec.models import Spec
from shockmesh.cluster.spec.shocks import CutShock, Shock, part_of
from shockmesh.kernels.devices.layout import Delayed, Routed, linked, rows_of
from shockmesh.kernels.network import FirmNetwork


@dataclass(frozen=True)
class Drawn:
    """What only the network tells, of a member."""

    failures: int = 0  # of each firm that are drawn, in all shocks
    rows: int = 0  # links and final goods that are delayed or go by a route, once for each delay and route
    on_the_way: int = 0  # numbers of all delays, rows · slots, and of what waits at routes
    kept: float = 0.0  # of those, how many a backward pass keeps of a day


def drawn(spec: Spec, network: FirmNetwork, bound: Bound | None = None) -> Drawn:
    """How many failures are drawn, and how much is on the way; `bound` is the spec on its network, if it is there.

    A day keeps of a fixed delay what is on the way beyond the usual, of an Erlang delay all its stages (1.1 to 1.2
    numbers for each, by the compiler's account of 60 days).

    Raises:
        SpecError, ScenarioError: as `bind`, where there are failures, delays or routes.
    """
    model = spec.model
    if not model.delays and not model.routes and not any(shock.kind == "failures" for shock in spec.shocks):
        return Drawn()
    bound = bind(spec, network) if bound is None else bound
    wide, days = linked(network, model.switches), bound.product_days
    delayed = [(_rows(wide, of.goods, days), of.goods) for of in bound.delays]
    routed = sum(_rows(wide, of.goods, days) * (1 + (of.route.detour_cost is not None)) for of in bound.routes)
    return Drawn(
        sum(shock.failures for shock in bound.shocks if isinstance(shock, BoundShock)),
        sum(n for n, _ in delayed) + routed,
        sum(n * of.slots for n, of in delayed) + routed,
        sum(1.4 * n * (1 if of.is_fixed else of.slots) for n, of in delayed) + 1.4 * routed,
    )


def _rows(wide: FirmNetwork, goods: Delayed | Routed, days: np.ndarray | None) -> int:
    return sum(map(len, rows_of(wide, goods, days)))


def per_link(spec: Spec) -> int:
    """Numbers that a member has for each link."""
    cuts, detours, damages = by_link(spec)
    of_model = 4 * spec.model.switches.priced + 5 * spec.model.switches.switching
    return 6 + cuts + 3 * detours + 2 * damages + of_model + tariffs_of(spec)


def kept_numbers(spec: Spec) -> float:
    """How many numbers of a link a backward pass keeps in a state: stock and orders, and what each shock hands on.

    By the compiler's account of 10 to 180 days: a damage or a detour adds 0.5 to 0.63 of it, prices 0.3 to 0.7,
    suppliers that change 1.8.
    """
    _, detours, damages = by_link(spec)
    of_model = 1.4 * spec.model.switches.priced + 3.6 * spec.model.switches.switching
    return 2 + 1.2 * (detours + damages) + of_model


def tariffs_of(spec: Spec) -> int:
    """How many shocks put a tariff or a levy on links."""
    return sum(part_of(shock) == "tariff" for shock in spec.shocks)


def by_link(spec: Spec) -> tuple[int, int, int]:
    """How many cuts without a detour, cuts with one, and damages there are: what has numbers of links."""
    kinds = [shock.kind for shock in spec.shocks]
    detours = sum(detours_of(spec, shock) for shock in spec.shocks)
    return kinds.count("cut") - detours, detours, kinds.count("damage")


def detours_of(spec: Spec, shock: Shock) -> bool:
    """Whether a cut leaves a detour, by itself or by the sweep."""
    swept = f"shocks.{shock.name}.detour_days" in spec.sweep.paths
    return isinstance(shock, CutShock) and (swept or shock.detour_days is not None)
