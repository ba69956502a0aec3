"""How far states are from the truth, where it is known."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from dassim.assimilation.window import Window
from dassim.parallel import Domain
from dassim.simulation.adjoint import Run
from dassim.simulation.model import Model
from dassim.simulation.segments import RunInputs
from dassim.simulation.trees import named_leaves

Errors = Mapping[str, float]
"""Root-mean-square errors by variable."""


@dataclass(frozen=True)
class Truth:
    """States known to be right: ``read(step)`` gives this rank's part of one.

    ``weights``: of the points of the leaves that are scored: their volumes or areas.
    """

    read: Callable[[int], Any]
    weights: Mapping[str, jax.Array]
    domain: Domain

    def errors(self, state: Any, step: int) -> dict[str, float]:
        """Of ``state`` at a time step. All ranks call this together."""
        return rms_differences(self.domain, self.weights, state, self.read(step))


def rms_differences(
    domain: Domain, weights: Mapping[str, jax.Array], one: Any, other: Any
) -> dict[str, float]:
    """``sqrt(sum of w (one - other)^2 / sum of w)`` over all ranks, of the leaves that have
    weights."""
    chosen = [{leaf: named_leaves(tree)[leaf] for leaf in weights} for tree in (one, other)]
    totals = np.asarray(_totals(domain, dict(weights), *chosen))
    return {
        leaf: math.sqrt(total / weight) if weight else 0.0
        for leaf, (total, weight) in zip(sorted(weights), totals, strict=True)
    }


@eqx.filter_jit
def _totals(domain: Domain, weights: Any, one: Any, other: Any) -> jax.Array:
    shares = [
        jnp.stack([jnp.sum(weights[leaf] * (one[leaf] - other[leaf]) ** 2), jnp.sum(weights[leaf])])
        for leaf in sorted(weights)
    ]
    return domain.sum(jnp.stack(shares))


def trajectory(
    run: Run, window: Window, inputs: RunInputs, beyond: int = 0
) -> Iterator[tuple[int, Any]]:
    """Time steps and states: at the window's start, at the ends of its segments, and of ``beyond``
    more segments, without corrections."""
    state, step = inputs.state, window.first
    yield step, state
    for k, steps in enumerate([*window.lengths, *[window.lengths[0]] * beyond]):
        corrections = inputs.of_segment(k) if k < len(window.lengths) else None
        state = run.segment.advance(steps, inputs.parameters, corrections, state)
        step += steps
        yield step, state


def trajectory_errors(
    run: Run, window: Window, inputs: RunInputs, truth: Truth, beyond: int = 0
) -> dict[int, Errors]:
    """Errors along a :func:`trajectory`, by time step."""
    return {
        step: truth.errors(state, step) for step, state in trajectory(run, window, inputs, beyond)
    }


@dataclass(frozen=True)
class Scores:
    """Errors of trajectories by their name and time step, and where the window ends."""

    window: Window
    errors: Mapping[str, Mapping[int, Errors]]

    def rows(self) -> list[list[Any]]:
        """Name, variable, and errors at the window's start, within it and beyond it (root mean
        square over times)."""
        return [
            [
                name,
                variable,
                by_step[self.window.first][variable],
                _rms(e[variable] for s, e in by_step.items() if self._within(s)),
                _rms(e[variable] for s, e in by_step.items() if s > self.window.last),
            ]
            for name, by_step in self.errors.items()
            for variable in by_step[self.window.first]
        ]

    def _within(self, step: int) -> bool:
        return self.window.first < step <= self.window.last


COLUMNS = ("run", "variable", "start", "window", "forecast")
"""Of :meth:`Scores.rows`."""


def _rms(values: Iterable[float]) -> float | None:
    squares = [value**2 for value in values]
    return math.sqrt(sum(squares) / len(squares)) if squares else None


def point_weights(model: Model, leaves: Mapping[str, Any]) -> dict[str, jax.Array]:
    """Volumes of the points of these leaves of a state, areas of those of one level, 0 on land; 1
    everywhere for a model without a grid."""
    grid = getattr(model, "grid", None)
    if grid is None:
        return {name: jnp.ones_like(leaf) for name, leaf in leaves.items()}

    def weights(name: str, like: jax.Array) -> jax.Array:
        known = model.variables.get(name.rpartition(".")[2])
        location = known.location if known else "c"
        size = getattr(grid.area, location)
        if like.ndim > 2:
            size = size * grid.levels.dz.c
        wet = grid.owned_mask(location, levels=like.ndim > 2)
        return jnp.broadcast_to(grid.owned(size), like.shape) * wet

    return {name: weights(name, leaf) for name, leaf in leaves.items()}
