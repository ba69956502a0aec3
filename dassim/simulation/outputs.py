"""What a run can write of a model: its state, and what the model diagnoses from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import jax

from dassim.grid.variables import Variable
from dassim.simulation.model import Model


def output_variables(model: Model, parameters: Any, state: Any) -> Mapping[str, Variable]:
    """Metadata of everything that can be written, by name.

    A model that diagnoses fields has a method ``output_variables(parameters, state)``; of any
    other the variables of its state can be written.
    """
    described = getattr(model, "output_variables", None)
    return model.variables if described is None else described(parameters, state)


def output(model: Model, parameters: Any, state: Any, names: Iterable[str]) -> dict[str, jax.Array]:
    """The owned points of the named outputs, ``(nz, ny, nx)`` or ``(ny, nx)``. Traceable.

    All ranks ask for the same names: a diagnosed field may need its neighbours' points.
    """
    diagnose = getattr(model, "output", None)
    if diagnose is None:
        return {name: getattr(state, name) for name in names}
    return diagnose(parameters, state, tuple(names))
