"""Routes between groups of firms: what of their orders does not get through, and what makes a detour and comes later.

A cut is of orders and remembers nothing. A detour is of deliveries, and remembers overnight what is on the way: by
holding, as stocks are, and by the firm that sells what goes to consumers. Both are numbers of firms, so a shard's links
know all they need. A route lies at the end of the way: what a delay (`delays.py`) brings today goes by it today.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial, reduce
from operator import mul
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from shockmesh.kernels.devices.layout import Layout
from shockmesh.kernels.devices.segments import Links, look_up, segment_sum
from shockmesh.kernels.mechanisms.courses import Recovery, Table
from shockmesh.kernels.model import Switches


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["origin", "destination", "course", "detour_days", "final"],
    meta_fields=[],
)
@dataclass(frozen=True)
class RouteCut:
    """A route that is cut: of the orders from destinations to origins only a factor reaches the supplier.

    Without a detour, what does not get through is not made and not delivered; the buyer orders anew every day, from
    his stock. With one of d days, all orders are made as ever, and the share b of the deliveries Z_e that does not get
    through is on the way for d days on average, a first-order material delay (Sterman 2000, Business Dynamics,
    chapter 11): of the goods T_e on the way a part 1 / d arrives each day, those that left before today,

        S_e ← S_e + (1 − b) Z_e + T_e / d − use_e,    T_e ← T_e − T_e / d + b Z_e

    Goods on the way are the buyer's: they count towards his target stock, as the supply line does (chapter 17), so a
    detour changes no order while stocks last. When the route is open again they still come. Departures and choices:
      1. the target is that of stock and supply line together, and does not grow, as Sterman's desired supply line does,
         by the d days of use that are on the way: a lasting detour leaves n − b d days in stock, and use is limited
         where those are fewer than one;
      2. goods of one day arrive spread over many, at age k days with probability (1 − 1/d)^(k−1) / d; all arrive the
         day after with d = 1;
      3. of several detours on one link each takes its share of what the ones before it leave to the route;
      4. cuts, with a detour or without, are not of what rebuilds capital or homes;
      5. consumers, who order nothing ahead, consume what arrives, and what does not get through is lost to them.
    """

    origin: Float[Array, "#firm #member"]  # how far a firm's sales go by the route, 0 … 1
    destination: Float[Array, "#firm #member"]  # how far a firm's purchases do, 0 … 1
    course: Recovery | Table  # factor (1, member|1) of what gets through
    detour_days: Float[Array, "1 #member"] | None = None  # d, mean days that a detour adds, ≥ 1; None: no detour
    final: Float[Array, "#firm #member"] | None = None  # how far a firm's final goods go by it, 0 … 1; None: none does


class Detour(NamedTuple):
    """One detour on one day."""

    share: Float[Array, "#link #member"]  # b, of what a link delivers that makes the detour
    pace: Float[Array, "1 #member"]  # 1 / d, part of what is on the way that arrives [1/day]
    final: Float[Array, "#firm #member"] | None = None  # b, of what a firm sells to consumers


class Routes(NamedTuple):
    """All cuts on one day."""

    passing: Float[Array, "link #member"] | None = None  # share of a link's orders that gets through; None: all
    detours: tuple[Detour, ...] = ()
    final: Float[Array, "#firm #member"] | None = None  # share of a firm's final demand that gets through; None: all


class Transit(NamedTuple):
    """What is on the way by one detour."""

    goods: Float[Array, "holding member"]  # T
    final: Float[Array, "firm member"] | None = None  # T of what goes to consumers


def exposed(
    layout: Layout, origin: Float[Array, "#firm #member"], destination: Float[Array, "#firm #member"]
) -> Float[Array, "#link #member"]:
    """How far a link goes from an origin to a destination, 0 … 1."""
    return look_up(origin, layout.supplier) * look_up(destination, layout.buyer)


def routes_today(
    cuts: Sequence[RouteCut], exposures: Sequence[Float[Array, "#link #member"]], day: Float[Array, ""]
) -> Routes:
    """Cuts on a day; `exposures` is what `exposed` gives of each."""
    passing, final, detours = [], [], []
    for of, cut in zip(exposures, cuts, strict=True):
        gone = 1 - cut.course.factor(day)
        share, of_final = of * gone, None if cut.final is None else cut.final * gone
        if cut.detour_days is not None:
            detours.append(Detour(share, 1 / cut.detour_days, of_final))
            continue
        passing.append(1 - share)
        final += [] if of_final is None else [1 - of_final]
    return Routes(reduce(mul, passing) if passing else None, tuple(detours), reduce(mul, final) if final else None)


def initial_transit(
    layout: Layout, cuts: Sequence[RouteCut], stock: Float[Array, "holding member"]
) -> tuple[Transit, ...]:
    """T before the first day: nothing is on the way by any detour."""
    none = jnp.zeros((layout.n_firms, stock.shape[1]), stock.dtype)
    detours = [cut for cut in cuts if cut.detour_days is not None]
    return tuple(Transit(jnp.zeros_like(stock), None if cut.final is None else none) for cut in detours)


def let_through(routes: Routes, orders: Links) -> Links:
    """The orders that reach their suppliers."""
    return orders if routes.passing is None else orders * routes.passing


def final_orders(routes: Routes, final_demand: Float[Array, "firm #member"]) -> Float[Array, "firm #member"]:
    """The final demand that reaches its suppliers."""
    return final_demand if routes.final is None else final_demand * routes.final


def arrivals_today(
    layout: Layout,
    switches: Switches,
    routes: Routes,
    transit: Sequence[Transit],
    sent: Links,
    sold: Float[Array, "firm member"],
) -> tuple[Float[Array, "holding member"], Float[Array, "firm member"], tuple[Transit, ...]]:
    """What arrives today by holding, and at consumers, sent today or before; and what is on the way afterwards."""
    arrived, consumed, on_the_way = [], [], []
    for before, detour in zip(transit, routes.detours, strict=True):
        leaving = sent * detour.share
        sent = sent - leaving
        arrived.append(before.goods * detour.pace)
        goods, final = before.goods - arrived[-1] + of_holdings(layout, switches, leaving), None
        if before.final is not None and detour.final is not None:
            leaving = sold * detour.final
            sold = sold - leaving
            consumed.append(before.final * detour.pace)
            final = before.final - consumed[-1] + leaving
        on_the_way.append(Transit(goods, final))
    return sum(arrived, of_holdings(layout, switches, sent)), sum(consumed, sold), tuple(on_the_way)


def goods_of(transit: Sequence[Transit]) -> list[Float[Array, "holding member"]]:
    """T of what goes to firms."""
    return [of.goods for of in transit]


def of_holdings(layout: Layout, switches: Switches, of_links: Links) -> Float[Array, "holding member"]:
    """Numbers of links summed as stocks are kept: by link, or by pool."""
    return of_links if switches.order_split == "link" else segment_sum(of_links, layout.pool)
