"""Where a field is wanted: this rank's points of one kind, and where they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dassim.config.errors import KeyPath, NamelistError, Problem, mismatch
from dassim.config.horizontal import at_point
from dassim.grid import Field, Grid, Location, taps
from dassim.grid.field import X, Y

Axis = Literal["x", "y", "z"]


@dataclass(frozen=True)
class Basin:
    """This rank's grid, and the extent of the whole basin along each axis, low to high end."""

    grid: Grid
    extent: Mapping[str, tuple[float, float]]

    @classmethod
    def of(cls, grid: Grid) -> Basin:
        """All ranks call this together."""

        def along(faces: Field, axis: int) -> tuple[float, float]:
            low, high = (grid.owned(side) for side in taps(faces, axis, range(2), to="c"))
            ends = grid.domain.comm.allgather((float(low.min()), float(high.max())))
            return min(low for low, _ in ends), max(high for _, high in ends)

        bottom = grid.levels.z.f.data[-1].item()
        return cls(grid, {"x": along(grid.x.u, X), "y": along(grid.y.v, Y), "z": (bottom, 0.0)})

    def points(self, location: Location, *, surface: bool = False) -> Points:
        return Points(self.grid, location, self.extent, surface)


@dataclass(frozen=True)
class Points:
    """Owned points of one location, on all levels or, with ``surface``, of the top level alone."""

    grid: Grid
    location: Location
    extent: Mapping[str, tuple[float, float]]
    surface: bool = False

    def position(self, axis: Axis, key: KeyPath) -> np.ndarray:
        """Coordinates that broadcast to ``(nz, ny, nx)``; ``key`` asks for them."""
        if axis != "z":
            return np.asarray(self.grid.owned(getattr(getattr(self.grid, axis), self.location)))
        if self.surface:
            message = mismatch("z", "x or y, along the surface", "choose another axis")
            raise NamelistError([Problem((*key, "axis"), message)])
        return np.asarray(self.grid.levels.z.c.data)

    def fraction(self, axis: Axis, key: KeyPath) -> np.ndarray:
        """Positions from 0 at the low end of the basin to 1 at its high end."""
        low, high = self.extent[axis]
        return (self.position(axis, key) - low) / (high - low)

    def require_inside(self, axis: Axis, position: float, key: KeyPath) -> None:
        """Refuse a ``position`` at ``key`` that lies outside of the basin."""
        low, high = self.extent[axis]
        if not low <= position <= high:
            message = mismatch(
                f"{axis} = {position:g}",
                f"a position within the grid, {low:g} to {high:g}",
                "correct the position or its unit",
            )
            raise NamelistError([Problem(key, message)])

    @property
    def wet(self) -> np.ndarray:
        """Which of the points are wet: ``(nz, ny, nx)``, with ``surface`` ``(1, ny, nx)``."""
        mask = np.asarray(self.grid.owned_mask(self.location))
        return mask[:1] if self.surface else mask


def first_point(grid: Grid, found: np.ndarray) -> str | None:
    """In words, the first point over all ranks where ``found (nz, ny, nx)`` holds, south first;
    ``None`` if it holds nowhere. All ranks call this together."""
    here, place = np.argwhere(np.moveaxis(found, 0, -1)), None
    if len(here):
        j, i, level = (int(index) for index in here[0])
        x, y = (float(grid.owned(getattr(grid, axis).c)[j, i]) for axis in ("x", "y"))
        row, column = grid.domain.block.y[j], grid.domain.block.x[i]
        words = at_point(row, column, x, y, grid.horizontal.geometry)
        place = (row, column, words if len(found) == 1 else f"{words}, level {level}")
    places = [place for place in grid.domain.comm.allgather(place) if place]
    return min(places)[-1] if places else None
