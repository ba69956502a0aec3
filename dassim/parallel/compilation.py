"""Compiling whole programs, with what the backend should be told."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, cached_property, update_wrapper
from typing import Any, Generic, ParamSpec, TypeVar

import equinox as eqx
import jax
from jax.core import Tracer

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

ON_CPU = {"xla_cpu_experimental_ynn_fusion_type": ""}
"""Sums along levels by XLA's own loops: those of its library YNNPACK, where what is summed is
computed on the way, take ten times as long (jaxlib 0.10.2, float64)."""


class Compiled(Generic[Arguments, Result]):
    """A function that is compiled as a whole, with the options of :func:`compiler_options`; as a
    part of a larger program, with those of that."""

    def __init__(self, function: Callable[Arguments, Result]):
        update_wrapper(self, function)
        self._function = function
        self._part = eqx.filter_jit(function)

    @cached_property
    def _whole(self) -> Any:
        options: Any = {"compiler_options": compiler_options()}
        return eqx.filter_jit(self._function, **options)

    def __call__(self, *arguments: Arguments.args, **named: Arguments.kwargs) -> Result:
        leaves = jax.tree.leaves((arguments, named))
        part_of_another = any(isinstance(leaf, Tracer) for leaf in leaves)
        return (self._part if part_of_another else self._whole)(*arguments, **named)

    def memory(self, *arguments: Arguments.args, **named: Arguments.kwargs) -> int:
        """Bytes that the program has at a time: its arguments, its results and what it holds in
        between. Compiles it, as a call does."""
        found = self._whole.lower(*arguments, **named).compile().compiled.memory_analysis()
        with_arguments = found.argument_size_in_bytes + found.temp_size_in_bytes
        return with_arguments + found.output_size_in_bytes - found.alias_size_in_bytes


def compiled(function: Callable[Arguments, Result]) -> Compiled[Arguments, Result]:
    """``equinox.filter_jit`` with what the backend should be told: :class:`Compiled`."""
    return Compiled(function)


@cache
def compiler_options() -> dict[str, Any]:
    """Those for this process's backend that its compiler knows."""
    if jax.default_backend() != "cpu":
        return {}
    try:
        jax.jit(lambda x: x, compiler_options=ON_CPU).lower(0.0).compile()
    except jax.errors.JaxRuntimeError:
        return {}
    return ON_CPU
