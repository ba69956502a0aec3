"""The numbers that tell how a run fares, and what is wrong with its state, and where.

A model names its numbers in a method ``measures(parameters, state)``, which returns a mapping of
names to :class:`dassim.grid.measures.Extreme` and :class:`~dassim.grid.measures.Mean`. Of any other
model only what is not a number is noticed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from dassim.grid.field import Location
from dassim.grid.measures import Extreme, Mean, Measure
from dassim.simulation.errors import RunError
from dassim.simulation.model import Model
from dassim.simulation.trees import named_leaves


@dataclass(frozen=True)
class Health:
    """The model's numbers by name, and all that is wrong, in words."""

    values: dict[str, float]
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Monitor:
    """Looks at states of ``model``. All ranks call its methods together.

    ``kinds``: the model's measures without numbers. ``limits`` by name replace those of the
    model's extremes; ``None`` lifts one.
    """

    model: Model
    kinds: Mapping[str, Measure] = field(default_factory=dict)
    limits: Mapping[str, float | None] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        model: Model,
        parameters: Any,
        state: Any,
        limits: Mapping[str, float | None] | None = None,
    ) -> Monitor:
        """Raises RunError for limits of numbers that the model does not have."""
        kinds = dict(eqx.filter_eval_shape(_measures, model, parameters, state))
        known = [name for name, measure in kinds.items() if isinstance(measure, Extreme)]
        for name in limits or {}:
            if name not in known:
                raise RunError(
                    f"run.limits: found {name}; this model has limits of "
                    f"{', '.join(known) or 'nothing'}; correct or remove it"
                )
        return cls(model, kinds, limits or {})

    def __call__(self, parameters: Any, state: Any) -> Health:
        found = _inspected(self.model, parameters, state)
        here = jax.tree.map(lambda x: np.asarray(x).item(), found)
        ranks = self.model.domain.comm.allgather(here)
        values = {
            name: _combined(measure, [measures[name] for measures, _ in ranks])
            for name, measure in self.kinds.items()
        }
        return Health(
            {name: float(value) for name, (value, _, _) in values.items()},
            (*self._not_finite(ranks, state), *self._beyond(values)),
        )

    def _not_finite(self, ranks: list[Any], state: Any) -> list[str]:
        problems = []
        for name, leaf in named_leaves(state).items():
            counts = [wrong[name][0] for _, wrong in ranks if name in wrong]
            if not sum(counts):
                continue
            rank = next(rank for rank, count in enumerate(counts) if count)
            place = self._place(rank, ranks[rank][1][name][1], np.shape(leaf), name)
            problems.append(f"{name} is not finite at {place}, one of {sum(counts)} such points")
        return problems

    def _beyond(self, values: Mapping[str, tuple[float, int, int]]) -> list[str]:
        problems = []
        for name, measure in self.kinds.items():
            if not isinstance(measure, Extreme):
                continue
            limit = self.limits.get(name, measure.limit)
            value, rank, index = values[name]
            if limit is None or not measure.beyond(value, limit):
                continue
            place = self._place(rank, index, measure.values.shape, name, measure.location)
            problems.append(
                f"{name} of {value:.6g} {measure.units} is beyond the limit {limit:g} at {place}"
            )
        return problems

    def _place(
        self,
        rank: int,
        index: int,
        shape: tuple[int, ...],
        name: str,
        location: Location | None = None,
    ) -> str:
        """In words, the point of flat ``index`` in the array of ``rank``; all ranks call this
        together. ``shape`` is that of this rank's array."""
        domain = self.model.domain
        if len(shape) < 2:
            return "every rank"
        block = domain.decomposition.block(rank)
        *levels, j, i = (int(n) for n in np.unravel_index(index, (*shape[:-2], *block.shape)))
        words = f"row {block.y[j]}, column {block.x[i]}"
        if levels:
            words = f"level {', '.join(map(str, levels))}, {words}"
        variable = self.model.variables.get(name.rpartition(".")[2])
        at = location or (variable.location if variable else "c")
        here = self._coordinates(at, j, i) if domain.comm.rank == rank else None
        coordinates = domain.comm.bcast(here, rank)
        return f"{words} ({coordinates})" if coordinates else words

    def _coordinates(self, location: Location, j: int, i: int) -> str | None:
        grid = getattr(self.model, "grid", None)
        if grid is None:
            return None
        at = location[:1] if location[:1] in ("c", "u", "v", "q") else "c"
        x, y = (
            float(np.broadcast_to(grid.owned(getattr(axis, at)), grid.domain.shape)[j, i])
            for axis in (grid.x, grid.y)
        )
        if grid.horizontal.geometry == "spherical":
            return f"longitude {x:.5g}, latitude {y:.5g}"
        return f"x = {x:.6g} m, y = {y:.6g} m"


def _measures(model: Model, parameters: Any, state: Any) -> list[tuple[str, Measure]]:
    """In the model's order."""
    measures = getattr(model, "measures", None)
    return [] if measures is None else list(measures(parameters, state).items())


@eqx.filter_jit
def _inspected(model: Model, parameters: Any, state: Any) -> tuple[Any, Any]:
    """On this rank: each measure's value and place, or total and weight; of each leaf, how many
    points are not finite, and the first of them."""
    measures = {
        name: (m.total, m.weight) if isinstance(m, Mean) else m.local()
        for name, m in _measures(model, parameters, state)
    }
    leaves = {
        name: jnp.ravel(~jnp.isfinite(leaf))
        for name, leaf in named_leaves(state).items()
        if eqx.is_inexact_array(leaf)
    }
    return measures, {name: (jnp.sum(bad), jnp.argmax(bad)) for name, bad in leaves.items()}


def _combined(measure: Measure, ranks: list[tuple[float, float]]) -> tuple[float, int, int]:
    """Over all ranks: the value, and of an extreme the rank and index where it is."""
    if isinstance(measure, Mean):
        total, weight = (sum(parts) for parts in zip(*ranks, strict=True))
        return (total / weight if weight else np.nan), 0, 0
    sign = 1.0 if measure.kind == "largest" else -1.0
    ranked = [sign * value if value == value else np.inf for value, _ in ranks]
    rank = int(np.argmax(ranked))
    return ranks[rank][0], rank, int(ranks[rank][1])
