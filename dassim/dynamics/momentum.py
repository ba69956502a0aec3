"""Horizontal momentum: the terms that the ocean and the atmosphere share.

In vector-invariant form, per unit mass::

    du/dt = + (f + zeta) v - d(K)/dx - w du/dz + ...
    dv/dt = - (f + zeta) u - d(K)/dy - w dv/dz + ...

with the relative vorticity ``zeta`` at corners and the kinetic energy ``K`` at cells. Velocities
``u`` at x-faces, ``v`` at y-faces, m/s; tendencies in m/s2 at the same points. ``stretch`` is the
ratio of each column's thickness to its thickness at rest (1 where levels are fixed): on levels
whose thickness at rest is the same in every column, only this ratio enters the vorticity flux.
"""

from __future__ import annotations

from typing import Literal

import jax.numpy as jnp
import numpy as np

from dassim.dynamics.reconstruction import Scheme, reconstruct
from dassim.grid import Field, Grid, Staggered
from dassim.grid.field import X, Y, Z
from dassim.grid.operators import (
    avg_x_c2f,
    avg_x_f2c,
    avg_y_c2f,
    avg_y_f2c,
    avg_z_f2c,
    curl,
    diff_x_c2f,
    diff_x_f2c,
    diff_y_c2f,
    diff_y_f2c,
    diff_z_c2f,
    diff_z_f2c,
    interior_z,
    masked,
    with_ends_z,
)

Vector = tuple[Field, Field]
Conserving = Literal["energy", "enstrophy"]


def relative_vorticity(grid: Grid, u: Field, v: Field) -> Field:
    """``zeta = dv/dx - du/dy`` (1/s) at corners among four wet cells; 0 at coasts (free slip), and
    at poles, where :func:`with_poles` gives it."""
    return masked(grid.mask.q, curl(grid, u, v))


def with_poles(grid: Grid, zeta: Field, turning: Field) -> Field:
    """``zeta`` at corners; on the rows that are poles the vorticity of the polar cap. ``turning``:
    the circulation along the last row of cells alone, over the area of corners that reach as far
    beyond the pole."""
    owned, (below, left) = grid.domain.block, (-span.start for span in zeta.spans[1:] if span)
    ends = (owned.y.start == 0, owned.y.stop == grid.domain.global_shape[0])
    for is_pole, is_mine, row in zip(grid.horizontal.poles, ends, (0, len(owned.y)), strict=True):
        if is_pole and is_mine:
            circle = turning.data[:, below + row, left : left + len(owned.x)]
            cap = 2.0 * grid.domain.whole_rows(circle[:, None]).mean(axis=-1, keepdims=True)
            at_pole = np.arange(zeta.data.shape[1]) == below + row
            zeta = Field(jnp.where(at_pole[:, None], cap, zeta.data), zeta.spans)
    return zeta


def kinetic_energy(grid: Grid, u: Field, v: Field) -> Field:
    """``K = (u^2 + v^2) / 2`` (m2/s2) at cells, face values weighted by the area ``dx dy`` on which
    forces along the faces do work."""
    along_x = avg_x_f2c(u * u * (grid.dx.u * grid.dy.u))
    along_y = avg_y_f2c(v * v * (grid.dx.v * grid.dy.v))
    return 0.5 * (along_x + along_y) / grid.area.c


def vorticity_flux(
    grid: Grid,
    vorticity: Field,
    u: Field,
    v: Field,
    stretch: Staggered,
    conserving: Conserving = "energy",
) -> Vector:
    """``(+ vorticity v, - vorticity u)``: Coriolis force, advection of vorticity, or both.

    ``vorticity`` (1/s) at corners. Sadourny (1975, J. Atmos. Sci. 32, 680): the energy-conserving
    form does no work on the flow, ``sum of h (u du + v dv) = 0``; the enstrophy-conserving form
    keeps the potential enstrophy of non-divergent flow.
    """
    q = vorticity / stretch.q
    transport_u = u * stretch.u * grid.dy.u
    transport_v = v * stretch.v * grid.dx.v
    v_at_q = avg_x_c2f(transport_v)
    u_at_q = avg_y_c2f(transport_u)
    if conserving == "energy":
        along_x, along_y = avg_y_f2c(q * v_at_q), avg_x_f2c(q * u_at_q)
    else:
        along_x = avg_y_f2c(q) * avg_y_f2c(v_at_q)
        along_y = avg_x_f2c(q) * avg_x_f2c(u_at_q)
    return along_x / grid.dx.u, -along_y / grid.dy.v


def gradient_force(grid: Grid, potential: Field) -> Vector:
    """``-grad(potential)`` (m/s2) of a potential (m2/s2) at cells."""
    return -diff_x_c2f(potential) / grid.dx.u, -diff_y_c2f(potential) / grid.dy.v


def vertical_advection(
    grid: Grid, transport_w: Field, u: Field, v: Field, thickness: Staggered
) -> Vector:
    """``-w du/dz``: half of the exchange with each neighbouring level; conserves kinetic energy.

    ``transport_w`` (m3/s, up, z faces 0..nz of cells), ``thickness`` (m) of the levels.
    """

    def along(velocity: Field, w: Field, h: Field) -> Field:
        return avg_z_f2c(with_ends_z(w * diff_z_c2f(velocity))) / h

    w = transport_w / grid.area.c
    return along(u, avg_x_c2f(w), thickness.u), along(v, avg_y_c2f(w), thickness.v)


def flux_form_advection(
    grid: Grid,
    transport_u: Field,
    transport_v: Field,
    transport_w: Field,
    u: Field,
    v: Field,
    thickness: Staggered,
    scheme: Scheme,
) -> Vector:
    """``-(div(U u) - u div(U)) / h``: advection by reconstructed fluxes (WENO, upwind, centred).

    ``transport_*`` (m3/s) through the faces of cells, ``transport_w`` up, on z faces 0..nz. Each
    velocity is carried by the transports averaged to the faces of its own cell; nothing is
    carried past a coast. On curved grids the metric terms are added, see :func:`turning_rate`.
    """
    interior_w = interior_z(transport_w)

    def along(velocity, wet, across_x, across_y, upward, area, h):
        def outflow(x_flux, y_flux, z_flux):
            return _diff_x(x_flux) + _diff_y(y_flux) - diff_z_f2c(with_ends_z(z_flux))

        net = outflow(across_x, across_y, upward)
        carried = outflow(
            across_x * reconstruct(velocity, X, across_x, scheme, wet),
            across_y * reconstruct(velocity, Y, across_y, scheme, wet),
            upward * reconstruct(velocity, Z, upward, scheme, wet),
        )
        return (velocity * net - carried) / (area * h)

    open_q = grid.mask.q
    advection = (
        along(
            u,
            grid.mask.u,
            avg_x_f2c(transport_u),
            masked(open_q, avg_x_c2f(transport_v)),
            avg_x_c2f(interior_w),
            grid.area.u,
            thickness.u,
        ),
        along(
            v,
            grid.mask.v,
            masked(open_q, avg_y_c2f(transport_u)),
            avg_y_f2c(transport_v),
            avg_y_c2f(interior_w),
            grid.area.v,
            thickness.v,
        ),
    )
    if grid.horizontal.geometry == "cartesian":
        return advection
    metric = vorticity_flux(grid, turning_rate(grid, u, v), u, v, thickness)
    return advection[0] + metric[0], advection[1] + metric[1]


def turning_rate(grid: Grid, u: Field, v: Field) -> Field:
    """``(v d(dy)/dx - u d(dx)/dy) / (dx dy)`` (1/s) at corners: how fast the directions of the grid
    turn under the flow; ``u tan(latitude) / radius`` on the sphere.

    Components along turning directions change as if by a Coriolis force of this parameter.
    """
    turning = avg_x_c2f(v) * diff_x_c2f(grid.dy.v) - avg_y_c2f(u) * diff_y_c2f(grid.dx.u)
    return turning / grid.area.q


def _diff_x(flux: Field) -> Field:
    return (diff_x_c2f if _on_centres(flux, X) else diff_x_f2c)(flux)


def _diff_y(flux: Field) -> Field:
    return (diff_y_c2f if _on_centres(flux, Y) else diff_y_f2c)(flux)


def _on_centres(field: Field, axis: int) -> bool:
    span = field.spans[axis]
    return span is not None and span.at == "c"
