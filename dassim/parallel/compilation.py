"""Compiling whole programs, with what the backend should be told."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from typing import Any, TypeVar

import equinox as eqx
import jax
from jax.core import Tracer

Function = TypeVar("Function", bound=Callable[..., Any])

ON_CPU = {"xla_cpu_experimental_ynn_fusion_type": ""}
"""Sums along levels by XLA's own loops: those of its library YNNPACK, where what is summed is
computed on the way, take ten times as long (jaxlib 0.10.2, float64)."""


def compiled(function: Function) -> Function:
    """``equinox.filter_jit`` of ``function``, with the options of :func:`compiler_options`; as a
    part of a larger program, with those of that."""

    @cache
    def program() -> Any:
        options: Any = {"compiler_options": compiler_options()}
        return eqx.filter_jit(function, **options)

    inner = eqx.filter_jit(function)

    @wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        leaves = jax.tree.leaves((arguments, named))
        part_of_another = any(isinstance(leaf, Tracer) for leaf in leaves)
        return (inner if part_of_another else program())(*arguments, **named)

    call.program = program  # pyright: ignore[reportAttributeAccessIssue]
    return call  # type: ignore[return-value]


def memory_of(function: Any, *arguments: Any) -> int:
    """Bytes that the program of ``function``, a :func:`compiled` one, has at a time: its arguments,
    its results and what it holds in between. Compiles it, as a call does."""
    found = function.program().lower(*arguments).compile().compiled.memory_analysis()
    with_arguments = found.argument_size_in_bytes + found.temp_size_in_bytes
    return with_arguments + found.output_size_in_bytes - found.alias_size_in_bytes


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
