"""Corrections of a segment's own: forcing in time windows, additive model error."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from dassim.simulation.segments import RunInputs
from dassim.simulation.trees import named_leaves, replace_leaves


class Corrections(eqx.Module):
    """Adds a segment's inputs, ``{"parameters": {path: change}, "state": {path: change}}``, to the
    parameters for the length of the segment, and to the state at its start. What a multi-step time
    stepper remembers of the state moves with it: tendencies stay as they are."""

    def __call__(
        self, parameters: Any, inputs: Mapping[str, Mapping[str, jax.Array]], state: Any
    ) -> tuple[Any, Any]:
        return _added(parameters, inputs["parameters"]), moved(state, inputs["state"])


def moved(state: Any, changes: Mapping[str, Any]) -> Any:
    """``state`` with ``changes`` of the leaves at these paths, and of what a multi-step time
    stepper remembers of them."""
    leaves = named_leaves(state)
    everywhere = {
        place: change
        for name, change in changes.items()
        for place in (name, f"previous.{name}")
        if place in leaves
    }
    return _added(state, everywhere)


def no_corrections(
    inputs: RunInputs, segments: int, parameters: Iterable[str], state: Iterable[str]
) -> RunInputs:
    """``inputs`` with corrections of 0 in every segment for the leaves at these paths."""

    def zeros(tree: Any, paths: Iterable[str]) -> dict[str, jax.Array]:
        leaves = named_leaves(tree)
        return {path: jnp.zeros_like(leaves[path]) for path in paths}

    one = {
        "parameters": zeros(inputs.parameters, parameters),
        "state": zeros(inputs.state, state),
    }
    return RunInputs(inputs.parameters, inputs.state, (one,) * segments)


def _added(tree: Any, changes: Mapping[str, jax.Array]) -> Any:
    leaves = named_leaves(tree)
    return replace_leaves(tree, {path: leaves[path] + change for path, change in changes.items()})
