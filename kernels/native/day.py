"""A day as one call, by the library that `build.py` makes: what `step.py` says, where `unsupported` does not object.

`day` is a primitive with rules of its own. Its derivative is linear in the tangents, with XLA's step as its value and
the hand-written reverse as its transpose. A mapped axis becomes more members. Whatever the library has no kernel for
(another platform, derivatives by baseline flows, second derivatives) is computed by XLA's step, `_reference`.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Float
from shockmesh.kernels.devices.layout import Layout
from shockmesh.kernels.devices.segments import Segments, safe_ratio
from shockmesh.kernels.mechanisms.shocks import Day
from shockmesh.kernels.model import Parameters, Switches
from shockmesh.kernels.native import library
from shockmesh.kernels.native.evening import (
    BASES,
    CRITICAL,
    FLOWS,
    RATIONINGS,
    RULES,
    TARGETS,
    Evening,
    Kind,
    Numbers,
    Starts,
    evening,
)  # fmt: skip
from shockmesh.kernels.step import State, Wish, step


class Structure(NamedTuple):
    """Of a day's operands: the leaves of the layout, then those of starts, numbers and the evening before."""

    layout: Any
    rest: Any

    @property
    def fixed(self) -> int:
        """Leaves of the network."""
        return self.layout.num_leaves + len(Starts._fields)

    @property
    def num_leaves(self) -> int:
        return self.layout.num_leaves + self.rest.num_leaves

    def network(self, leaves: Sequence[Array]) -> Layout:
        return jax.tree.unflatten(self.layout, leaves[: self.layout.num_leaves])

    def others(self, leaves: Sequence[Any]) -> tuple[Starts, Numbers, Evening]:
        """Of arrays, or of whatever else there is one of for each leaf."""
        return jax.tree.unflatten(self.rest, leaves[self.layout.num_leaves : self.num_leaves])

    @property
    def places(self) -> tuple[Starts, Numbers, Evening]:
        """The number of each leaf."""
        return self.others(range(self.num_leaves))


def day(
    layout: Layout, starts: Starts, kind: Kind, numbers: Numbers, before: Evening
) -> tuple[Evening, dict[str, Float[Array, "firm member"]]]:
    """A day: the evening after it, and the flows that `kind` names; capacity is a multiple of x⁰."""
    of_layout, layout_structure = jax.tree.flatten(layout)
    of_rest, rest = jax.tree.flatten((starts, numbers, before))
    found = _day.bind(*of_layout, *of_rest, structure=Structure(layout_structure, rest), kind=kind)
    n = len(jax.tree.leaves(before))
    after = jax.tree.unflatten(jax.tree.structure(before), found[:n])
    return after, dict(zip(kind.flows, found[n:], strict=True))


# ---- the same by XLA ----


def _reference(*leaves: Array, structure: Structure, kind: Kind) -> list[Array]:
    layout, (_, numbers, before), switches = structure.network(leaves), structure.others(leaves), kind.switches
    parameters = Parameters(
        numbers.days,
        1 / numbers.pace,
        numbers.capacity,
        inventory_threshold=None if numbers.enough is None else numbers.enough / numbers.days,
        hiring_days=numbers.hiring,
        firing_days=numbers.firing,
    )
    state = State(before.stock * layout.amount, Wish(before.use, before.wanted), before.level)
    state, flows = step(layout, switches, parameters, Day(numbers.productivity, numbers.final_demand), state)
    told = {
        "output": flows.output,
        "demand": flows.demand,
        "capacity": safe_ratio(flows.capacity, layout.output),
        "final_consumption": flows.final_consumption,
    }
    members = before.stock.shape[1]
    after = jax.tree.leaves(evening(layout, switches, parameters, state))
    return [*after, *(jnp.broadcast_to(told[name], (layout.n_firms, members)) for name in kind.flows)]


def _reference_tangent(*operands: Array, structure: Structure, kind: Kind, which: tuple[int, ...]) -> list[Array]:
    """Tangents of what a day gives, by those of the operands `which`."""
    n = structure.num_leaves
    leaves = list(operands[:n])

    def of(*some: Array) -> list[Array]:
        for at, leaf in zip(which, some, strict=True):
            leaves[at] = leaf
        return _reference(*leaves, structure=structure, kind=kind)

    return jax.jvp(of, tuple(operands[at] for at in which), tuple(operands[n:]))[1]


def _reference_back(
    *operands: Array, structure: Structure, kind: Kind, which: tuple[int, ...], given: tuple[bool, ...]
) -> list[Array]:
    """Cotangents of the operands `which`, (row, member), by those of what a day gives, where they are `given`."""
    n, leaves = structure.num_leaves, list(operands)
    *_, before = structure.others(operands)
    stock, (firms, members) = structure.places[2].stock, before.received.shape

    def of(some: list[Array]) -> list[Array]:
        for at, leaf in zip(which, some, strict=True):
            leaves[at] = leaf
        return _reference(*leaves[:n], structure=structure, kind=kind)

    whole = [operands[at] if at == stock else jnp.broadcast_to(operands[at], (firms, members)) for at in which]
    found, back = jax.vjp(of, whole)
    some = iter(operands[n:])
    return back([next(some) if has else jnp.zeros_like(of) for has, of in zip(given, found, strict=True)])[0]


# ---- the same by the library ----


def _rows(layout: Layout, starts: Starts, switches: Switches) -> list[Array]:
    assert isinstance(layout.supplier, Segments)
    slope = jnp.zeros((0, 0), layout.output.dtype)
    if switches.production in CRITICAL:
        assert layout.criticality is not None
        slope = layout.criticality
        if switches.production != "half_critical":
            slope = (slope >= CRITICAL[switches.production]).astype(slope.dtype)
    return [layout.supplier.index, *starts, layout.amount, layout.pool_amount, slope, layout.output]


def _attributes(kind: Kind) -> dict[str, np.int64]:
    of = kind.switches
    numbers = {
        "parts": kind.parts,
        "target": TARGETS.index(of.order_target),
        "basis": BASES.index(of.order_basis),
        "rationing": RATIONINGS.index(of.rationing),
        "leontief": of.production == "leontief",
        "rule": RULES.index(of.capacity_rule),
        "variant": kind.variant,
    }
    return {name: np.int64(number) for name, number in numbers.items()}


def _operands(structure: Structure, kind: Kind, leaves: Sequence[Array]) -> tuple[list[Array], Evening]:
    """What both calls read, absent numbers as arrays of size 0; and the evening before."""
    layout, (starts, numbers, before) = structure.network(leaves), structure.others(leaves)
    absent = jnp.zeros((0, 0), layout.output.dtype)
    some = [absent if of is None else of for of in (*numbers, *before)]
    return _rows(layout, starts, kind.switches) + some, before


def _native(*leaves: Array, structure: Structure, kind: Kind) -> list[Array]:
    operands, before = _operands(structure, kind, leaves)
    dtype, (firms, members) = before.stock.dtype, before.received.shape
    by_firm, none = jax.ShapeDtypeStruct((firms, members), dtype), jax.ShapeDtypeStruct((0, 0), dtype)
    evening = [none if of is None else jax.ShapeDtypeStruct(of.shape, dtype) for of in before]
    flows = [by_firm if name in kind.flows else none for name in FLOWS]
    partial = jax.ShapeDtypeStruct((kind.parts - 1, firms, members), dtype)
    stock = len(operands) - len(before)
    call = jax.ffi.ffi_call(
        library.FORWARD, [*evening, *flows, by_firm, by_firm, partial], input_output_aliases={stock: 0}
    )
    found = call(*operands, **_attributes(kind))
    told: dict[str, Array] = dict(zip(FLOWS, found[len(evening) :], strict=False))
    after = [of for of, was in zip(found, before, strict=False) if was is not None]
    return [*after, *(told[name] for name in kind.flows)]


def _native_back(
    *operands: Array, structure: Structure, kind: Kind, which: tuple[int, ...], given: tuple[bool, ...]
) -> list[Array]:
    n = structure.num_leaves
    rows, before = _operands(structure, kind, operands[:n])
    dtype, (firms, members) = before.stock.dtype, before.received.shape
    by_firm, none = jax.ShapeDtypeStruct((firms, members), dtype), jax.ShapeDtypeStruct((0, 0), dtype)
    some = iter(operands[n:])
    told = [next(some) if has else None for has in given]
    of_flows = dict(zip(kind.flows, told[len(told) - len(kind.flows) :], strict=True))
    of_evening = iter(told)
    bars: list[Array] = []
    for was in before:
        if was is None:
            bars.append(jnp.zeros((0, 0), dtype))
        else:
            bars.append(jnp.zeros_like(was) if (bar := next(of_evening)) is None else bar)
    bars += [jnp.zeros((0, 0), dtype) if (bar := of_flows.get(name)) is None else bar for name in FLOWS]
    _, numbers, before_at = structure.places
    of_numbers = [by_firm if at in which else none for at in numbers]
    of_before = [none if of is None else jax.ShapeDtypeStruct(of.shape, dtype) for of in before]
    wanted = by_firm if before.wanted is not None else none
    parts = jax.ShapeDtypeStruct((kind.parts, firms, members), dtype)
    scratch = [by_firm, by_firm, by_firm, wanted, parts, by_firm, by_firm, wanted]
    call = jax.ffi.ffi_call(library.BACK, [*of_before, *of_numbers, *scratch], input_output_aliases={len(rows): 0})
    found = call(*rows, *bars, **_attributes(kind))
    at: dict[Any, Array] = dict(zip([*before_at, *numbers], found, strict=False))
    return [at[leaf] for leaf in which]


# ---- the rules ----


def _shapes(
    *operands: Any, structure: Structure, kind: Kind, which: Sequence[int] = (), given: Any = None
) -> list[Any]:
    *_, before = structure.others(operands)
    by_firm = ShapedArray(before.received.shape, before.stock.dtype)
    if given is not None:
        stock = structure.places[2].stock
        return [ShapedArray(before.stock.shape, before.stock.dtype) if at == stock else by_firm for at in which]
    return [ShapedArray(of.shape, of.dtype) for of in jax.tree.leaves(before)] + [by_firm] * len(kind.flows)


def _lowered(primitive: Primitive, reference: Callable[..., list[Array]], native: Callable[..., list[Array]]) -> None:
    primitive.multiple_results = True
    primitive.def_impl(lambda *operands, **how: jax.jit(partial(primitive.bind, **how))(*operands))
    primitive.def_abstract_eval(_shapes)
    mlir.register_lowering(primitive, mlir.lower_fun(reference, multiple_results=True))
    mlir.register_lowering(primitive, mlir.lower_fun(native, multiple_results=True), platform="cpu")


def _jvp(primals: Sequence[Array], tangents: Sequence[Any], *, structure: Structure, kind: Kind) -> Any:
    found = _day.bind(*primals, structure=structure, kind=kind)
    which = tuple(
        at for at, tangent in enumerate(tangents) if type(tangent) is not ad.Zero and tangent.dtype != jax.dtypes.float0
    )
    moved = [tangents[at] for at in which]
    if any(at < structure.fixed for at in which):  # by baseline flows: all by XLA
        return found, _reference_tangent(*primals, *moved, structure=structure, kind=kind, which=which)
    return found, _tangent.bind(*primals, *moved, structure=structure, kind=kind, which=which)


def _transpose(
    bars: Sequence[Any], *operands: Any, structure: Structure, kind: Kind, which: tuple[int, ...]
) -> list[Any]:
    n = structure.num_leaves
    given = tuple(not isinstance(bar, ad.Zero) for bar in bars)
    leaves = operands[:n]
    if not any(given):
        return [None] * n + [ad.Zero(of.aval) for of in operands[n:]]
    told = [bar for bar, has in zip(bars, given, strict=True) if has]
    found = _back.bind(*leaves, *told, structure=structure, kind=kind, which=which, given=given)
    return [None] * n + [_summed(bar, leaves[at].shape) for bar, at in zip(found, which, strict=True)]


def _summed(bar: Float[Array, "row member"], shape: tuple[int, ...]) -> Array:
    """The cotangent of a number that rows or members share."""
    axes = [axis for axis in (0, 1) if shape[axis] != bar.shape[axis]]
    return bar.sum(axis=axes, keepdims=True) if axes else bar


def _batch(
    primitive: Primitive,
    reference: Callable[..., list[Array]],
    operands: Sequence[Array],
    axes: Sequence[Any],
    **how: Any,
) -> tuple[list[Array], list[int]]:
    """A mapped axis becomes more members, the outer ones."""
    structure, which = how["structure"], how.get("which", ())
    if any(axis is not None for axis in axes[: structure.fixed]):
        found = jax.vmap(partial(reference, **how), axes)(*operands)
        return found, [0] * len(found)
    size = next(of.shape[axis] for of, axis in zip(operands, axes, strict=True) if axis is not None)
    _, numbers, before = structure.places
    stock, axis = operands[before.stock].shape, axes[before.stock]
    members = stock[1] if axis is None else (*stock[:axis], *stock[axis + 1 :])[1]
    shared = {at for at in jax.tree.leaves(numbers) if at not in which}

    def folded(at: int, of: Array, axis: Any) -> Array:
        if at < structure.fixed or (axis is None and at in shared and of.shape[1] == 1):
            return of
        rows = jnp.moveaxis(of, axis, 1) if axis is not None else of[:, None]
        return jnp.broadcast_to(rows, (rows.shape[0], size, members)).reshape(rows.shape[0], size * members)

    whole = [folded(at, of, axis) for at, (of, axis) in enumerate(zip(operands, axes, strict=True))]
    found = primitive.bind(*whole, **how)
    return [of.reshape(of.shape[0], size, members) for of in found], [1] * len(found)


_day, _tangent, _back = Primitive("shockmesh_day"), Primitive("shockmesh_day_tangent"), Primitive("shockmesh_day_back")
_lowered(_day, _reference, _native)
_lowered(_tangent, _reference_tangent, _reference_tangent)
_lowered(_back, _reference_back, _native_back)
ad.primitive_jvps[_day] = _jvp
ad.primitive_transposes[_tangent] = _transpose
ad.primitive_jvps[_tangent] = lambda primals, tangents, **how: _by_reference(_reference_tangent, primals, tangents, how)
ad.primitive_jvps[_back] = lambda primals, tangents, **how: _by_reference(_reference_back, primals, tangents, how)
batching.primitive_batchers[_day] = partial(_batch, _day, _reference)
batching.primitive_batchers[_tangent] = partial(_batch, _tangent, _reference_tangent)
batching.primitive_batchers[_back] = partial(_batch, _back, _reference_back)


def _by_reference(function: Callable[..., list[Array]], primals: Any, tangents: Any, how: dict[str, Any]) -> Any:
    """Second derivatives."""
    return jax.jvp(partial(function, **how), tuple(primals), tuple(map(ad.instantiate_zeros, tangents)))
