"""Horizontal grids. ``nx`` and ``ny`` count cells eastward and northward."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field, Strict, model_validator

from dassim.config.explain import refuse
from dassim.config.paths import InputFile
from dassim.config.schema.section import Count, Section, exactly_one
from dassim.config.units import (
    AngularSpacing,
    Frequency,
    FrequencyGradient,
    Latitude,
    Length,
    Longitude,
    Position,
    Spacing,
)

Axes = Annotated[tuple[Literal["x", "y"], ...], Strict(False), Field(examples=["[x]"])]
AxisX = Annotated[tuple[Literal["x"], ...], Strict(False), Field(examples=["[x]"])]


class CartesianGrid(Section):
    """A plane, with the Coriolis parameter f = f0 + beta y."""

    type: Literal["cartesian"]
    nx: Annotated[Count, Field(examples=[64])]
    """Number of cells along x."""
    ny: Annotated[Count, Field(examples=[64])]
    """Number of cells along y."""
    lx: Length | None = None
    """Extent along x. Give this or dx."""
    ly: Length | None = None
    """Extent along y. Give this or dy."""
    dx: Spacing | None = None
    """Spacing along x: one for all cells, or a list of nx, west first."""
    dy: Spacing | None = None
    """Spacing along y: one for all cells, or a list of ny, south first."""
    origin: Annotated[tuple[Position, Position], Strict(False)] = (0.0, 0.0)
    """Position [x, y] of the south-western corner [m]."""
    periodic: Axes = ()
    """Axes without walls: [], [x], [y] or [x, y]."""
    f0: Frequency = 0.0
    """Coriolis parameter at y = 0."""
    beta: FrequencyGradient = 0.0
    """Northward gradient of the Coriolis parameter."""

    @model_validator(mode="after")
    def _check(self):
        exactly_one(self, ("lx",), ("dx",))
        exactly_one(self, ("ly",), ("dy",))
        _check_count(self, "dx", "nx")
        _check_count(self, "dy", "ny")
        if self.beta and "y" in self.periodic:
            found = f"beta = {self.beta:g} with y periodic"
            expected = "a Coriolis parameter that is periodic, too"
            raise refuse(expected, "write beta: 0, or close y", key="beta", found=found)
        return self

    @property
    def faces(self) -> tuple[np.ndarray, np.ndarray]:
        """Coordinates (m) of the ``ny + 1`` and ``nx + 1`` faces, south and west first."""
        x, y = self.origin
        return _faces(self.ny, y, self.dy, self.ly), _faces(self.nx, x, self.dx, self.lx)


class LatLonGrid(Section):
    """The sphere in longitude and latitude, with f = 2 rotation sin(latitude)."""

    type: Literal["latlon"]
    nx: Annotated[Count, Field(examples=[90])]
    """Number of cells along a circle of latitude."""
    ny: Annotated[Count, Field(examples=[40])]
    """Number of cells along a meridian."""
    lon: Annotated[tuple[Longitude, Longitude], Strict(False)] | None = None
    """Western and eastern edge [degrees]. Give this, or lon0 and dlon."""
    lat: Annotated[tuple[Latitude, Latitude], Strict(False)] | None = None
    """Southern and northern edge [degrees]. Give this, or lat0 and dlat."""
    lon0: Longitude | None = None
    """Western edge."""
    dlon: AngularSpacing | None = None
    """Spacing in longitude: one for all cells, or a list of nx, west first."""
    lat0: Latitude | None = None
    """Southern edge."""
    dlat: AngularSpacing | None = None
    """Spacing in latitude: one for all cells, or a list of ny, south first."""
    periodic: AxisX = ()
    """Axes without walls: [] or, around the whole circle, [x]."""
    radius: Length = 6.371e6
    """Radius of the sphere."""
    rotation: Frequency = 7.2921e-5
    """Angular speed of the rotation."""

    @model_validator(mode="after")
    def _check(self):
        exactly_one(self, ("lon",), ("lon0", "dlon"))
        exactly_one(self, ("lat",), ("lat0", "dlat"))
        _check_count(self, "dlon", "nx")
        _check_count(self, "dlat", "ny")
        latitudes, longitudes = self.faces
        _check_edges(latitudes, "from -90 to 90 degrees, south first", "lat", "dlat", self, 90.0)
        _check_edges(longitudes, "at most 360 degrees, west first", "lon", "dlon", self, np.inf)
        extent = longitudes[-1] - longitudes[0]
        sectors = 360.0 / extent
        if self.periodic and not np.isclose(sectors, np.rint(sectors)):
            found = f"x periodic over {extent:g} degrees"
            expected = "360 degrees or a whole fraction of it"
            raise refuse(expected, "correct lon or dlon", key="periodic", found=found)
        return self

    @property
    def faces(self) -> tuple[np.ndarray, np.ndarray]:
        """Latitudes of the ``ny + 1`` and longitudes of the ``nx + 1`` faces (degrees)."""
        return (
            _faces(self.ny, *_start_spacing_extent(self.lat0, self.dlat, self.lat)),
            _faces(self.nx, *_start_spacing_extent(self.lon0, self.dlon, self.lon)),
        )


class GridFromFile(Section):
    """Any orthogonal grid, from the metrics in a netCDF file.

    Variables (y, x): dx_c, dx_u, dx_v, dx_q and dy_* in m, coriolis_* in s-1; area_* in m2 and
    the positions x_*, y_* may be left out. At cells (c), western faces (u), southern faces (v) and
    south-western corners (q).
    """

    type: Literal["file"]
    file: InputFile
    """A netCDF file with the metrics."""
    periodic: Axes = ()
    """Axes without walls: [], [x], [y] or [x, y]."""


HorizontalGrid = Annotated[CartesianGrid | LatLonGrid | GridFromFile, Field(discriminator="type")]

SpacingOrNone = float | tuple[float, ...] | None


def _start_spacing_extent(
    start: float | None, spacing: SpacingOrNone, edges: tuple[float, float] | None
) -> tuple[float, SpacingOrNone, float | None]:
    if edges is not None:
        return edges[0], None, edges[1] - edges[0]
    assert start is not None, "exactly_one has made sure of it"
    return start, spacing, None


def _faces(count: int, start: float, spacing: SpacingOrNone, extent: float | None) -> np.ndarray:
    """Coordinates of ``count + 1`` faces, from one or many spacings or from the extent."""
    if isinstance(spacing, tuple):
        return start + np.concatenate([[0.0], np.cumsum(spacing)])
    if spacing is not None:
        return start + spacing * np.arange(count + 1)
    assert extent is not None, "exactly_one has made sure of it"
    return start + np.linspace(0.0, extent, count + 1)


def _check_count(grid: Section, spacing: str, count: str) -> None:
    """A list of spacings has one entry per cell."""
    values, cells = getattr(grid, spacing), getattr(grid, count)
    if isinstance(values, tuple) and len(values) != cells:
        raise refuse(
            f"one for each of {count} = {cells} cells",
            f"correct the list or {count}",
            found=f"{len(values)} spacings",
            key=spacing,
        )


def _check_edges(
    faces: np.ndarray, expected: str, edges: str, spacing: str, grid: LatLonGrid, limit: float
) -> None:
    low, high = faces[0], faces[-1]
    if not low < high <= low + 360 * (1 + 1e-9) or max(abs(low), abs(high)) > limit * (1 + 1e-9):
        key = spacing if getattr(grid, edges) is None else edges
        remedy = "correct the edges" if key == edges else f"correct the start or {spacing}"
        raise refuse(expected, remedy, key=key, found=f"a grid from {low:g} to {high:g} degrees")
