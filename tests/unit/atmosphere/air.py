"""A small atmosphere."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dassim.atmosphere.planet import Planet
from dassim.atmosphere.primitive import (
    AtmosphereModel,
    AtmosphereParameters,
    AtmosphereState,
    FastModes,
)
from dassim.atmosphere.primitive.column import thickness
from dassim.atmosphere.primitive.water import Air
from dassim.dynamics.polar import PolarFilter
from dassim.grid import Field, Grid, Levels, build_grid, latlon, sigma_levels
from dassim.grid.operators import avg_x_c2f
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


def total_energy(
    model: AtmosphereModel,
    parameters: AtmosphereParameters,
    state: AtmosphereState,
    content: jax.Array | None = None,
) -> jax.Array:
    """``sum of h (cp T + K) + ps phi_s`` over area and levels (J/kg Pa m2), ``K`` at faces;
    ``content``: ``h T``, that of ``state`` when left out."""
    grid, here = model.grid, model.view(parameters, state)
    if content is None:
        content = grid.owned(here.thickness.c) * state.T
    along_x = here.u**2.0 * here.thickness.u * grid.dx.u * grid.dy.u * grid.mask.u
    along_y = here.v**2.0 * here.thickness.v * grid.dx.v * grid.dy.v * grid.mask.v
    kinetic = 0.5 * (jnp.sum(grid.owned(along_x)) + jnp.sum(grid.owned(along_y)))
    area, ground = grid.owned(grid.area.c), parameters.gravity * parameters.orography
    enthalpy = parameters.heat_capacity * jnp.sum(area * content)
    return kinetic + enthalpy + jnp.sum(area * state.ps * ground)


def angular_momentum(grid, state):
    """``sum of (u + Omega a cos(lat)) a cos(lat) h dA / g`` at x-faces (kg m2/s): of the flow, and
    of the rotating planet."""
    cells = thickness(grid, grid.exchange(Field.at("c", state.ps), 1))
    mass = grid.owned(avg_x_c2f(cells) * grid.area.u) / EARTH.gravity
    arm = EARTH.radius * jnp.cos(jnp.deg2rad(grid.owned(grid.y.c)))
    of_flow, of_planet = mass * state.u * arm, mass * EARTH.rotation * arm**2
    return float(of_flow.sum()), float(of_planet.sum())
