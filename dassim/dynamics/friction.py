"""Lateral friction: Laplacian and biharmonic, free slip or no slip at coasts."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp

from dassim.dynamics.momentum import Vector, with_poles
from dassim.grid import Field, Grid, apply
from dassim.grid.locality import compiled_apart
from dassim.grid.operators import (
    curl,
    diff_x_c2f,
    diff_x_f2c,
    diff_y_c2f,
    diff_y_f2c,
    divergence,
    masked,
)


class LateralFriction(eqx.Module):
    """``F = nu lap(u) - nu_4 lap(lap(u))``: ``viscosity`` nu (m2/s), ``biharmonic`` nu_4 (m4/s).

    ``lap(u) = grad(div u) - curl(zeta)``: no false rotation arises on curved grids. ``slip`` is 0
    for free slip along coasts and 2 for no slip: the vorticity at a coast is that between the flow
    and its mirror image behind the coast; a field at corners where coasts differ. A pole is no
    coast: there the vorticity is the circulation around it over the area of its cap. With
    ``scale_length`` (m) the coefficients are those of a cell of that size, nu growing with the
    cell's size and nu_4 with its cube; without, they are constant. A coefficient ``None`` leaves
    its term out.
    """

    viscosity: Any = None
    biharmonic: Any = None
    slip: Any = 0.0
    scale_length: float | None = eqx.field(static=True, default=None)

    def __call__(self, grid: Grid, u: Field, v: Field) -> Vector | None:
        """Accelerations (m/s2) at u and v; ``None`` where there is no friction at all."""
        terms = []
        if self.viscosity is not None:
            terms.append(self._laplacian(grid, u, v, self.viscosity, power=1))
        if self.biharmonic is not None:
            once = self._laplacian(grid, u, v)
            twice = self._laplacian(grid, *once, self.biharmonic, power=3)
            terms.append((-twice[0], -twice[1]))
        if not terms:
            return None
        return sum_of([term[0] for term in terms]), sum_of([term[1] for term in terms])

    def _laplacian(
        self, grid: Grid, u: Field, v: Field, coefficient: Any = 1.0, power: int = 0
    ) -> Vector:
        def divergence_and_curl(u: Field, v: Field) -> Vector:
            return (
                divergence(grid, u, v) * self._scaled(grid.area.c, coefficient, power),
                curl(grid, u, v) * self._scaled(grid.area.q, coefficient, power),
            )

        slip_q = 1.0 * grid.mask.q + self.slip * ~grid.mask.q
        d, turning = compiled_apart(divergence_and_curl, u, v)
        zeta = with_poles(grid, slip_q * turning, turning)
        along_x = diff_x_c2f(d) / grid.dx.u - diff_y_f2c(zeta) / grid.dy.u
        along_y = diff_y_c2f(d) / grid.dy.v + diff_x_f2c(zeta) / grid.dx.v
        return masked(grid.mask.u, along_x), masked(grid.mask.v, along_y)

    def _scaled(self, area: Field, coefficient: Any, power: int) -> Any:
        if self.scale_length is None or power == 0:
            return coefficient
        length = apply(jnp.sqrt, area) / self.scale_length
        return coefficient * length**power


class DivergenceDamping(eqx.Module):
    """``F = nu_d grad(div u)``: ``viscosity`` nu_d (m2/s) damps gravity waves, and leaves flow
    without divergence alone. With ``scale_length`` (m) it is that of a cell of this size, and grows
    with the cell's size. ``None`` leaves it out."""

    viscosity: Any = None
    scale_length: float | None = eqx.field(static=True, default=None)

    def __call__(self, grid: Grid, u: Field, v: Field) -> Vector | None:
        """Accelerations (m/s2) at u and v; ``None`` without damping."""
        if self.viscosity is None:
            return None
        d = divergence(grid, masked(grid.mask.u, u), masked(grid.mask.v, v)) * self.viscosity
        if self.scale_length is not None:
            d = d * (apply(jnp.sqrt, grid.area.c) / self.scale_length)
        return diff_x_c2f(d) / grid.dx.u, diff_y_c2f(d) / grid.dy.v


def sum_of(terms: list[Field]) -> Field:
    """The sum of at least one field."""
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total
