"""What is sought by an assimilation: leaves of the run's inputs, and the sizes of their errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from dassim.assimilation.control import Control
from dassim.assimilation.corrections import no_corrections
from dassim.assimilation.scores import point_weights
from dassim.config.errors import KeyPath, NamelistError, Problem, mismatch, one_of, suggest
from dassim.config.schema import assimilation as schema
from dassim.simulation.segments import RunInputs
from dassim.simulation.trees import named_leaves


def chosen_leaves(
    tree: Any, numbers: Mapping[str, float], key: KeyPath
) -> dict[str, tuple[jax.Array, float]]:
    """The leaves of ``tree`` at the paths of ``numbers``, with these."""
    leaves = {
        name: leaf
        for name, leaf in named_leaves(tree).items()
        if jnp.issubdtype(jnp.asarray(leaf).dtype, jnp.inexact) and not of_the_stepper(name)
    }
    unknown = [name for name in numbers if name not in leaves]
    if unknown:
        message = mismatch(f"'{unknown[0]}'", one_of(leaves), suggest(unknown[0], leaves))
        raise NamelistError([Problem((*key, *unknown[0].split(".")), message)])
    return {name: (jnp.asarray(leaves[name]), number) for name, number in numbers.items()}


def of_the_stepper(path: str) -> bool:
    """Whether a leaf of the state is the clock, or what a time stepper remembers: no unknown of its
    own.

    >>> [name for name in ("T", "time", "previous.T") if of_the_stepper(name)]
    ['time', 'previous.T']
    """
    return path == "time" or path.startswith("previous.")


@dataclass(frozen=True)
class Unknowns:
    """What is sought: the run's inputs at the first guess, the paths in them, and the sizes of
    errors, of distributed unknowns 0 on land."""

    inputs: RunInputs
    deviations: Control

    @property
    def names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return tuple(self.deviations.distributed), tuple(self.deviations.replicated)


def build_unknowns(
    section: schema.Sought, model: Any, parameters: Any, state: Any, segments: int
) -> Unknowns:
    """``parameters`` and ``state``: the first guess at the window's start."""
    key = ("assimilation", "control")
    windows = chosen_leaves(parameters, section.windows, (*key, "windows"))
    drift = chosen_leaves(state, section.model_error.by_leaf(), (*key, "model_error"))
    inputs = RunInputs(parameters, state)
    if windows or drift:
        inputs = no_corrections(inputs, segments, windows, drift)
    of_state = chosen_leaves(state, section.state.by_leaf(), (*key, "state"))
    of_parameters = chosen_leaves(parameters, section.parameters, (*key, "parameters"))
    sought = [(f"state.{n}", *leaf) for n, leaf in _wet(model, of_state).items()]
    sought += [(f"parameters.{n}", *leaf) for n, leaf in of_parameters.items()]
    for k in range(segments):
        for name, leaf in windows.items():
            sought.append((f"segments.{k}.parameters.{name}", *leaf))
        for name, leaf in _wet(model, drift).items() if k else ():
            sought.append((f"segments.{k}.state.{name}", *leaf))
    deviations: dict[bool, dict[str, Any]] = {True: {}, False: {}}
    for name, like, size in sought:
        distributed = like.ndim >= 2 and like.shape[-2:] == model.domain.shape
        deviations[distributed][name] = jnp.asarray(size, like.dtype)
    return Unknowns(inputs, Control(deviations[True], deviations[False]))


def _wet(
    model: Any, leaves: Mapping[str, tuple[jax.Array, float]]
) -> dict[str, tuple[jax.Array, Any]]:
    """``leaves`` with their numbers at each point, 0 on land."""
    weights = point_weights(model, {name: leaf for name, (leaf, _) in leaves.items()})
    return {name: (leaf, size * (weights[name] > 0)) for name, (leaf, size) in leaves.items()}
