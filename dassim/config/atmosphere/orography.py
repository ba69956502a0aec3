"""From the ``orography`` section to the height of the ground."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import numpy as np

from dassim.atmosphere.planet import distance, positions
from dassim.config.errors import NamelistError, Problem, mismatch
from dassim.config.files import file_variable
from dassim.config.points import first_point
from dassim.config.regridding import Regridded
from dassim.config.schema.atmosphere.orography import Bell, Cone, FlatGround, OrographyFromFile
from dassim.grid import Grid

SECTION = ("orography",)


def ground_height(section: Any, grid: Grid) -> np.ndarray:
    """Height (m) of the ground at this rank's cells, ``(ny, nx)``. All ranks call this together,
    and NamelistError is raised on all."""
    found = height(section, grid)
    point = first_point(grid, ~np.isfinite(found)[None])
    if point is not None:
        source = getattr(section, "file", None)
        where = f" of {section.variable} in {source}" if source else ""
        message = mismatch(
            f"no number at {point}{where}", "a height at every cell", "correct the file"
        )
        raise NamelistError([Problem(SECTION, message)])
    return found


@singledispatch
def height(section: Any, grid: Grid) -> np.ndarray:
    """The height that a section describes. A new shape registers its function here."""
    raise TypeError(f"found orography of {type(section)}; expected a type that is registered")


@height.register
def _(section: FlatGround, grid: Grid) -> np.ndarray:
    return np.zeros(grid.shape[1:])


@height.register
def _(section: Cone, grid: Grid) -> np.ndarray:
    lon, lat = positions(grid, "c")
    x0, y0 = np.deg2rad(section.centre)
    across = np.mod(lon - x0 + np.pi, 2 * np.pi) - np.pi
    away = np.hypot(across, lat - y0) / np.deg2rad(section.radius)
    return section.height * (1.0 - np.minimum(1.0, away))


@height.register
def _(section: Bell, grid: Grid) -> np.ndarray:
    away = distance(*positions(grid, "c"), section.centre) / np.deg2rad(section.radius)
    return section.height * np.exp(-(away**2))


@height.register
def _(section: OrographyFromFile, grid: Grid) -> np.ndarray:
    key = (*SECTION, "variable")
    variable = file_variable(section.file, section.variable, key, "m")
    if section.interpolate:
        variable = Regridded.onto(grid, variable, key, complete=True)
    if variable.shape != grid.domain.global_shape:
        message = mismatch(
            f"{section.variable} of shape {variable.shape} in {section.file}",
            f"shape {grid.domain.global_shape}, the (ny, nx) of the grid",
            "correct grid.nx and grid.ny, choose another variable, or write interpolate: true",
        )
        raise NamelistError([Problem(key, message)])
    return np.asarray(grid.domain.local(variable), float)
