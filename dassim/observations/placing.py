"""From tables to the observations that this rank owns, each at its moment and its place."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from dassim.grid import Grid
from dassim.grid.variables import Variable
from dassim.io.observations.table import ObservationError, ObservationTable
from dassim.observations.axes import Axes
from dassim.observations.rejections import Reason, Rejections, Sieve
from dassim.observations.stencil import Place, Stencil, level_of, place, stencil

EDGE = 1e-3
"""Seconds by which a time may lie outside a window: files count in days, which round."""


@dataclass(frozen=True)
class Moments:
    """When observations are compared with the run: ``times`` (s since the start, increasing), the
    end of the window being the last; the window begins at ``begin``."""

    begin: float
    times: tuple[float, ...]

    def nearest(self, time: np.ndarray) -> np.ndarray:
        """The number of the moment nearest to each time; of two, the later one."""
        between = 0.5 * (np.asarray(self.times[1:]) + np.asarray(self.times[:-1]))
        return np.searchsorted(between, time, side="right")

    def outside(self, time: np.ndarray) -> np.ndarray:
        return ~((time >= self.begin - EDGE) & (time <= self.times[-1] + EDGE))


@dataclass(frozen=True)
class Thinning:
    """At most one observation in a cell and level during ``window`` (s): the one nearest to the
    cell's centre, then the first of the file."""

    window: float


@dataclass(frozen=True)
class Placed:
    """Usable observations of one variable on one rank: ``table``, and for each row the number of
    its ``moment``, its ``level`` and the ``stencil`` of H."""

    variable: Variable
    table: ObservationTable
    moment: np.ndarray
    level: np.ndarray
    stencil: Stencil

    def __len__(self) -> int:
        return len(self.table)

    def take(self, rows: np.ndarray) -> Placed:
        return replace(
            self,
            table=self.table.take(rows),
            moment=self.moment[rows],
            level=self.level[rows],
            stencil=self.stencil.take(rows),
        )


@dataclass(frozen=True)
class Placer:
    """The grid and the moments on which observations are placed."""

    grid: Grid
    axes: Axes
    moments: Moments

    @classmethod
    def on(cls, grid: Grid, moments: Moments) -> Placer:
        """All ranks call this together."""
        return cls(grid, Axes.of(grid), moments)

    def __call__(
        self,
        term: str,
        variable: Variable,
        table: ObservationTable,
        thinning: Thinning | None = None,
    ) -> tuple[Placed, Rejections]:
        """The rows of ``table``, all of ``variable``, that this rank owns and that can be used.

        Every row is counted once, by its owner, or by the first rank if it has none. Sends no
        messages.
        """
        self.require_positions(table)
        y, x = self.axes.y.standard(table.y), self.axes.x.standard(table.x)
        row, column = self.axes.y.cells(y), self.axes.x.cells(x)
        mine = self._owned(row, column)
        table = table.take(mine)
        y, x, row, column = (each[mine] for each in (y, x, row, column))
        depth = table.depth if variable.levels else np.zeros(len(table))

        sieve = Sieve(len(table))
        numbers = np.abs([table.time, table.x, table.y, depth, table.value])
        sieve.reject(Reason.NOT_A_NUMBER, ~np.isfinite(numbers.sum(axis=0)))
        sieve.reject(Reason.QUALITY, ~table.good)
        sieve.reject(Reason.NO_ERROR, ~(np.isfinite(table.error) & (table.error > 0)))
        sieve.reject(Reason.WINDOW, self.moments.outside(table.time))
        sieve.reject(Reason.OUTSIDE, (row < 0) | (column < 0) | ~(depth >= 0))

        left = np.flatnonzero(sieve.kept)
        here = place(self.grid, row[left], column[left])
        level = level_of(self.grid, depth[left])
        sieve.reject(Reason.LAND, _among(sieve, left, here.levels == 0))
        sieve.reject(Reason.BOTTOM, _among(sieve, left, level >= here.levels))
        if thinning is not None:
            off_centre = self._off_centre(here, y[left], x[left])
            since = table.time[left] - self.moments.begin + EDGE
            window = np.floor(since / thinning.window)
            keys = np.stack([window, level, here.y, here.x], axis=-1)
            crowded = _crowded(keys, (off_centre, table.row[left]), sieve.kept[left])
            sieve.reject(Reason.THINNED, _among(sieve, left, crowded))

        final = sieve.kept[left]
        rows = left[final]
        placed = Placed(
            variable,
            table.take(rows),
            self.moments.nearest(table.time[rows]),
            level[final],
            stencil(
                self.grid,
                self.axes,
                variable.location,
                Place(*(each[final] for each in here)),
                x[rows],
                y[rows],
                depth[rows] if variable.levels else None,
            ),
        )
        return placed, Rejections({term: len(table)}, {term: sieve.counts})

    def _owned(self, row: np.ndarray, column: np.ndarray) -> np.ndarray:
        """Which cells this rank has; the first rank also has those that are none."""
        block = self.grid.domain.block
        nowhere = (row < 0) | (column < 0)
        inside = (
            (row >= block.y.start)
            & (row < block.y.stop)
            & (column >= block.x.start)
            & (column < block.x.stop)
        )
        return (inside & ~nowhere) | (nowhere & self.grid.domain.comm.is_root)

    def _off_centre(self, here: Place, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Squared distance from the cell's centre, in cells."""

        def along(axis, cells, positions):
            extent = axis.faces[cells + 1] - axis.faces[cells]
            return ((positions - axis.centres[cells]) / extent) ** 2

        return along(self.axes.y, here.y, y) + along(self.axes.x, here.x, x)

    def require_positions(self, table: ObservationTable) -> None:
        if table.geometry != self.axes.geometry:
            words = {"cartesian": "x and y in metres", "spherical": "longitude and latitude"}
            raise ObservationError(
                f"found observations at {words[table.geometry]}, expected "
                f"{words[self.axes.geometry]}, those of the grid; take a file for this grid"
            )


def _among(sieve: Sieve, rows: np.ndarray, which: np.ndarray) -> np.ndarray:
    """``which`` of ``rows``, as a mask of all."""
    mask = np.zeros(len(sieve.kept), bool)
    mask[rows] = which
    return mask


def _crowded(keys: np.ndarray, order: tuple[np.ndarray, ...], usable: np.ndarray) -> np.ndarray:
    """Usable rows that share their ``keys (n, m)`` with one that comes before in ``order``."""
    sequence = np.lexsort(order[::-1])
    sequence = sequence[usable[sequence]]
    _, first = np.unique(keys[sequence], axis=0, return_index=True)
    crowded = usable.copy()
    crowded[sequence[first]] = False
    return crowded
