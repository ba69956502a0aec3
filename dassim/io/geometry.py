"""Coordinates, bounds, masks and metrics of a block of the grid, as files hold them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from dassim.grid import Field, Grid
from dassim.grid.field import LOCATIONS, X, Y
from dassim.grid.horizontal import HORIZONTAL
from dassim.grid.levels import REFERENCE_PRESSURE
from dassim.grid.variables import Variable
from dassim.io.mosaic import Region, assemble
from dassim.parallel import Domain

Attributes = Mapping[str, Any]

LATITUDE: Attributes = {
    "standard_name": "latitude",
    "long_name": "latitude",
    "units": "degrees_north",
    "axis": "Y",
}
LONGITUDE: Attributes = {
    "standard_name": "longitude",
    "long_name": "longitude",
    "units": "degrees_east",
    "axis": "X",
}
DEPTH: Attributes = {
    "standard_name": "depth",
    "units": "m",
    "positive": "down",
    "axis": "Z",
}
SIGMA: Attributes = {
    "standard_name": "atmosphere_sigma_coordinate",
    "units": "1",
    "positive": "down",
    "axis": "Z",
}
HYBRID: Attributes = {
    "standard_name": "atmosphere_hybrid_sigma_pressure_coordinate",
    "units": "1",
    "positive": "down",
    "axis": "Z",
}
WHERE = {"c": "cells", "u": "x-faces", "v": "y-faces", "q": "corners", "w": "upper faces"}

METRICS: Mapping[str, tuple[str, Variable]] = {
    "area": ("area", Variable("cell_area", "c", "m2", "area of the cell", "cell_area", False)),
    "coriolis": (
        "coriolis",
        Variable("coriolis", "c", "s-1", "Coriolis parameter", "coriolis_parameter", False),
    ),
    "depth": (
        "depth",
        Variable(
            "bottom_depth",
            "c",
            "m",
            "depth of the bottom below the surface at rest",
            "sea_floor_depth_below_geoid",
            False,
        ),
    ),
    "dx_c": ("dx", Variable("dx", "c", "m", "extent of the cell along x", None, False)),
    "dy_c": ("dy", Variable("dy", "c", "m", "extent of the cell along y", None, False)),
    "dy_u": ("dy", Variable("dy_u", "u", "m", "length of the x-face", None, False)),
    "dx_v": ("dx", Variable("dx_v", "v", "m", "length of the y-face", None, False)),
}
"""Fields ``(y, x)`` of the grid that are written once: the attribute of Grid, and metadata."""


@dataclass(frozen=True)
class Coordinate:
    """Positions along one dimension, or of the points of a plane; ``bounds``: the ends (last axis)
    of each cell, or its corners."""

    dims: tuple[str, ...]
    values: np.ndarray
    attributes: Attributes
    bounds: np.ndarray | None = None


@dataclass(frozen=True)
class Geometry:
    """One block of a grid.

    * ``dims``: names of the dimensions along (z, y, x), by location;
    * ``coordinates``: by name; those named like their one dimension are CF coordinate variables;
    * ``masks``: wet points ``(nz, ny, nx)``, by location; empty where there is no land;
    * ``metrics``: fields ``(ny, nx)`` of the grid.
    """

    dims: Mapping[str, tuple[str, str, str]]
    coordinates: Mapping[str, Coordinate] = field(default_factory=dict)
    masks: Mapping[str, np.ndarray] = field(default_factory=dict)
    metrics: Mapping[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(cls, model: Any) -> Geometry:
        """The block of this rank of ``model``: of its ``grid``, or of indices without one."""
        grid = getattr(model, "grid", None)
        return of_indices(model.domain) if grid is None else of_grid(grid)

    def dims_of(self, variable: Variable) -> tuple[str, ...]:
        """Names of the dimensions of a record of ``variable``."""
        dims = self.dims[variable.location]
        return dims if variable.levels else dims[1:]

    def mask_of(self, variable: Variable) -> np.ndarray | None:
        """Where ``variable`` has values; ``None`` for everywhere."""
        mask = self.masks.get(variable.location)
        return mask if mask is None or variable.levels else mask[0]

    def coordinates_of(self, dims: Iterable[str]) -> dict[str, Coordinate]:
        """Those whose dimensions are all among ``dims``."""
        present = set(dims)
        return {
            name: coordinate
            for name, coordinate in self.coordinates.items()
            if present.issuperset(coordinate.dims)
        }

    def auxiliary(self, dims: Iterable[str]) -> list[str]:
        """Names of the coordinates of ``dims`` that are not themselves dimensions."""
        return [n for n, c in self.coordinates_of(dims).items() if c.dims != (n,)]

    def cut(self, levels: Sequence[int] | None) -> Geometry:
        """With these levels alone. The surface's mask stays that of the topmost one chosen."""
        if levels is None:
            return self
        chosen = list(levels)
        vertical = {dims[0] for dims in self.dims.values()}

        def cut(coordinate: Coordinate) -> Coordinate:
            if coordinate.dims[0] not in vertical:
                return coordinate
            bounds = coordinate.bounds
            return replace(
                coordinate,
                values=coordinate.values[chosen],
                bounds=None if bounds is None else bounds[chosen],
            )

        return replace(
            self,
            coordinates={name: cut(each) for name, each in self.coordinates.items()},
            masks={location: mask[chosen] for location, mask in self.masks.items()},
        )


def join(parts: Sequence[Geometry], regions: Sequence[Region]) -> Geometry:
    """The geometry of the rectangle that ``regions`` make up, from those of each."""
    first, around = parts[0], Region.around(regions)

    def whole(pick: Callable[[Geometry], Any], dims: tuple[str, ...]) -> np.ndarray:
        return assemble([pick(part) for part in parts], dims, regions, around)

    def coordinate(name: str) -> Coordinate:
        one = first.coordinates[name]
        values = whole(lambda part: part.coordinates[name].values, one.dims)
        bounds = one.bounds
        if bounds is not None:
            bounds = whole(lambda part: part.coordinates[name].bounds, (*one.dims, "bnds"))
        return replace(one, values=values, bounds=bounds)

    def mask(location: str) -> np.ndarray:
        return whole(lambda part: part.masks[location], first.dims[location])

    def metric(name: str) -> np.ndarray:
        dims = first.dims[METRICS[name][1].location][1:]
        return whole(lambda part: part.metrics[name], dims)

    return Geometry(
        first.dims,
        {name: coordinate(name) for name in first.coordinates},
        {location: mask(location) for location in first.masks},
        {name: metric(name) for name in first.metrics},
    )


# -- from a grid ----------------------------------------------------------------------------------


def of_grid(grid: Grid) -> Geometry:
    """This rank's block of ``grid``."""
    spherical = grid.horizontal.geometry == "spherical"
    y, x = ("lat", "lon") if spherical else ("y", "x")
    along_y, along_x = {"c": y, "f": f"{y}_v"}, {"c": x, "f": f"{x}_u"}
    vertical = grid.levels.coordinate
    along_z = {"c": vertical, "f": f"{vertical}_w"}
    dims = {
        location: (along_z[z], along_y[at_y], along_x[at_x])
        for location, (z, at_y, at_x) in LOCATIONS.items()
    }
    flat = grid.x.c.spans[Y] is None and grid.y.c.spans[X] is None
    horizontal = _axes(grid, dims, spherical) if flat else _planes(grid, dims)
    return Geometry(dims, horizontal | _levels(grid), _masks(grid), _metrics(grid))


def _axes(
    grid: Grid, dims: Mapping[str, tuple[str, str, str]], spherical: bool
) -> dict[str, Coordinate]:
    """Coordinates that depend on x alone and on y alone."""

    def along_x(field: Field, shift: int = 0) -> np.ndarray:
        return _at(grid, field, 0, shift)[0]

    def along_y(field: Field, shift: int = 0) -> np.ndarray:
        values = _at(grid, field, shift, 0)[:, 0]
        return np.clip(values, -90.0, 90.0) if spherical else values

    def attributes(axis: str, location: str) -> Attributes:
        if spherical:
            named = LONGITUDE if axis == "X" else LATITUDE
            return {**named, "long_name": f"{named['long_name']} of {WHERE[location]}"}
        return {
            "standard_name": f"projection_{axis.lower()}_coordinate",
            "long_name": f"distance along {axis.lower()} of {WHERE[location]}",
            "units": "m",
            "axis": axis,
        }

    def coordinate(name: str, values, ends, axis: str, location: str) -> Coordinate:
        return Coordinate((name,), values, attributes(axis, location), np.stack(ends, axis=-1))

    x, y = grid.x, grid.y
    names = {"x": dims["c"][2], "x_u": dims["u"][2], "y": dims["c"][1], "y_v": dims["v"][1]}
    made = (
        coordinate(names["y"], along_y(y.c), (along_y(y.v), along_y(y.v, 1)), "Y", "c"),
        coordinate(names["y_v"], along_y(y.v), (along_y(y.c, -1), along_y(y.c)), "Y", "v"),
        coordinate(names["x"], along_x(x.c), (along_x(x.u), along_x(x.u, 1)), "X", "c"),
        coordinate(names["x_u"], along_x(x.u), (along_x(x.c, -1), along_x(x.c)), "X", "u"),
    )
    return {each.dims[0]: each for each in made}


def _planes(grid: Grid, dims: Mapping[str, tuple[str, str, str]]) -> dict[str, Coordinate]:
    """Positions of all points of a curvilinear grid, with the corners of its cells."""

    def plane(axis: str, location: str) -> Coordinate:
        positions = getattr(grid, axis)
        shape = grid.domain.shape
        values = np.broadcast_to(_at(grid, getattr(positions, location), 0, 0), shape)
        corners = None
        if location == "c":
            around = ((0, 0), (0, 1), (1, 1), (1, 0))
            ends = [np.broadcast_to(_at(grid, positions.q, *shift), shape) for shift in around]
            corners = np.stack(ends, axis=-1)
        text = f"position along {axis} of {WHERE[location]}, as in the grid's file"
        return Coordinate(dims[location][1:], values, {"long_name": text}, corners)

    return {
        f"{axis}_at_{at}": plane(axis, at) for axis in ("x", "y") for at in ("c", "u", "v", "q")
    }


def _levels(grid: Grid) -> dict[str, Coordinate]:
    """Depths (m, down), sigma or hybrid coordinate of levels at rest and of their upper faces; a
    layer has none."""
    name = grid.levels.coordinate
    if name == "layer":
        return {}
    centres = -np.asarray(grid.levels.z.c.data, float)[:, 0, 0]
    faces = -np.asarray(grid.levels.z.f.data, float)[:, 0, 0]
    if grid.levels.b is not None:
        a, b = _hybrid_faces(grid)
        faces = a / REFERENCE_PRESSURE + b
        centres = 0.5 * (faces[:-1] + faces[1:])
    above = np.concatenate([faces[:1], centres[:-1]])
    shared, text = {
        "depth": (DEPTH, "depth of {}, with the surface at rest"),
        "sigma": (SIGMA, "pressure over that at the ground of {}"),
        "hybrid": (HYBRID, "pressure of {} over 100000 Pa, where the ground carries as much"),
    }[name]

    def column(name: str, values: np.ndarray, low: np.ndarray, high: np.ndarray, of: str):
        attributes = {**shared, "long_name": text.format(of)}
        return Coordinate((name,), values + 0.0, attributes, np.stack([low, high], -1) + 0.0)

    axes = {
        name: column(name, centres, faces[:-1], faces[1:], "levels"),
        f"{name}_w": column(f"{name}_w", faces[:-1], above, centres, "upper faces of levels"),
    }
    return axes if grid.levels.a is None else axes | _hybrid_parts(grid)


def _hybrid_faces(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """``a`` (Pa) and ``b`` of the faces at the pressure ``a + b ps``."""
    a, b = (
        np.zeros(1) if part is None else np.asarray(part.data, float).ravel()
        for part in (grid.levels.a, grid.levels.b)
    )
    return a, b


def _hybrid_parts(grid: Grid) -> dict[str, Coordinate]:
    """``hybrid_a + hybrid_b ps``: pressure at the middle of the levels, and at their faces."""

    def part(faces: np.ndarray, units: str, of: str) -> Coordinate:
        attributes = {"units": units, "long_name": f"{of} of the pressure hybrid_a + hybrid_b ps"}
        ends = np.stack([faces[:-1], faces[1:]], axis=-1)
        return Coordinate(("hybrid",), ends.mean(axis=-1), attributes, ends)

    a, b = _hybrid_faces(grid)
    return {
        "hybrid_a": part(a, "Pa", "part that is fixed"),
        "hybrid_b": part(b, "1", "share of that at the ground"),
    }


def _masks(grid: Grid) -> dict[str, np.ndarray]:
    """Of fluids that have a bottom under water, and so land."""
    if grid.levels.coordinate != "depth":
        return {}
    masks = {at: np.asarray(grid.owned_mask(at)) for at in HORIZONTAL}
    return masks | {"w": masks["c"]}


def _metrics(grid: Grid) -> dict[str, np.ndarray]:
    def whole(attribute: str, location: str) -> np.ndarray:
        owned = grid.owned(getattr(getattr(grid, attribute), location))
        plane = np.asarray(owned, float).reshape(-1, *np.shape(owned)[-2:])[0]
        return np.array(np.broadcast_to(plane, grid.domain.shape))

    return {
        name: whole(attribute, variable.location)
        for name, (attribute, variable) in METRICS.items()
        if name != "depth" or grid.levels.coordinate == "depth"
    }


def _at(grid: Grid, field: Field, shift_y: int, shift_x: int) -> np.ndarray:
    """The values at the owned points shifted by so many points; axes without span have length 1."""
    data = np.asarray(field.data, float)[0]
    for axis, shift in ((Y, shift_y), (X, shift_x)):
        span = field.spans[axis]
        if span is not None:
            start = shift - span.start
            points = range(start, start + grid.domain.shape[axis - 1])
            data = np.take(data, points, axis=axis - 1)
    return data


def of_indices(domain: Domain) -> Geometry:
    """The block of a model without a grid: positions are the global indices of points."""
    block = domain.block

    def index(name: str, points: range, axis: str) -> Coordinate:
        attributes = {"long_name": f"{name} of the grid", "units": "1", "axis": axis}
        return Coordinate((name,), np.asarray(points, float), attributes)

    return Geometry(
        dict.fromkeys(LOCATIONS, ("level", "row", "column")),
        {"row": index("row", block.y, "Y"), "column": index("column", block.x, "X")},
    )
