"""Fields of netCDF files on longitudes and latitudes of their own, as fields of the model's grid.

Bilinear between the points of the file; over cells that are larger than those of the file, the mean
of what is bilinear.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import netCDF4
import numpy as np

from dassim.config.errors import KeyPath, NamelistError, Problem, mismatch
from dassim.config.files import FileVariable
from dassim.grid import Grid, taps
from dassim.grid.field import X, Y
from dassim.io.netcdf import LIBRARY

UNITS = {"lat": ("degrees_north", "degrees_n"), "lon": ("degrees_east", "degrees_e")}
NAMES = {"lat": ("lat", "latitude"), "lon": ("lon", "longitude")}
"""By which a dimension's coordinate is known."""


@dataclass(frozen=True)
class Regridded:
    """A variable of a file at the cells of the whole grid, ``(..., ny, nx)``, sliced like an array;
    NaN where it has no value. Each piece reads the file."""

    variable: FileVariable
    axes: tuple[int, int]
    """Positions of latitude and longitude among the file's dimensions."""
    rows: np.ndarray
    """Weights ``(ny, latitudes)``."""
    columns: np.ndarray
    """Weights ``(nx, longitudes)``."""

    @classmethod
    def onto(
        cls, grid: Grid, variable: FileVariable, key: KeyPath, *, complete: bool = False
    ) -> Regridded:
        """At the cells of ``grid``; ``key`` names the variable. Points of the file without a value
        take it from those around, or are refused if it has to be ``complete``. All ranks call this
        together."""
        if grid.horizontal.geometry != "spherical":
            message = mismatch(
                f"a grid that is {grid.horizontal.geometry}",
                "one of longitudes and latitudes",
                "bring the file to the points of the grid, and remove interpolate",
            )
            raise NamelistError([Problem(key, message)])
        axes, (latitudes, longitudes) = _axes(variable, key)
        south, north, west, east = _sides(grid)
        found = cls(
            variable,
            axes,
            _weights(south, north, latitudes),
            _weights(west, east, longitudes, 360.0),
        )
        if complete:
            found._require_values(key)
        return found

    def _require_values(self, key: KeyPath) -> None:
        """Refuse a point of the file that has no value and a part in some cell."""
        values = self.variable[(slice(None),) * len(self.variable.shape)]
        missing = np.moveaxis(~np.isfinite(values), self.axes, (-2, -1))
        taken = (np.asarray(weights.any(axis=0)) for weights in (self.rows, self.columns))
        missing &= np.logical_and.outer(*taken)
        places = np.argwhere(np.moveaxis(missing, (-2, -1), self.axes))
        if not len(places):
            return
        along = zip(self.variable.dimensions, places[0], strict=True)
        where = ", ".join(f"{dimension}={index}" for dimension, index in along)
        message = mismatch(
            f"no value of {self.name} at {where}, counted from 0, in {self.path} ({len(places)} "
            "without in all)",
            "a value at every point, below the ground and in the sea too",
            "fill the file",
        )
        raise NamelistError([Problem(key, message)])

    @property
    def path(self) -> Any:
        return self.variable.path

    @property
    def name(self) -> str:
        return self.variable.name

    @property
    def shape(self) -> tuple[int, ...]:
        return (*self._other(self.variable.shape), len(self.rows), len(self.columns))

    @property
    def dimensions(self) -> tuple[str, ...]:
        along = [self.variable.dimensions[axis] for axis in self.axes]
        return (*self._other(self.variable.dimensions), *along)

    def _other(self, values: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(value for axis, value in enumerate(values) if axis not in self.axes)

    def __getitem__(self, index: tuple[Any, ...]) -> np.ndarray:
        *front, rows, columns = index
        chosen = iter([each for each in front if each is not Ellipsis])
        whole = slice(None)
        places = [
            whole if axis in self.axes else next(chosen, whole)
            for axis in range(len(self.variable.shape))
        ]
        read = self.variable[tuple(places)]
        left = [axis for axis, place in enumerate(places) if place == whole]
        at = [left.index(axis) for axis in self.axes]
        return self._interpolated(np.moveaxis(read, at, (-2, -1)), rows, columns)

    def _interpolated(self, planes: np.ndarray, rows: slice, columns: slice) -> np.ndarray:
        """Without the points of the file that have no value."""

        def at_cells(planes: np.ndarray) -> np.ndarray:
            return self.rows[rows] @ planes @ self.columns[columns].T

        known = np.isfinite(planes)
        share = at_cells(known.astype(float))
        total = at_cells(np.where(known, planes, 0.0))
        return np.where(share > 0.0, total / np.where(share > 0.0, share, 1.0), np.nan)


def _sides(grid: Grid) -> list[np.ndarray]:
    """South, north, west and east of the whole grid's rows and columns."""
    found = []
    for faces, axis in ((grid.y.v, Y), (grid.x.u, X)):
        for side in taps(faces, axis, range(2), to="c"):
            whole = grid.domain.gather(np.broadcast_to(grid.owned(side), grid.domain.shape))
            found.append(np.asarray(whole[:, 0] if axis == Y else whole[0], float))
    return found


def _axes(
    variable: FileVariable, key: KeyPath
) -> tuple[tuple[int, int], tuple[np.ndarray, np.ndarray]]:
    """Where latitude and longitude are among the dimensions, and the degrees of their points."""
    found: dict[str, tuple[int, np.ndarray]] = {}
    with LIBRARY, netCDF4.Dataset(variable.path) as dataset:
        for axis, dimension in enumerate(variable.dimensions):
            if dimension not in dataset.variables or dataset[dimension].ndim != 1:
                continue
            coordinate = dataset[dimension]
            units = str(getattr(coordinate, "units", "")).lower()
            for kind, known in UNITS.items():
                if units in known or dimension.lower() in NAMES[kind]:
                    found[kind] = (axis, np.asarray(coordinate[...], float))
    missing = [kind for kind in ("lat", "lon") if kind not in found]
    if missing:
        message = mismatch(
            f"{variable.name} along {', '.join(variable.dimensions) or 'nothing'}, none of them "
            f"{' or '.join(NAMES[missing[0]])}, in {variable.path}",
            "coordinates lat and lon, in degrees_north and degrees_east",
            "add them, or remove interpolate",
        )
        raise NamelistError([Problem(key, message)])
    for kind, (_, degrees) in found.items():
        steps = np.diff(degrees)
        if not ((steps > 0).all() or (steps < 0).all()):
            message = mismatch(
                f"{NAMES[kind][1]}s {degrees} of {variable.name} in {variable.path}",
                "degrees that grow, or fall",
                "sort the file",
            )
            raise NamelistError([Problem(key, message)])
    (row, latitudes), (column, longitudes) = found["lat"], found["lon"]
    return (row, column), (latitudes, longitudes)


def _weights(
    low: np.ndarray, high: np.ndarray, points: np.ndarray, period: float = np.inf
) -> np.ndarray:
    """``(cells, points)``: shares of ``points`` in the means over cells from ``low`` to ``high`` of
    what is linear between them.

    Around a circle of ``period`` if the points go all around; else constant for one distance beyond
    the ends, and without a value farther out.

    >>> _weights(np.array([0.0, 1.0]), np.array([1.0, 2.0]), np.array([0.0, 1.0, 2.0]))
    array([[0.5, 0.5, 0. ],
           [0. , 0.5, 0.5]])
    """
    order = np.argsort(points)
    nodes = points[order]
    spacing = float(np.diff(nodes).max(initial=0.0)) or 180.0
    around = nodes[-1] - nodes[0] + 1.5 * spacing > period
    if around and nodes[-1] - nodes[0] < period:
        nodes = np.append(nodes, nodes[0] + period)
        order = np.append(order, order[0])
    parts = max(1, math.ceil(float((high - low).max()) / spacing - 1e-6))
    weights = np.zeros((len(low), len(points)))
    cells = np.arange(len(low))
    for part in range(parts):
        position = low + (high - low) * (part + 0.5) / parts
        if around:
            position = nodes[0] + np.mod(position - nodes[0], period)
        inside = (position >= nodes[0] - spacing) & (position <= nodes[-1] + spacing)
        before = np.clip(np.searchsorted(nodes, position, side="right") - 1, 0, len(nodes) - 2)
        share = (position - nodes[before]) / (nodes[before + 1] - nodes[before])
        share = np.clip(share, 0.0, 1.0)
        np.add.at(weights, (cells, order[before]), inside * (1.0 - share) / parts)
        np.add.at(weights, (cells, order[before + 1]), inside * share / parts)
    return weights
