"""Routes with a capacity, such as a strait or a pipeline: goods that do not get through wait, or go another way.

With A what arrives at a route on a day and W what waits there since yesterday, F⁰ what passes on an undisturbed day, c
the capacity as a multiple of it, and z what shocks leave of it (`Closure`), the share g of all goods gets through:

    g = min{1, z c F⁰ / Σ (A + W)},    arrives g (A + W),    W ← (1 − g) (A + W)

by value, all alike, as in proportional rationing. Where some buyers are served first (`first`), theirs is the same g
with Σ over them, and others share what they leave. With a detour of d days nothing waits: what does not get through
goes there, first-order as the detour of a cut (`routes.py`), and the route is for what arrives today:

    g = min{1, z c F⁰ / Σ A},          arrives g A + W / d,    W ← (1 − 1 / d) W + (1 − g) A

A detour that costs χ of the price makes goods dearer where prices move, (1 + τ) with τ = χ (1 − g) by yesterday's g.

Goods at a route are the buyer's, so his orders go on while his stock lasts: what waits counts towards his target, as
what is on the way does. A route lies at the end of the way, after its delay (`delays.py`) and before cuts. Rows are of
links and of firms with final goods, as those of delays; across shards one all-reduce a route and day of a few numbers a
member. At rest Σ A = F⁰ up to round-off, for which nothing waits.

Notes and departures:
  1. of several routes on one link each is passed after the one before;
  2. who is served first is so whatever he orders: others wait for ever where those take all;
  3. what rebuilds capital or homes goes by no route; nor does a product that is never short;
  4. final goods wait among others; they cost the same by a detour;
  5. of what waits all have the same chance, however long they have;
  6. what waits has been delivered, so buyers who change suppliers do not mind (`suppliers.py`).
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from shockmesh.kernels.devices.layout import Goods, Layout
from shockmesh.kernels.devices.segments import Links, at_most, look_up, segment_sum, total
from shockmesh.kernels.mechanisms.courses import Recovery, Table, total_factor
from shockmesh.kernels.model import Parameters, Route


@partial(jax.tree_util.register_dataclass, data_fields=["course"], meta_fields=["route"])
@dataclass(frozen=True)
class Closure:
    """A route that is closed or narrowed; several on one route multiply."""

    course: Recovery | Table  # factor (1, member|1) on its capacity
    route: int  # which of the layout's


class Queue(NamedTuple):
    """What is at a route overnight."""

    goods: Float[Array, "row member"]  # W
    away: Float[Array, "row member"] | None  # 1 − g of the day; None where no detour costs


def initial_queues(layout: Layout, parameters: Parameters, members: int) -> tuple[Queue, ...]:
    """Nothing waits before the first day."""
    found = []
    for goods, route in zip(layout.routes, parameters.routes, strict=True):
        none = jnp.zeros((goods.n_links + goods.share.shape[0], members), layout.output.dtype)
        found.append(Queue(none, None if route.detour_cost is None else none))
    return tuple(found)


def open_today(layout: Layout, closures: tuple[Closure, ...], day: Float[Array, ""]) -> tuple[Float[Array, "..."], ...]:
    """Z of each route on a day."""
    return tuple(
        total_factor(tuple(closure.course for closure in closures if closure.route == k), day)
        for k in range(len(layout.routes))
    )


def let_pass(
    layout: Layout,
    parameters: Parameters,
    is_open: tuple[Float[Array, "..."], ...],
    queues: tuple[Queue, ...],
    sent: Links,
    sold: Float[Array, "firm member"],
) -> tuple[Links, Float[Array, "firm member"], tuple[Queue, ...]]:
    """What arrives by link and what consumers get, of what is sent to the routes today; and what is there afterwards.

    Args:
        layout: with the amounts at rest.
        is_open: z of each route.
    """
    after = []
    for goods, route, z, queue in zip(layout.routes, parameters.routes, is_open, queues, strict=True):
        coming = goods.rows(sent, sold)
        usual = goods.rows(layout.amount, layout.final_demand)
        arrived, queue = _passed(layout, goods, route, z * route.capacity, queue, coming, usual)
        sent, sold = goods.added(sent, sold, arrived - coming)
        after.append(queue)
    return sent, sold, tuple(after)


def _passed(
    layout: Layout,
    goods: Goods,
    route: Route,
    most: Float[Array, "1 #member"],
    queue: Queue,
    coming: Float[Array, "row member"],
    usual: Float[Array, "row 1"],
) -> tuple[Float[Array, "row member"], Queue]:
    """What a route lets through and a detour brings, and what is there in the evening."""
    here = coming if route.detour_days is not None else coming + queue.goods
    first = _first(goods, route)
    sums = [here, usual] if first is None else [here, usual, here * first]
    of_all, of_rest, *of_first = jnp.split(
        total(jnp.concatenate(sums, axis=1), layout.supplier), [here.shape[1], here.shape[1] + 1], axis=1
    )
    room = most * of_rest
    if first is None:
        share = _share(room, of_all)
    else:
        before = _share(room, *of_first)
        share = first * before + (1 - first) * _share(room - before * of_first[0], of_all - of_first[0])
    passing = share * here
    away = None if queue.away is None else jnp.where(here >= 0, 1 - share, 0)  # by row: a shard has its own
    if route.detour_days is None:
        return passing, Queue(here - passing, away)
    back = queue.goods / route.detour_days
    return passing + back, Queue(queue.goods - back + (here - passing), away)


def _share(room: Float[Array, "1 #member"], goods: Float[Array, "1 #member"]) -> Float[Array, "1 member"]:
    """Min {1, room / goods}; up to round-off 1."""
    enough = at_most(goods, room)
    return jnp.where(enough, 1, jnp.maximum(room, 0) / jnp.where(enough, 1, goods))


def _first(goods: Goods, route: Route) -> Float[Array, "row #member"] | None:
    """1 of rows of buyers who are served first; final goods are not."""
    if route.first is None:
        return None
    of_links = look_up(jnp.broadcast_to(route.first, (goods.buyer.n, route.first.shape[1])), goods.buyer)
    return jnp.concatenate([of_links, jnp.zeros((goods.share.shape[0], of_links.shape[1]), of_links.dtype)])


def waiting(layout: Layout, queues: tuple[Queue, ...]) -> Links:
    """What is at routes, by link."""
    found = jnp.zeros((layout.n_links, queues[0].goods.shape[1]), layout.output.dtype)
    for goods, queue in zip(layout.routes, queues, strict=True):
        found = goods.link.added(found, queue.goods[: goods.n_links])
    return found


def waiting_by_buyer(layout: Layout, queues: tuple[Queue, ...]) -> Float[Array, "firm member"] | None:
    """What is at routes, by the firm that buys; None: there are no routes."""
    return segment_sum(waiting(layout, queues), layout.buyer) if queues else None


def dearer(
    layout: Layout, parameters: Parameters, queues: tuple[Queue, ...], duty: Float[Array, "#link #member"] | None
) -> Float[Array, "#link #member"] | None:
    """Log (1 + τ) of each link, with what detours cost by the evening before."""
    for goods, route, queue in zip(layout.routes, parameters.routes, queues, strict=True):
        if route.detour_cost is not None:
            assert queue.away is not None
            more = jnp.log1p(route.detour_cost * queue.away[: goods.n_links])
            base = jnp.zeros((layout.n_links, queue.away.shape[1]), layout.output.dtype)
            duty = goods.link.added(base if duty is None else base + duty, more)
    return duty
