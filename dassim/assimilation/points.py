"""Point observations as data of a run: terms of the cost, and what they are compared with.

Every rank holds the observations of its own cells. Those of a term that are compared at one time
step fill arrays of one length for all steps, so that all segments share a compilation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from dassim.assimilation.cost import AbstractLoss, Observations, ObservationTerm, Quadratic
from dassim.observations.placing import Placed
from dassim.observations.rejections import Reason, Rejections
from dassim.observations.stencil import Stencil, interpolated
from dassim.parallel import Domain
from dassim.simulation.trees import hashed, named_leaves

COMPARED = ("time", "x", "y", "depth", "value", "error")
"""Columns of a table that the cost depends on."""

Departures = Mapping[int, Mapping[str, Any]]
"""By time step and term: ``(H(x) - y) / sigma`` of this rank, as long as the term's arrays."""


class PointOperator(eqx.Module):
    """H: a leaf of the state at the points of a :class:`Stencil`."""

    domain: Domain = eqx.field(static=True)
    leaf: str = eqx.field(static=True)

    def __call__(self, state: Any, where: Stencil) -> jax.Array:
        return interpolated(self.domain, named_leaves(state)[self.leaf], where)


@dataclass(frozen=True)
class PointTerm:
    """One kind of observations on this rank: what was ``placed``, and what departures cost.

    ``tolerance``: departures beyond so many standard deviations, those of the observation and of
    the background's equivalent (``background``, in the variable's unit) together, are refused by
    the background check; ``None`` refuses none.
    """

    placed: Placed
    leaf: str
    loss: AbstractLoss = field(default_factory=Quadratic)
    tolerance: float | None = None
    background: float = 0.0

    def far(self, departures: np.ndarray) -> np.ndarray:
        """Which of the ``departures (n,)``, in standard deviations of the observations, are too
        large."""
        if self.tolerance is None:
            return np.zeros(departures.shape, bool)
        spread = np.sqrt(1.0 + (self.background / self.placed.table.error) ** 2)
        return np.abs(departures) > self.tolerance * spread


@dataclass(frozen=True)
class PointData:
    """Observations of all kinds by the names of their terms.

    ``steps``: time steps at which they are compared, one for each moment of the placing.
    ``rejections``: over all ranks.
    """

    domain: Domain
    steps: tuple[int, ...]
    parts: Mapping[str, PointTerm]
    rejections: Rejections = field(default_factory=Rejections)

    @property
    def terms(self) -> tuple[ObservationTerm, ...]:
        return tuple(
            ObservationTerm(name, PointOperator(self.domain, part.leaf), part.loss)
            for name, part in self.parts.items()
        )

    @property
    def has_check(self) -> bool:
        """Whether any of the observations are to be checked against the background."""
        return any(part.tolerance is not None for part in self.parts.values())

    @property
    def identity(self) -> dict[str, bytes]:
        """By term, a hash of the observations on this rank. In single precision: what is computed
        from a file, as potential temperature, may differ in the last digits on another machine."""
        return {
            name: hashed({of: np.float32(getattr(part.placed.table, of)) for of in COMPARED})
            for name, part in self.parts.items()
        }

    def count(self) -> dict[str, int]:
        """Observations on this rank, by term."""
        return {name: len(part.placed) for name, part in self.parts.items()}

    def at(self, step: int) -> dict[str, Observations]:
        """The data of a time step, with weights of 0 where there are none."""
        return {name: self._padded(name, step) for name in self.parts}

    def checked(self, departures: Departures) -> PointData:
        """Without observations that lie too far from the background, whose ``departures`` these
        are. All ranks call this together."""
        parts, counts = dict(self.parts), {}
        for name, part in self.parts.items():
            far = part.far(self._by_row(name, departures))
            parts[name] = replace(part, placed=part.placed.take(~far))
            counts[name] = {Reason.DEPARTURE: int(far.sum())}
        gone = Rejections({}, counts).over_ranks(self.domain.comm)
        return replace(self, parts=parts, rejections=self.rejections + gone)

    def misfits(self, departures: Departures) -> dict[str, np.ndarray]:
        """``y - H(x)`` of every row of each term on this rank, in the variable's unit."""
        return {
            name: -self._by_row(name, departures) * part.placed.table.error
            for name, part in self.parts.items()
        }

    def _by_row(self, name: str, departures: Departures) -> np.ndarray:
        """Departures in the order of the term's rows."""
        found = np.zeros(len(self.parts[name].placed))
        for step in self.steps:
            rows = self._rows[name].get(step, np.zeros(0, int))
            if len(rows):
                found[rows] = np.asarray(departures[step][name])[: len(rows)]
        return found

    def _padded(self, name: str, step: int) -> Observations:
        placed, length = self.parts[name].placed, self._lengths[name]
        rows = self._rows[name].get(step, np.zeros(0, int))

        def column(values: np.ndarray) -> jax.Array:
            whole = np.zeros((length, *values.shape[1:]), values.dtype)
            whole[: len(rows)] = values[rows]
            return jnp.asarray(whole)

        stencil = Stencil(column(placed.stencil.index), column(placed.stencil.weight))
        return Observations(column(placed.table.value), column(1.0 / placed.table.error), stencil)

    @cached_property
    def _rows(self) -> dict[str, dict[int, np.ndarray]]:
        """The rows of each term that are compared at each step."""
        return {
            name: {
                step: np.flatnonzero(part.placed.moment == number)
                for number, step in enumerate(self.steps)
                if (part.placed.moment == number).any()
            }
            for name, part in self.parts.items()
        }

    @cached_property
    def _lengths(self) -> dict[str, int]:
        return {name: max(map(len, rows.values()), default=0) for name, rows in self._rows.items()}
