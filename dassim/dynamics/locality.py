"""Where the intermediate results of long formulas live, on processors with caches.

XLA's compiler for CPUs writes one loop per result, and merges what a loop needs into it. Two things
follow for formulas with many intermediate and several final results, such as the derivative of a
WENO reconstruction. Results used at shifted points are computed anew for every use; and whole
three-dimensional arrays of intermediates pass through main memory. Neither changes a number; on
accelerators both functions do nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
from jax.experimental.xla_metadata import set_xla_metadata

from dassim.grid.field import Field, StaggeringError, Z

POINTS_IN_CACHE = 16384  # of one array; some twenty of them fit a cache of 2 MiB


def compiled_apart(function: Callable[..., Any], *arguments: Any) -> Any:
    """``function(*arguments)``, its results computed once and stored, however often they are used.

    An optimization barrier does not do: on CPUs it is gone before loops are merged.
    """
    if jax.default_backend() != "cpu":
        return function(*arguments)

    def alone(*arguments: Any) -> Any:
        with set_xla_metadata(inlineable=None):  # functions inside, such as jnp.where, are merged
            return function(*arguments)

    with set_xla_metadata(inlineable="false"):
        return jax.jit(alone)(*arguments)


def level_by_level(function: Callable[..., Field], *fields: Field | None) -> Field:
    """``function(*fields)``, computed for a few levels at a time, again when differentiated.

    ``function`` treats every level alike and by itself. All ``fields`` that vary along z lie at
    the same z points; those constant along z, and ``None``, are handed on as they are.
    """
    recomputed = jax.checkpoint(function)
    layered = [field for field in fields if field is not None and field.spans[Z] is not None]
    ranges = {(field.spans[Z], field.data.shape[Z]) for field in layered}
    if len(ranges) > 1:
        raise StaggeringError(f"found {layered}; expected fields at the same points along z")
    group = _levels_in_cache(layered)
    if not layered or group == layered[0].data.shape[Z]:
        return recomputed(*fields)

    def of_group(arrays):
        remaining = iter(arrays)
        return recomputed(
            *(
                field if field not in layered else Field(next(remaining), field.spans)
                for field in fields
            )
        )

    def grouped(array):
        return array.reshape(-1, group, *array.shape[1:])

    result = jax.lax.map(of_group, [grouped(field.data) for field in layered])
    return Field(result.data.reshape(-1, *result.data.shape[2:]), result.spans)


def _levels_in_cache(layered: list[Field]) -> int:
    """The largest divisor of the number of levels whose levels together fit, at least 1."""
    if not layered:
        return 0
    count, ny, nx = layered[0].data.shape
    if jax.default_backend() != "cpu":
        return count
    divisors = [n for n in range(1, count + 1) if count % n == 0]
    return max(n for n in divisors if n == 1 or n * ny * nx <= POINTS_IN_CACHE)
