"""What is wrong with an ocean, or doubtful, before its first step."""

from __future__ import annotations

from collections.abc import Iterator

import equinox as eqx
import jax
import numpy as np

from dassim.config.errors import (
    NamelistError,
    NamelistWarning,
    Problem,
    mismatch,
)
from dassim.config.limits import too_long_steps
from dassim.config.points import first_point
from dassim.dynamics.implicit import open_faces
from dassim.grid import Field, Grid, maximum, taps
from dassim.grid.field import X, Y
from dassim.ocean import OceanModel, OceanParameters, OceanState
from dassim.ocean.stability import stability_limits

NEUTRAL = 1e-12
"""Negative N2 (s-2) that round-off may cause in neutral water."""


def require_connected(grid: Grid) -> None:
    """Refuse wet columns among dry ones, into which nothing can flow. All ranks call this
    together."""
    west, east = taps(grid.wet.u, X, range(2), to="c")
    south, north = taps(grid.wet.v, Y, range(2), to="c")
    widest = maximum(maximum(west, east), maximum(south, north))
    point = first_point(grid, _owned(grid, (grid.wet.c > 0) & (widest < 1)))
    if point is not None:
        message = mismatch(
            f"a wet column without wet neighbours at {point}",
            "water that is connected",
            "make it land, or its neighbour wet",
        )
        raise NamelistError([Problem(("bathymetry",), message)])


def findings(
    model: OceanModel, parameters: OceanParameters, state: OceanState, speed: float = 0.0
) -> Iterator[NamelistWarning]:
    """Unstable stratification, and terms for which the time step is too long, with the flow at
    least as fast as ``speed`` (m/s). All ranks call this together, and find the same."""
    yield from _unstable(model, parameters, state)
    yield from too_long_steps(model, stability_limits(model, parameters, state, speed))


def _unstable(
    model: OceanModel, parameters: OceanParameters, state: OceanState
) -> Iterator[NamelistWarning]:
    grid = model.grid
    unstable = np.asarray(_where_unstable(model, parameters, state))
    point = first_point(grid, unstable)
    if point is None:
        return
    count = sum(grid.domain.comm.allgather(int(unstable.sum())))
    message = mismatch(
        f"water that is denser than the water below at {point}, and {count} such points in all",
        "stable stratification at the start",
        "correct the fields, or expect convection",
    )
    yield NamelistWarning(Problem(("initial",), message))


@eqx.filter_jit
def _where_unstable(model: OceanModel, parameters: OceanParameters, state: OceanState) -> jax.Array:
    """Which interior z faces of owned cells have N2 below 0."""
    n2 = model.view(parameters, state).stratification
    between_wet = open_faces(model.grid.wet.c, model.grid.levels.count)
    return model.grid.owned((n2 < -NEUTRAL) & between_wet)


def _owned(grid: Grid, field: Field) -> np.ndarray:
    """``(nz, ny, nx)``, with nz 1 where constant along z."""
    owned = np.asarray(grid.owned(field))
    return owned.reshape(-1, *grid.domain.shape)
