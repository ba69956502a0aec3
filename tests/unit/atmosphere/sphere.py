"""A small globe with a layer of fluid."""

from __future__ import annotations

import numpy as np

from dassim.atmosphere.planet import Planet
from dassim.atmosphere.shallow_water import ShallowWaterModel
from dassim.dynamics.polar import PolarFilter
from dassim.grid import Grid, build_grid, latlon, one_layer
from dassim.parallel import Domain, SerialCommunicator

EARTH = Planet(6.37122e6, 7.292e-5, 9.80616)


def globe(ny: int, nx: int | None = None, comm=None) -> Grid:
    """``ny`` x ``nx`` equal angles from pole to pole."""
    nx = 2 * ny if nx is None else nx
    domain = Domain.create(
        (ny, nx),
        periodic=(False, True),
        layout=None if comm is None else (comm.size, 1),
        comm=comm or SerialCommunicator(),
    )
    horizontal = latlon(
        domain,
        np.linspace(0, 360, nx + 1),
        np.linspace(-90, 90, ny + 1),
        radius=EARTH.radius,
        rotation=EARTH.rotation,
    )
    return build_grid(horizontal, one_layer())


def layer(grid: Grid, time_step: float, **options) -> ShallowWaterModel:
    """With a polar filter."""
    return ShallowWaterModel(grid, time_step, polar=PolarFilter.on(grid, 60.0), **options)
