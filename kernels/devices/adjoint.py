"""A linear map and its transpose, both written by hand.

As `jax.custom_derivatives.linear_call`, which has no rule for `vmap` (JAX 0.12): a mapped axis becomes more members.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Float

type Map = Callable[[Any, Array], Array]


def linear(map_: Map, transpose: Map, fixed: Any, values: Float[Array, "item member"]) -> Float[Array, "group member"]:
    """map_(fixed, values), with `transpose` as its transpose by `values` and the other way round.

    Both are linear in `values`, and treat every member alike; `fixed` is a tree of integer arrays.
    """
    leaves, structure = jax.tree.flatten(fixed)
    return _linear.bind(*leaves, values, map_=map_, transpose=transpose, structure=structure)


def _apply(*operands: Array, map_: Map, structure: Any, **_: Any) -> Array:
    return map_(jax.tree.unflatten(structure, operands[:-1]), operands[-1])


def _jvp(primals: tuple[Array, ...], tangents: tuple[Any, ...], **how: Any) -> tuple[Array, Any]:
    found, tangent = _linear.bind(*primals, **how), tangents[-1]
    if isinstance(tangent, ad.Zero):
        return found, ad.Zero(jax.typeof(found).to_tangent_aval())
    return found, _linear.bind(*primals[:-1], tangent, **how)


def _transpose(cotangent: Any, *operands: Any, map_: Map, transpose: Map, **how: Any) -> list[Any]:
    if isinstance(cotangent, ad.Zero):
        back = ad.Zero(operands[-1].aval)
    else:
        back = _linear.bind(*operands[:-1], cotangent, map_=transpose, transpose=map_, **how)
    return [None] * (len(operands) - 1) + [back]


def _batch(operands: tuple[Array, ...], axes: tuple[Any, ...], **how: Any) -> tuple[Array, int]:
    if any(axis is not None for axis in axes[:-1]):
        raise NotImplementedError("vmap over groups of firms: only over numbers")
    values = jnp.moveaxis(operands[-1], axes[-1], -1)
    found = _linear.bind(*operands[:-1], values.reshape(len(values), -1), **how)
    return found.reshape(-1, *values.shape[1:]), 2


def _abstract(*operands: Any, **how: Any) -> Any:
    return jax.make_jaxpr(partial(_apply, **how))(*operands).out_avals[0]


_linear = Primitive("linear")
_linear.def_impl(_apply)
_linear.def_abstract_eval(_abstract)
ad.primitive_jvps[_linear] = _jvp
ad.primitive_transposes[_linear] = _transpose
batching.primitive_batchers[_linear] = _batch
mlir.register_lowering(_linear, mlir.lower_fun(_apply, multiple_results=False))
