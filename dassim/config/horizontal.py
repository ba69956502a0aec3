"""From the ``grid`` section to horizontal geometry."""

from __future__ import annotations

from functools import singledispatch
from typing import Any, NamedTuple

import numpy as np

from dassim.config.errors import NamelistError, Problem, mismatch
from dassim.config.files import FileVariable, file_variable, variable_names
from dassim.config.schema.grid import CartesianGrid, GridFromFile, LatLonGrid
from dassim.grid import HorizontalGrid, cartesian, latlon, orthogonal
from dassim.grid.horizontal import Geometry
from dassim.parallel import Domain

FILE = ("grid", "file")
POINTS = ("c", "u", "v", "q")
UNITS = {"dx": "m", "dy": "m", "coriolis": "s-1", "area": "m2", "x": None, "y": None}
REQUIRED = ("dx", "dy", "coriolis")


COORDINATES: dict[Geometry, str] = {
    "cartesian": "x = {x:g} m, y = {y:g} m",
    "spherical": "longitude {x:g}, latitude {y:g}",
    "orthogonal": "x = {x:g}, y = {y:g}",
}
"""How people name a point of each geometry."""


def at_point(row: int, column: int, x: float, y: float, geometry: Geometry) -> str:
    """A point in the words of every message: global indices from 0, and coordinates."""
    return f"row {row}, column {column} ({COORDINATES[geometry].format(x=x, y=y)})"


class Centres(NamedTuple):
    """Where the cells of the whole grid are: coordinates that broadcast to ``(ny, nx)``.

    Metres; degrees of latitude and longitude on the sphere; indices for a file without positions.
    Arrays, or variables of a file that are sliced like arrays.
    """

    y: Any
    x: Any
    geometry: Geometry = "cartesian"

    @property
    def shape(self) -> tuple[int, int]:
        ny, nx = np.broadcast_shapes(self.y.shape, self.x.shape)
        return ny, nx

    def at(self, index: Any) -> tuple[np.ndarray, np.ndarray]:
        """``x`` and ``y`` at the ``index`` of an array (ny, nx)."""

        def part(coordinate: Any) -> np.ndarray:
            whole = coordinate.shape == self.shape
            return (coordinate if whole else np.broadcast_to(coordinate, self.shape))[index]

        return part(self.x), part(self.y)

    def name(self, row: int, column: int) -> str:
        """The cell in words."""
        cell = slice(row, row + 1), slice(column, column + 1)
        x, y = (position.item() for position in self.at(cell))
        return at_point(row, column, x, y, self.geometry)


@singledispatch
def cell_centres(config: Any) -> Centres:
    """Positions of all cells of the grid ``config``."""
    y, x = (0.5 * (faces[:-1] + faces[1:]) for faces in config.faces)
    geometry = "spherical" if isinstance(config, LatLonGrid) else "cartesian"
    return Centres(y[:, None], x[None, :], geometry)


@cell_centres.register
def _(config: GridFromFile) -> Centres:
    metrics = metric_variables(config)
    ny, nx = metrics["dx_c"].shape
    if "x_c" in metrics and "y_c" in metrics:
        return Centres(metrics["y_c"], metrics["x_c"], "orthogonal")
    return Centres(np.arange(float(ny))[:, None], np.arange(float(nx))[None, :], "orthogonal")


@singledispatch
def build_horizontal(config: Any, domain: Domain, precision: str) -> HorizontalGrid:
    """The horizontal geometry of this rank's part."""
    raise TypeError(f"found a grid of {type(config)}; expected a type that is registered")


@build_horizontal.register
def _(config: CartesianGrid, domain: Domain, precision: str) -> HorizontalGrid:
    y, x = config.faces
    return cartesian(domain, x, y, f0=config.f0, beta=config.beta, dtype=precision)


@build_horizontal.register
def _(config: LatLonGrid, domain: Domain, precision: str) -> HorizontalGrid:
    latitude, longitude = config.faces
    return latlon(
        domain,
        longitude,
        latitude,
        radius=config.radius,
        rotation=config.rotation,
        dtype=precision,
    )


@build_horizontal.register
def _(config: GridFromFile, domain: Domain, precision: str) -> HorizontalGrid:
    return orthogonal(domain, dict(metric_variables(config)), dtype=precision)


def metric_variables(config: GridFromFile) -> dict[str, FileVariable]:
    """The variables of a grid file, all of one shape ``(ny, nx)``."""
    names = variable_names(config.file, FILE)
    missing = [f"{name}_{at}" for name in REQUIRED for at in POINTS if f"{name}_{at}" not in names]
    if missing:
        message = mismatch(
            f"no variable {', '.join(missing)} in {config.file}",
            "the metrics of a C-grid",
            "add them",
        )
        raise NamelistError([Problem(FILE, message)])
    known = {f"{name}_{at}": unit for name, unit in UNITS.items() for at in POINTS}
    metrics = {
        name: file_variable(config.file, name, FILE, unit)
        for name, unit in known.items()
        if name in names
    }
    shape = metrics["dx_c"].shape
    wrong = next((v for v in metrics.values() if v.shape != shape or len(shape) != 2), None)
    if wrong:
        message = mismatch(
            f"{wrong.name} of shape {wrong.shape} in {config.file}",
            f"one shape (ny, nx) for all, {shape} as dx_c",
            "correct the file",
        )
        raise NamelistError([Problem(FILE, message)])
    return metrics
