"""The hydrostatic pressure gradient."""

from __future__ import annotations

from dassim.dynamics.momentum import Vector
from dassim.grid import Field, Grid, Staggered
from dassim.grid.operators import (
    avg_x_c2f,
    avg_y_c2f,
    avg_z_f2c,
    cumsum_z_down,
    diff_x_c2f,
    diff_y_c2f,
)


def hydrostatic_potential(buoyancy: Field, thickness: Field) -> Field:
    """``p / rho0`` (m2/s2) at cells, less that of the water at rest density and of the surface.

    ``dp/dz = rho0 b``: the weight of the levels above and of half of the own level.
    """
    return -avg_z_f2c(cumsum_z_down(buoyancy * thickness))


def slope_force(
    grid: Grid, buoyancy: Field, eta: Field, stretch: Staggered, moving_levels: bool
) -> Vector | None:
    """``b grad(z)`` (m/s2): what the gradient of pressure along a level holds of its slope.

    The height of a level's centre on z* levels is ``z = eta + s z_rest``. At rest levels are flat,
    so that a stratified ocean over any topography stays at rest to round-off.
    """
    if not moving_levels:
        return None
    z = eta + stretch.c * grid.levels.z.c
    return (
        avg_x_c2f(buoyancy) * diff_x_c2f(z) / grid.dx.u,
        avg_y_c2f(buoyancy) * diff_y_c2f(z) / grid.dy.v,
    )
