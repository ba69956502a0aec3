"""Advection and lateral diffusion of tracers in flux form.

Both give ``d(h c)/dt``, the rate of change of a cell's content of a tracer ``c`` per area (unit of
the tracer times m/s), ``h`` being the cell's thickness. What leaves one cell enters another: the
sum of content over all cells changes by nothing but round-off.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp

from dassim.dynamics.continuity import horizontal_outflow
from dassim.dynamics.friction import sum_of
from dassim.dynamics.reconstruction import Scheme, reconstruct
from dassim.grid import Field, Grid, Staggered, apply
from dassim.grid.field import X, Y, Z
from dassim.grid.operators import (
    avg_x_c2f,
    avg_y_c2f,
    diff_x_c2f,
    diff_y_c2f,
    diff_z_f2c,
    interior_z,
    masked,
    with_ends_z,
)


def tracer_flux_divergence(
    grid: Grid,
    tracer: Field,
    transport_u: Field,
    transport_v: Field,
    transport_w: Field,
    scheme: Scheme,
    wet: Field | None = None,
    vertical_scheme: Scheme | None = None,
) -> Field:
    """``d(h c)/dt = - (d(U c)/dx + d(V c)/dy + d(W c)/dz) / area`` at cells, by advection.

    ``tracer`` at cells with a halo of ``scheme.reach`` points (one more for every point of halo
    wanted in the result); ``transport_u``, ``transport_v`` (m3/s) through the x- and y-faces, 0
    where one side is dry; ``transport_w`` (m3/s, positive up) through the z faces 0..nz. Nothing
    passes the faces 0 and nz: what crosses a moving or a fixed surface is a surface flux.
    ``wet``: which cells are. ``vertical_scheme``: if another one than ``scheme``.

    A uniform tracer changes its content as the transports change the thickness.
    """
    outflow = horizontal_outflow(
        transport_u * reconstruct(tracer, X, transport_u, scheme, wet),
        transport_v * reconstruct(tracer, Y, transport_v, scheme, wet),
    )
    if transport_w.data.shape[Z] > 2:
        upward = interior_z(transport_w)
        carried = upward * reconstruct(tracer, Z, upward, vertical_scheme or scheme, wet)
        outflow = outflow - diff_z_f2c(with_ends_z(carried))
    return -outflow / grid.area.c


class LateralDiffusion(eqx.Module):
    """``d(h c)/dt = div(h kappa grad(c)) - div(h grad(kappa_4 / h div(h grad(c))))`` along levels.

    ``diffusivity`` kappa (m2/s) and ``biharmonic`` kappa_4 (m4/s): numbers, or fields at cells
    with a point of halo. With ``scale_length`` (m) they are those of a cell of that size, kappa
    growing with the cell's size and kappa_4 with its cube. A coefficient ``None`` leaves its term
    out. Nothing passes coasts.

    Both terms are symmetric operators on ``c`` under the sum over cells weighted by area, and take
    variance away: ``sum of area c d(h c)/dt <= 0`` for coefficients >= 0.
    """

    diffusivity: Any = None
    biharmonic: Any = None
    scale_length: float | None = eqx.field(static=True, default=None)

    def __call__(self, grid: Grid, tracer: Field, thickness: Staggered) -> Field | None:
        """At cells, one point of halo fewer than ``tracer`` (biharmonic: two); ``None`` where
        there is no diffusion at all. ``thickness`` (m) of the levels at cells and faces."""
        terms = []
        if self.diffusivity is not None:
            kappa = self._at_cells(grid, self.diffusivity, power=1)
            terms.append(_diffused(grid, tracer, thickness, kappa))
        if self.biharmonic is not None:
            kappa = self._at_cells(grid, self.biharmonic, power=3)
            laplacian = _diffused(grid, tracer, thickness) / thickness.c
            terms.append(-_diffused(grid, kappa * laplacian, thickness))
        return sum_of(terms) if terms else None

    def _at_cells(self, grid: Grid, coefficient: Any, power: int) -> Any:
        """``coefficient``, grown with the size of the cells where it is meant to."""
        if self.scale_length is None:
            return coefficient
        return coefficient * (apply(jnp.sqrt, grid.area.c) / self.scale_length) ** power


def _diffused(grid: Grid, tracer: Field, thickness: Staggered, kappa: Any = 1.0) -> Field:
    """``div(h kappa grad(c))`` at cells; ``kappa`` a number or a field at cells."""
    at_u, at_v = (
        (avg_x_c2f(kappa), avg_y_c2f(kappa)) if isinstance(kappa, Field) else (kappa, kappa)
    )
    into_x = thickness.u * at_u * grid.dy.u * (diff_x_c2f(tracer) / grid.dx.u)
    into_y = thickness.v * at_v * grid.dx.v * (diff_y_c2f(tracer) / grid.dy.v)
    inflow = horizontal_outflow(masked(grid.mask.u, into_x), masked(grid.mask.v, into_y))
    return inflow / grid.area.c
