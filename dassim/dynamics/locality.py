"""Where intermediate results live, on processors with caches.

XLA's compiler for CPUs writes one loop per result, and merges what a loop needs into it. So what is
used at shifted points, or at every level, is computed anew for every use, unless it is told to be
stored. That changes no number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
from jax.experimental.xla_metadata import set_xla_metadata


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
