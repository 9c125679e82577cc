"""A batch of members: from a spec and its network to arrays ready to be written. This is what a worker holds."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int
from shockmesh.cluster.planning.plan import kept_as_table
from shockmesh.cluster.running.devices import Batch, many_devices, on_host, one_device
from shockmesh.cluster.spec.binding import Bound, BoundAny, BoundTable, asked_to_build, bind, pool_of, sells_energy
from shockmesh.cluster.spec.events import BoundEvents
from shockmesh.cluster.spec.members import arrivals
from shockmesh.cluster.spec.models import Spec
from shockmesh.cluster.spec.shocks import (
    ClosureShock,
    CostShock,
    CutShock,
    DamageShock,
    FailuresShock,
    HouseholdShock,
    RecoveryShock,
    part_of,
)
from shockmesh.cluster.spec.values import Drawn
from shockmesh.cluster.spec.ways import BoundRoute, final_part
from shockmesh.io.stores.template import Template, Variable
from shockmesh.kernels.devices.layout import Delayed, Layout, Routed, lay_out, linked
from shockmesh.kernels.devices.segments import Segments, segments
from shockmesh.kernels.mechanisms.courses import Course, Failures, Recovery, Rise, Table
from shockmesh.kernels.mechanisms.queues import Closure
from shockmesh.kernels.mechanisms.rebuilding import Damage, HouseholdDamage
from shockmesh.kernels.mechanisms.routes import RouteCut
from shockmesh.kernels.mechanisms.shocks import Scenario, Tariff
from shockmesh.kernels.model import Parameters, Route
from shockmesh.kernels.network import FirmNetwork
from shockmesh.kernels.rollout import MEANS, baseline, quantity
from shockmesh.kernels.shard import shard

LONG_NAMES = {
    "output": "output",
    "value_added": "value added",
    "final_consumption": "final demand that is met, counted at the firm that sells",
    "final_demand": "final demand, counted at the firm that sells",
    "demand": "demand from firms and final demand",
    "capacity": "largest output that productivity allows",
    "inventory": "stock of inputs at base prices",
    "price": "price relative to the undisturbed day, mean weighted by undisturbed output",
    "unit_cost": "unit cost relative to the undisturbed day, mean weighted by undisturbed output",
    "consumer_price_index": "price of what a region's firms sell for final demand, relative to the undisturbed day",
    "tariff_revenue": "tariffs and levies, counted at the firm that buys",
    "switched": "purchases that moved to other suppliers, at undisturbed amounts, counted at the firm that buys",
    "waiting": "goods that wait at routes or make their detours, in the evening, counted at the firm that buys",
    "nominal_output": "output at today's prices",
    "nominal_value_added": "value added at today's prices",
}


class Simulator:
    """Simulates members of a spec on a network, `block` at a time, on as many devices as `shard_of` has shards.

    A shorter batch is padded to `block` with copies of its last member, so the program compiles once.

    Raises:
        SpecError: the spec does not fit the network; see `bind`.
    """

    def __init__(
        self,
        spec: Spec,
        network: FirmNetwork,
        block: int | None = None,
        shard_of: Int[np.ndarray, " firm"] | None = None,
    ) -> None:
        self.spec, self.network, self.block = spec, network, block
        self.bound: Bound = bind(spec, network)
        self._shard_of = shard_of

    def simulate(self, members: range) -> dict[str, np.ndarray]:
        """Recorded variables of some members, each (member, time, …dims) as in the template.

        Numbers that fail are left as they are: `failed_members` names their members.
        """
        inputs = self.inputs(members)
        with self._precision():
            found = self._batch(*inputs)
        return {name: self._shaped(name, values[: len(members)]) for name, values in found.items()}

    def prepare(self) -> None:
        """Put the network on the devices; otherwise the first batch does.

        Raises:
            ValueError: there are fewer devices than shards.
        """
        with self._precision():
            _ = self._batch

    def inputs(self, members: range) -> tuple[Parameters, Scenario]:
        """What the kernels take for some members, padded to a block: arrays (firm|1, member|1).

        The inventory days always have all members, so that a sweep that varies nothing has its size too.
        """
        padding = max(0, (self.block or 0) - len(members))
        ids = np.array([*members, *[members[-1]] * padding])
        drawn = self.bound.members.take(ids)
        with self._precision(), self._memory():
            numbers = {name: field.at(drawn) for name, field in self.bound.parameters.items()}
            days = numbers["inventory_days"]
            numbers["inventory_days"] = np.broadcast_to(days, (days.shape[0], len(ids)))
            kinds = (
                "production",
                "final_demand",
                "cut",
                "damage",
                "household_damage",
                "tariff",
                "value_added",
                "closure",
            )
            shocks: dict[str, list[Any]] = {kind: [] for kind in kinds}
            for bound in self.bound.shocks:
                shocks[part_of(bound.shock)].append(self._shock(bound, drawn, ids))
            if means := [of.days.at(drawn) for of in self.bound.delays if of.days is not None]:
                shape = np.broadcast_shapes(*(of.shape for of in means))
                numbers["delay_days"] = np.stack([np.broadcast_to(np.nan_to_num(of, nan=1.0), shape) for of in means])
            parameters = Parameters(
                **{name: self._array(values) for name, values in numbers.items()},
                routes=tuple(self._route(bound, drawn) for bound in self.bound.routes),
            )
        return parameters, Scenario(*(tuple(of_kind) for of_kind in shocks.values()))

    def template(self, block: int) -> Template:
        """The store that the whole sweep fills, in blocks of `block` members."""
        with self._precision():
            steady = jax.device_get(baseline(self.layout(), self.record))
        used = {dim for dims in self.spec.record.values() for dim in dims}
        names = {"region": self.network.regions, "sector": self.network.sectors, "firm": self.network.firm}
        return Template(
            members=self.bound.members.n,
            block=block,
            days=self.spec.horizon.days,
            start=self.spec.horizon.start,
            variables=tuple(self._variable(name, steady[name]) for name in self.spec.record),
            coords={dim: np.asarray(names[dim]) for dim in names if dim in used},
            firm_coords=_places_of_firms(self.network) if "firm" in used else {},
            member_coords=dict(self.bound.members.values),
            attrs={"unit": self.network.unit, "title": str(self.network.attrs.get("title", ""))},
        )

    def layout(self) -> Layout:
        """The network on one device: as a table where that suits network, model and shocks."""
        as_table = kept_as_table(self.spec, self.network)
        return lay_out(self._linked, self.spec.precision, *self._by_goods, as_table=as_table)

    @property
    def _by_goods(self) -> tuple[np.ndarray | None, np.ndarray | None, list[Delayed], list[Routed]]:
        """What a layout knows of products and links besides the network."""
        ways = [of.goods for of in self.bound.delays], [of.goods for of in self.bound.routes]
        return self.bound.criticality, self.bound.product_days, *ways

    @property
    def _linked(self) -> FirmNetwork:
        return linked(self.network, self.spec.model.switches)

    @cached_property
    def _batch(self) -> Batch:
        spec, shard_of = self.spec, self._shard_of
        program = (self.record, spec.model.switches, spec.horizon.days)
        if shard_of is None:
            return one_device(self.layout(), *program, spec.resources.kernel)
        with self._memory():
            sharded = shard(self._linked, shard_of, spec.precision, *self._by_goods)
            return many_devices(sharded, *program)

    @cached_property
    def record(self) -> dict[str, Segments | None]:
        """The groups of firms that each recorded variable is summed over."""
        with self._memory():
            return {name: _groups(self.network, dims) for name, dims in self.spec.record.items()}

    def _variable(self, name: str, steady: np.ndarray) -> Variable:
        dims = canonical(self.spec.record[name])
        of, unit = quantity(name), self.network.unit
        unit = unit.removesuffix(" / day") if of in ("inventory", "waiting") else "1" if of in MEANS else unit
        return Variable(name, dims, unit, LONG_NAMES[of], steady.reshape(self._sizes(dims)))

    def _shaped(self, name: str, values: Float[np.ndarray, "member group time"]) -> np.ndarray:
        members, _, days = values.shape
        return np.moveaxis(values.reshape(members, *self._sizes(canonical(self.spec.record[name])), days), -1, 1)

    def _sizes(self, dims: tuple[str, ...]) -> tuple[int, ...]:
        sizes = {"region": len(self.network.regions), "sector": len(self.network.sectors), "firm": self.network.n_firms}
        return tuple(sizes[dim] for dim in dims)

    def _shock(
        self, bound: BoundAny, drawn: Drawn, ids: np.ndarray
    ) -> Recovery | Table | Failures | RouteCut | Damage | HouseholdDamage | Tariff | Rise | Closure:
        if isinstance(bound, BoundTable):
            factors = bound.factors[:, :, None]
            if bound.loss is not None:
                factors = 1 - np.nan_to_num(bound.loss.at(drawn)) * (1 - factors)
            return Table(self._array(factors))
        if isinstance(bound, BoundEvents):
            course: Course = "linear" if bound.ends_at_once else bound.shock.course
            return Recovery(**self._arrays(bound.numbers(drawn)), course=course)
        shock, hit = bound.shock, {place: where.at(drawn, ids) for place, where in bound.places.items()}
        given = {name: field.at(drawn) for name, field in bound.fields.items()}
        if isinstance(shock, HouseholdShock):
            return HouseholdDamage(**self._arrays(given | {"worth": given["worth"] * _asked(shock, self.network)}))
        if isinstance(shock, DamageShock):
            numbers = _damage(given, hit["where"])
            builder = np.array([shock.builders.get(name, 0.0) for name in self.network.sectors])[self.network.sector]
            pool = self._array(pool_of(shock, self.network)[:, None]) if bound.pooled else None
            return Damage(**self._arrays(numbers), builder=self._array(builder[:, None]), pool=pool)
        if isinstance(shock, FailuresShock):
            numbers = {**_filled(given), "loss": _where_hit(given["loss"], hit["where"])}
            seed, path = self.spec.sweep.seed, f"shocks.{shock.name}.failures"
            clock = arrivals(seed, ids, path, self.network.n_firms, bound.failures)
            return Failures(jnp.stack([self._array(times) for times in clock]), **self._arrays(numbers))
        if isinstance(shock, RecoveryShock):
            return Recovery(**self._arrays(_recovery(given, hit["where"])), course=shock.course)
        if isinstance(shock, CutShock):
            cut = Recovery(**self._arrays(_recovery(given, np.ones((1, 1), bool))), course=shock.course)
            detour = self._array(given["detour_days"]) if "detour_days" in given else None
            final = final_part(self.network, hit["origin"], bound.places["destination"], drawn)
            ends = self._array(hit["origin"]), self._array(hit["destination"])
            return RouteCut(*ends, cut, detour, None if final is None else self._array(final))
        if isinstance(shock, ClosureShock):
            closed = Recovery(**self._arrays(_recovery(given, np.ones((1, 1), bool))), course=shock.course)
            return Closure(closed, [of.name for of in self.spec.model.routes].index(shock.route))
        if isinstance(shock, CostShock):
            rise = self._rise(given, hit["where"], shock.course)
            energy = sells_energy(shock, self.network)[:, None]
            levied = self._array(energy), self._array(hit["where"])
            return rise if shock.on == "value_added" else Tariff(*levied, rise)
        rise = self._rise(given, np.ones((1, 1), bool), shock.course)
        return Tariff(self._array(hit["from"]), self._array(hit["to"]), rise)

    def _route(self, bound: BoundRoute, drawn: Drawn) -> Route:
        first = None if bound.first is None else self._array(bound.first[:, None])
        return Route(**self._arrays({name: field.at(drawn) for name, field in bound.numbers.items()}), first=first)

    def _rise(self, given: Mapping[str, np.ndarray], hit: Bool[np.ndarray, "#firm #member"], course: Course) -> Rise:
        """A price that rises for the firms that are hit."""
        numbers = {**_dates(given), "rate": _where_hit(given["rate"], hit)}
        return Rise(**self._arrays(numbers), course=course)

    def _arrays(self, numbers: Mapping[str, np.ndarray]) -> dict[str, jax.Array]:
        return {name: self._array(values) for name, values in numbers.items()}

    def _array(self, values: np.ndarray) -> jax.Array:
        return jnp.asarray(values, self.spec.precision)

    def _precision(self) -> AbstractContextManager[None]:
        return jax.enable_x64(self.spec.precision == "float64")

    def _memory(self) -> AbstractContextManager[None]:
        """Where inputs are made: on the device, or on the host, where each device gets only its part of them."""
        return nullcontext() if self._shard_of is None else on_host()


def failed_members(arrays: Mapping[str, np.ndarray], members: range) -> list[int]:
    """The members with a number that is not finite."""
    finite = [np.isfinite(values).all(axis=tuple(range(1, values.ndim))) for values in arrays.values()]
    return [members[i] for i in np.flatnonzero(~np.all(finite, axis=0))]


def canonical(dims: Sequence[str]) -> tuple[str, ...]:
    """Dims in the order of a store."""
    return tuple(dim for dim in ("region", "sector", "firm") if dim in dims)


def _places_of_firms(network: FirmNetwork) -> dict[str, np.ndarray]:
    """The region and the sector of each firm, by the names that a store has for them."""
    return {
        "firm_region": np.asarray(network.regions)[network.region],
        "firm_sector": np.asarray(network.sectors)[network.sector],
    }


def _recovery(given: Mapping[str, np.ndarray], hit: Bool[np.ndarray, "#firm #member"]) -> dict[str, np.ndarray]:
    """Loss, onset, start and rate of recovery, each (firm|1, member|1), without loss where no firm is hit."""
    return {"loss": _where_hit(given["loss"], hit), **_dates(given)}


def _dates(given: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Onset, start and rate of recovery, each (firm|1, member|1)."""
    onset = np.nan_to_num(given["onset"])
    days = given.get("recovery_days")
    return {
        "onset": onset,
        "recovery_start": np.nan_to_num(given["recovery_start"]) if "recovery_start" in given else onset,
        "recovery_rate": np.zeros((1, 1)) if days is None else np.nan_to_num(1 / days),
    }


def _damage(given: Mapping[str, np.ndarray], hit: Bool[np.ndarray, "#firm #member"]) -> dict[str, np.ndarray]:
    """The numbers of a damage except its builders, each (firm|1, member|1); firms that are not hit have loss 0."""
    filled = _filled(given)
    return {"rebuild_start": filled["onset"], **filled, "loss": _where_hit(given["loss"], hit)}


def _asked(shock: HouseholdShock, network: FirmNetwork) -> Float[np.ndarray, "firm 1"]:
    """Each firm's part of the rebuilding of homes; they sum to 1."""
    met = {name: asked_to_build(shock, network, name) for name in shock.builders}
    parts = [part * met[name] / met[name].sum() for name, part in shock.builders.items()]
    return np.sum(parts, axis=0)[:, None] / sum(shock.builders.values())


def _filled(given: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Numbers with a 1 where a firm that is not hit has none."""
    return {name: np.nan_to_num(values, nan=1.0) for name, values in given.items()}


def _where_hit(loss: np.ndarray, hit: Bool[np.ndarray, "#firm #member"]) -> np.ndarray:
    return loss if hit.all() else np.where(hit, loss, 0.0)


def _groups(network: FirmNetwork, dims: Sequence[str]) -> Segments | None:
    """The groups of firms that a record sums over; None for every firm."""
    match canonical(dims):
        case ("firm",):
            return None
        case ("region", "sector"):
            return segments(network.industry, len(network.regions) * len(network.sectors))
        case ("region",):
            return segments(network.region, len(network.regions))
        case ("sector",):
            return segments(network.sector, len(network.sectors))
        case _:
            return segments(np.zeros(network.n_firms, np.int32), 1)
