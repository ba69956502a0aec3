"""The one interface through which runs, costs, minimisers and checks know a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from dassim.grid.variables import Variable
from dassim.parallel import Domain


class Model(Protocol):
    """A discretised model on one rank's part of its domain. Immutable.

    A *state* is a tree (a frozen dataclass) of this rank's owned points, ``(nz, ny, nx)`` or
    ``(ny, nx)`` arrays, and of scalars that are the same on every rank, such as ``time`` (s since
    the start). *Parameters* are a tree of all that a step depends on besides: forcing fields,
    coefficients, weights of a network. Derivatives are taken with respect to floating-point arrays.

    Where the model is a tree itself (an ``equinox.Module``), its arrays are handed to compiled
    programs as arguments; else it is hashed and its arrays become constants of the program.
    """

    @property
    def domain(self) -> Domain:
        """The horizontal decomposition."""
        ...

    @property
    def time_step(self) -> float:
        """Seconds per step."""
        ...

    @property
    def variables(self) -> Mapping[str, Variable]:
        """Metadata of the state's leaves by their names."""
        ...

    def step(self, parameters: Any, state: Any) -> Any:
        """``state`` one time step later. Pure, traceable, differentiable in both arguments."""
        ...
