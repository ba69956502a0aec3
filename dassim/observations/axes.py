"""Where positions lie on the whole grid: the same answer on every rank."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from dassim.grid import Field, Grid
from dassim.grid.field import X, Y
from dassim.grid.horizontal import GridError
from dassim.io.observations.table import Geometry

TURN = 360.0
"""Degrees of longitude after which positions repeat."""


class Neighbours(NamedTuple):
    """Points below a position along an axis (the next one lies above it), and the weight of the one
    above."""

    lower: np.ndarray
    weight: np.ndarray


@dataclass(frozen=True)
class Axis:
    """All of one horizontal axis: ``centres (n,)`` and ``faces (n + 1,)``, increasing.

    ``periodic``: whether the grid wraps around; ``turn``: after which coordinates mean the same.
    """

    centres: np.ndarray
    faces: np.ndarray
    periodic: bool = False
    turn: float | None = None

    def standard(self, positions: np.ndarray) -> np.ndarray:
        """``positions`` moved by whole turns to the first that lies on the axis or beyond it."""
        if self.turn is None:
            return positions
        first = self.faces[0]
        return first + np.mod(np.where(np.isfinite(positions), positions, first) - first, self.turn)

    def cells(self, positions: np.ndarray) -> np.ndarray:
        """The cell around each position, -1 outside. A face belongs to the cell above it; the last
        face, of an axis that does not wrap around, to the last cell."""
        cells = np.searchsorted(self.faces, positions, side="right") - 1
        n = len(self.centres)
        cells = np.where((cells == n) & (positions == self.faces[-1]), n - 1, cells)
        return np.where((cells >= 0) & (cells < n), cells, -1)

    def around(self, positions: np.ndarray, cells: np.ndarray, faces: bool) -> Neighbours:
        """The two faces, or the two centres, around positions in ``cells``."""
        if faces:
            low, high, lower = self.faces[cells], self.faces[cells + 1], cells
        else:
            wide = self._continued()
            lower = cells - (positions < self.centres[cells])
            low, high = wide[lower + 1], wide[lower + 2]
        return Neighbours(lower, (positions - low) / (high - low))

    def _continued(self) -> np.ndarray:
        """Centres with one more at each end: the other end's where it wraps around, else mirrored
        at the wall."""
        first, last = self.faces[0], self.faces[-1]
        if self.periodic:
            before, after = self.centres[-1] - (last - first), self.centres[0] + (last - first)
        else:
            before, after = 2 * first - self.centres[0], 2 * last - self.centres[-1]
        return np.concatenate([[before], self.centres, [after]])


@dataclass(frozen=True)
class Axes:
    """Both horizontal axes of a grid whose x and y do not depend on each other."""

    y: Axis
    x: Axis
    geometry: Geometry

    @classmethod
    def of(cls, grid: Grid) -> Axes:
        """The whole of the grid. All ranks call this together."""
        domain = grid.domain
        parts = domain.comm.allgather(
            (
                domain.block.y.start,
                domain.block.x.start,
                _along(grid.y.c, Y, domain.shape[0]),
                _along(grid.y.v, Y, domain.shape[0] + 1),
                _along(grid.x.c, X, domain.shape[1]),
                _along(grid.x.u, X, domain.shape[1] + 1),
            )
        )
        if any(each is None for part in parts for each in part):
            raise GridError(
                "point observations: found a grid whose x changes along y; expected one of "
                "type cartesian or latlon"
            )
        spherical = grid.horizontal.geometry == "spherical"
        return cls(
            _axis({y: (c, f) for y, _, c, f, _, _ in parts}, domain.periodic[0], None),
            _axis(
                {x: (c, f) for _, x, _, _, c, f in parts},
                domain.periodic[1],
                TURN if spherical else None,
            ),
            "spherical" if spherical else "cartesian",
        )


def _axis(
    parts: dict[int, tuple[np.ndarray, np.ndarray]], periodic: bool, turn: float | None
) -> Axis:
    ordered = [parts[start] for start in sorted(parts)]
    centres = np.concatenate([centres for centres, _ in ordered])
    faces = np.concatenate([*(faces[:-1] for _, faces in ordered), ordered[-1][1][-1:]])
    if periodic and turn is None:
        turn = float(faces[-1] - faces[0])
    return Axis(centres, faces, periodic, turn)


def _along(positions: Field, axis: int, count: int) -> np.ndarray | None:
    """The first ``count`` owned positions along ``axis``, ``None`` if they depend on the other."""
    data, span = np.asarray(positions.data, float)[0], positions.spans[axis]
    line = np.moveaxis(data, axis - 1, 0)
    if span is None or not (line == line[:, :1]).all():
        return None
    return line[-span.start : count - span.start, 0]
