"""Advection and lateral diffusion of tracers in flux form."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp

from dassim.dynamics.continuity import horizontal_outflow
from dassim.dynamics.reconstruction import Scheme, reconstruct
from dassim.grid import Field, Grid, Staggered, apply
from dassim.grid.field import X, Y, Z
from dassim.grid.operators import diff_x_c2f, diff_y_c2f, diff_z_f2c, interior_z, masked, with_ends_z


def tracer_flux_divergence(grid, tracer, transport_u, transport_v, transport_w, scheme, wet):
    """``-(div(U c)) / area`` (tracer unit m/s) at cells; nothing passes the top and the bottom."""
    upward = interior_z(transport_w)
    x_flux = transport_u * reconstruct(tracer, X, transport_u, scheme, wet)
    y_flux = transport_v * reconstruct(tracer, Y, transport_v, scheme, wet)
    z_flux = with_ends_z(upward * reconstruct(tracer, Z, upward, scheme, wet))
    return (diff_z_f2c(z_flux) - horizontal_outflow(x_flux, y_flux)) / grid.area.c


class LateralDiffusion(eqx.Module):
    """``div(h kappa grad c) - div(h kappa_4 grad lap c)``."""

    diffusivity: Any = None
    biharmonic: Any = None
    scale_length: float | None = eqx.field(static=True, default=None)

    def __call__(self, grid: Grid, tracer: Field, thickness: Staggered) -> Field | None:
        result = None
        if self.diffusivity is not None:
            result = self._divergence(grid, tracer, thickness, self.diffusivity)
        if self.biharmonic is not None:
            lap = self._divergence(grid, tracer, thickness, 1.0) / thickness.c
            second = -self._divergence(grid, lap, thickness, self.biharmonic)
            result = second if result is None else result + second
        return result

    def _divergence(self, grid, tracer, thickness, kappa):
        x = masked(grid.mask.u, kappa * thickness.u * grid.dy.u / grid.dx.u * diff_x_c2f(tracer))
        y = masked(grid.mask.v, kappa * thickness.v * grid.dx.v / grid.dy.v * diff_y_c2f(tracer))
        return horizontal_outflow(x, y) / grid.area.c
