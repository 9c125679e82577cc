"""One network over many devices: a shard owns its firms and the links they buy by, and sees other suppliers as ghosts.

The step need not know: a shard is a `Layout` whose `supplier` groups are an `Exchange`. Shards are padded to a common
shape; the last firm, pool and links of a shard are dummies of size 0. In each array the shards lie one after the other,
so that `shard_map` gives each device its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int
from shockmesh.kernels.devices.layout import (
    Candidacy,
    Delay,
    Delayed,
    Goods,
    Layout,
    Routed,
    candidates_of,
    criticality_of,
    pools_of,
    product_days_of,
    rows_of,
)
from shockmesh.kernels.devices.partition import ghosts_of
from shockmesh.kernels.devices.segments import Exchange, Segments, groups_on_device
from shockmesh.kernels.mechanisms.shocks import Scenario
from shockmesh.kernels.model import Parameters, Switches
from shockmesh.kernels.network import FirmNetwork, ranks
from shockmesh.kernels.rollout import Record, members_of, rollout
from shockmesh.kernels.step import initial_state

FIRM, MEMBER = "firm", "member"


@partial(
    jax.tree_util.register_dataclass, data_fields=["layout", "firm_at", "place_of"], meta_fields=["shards", "n_firms"]
)
@dataclass(frozen=True)
class Sharded:
    """A network in shards. Make one with `shard`."""

    layout: Layout  # of all shards, one after the other; indices count within a shard
    firm_at: Int[Array, " place"]  # place → firm of the network; 0 at dummies
    place_of: Int[Array, " firm"]  # firm of the network → place
    shards: int
    n_firms: int


def shard(
    network: FirmNetwork,
    shard_of: Int[np.ndarray, " firm"],
    dtype: DTypeLike = jnp.float32,
    criticality: Float[np.ndarray, "product sector"] | None = None,
    product_days: Float[np.ndarray, " product"] | None = None,
    delays: Sequence[Delayed] = (),
    routes: Sequence[Routed] = (),
) -> Sharded:
    """Lay a network out in shards, as `lay_out` lays it out whole.

    Raises:
        ValueError: not one shard number per firm, or a shard without firms; criticality and days as in `lay_out`.
    """
    shards = int(shard_of.max()) + 1
    counts = np.bincount(shard_of, minlength=shards)
    if shard_of.shape != (network.n_firms,) or not counts.all():
        raise ValueError(f"shard_of: shape {shard_of.shape}: one shard per firm, and no shard without firms")
    size = int(counts.max()) + 1
    local = ranks(shard_of)
    place_of = shard_of * size + local
    firm_at = np.zeros(shards * size, np.int64)
    firm_at[place_of] = np.arange(network.n_firms)
    chi = None if criticality is None else criticality_of(network, criticality, network.product, network.buyer)
    n = None if product_days is None else product_days_of(network, product_days, network.product)
    rows = [(goods, *rows_of(network, goods, product_days)) for goods in (*delays, *routes)]
    candidates = candidates_of(network)
    by_link = {"criticality": chi, "product_days": n}
    if candidates is not None:
        by_link |= {"replacing": candidates.amount, "replaceable": candidates.some}
    layout = _layout(network, shard_of, local, _Packing(shards, size, place_of), dtype, by_link, rows)
    return Sharded(layout, jnp.asarray(firm_at, jnp.int32), jnp.asarray(place_of, jnp.int32), shards, network.n_firms)


@dataclass(frozen=True)
class _Packing:
    """Where rows go when every shard is padded to one length."""

    shards: int
    size: int  # rows of a shard, at least one of them a dummy
    place_of: Int[np.ndarray, " row"]

    def put(self, values: np.ndarray, dummy: int | float) -> np.ndarray:
        packed = np.full(self.shards * self.size, dummy, values.dtype)
        packed[self.place_of] = values
        return packed


def _pack(shard_of_row: np.ndarray, shards: int) -> _Packing:
    """Pack rows that are sorted by shard; each shard gets at least one dummy row."""
    counts = np.bincount(shard_of_row, minlength=shards)
    size = int(counts.max(initial=0)) + 1
    return _Packing(shards, size, shard_of_row * size + ranks(shard_of_row))


def _layout(
    network: FirmNetwork,
    shard_of: np.ndarray,
    local: np.ndarray,
    firms: _Packing,
    dtype: DTypeLike,
    by_link: Mapping[str, np.ndarray | None],
    rows: Sequence[tuple[Delayed | Routed, np.ndarray, np.ndarray]],
) -> Layout:
    """The layout of all shards. Links go by the buyer's shard, else in the network's order, so buyers stay sorted.

    `by_link`: numbers of links in the network's order, those that the layout has.
    """
    order = np.argsort(shard_of[network.buyer], kind="stable")
    supplier, buyer, amount = network.supplier[order], network.buyer[order], network.amount[order]
    links = _pack(shard_of[buyer], firms.shards)
    pool, first = pools_of(buyer, network.product[order])
    pools = _pack(shard_of[buyer[first]], firms.shards)
    inputs_share = np.divide(network.inputs, network.output, out=np.zeros(network.n_firms), where=network.output > 0)

    def column(packing: _Packing, values: np.ndarray, dummy: int | float) -> Float[Array, "place 1"]:
        return jnp.asarray(packing.put(values, dummy)[:, None], dtype)

    def of_link(name: str) -> np.ndarray | None:
        return None if (values := by_link.get(name)) is None else values[order]

    def groups(packing: _Packing, index: np.ndarray, n: int) -> Segments:
        return groups_on_device(packing.put(index, n - 1), n, is_sorted=True, shards=packing.shards)

    place_of_link, at_place = np.empty(network.n_links, np.int64), np.arange(network.n_links)
    place_of_link[order], link_of_place = links.place_of, links.put(at_place, 0)

    def goods_of(goods: Delayed | Routed, of_links: np.ndarray, of_firms: np.ndarray) -> Goods:
        link_rows, link_places = _rows_at(links, place_of_link[of_links])
        firm_rows, firm_places = _rows_at(firms, firms.place_of[of_firms])
        found = Goods(
            link=groups(link_rows, link_places % links.size, links.size),
            buyer=groups(link_rows, local[buyer[link_of_place[link_places]]], firms.size),
            firm=groups(firm_rows, firm_places % firms.size, firms.size),
            share=column(firm_rows, firms.put(goods.final, 0)[firm_places], 0),
        )
        return Delay(**vars(found), slots=goods.slots, is_fixed=goods.is_fixed) if isinstance(goods, Delayed) else found

    laid = [goods_of(*of) for of in rows]

    return Layout(
        amount=column(links, amount, 0),
        pool_amount=column(pools, np.bincount(pool, amount, len(first)), 1),
        output=column(firms, network.output, 0),
        final_demand=column(firms, network.final_demand, 0),
        value_added_share=column(firms, 1 - inputs_share, 0),
        supplier=_exchange(network, shard_of, local, (supplier, buyer), links, firms),
        buyer=groups(links, local[buyer], firms.size),
        pool=groups(links, pools.place_of[pool] % pools.size, pools.size),
        pool_buyer=groups(pools, local[buyer[first]], firms.size),
        region=groups_on_device(firms.put(network.region, 0), len(network.regions), shards=firms.shards),
        criticality=None if (chi := of_link("criticality")) is None else column(pools, chi[first], 1),
        product_days=None if (days := of_link("product_days")) is None else column(pools, days[first], 1),
        candidacy=None
        if (replacing := of_link("replacing")) is None or (some := of_link("replaceable")) is None
        else Candidacy(column(links, replacing, 0), column(pools, some[first], 0)),
        delays=tuple(of for of in laid if isinstance(of, Delay)),
        routes=tuple(of for of in laid if not isinstance(of, Delay)),
    )


def _rows_at(items: _Packing, places: np.ndarray) -> tuple[_Packing, np.ndarray]:
    """Rows of some items, each on the shard of its item, and the place of each, ascending."""
    ascending = np.sort(places)
    return _pack(ascending // items.size, items.shards), ascending


def _exchange(
    network: FirmNetwork,
    shard_of: np.ndarray,
    local: np.ndarray,
    ends: tuple[np.ndarray, np.ndarray],
    links: _Packing,
    firms: _Packing,
) -> Exchange:
    """Ghost k of owner o on a shard is the k-th firm of o that the shard buys from; both sides count them alike."""
    shards, size, (supplier, buyer) = firms.shards, firms.size, ends
    seen = ghosts_of(network, shard_of)  # by owner, shard, firm
    pair = shard_of[seen[:, 0]] * shards + seen[:, 1]
    rank = ranks(pair)
    ghosts = int(rank.max(initial=0)) + 1
    serve = np.full((shards * shards, ghosts), size - 1)
    serve[pair, rank] = local[seen[:, 0]]
    key = seen[:, 0] * shards + seen[:, 1]
    by_key = np.argsort(key)
    slot = local[supplier].copy()
    remote = shard_of[supplier] != shard_of[buyer]
    wanted = supplier[remote].astype(np.int64) * shards + shard_of[buyer[remote]]
    ghost = by_key[np.searchsorted(key[by_key], wanted)]
    slot[remote] = size + shard_of[supplier[remote]] * ghosts + rank[ghost]
    slots = groups_on_device(links.put(slot, size - 1), size + shards * ghosts, shards=shards)
    return Exchange(slots, groups_on_device(serve.ravel(), size, shards=shards), FIRM)


def sharded_rollout(
    sharded: Sharded,
    mesh: Mesh,
    switches: Switches,
    parameters: Parameters,
    scenario: Scenario,
    *,
    days: int,
    record: Record,
) -> dict[str, Float[Array, "time group member"]]:
    """`rollout` over a mesh with axes firm and member: the same arguments, the same result in the same order of firms.

    Two collectives a step, both all-to-all of ghosts; aggregates are summed over shards once, at the end.

    Raises:
        ValueError: the mesh does not have one device per shard along firm, or does not divide the members.
    """
    _check_mesh(sharded, mesh, parameters, scenario)
    inputs = jax.tree.map(partial(moved, sharded), (parameters, scenario))
    groups = groups_of_places(sharded, record)
    found = rollout_in_places(sharded.layout, mesh, switches, *inputs, days=days, record=groups)
    return {name: values if record[name] else values[:, sharded.place_of] for name, values in found.items()}


def rollout_in_places(
    layout: Layout,
    mesh: Mesh,
    switches: Switches,
    parameters: Parameters,
    scenario: Scenario,
    *,
    days: int,
    record: Record,
) -> dict[str, Float[Array, "time group member"]]:
    """`sharded_rollout` for inputs and groups that are already by place; what it gives is by place too."""
    leaves, structure = jax.tree.flatten((parameters, scenario))
    summed = {name: of is not None for name, of in record.items()}

    def on_device(layout: Layout, leaves: list[Array], groups: Record) -> Any:
        inputs: tuple[Parameters, Scenario] = jax.tree.unflatten(structure, leaves)
        start = jax.tree.map(_varying, initial_state(layout, switches, *inputs, members_of(*inputs)))
        found = rollout(layout, switches, *inputs, days=days, record=groups, start=start)
        return {name: jax.lax.psum(of, FIRM) if summed[name] else of for name, of in found.items()}

    by_firm = PartitionSpec(FIRM)
    run = jax.shard_map(
        on_device,
        mesh=mesh,
        in_specs=(by_firm, [_spec(leaf) for leaf in leaves], by_firm),
        out_specs={name: PartitionSpec(None, None if of else FIRM, MEMBER) for name, of in summed.items()},
    )
    return run(layout, leaves, record)


def mesh_of(shards: int, members: int = 1) -> Mesh:
    """A mesh of the first devices of all processes, in the order of processes, so that neighbours share a host.

    Raises:
        ValueError: there are fewer devices.
    """
    devices = jax.devices()
    if len(devices) < shards * members:
        raise ValueError(f"a mesh of {shards} × {members} devices, where there are {len(devices)}")
    return Mesh(np.array(devices[: shards * members]).reshape(shards, members), (FIRM, MEMBER))


def spread_shards[T](tree: T, mesh: Mesh) -> T:
    """Give each device its shard of arrays (shards · n, …). Every process of the mesh passes the same arrays."""
    return jax.tree.map(lambda leaf: _spread(np.asarray(leaf), mesh, PartitionSpec(FIRM)), tree)


def spread_inputs[T](sharded: Sharded, inputs: T, mesh: Mesh) -> T:
    """Give each device its part of inputs (…, firm|1, member|1): the firms of its shard, at their places."""
    firm_at = np.asarray(sharded.firm_at)

    def one(leaf: Array) -> Array:
        values = np.asarray(leaf)
        return _spread(values if values.shape[-2] == 1 else values[..., firm_at, :], mesh, _spec(leaf))

    return jax.tree.map(one, inputs)


def _spread(values: np.ndarray, mesh: Mesh, spec: PartitionSpec) -> Array:
    return jax.make_array_from_callback(values.shape, NamedSharding(mesh, spec), lambda index: values[index])


def _varying(leaf: Array) -> Array:
    """Tell `shard_map` that the array may differ between devices."""
    missing = tuple(axis for axis in (FIRM, MEMBER) if axis not in jax.typeof(leaf).manual_axis_type.varying)
    return jax.lax.pcast(leaf, missing, to="varying") if missing else leaf


def _check_mesh(sharded: Sharded, mesh: Mesh, parameters: Parameters, scenario: Scenario) -> None:
    shape = dict(mesh.shape)
    if set(shape) != {FIRM, MEMBER} or shape[FIRM] != sharded.shards:
        raise ValueError(f"mesh: {shape}: needs the axes firm and member, with {sharded.shards} devices along firm")
    members = {leaf.shape[-1] for leaf in jax.tree.leaves((parameters, scenario))} - {1}
    if any(n % shape[MEMBER] for n in members) or (shape[MEMBER] > 1 and not members):
        raise ValueError(f"mesh: {shape[MEMBER]} devices along member do not divide {sorted(members) or 1} members")


def moved(sharded: Sharded, leaf: Array) -> Array:
    """An array (…, firm|1, member) with firms at their places."""
    return leaf if leaf.shape[-2] == 1 else leaf[..., sharded.firm_at, :]


def _spec(leaf: Array) -> PartitionSpec:
    lead = [None] * (leaf.ndim - 2)
    return PartitionSpec(*lead, FIRM if leaf.shape[-2] > 1 else None, MEMBER if leaf.shape[-1] > 1 else None)


def groups_of_places(sharded: Sharded, record: Record) -> dict[str, Segments | None]:
    """Groups of firms as groups of places. Dummies have output 0, so it does not matter in which group they count."""

    def by_place(groups: Segments) -> Segments:
        index = np.asarray(groups.index)[np.asarray(sharded.firm_at)]
        return groups_on_device(index, groups.n, shards=sharded.shards)

    return {name: groups and by_place(groups) for name, groups in record.items()}
