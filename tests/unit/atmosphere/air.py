"""A small atmosphere."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from dassim.atmosphere.primitive import AtmosphereModel, FastModes
from dassim.atmosphere.primitive.water import Air
from dassim.atmosphere.shallow_water import Planet
from dassim.dynamics.polar import PolarFilter
from dassim.grid import Grid, Levels, build_grid, latlon, sigma_levels
from dassim.parallel import Domain

AIR = Air(287.0, 1004.5)
EARTH = Planet(6.371229e6, 7.29212e-5, 9.80616)


def air(ny: int, faces: Any, nx: int | None = None, rotation: float = EARTH.rotation) -> Grid:
    """``ny`` x ``nx`` equal angles from pole to pole, on levels or between ``faces`` of sigma."""
    nx = 2 * ny if nx is None else nx
    domain = Domain.serial((ny, nx), periodic=(False, True))
    horizontal = latlon(
        domain,
        np.linspace(0, 360, nx + 1),
        np.linspace(-90, 90, ny + 1),
        radius=EARTH.radius,
        rotation=rotation,
    )
    return build_grid(horizontal, faces if isinstance(faces, Levels) else sigma_levels(faces))


def atmosphere(grid: Grid, time_step: float, **options) -> AtmosphereModel:
    """With a polar filter."""
    return AtmosphereModel(grid, time_step, polar=PolarFilter.on(grid, 60.0), **options)


def split(grid: Grid, time_step: float, count: int = 3) -> AtmosphereModel:
    """With substeps for the fastest modes."""
    model = atmosphere(grid, time_step)
    modes = FastModes.for_grid(grid, time_step, AIR, model.polar, count=count)
    return replace(model, fast_modes=modes)
