"""H: what a field says at points between those of its grid.

Bilinear along the horizontal, linear in depth, from the points where the variable has a value:

* a tracer has one in wet cells. Weights of dry ones are given to the wet ones, so that a value at
  the coast is a mean of water and not of land;
* a velocity also has one on the coast, where the component through it is 0;
* above the uppermost level's centre and below the deepest wet one's its value is continued.

Depths are those of the levels at rest. Linear, so its own tangent; its adjoint is the transpose.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dassim.grid import Grid, Location
from dassim.grid.field import X, Y
from dassim.observations.axes import Axes
from dassim.parallel import Domain

HALO = 1


class Stencil(NamedTuple):
    """For each of ``n`` observations up to 8 points: their place ``index (n, m)`` in the flat array
    with its halo of 1, and their ``weight (n, m)``, which add up to 1."""

    index: Any
    weight: Any

    def take(self, rows: Any) -> Stencil:
        return Stencil(self.index[rows], self.weight[rows])


def interpolated(domain: Domain, values: jax.Array, stencil: Stencil) -> jax.Array:
    """Owned ``values (nz, ny, nx)`` or ``(ny, nx)`` at the observations ``(n,)`` of this rank.

    Differentiable. All ranks call this together, those without observations, too.
    """
    wide = domain.exchange(values, HALO).ravel()
    # One row more, without weight: JAX takes nothing at all from an array for a constant, and a
    # rank without observations would leave the exchange out of its way back.
    index, weight = (jnp.pad(jnp.asarray(each), ((0, 1), (0, 0))) for each in stencil)
    found = jnp.sum(weight.astype(values.dtype) * wide[index], axis=-1)
    return jax.lax.slice_in_dim(found, 0, len(found) - 1)


class Place(NamedTuple):
    """Where observations of this rank lie: the cell's global row ``y`` and column ``x``, and what
    is open there: ``levels``, counted from the top."""

    y: np.ndarray
    x: np.ndarray
    levels: np.ndarray


def place(grid: Grid, y: np.ndarray, x: np.ndarray) -> Place:
    """Of cells that this rank owns."""
    open_levels = _open_levels(grid, "c")
    block = grid.domain.block
    row, column = y - block.y.start + HALO, x - block.x.start + HALO
    return Place(y, x, open_levels[row, column])


def level_of(grid: Grid, depth: np.ndarray) -> np.ndarray:
    """The level that each ``depth`` (m) lies in, the number of levels below all."""
    faces = -np.asarray(grid.levels.z.f.data, float)[:, 0, 0]
    level = np.searchsorted(faces, depth, side="right") - 1
    bottom = len(faces) - 1
    return np.where((level == bottom) & (depth == faces[-1]), bottom - 1, level)


def stencil(
    grid: Grid,
    axes: Axes,
    location: Location,
    place: Place,
    x: np.ndarray,
    y: np.ndarray,
    depth: np.ndarray | None,
) -> Stencil:
    """Of observations at these positions in wet water of this rank's cells; ``depth`` ``None``: of
    a variable without levels."""
    on_y, on_x = location in ("v", "q"), location in ("u", "q")
    along_y = axes.y.around(y, place.y, on_y)
    along_x = axes.x.around(x, place.x, on_x)
    known = _open_levels(grid, location)
    ny, nx = known.shape
    row = along_y.lower - grid.domain.block.y.start + HALO
    column = along_x.lower - grid.domain.block.x.start + HALO
    levels = [(np.zeros_like(row), np.ones(len(row)))]
    if depth is not None:
        upper, weight = _levels_around(grid, depth)
        levels = [(upper, 1.0 - weight), (upper + 1, weight)]

    index, weights = [], []
    for j, wy in ((0, 1.0 - along_y.weight), (1, along_y.weight)):
        for i, wx in ((0, 1.0 - along_x.weight), (1, along_x.weight)):
            for k, wz in levels:
                open_here = k < known[row + j, column + i]
                index.append((k * ny + row + j) * nx + column + i)
                weights.append(np.where(open_here, wy * wx * wz, 0.0))
    weight = np.stack(weights, axis=-1)
    index = np.where(weight > 0, np.stack(index, axis=-1), 0)
    return Stencil(index.astype(np.int32), weight / weight.sum(axis=-1, keepdims=True))


def _levels_around(grid: Grid, depth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The level whose centre lies above each depth, and the weight of the next one."""
    centres = -np.asarray(grid.levels.z.c.data, float)[:, 0, 0]
    if len(centres) == 1:
        return np.zeros(len(depth), int), np.zeros(len(depth))
    upper = np.clip(np.searchsorted(centres, depth, side="right") - 1, 0, len(centres) - 2)
    weight = (depth - centres[upper]) / (centres[upper + 1] - centres[upper])
    return upper, np.clip(weight, 0.0, 1.0)


def _open_levels(grid: Grid, location: Location) -> np.ndarray:
    """How many levels, from the top, have a value of a variable at ``location``:
    ``(ny + 2, nx + 2)``; at faces where one of the two cells is wet."""
    wet = grid.wet.c
    rows, columns = (
        slice(-HALO - 1 - span.start, n + HALO - span.start)
        for span, n in zip((wet.spans[Y], wet.spans[X]), grid.domain.shape, strict=True)
        if span is not None
    )
    cells = np.asarray(wet.data)[0, rows, columns]
    here = cells[1:, 1:]
    if location == "u":
        return np.maximum(here, cells[1:, :-1])
    if location == "v":
        return np.maximum(here, cells[:-1, 1:])
    return here
