"""Where intermediate results live, on processors with caches.

XLA's compiler for CPUs writes one loop per result, and merges what a loop needs into it. So what is
used at shifted points, or at every level, is computed anew for every use, unless it is told to be
stored; and a sum over levels, merged with what it sums, is computed one number at a time. Numbers
change by round-off at most.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental.xla_metadata import set_xla_metadata
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir, xla


def compiled_apart(function: Callable[..., Any], *arguments: Any) -> Any:
    """``function(*arguments)``, its results computed once and stored, however often they are used.

    An optimization barrier does not do: on CPUs it is gone before loops are merged. On accelerators
    it is left to XLA.
    """
    if jax.default_backend() != "cpu":
        return function(*arguments)

    def alone(*arguments: Any) -> Any:
        with set_xla_metadata(inlineable=None):  # functions inside, such as jnp.where, are merged
            return function(*arguments)

    with set_xla_metadata(inlineable="false"):
        return jax.jit(alone)(*arguments)


def on_levels(array: jax.Array, levels: int) -> jax.Array:
    """``array (1, y, x)`` at so many levels, ``(z, y, x)``.

    Its transpose, the sum over the levels, is computed apart from what it sums.
    """
    return on_levels_p.bind(array, levels=levels)


def _sum_of_levels(array: jax.Array) -> jax.Array:
    return jnp.sum(array, axis=-3, keepdims=True)


def _shape(array: Any, levels: int) -> tuple[int, ...]:
    return (*array.shape[:-3], levels, *array.shape[-2:])


def _lowered(array, *, levels):
    return jnp.broadcast_to(array, _shape(array, levels))


def _abstract(array, *, levels):
    return array.update(shape=_shape(array, levels))


def _transpose(cotangent, _, *, levels):
    return [compiled_apart(_sum_of_levels, cotangent)]


def _batch(arrays, dims, *, levels):
    (array,), (members,) = arrays, dims
    return on_levels(jnp.moveaxis(array, members, 0), levels), 0


on_levels_p = Primitive("on_levels")
on_levels_p.def_impl(lambda *args, **kw: xla.apply_primitive(on_levels_p, *args, **kw))
on_levels_p.def_abstract_eval(_abstract)
ad.deflinear2(on_levels_p, _transpose)
batching.primitive_batchers[on_levels_p] = _batch
mlir.register_lowering(on_levels_p, mlir.lower_fun(_lowered, multiple_results=False))
