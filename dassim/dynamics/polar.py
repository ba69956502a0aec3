"""The zonal filter that latitude-longitude grids need where meridians converge.

Poleward of a latitude ``phi_c`` the cells get so narrow that explicit steps would follow the
shortest zonal waves there, and nothing else. Each such circle is transformed along x, and the wave
with ``k`` of ``N`` cells' wavenumbers is multiplied by::

    F_k = min(1, cos(phi) / cos(phi_c) / sin(pi k / N))

so that ``F_k`` times its finite-difference wavenumber nowhere exceeds that of the shortest wave at
``phi_c`` (Arakawa & Lamb 1977, Methods Comput. Phys. 17, 173). The filter is linear, symmetric,
and leaves zonal means alone: filtered tendencies of mass conserve mass.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from dassim.grid import Field, Grid, GridError


class Circles(eqx.Module):
    """``F_k`` on the circles of this rank that are filtered: the first ones, and the last ones."""

    first: jax.Array
    last: jax.Array

    @classmethod
    def of(cls, cosines: np.ndarray, critical: float, nx: int, dtype: Any) -> Circles:
        """``cosines (ny)`` of the latitudes of this rank's circles, south first."""
        waves = np.sin(np.pi * np.arange(nx // 2 + 1) / nx)
        with np.errstate(divide="ignore"):
            factors = np.minimum(1.0, cosines[:, None] / critical / waves)
        narrow = (factors < 1.0).any(axis=1)
        wide = np.flatnonzero(~narrow)
        south, north = (wide[0], wide[-1] + 1) if wide.size else (len(cosines), len(cosines))
        return cls(jnp.asarray(factors[:south], dtype), jnp.asarray(factors[north:], dtype))

    def __call__(self, values: jax.Array, power: int) -> jax.Array:
        """Owned points ``(..., ny, nx)``, all waves multiplied by ``F_k ** power``."""
        south, north = self.first.shape[0], values.shape[-2] - self.last.shape[0]
        return jnp.concatenate(
            [
                _multiplied(values[..., :south, :], self.first**power),
                values[..., south:north, :],
                _multiplied(values[..., north:, :], self.last**power),
            ],
            axis=-2,
        )


class PolarFilter(eqx.Module):
    """The filter on the circles of this rank, poleward of ``latitude`` (degrees).

    ``row``: on circles through cells and x-faces, ``face``: on those through y-faces.
    """

    latitude: float = eqx.field(static=True)
    row: Circles
    face: Circles

    @classmethod
    def on(cls, grid: Grid, latitude: float) -> PolarFilter:
        """Raises GridError for a grid without circles of latitude that one rank owns whole."""
        horizontal, domain = grid.horizontal, grid.domain
        if horizontal.geometry != "spherical" or not domain.periodic[1]:
            raise GridError(
                "polar filter: found a grid without circles of latitude; expected a latlon grid "
                "that is periodic in x; correct the grid, or leave the filter out"
            )
        if horizontal.dx.u.spans[2] is not None:
            raise GridError("polar filter: found longitudes that are stretched; expected uniform")
        if domain.shape[1] != domain.global_shape[1]:
            raise GridError(
                f"polar filter: found circles of latitude divided over "
                f"{domain.decomposition.layout[1]} ranks; expected latitude bands; divide the grid "
                f"along y alone, layout: [{domain.comm.size}, 1]"
            )
        dtype, critical = grid.levels.dz.c.data.dtype, float(np.cos(np.deg2rad(latitude)))

        def circles(latitudes: Field) -> Circles:
            degrees = np.asarray(grid.owned(latitudes), float)[:, 0]
            cosines = np.maximum(np.cos(np.deg2rad(degrees)), 1e-12)
            return Circles.of(cosines, critical, domain.shape[1], dtype)

        return cls(latitude, circles(horizontal.y.c), circles(horizontal.y.v))

    def __call__(self, field: Field, power: int = 1) -> Field:
        """Owned points of ``field``, filtered ``power`` times."""
        circles = self.face if field.location in ("v", "q") else self.row
        return Field(circles(field.data, power), field.spans)


def filtered(polar: PolarFilter | None, field: Field, power: int = 1) -> Field:
    """``field`` of owned points, filtered where there is a filter."""
    return field if polar is None else polar(field, power)


def zonal_resolution(grid: Grid, polar: PolarFilter | None) -> Field:
    """The spacing (m) at cells whose shortest wave is the shortest that the filter lets pass
    undamped; ``dx`` without a filter."""
    if polar is None:
        return grid.dx.c
    cos = float(np.cos(np.deg2rad(polar.latitude)))
    own = jnp.cos(jnp.deg2rad(grid.y.c.data))
    narrowed = Field(jnp.maximum(1.0, cos / jnp.maximum(jnp.abs(own), 1e-12)), grid.y.c.spans)
    return grid.dx.c * narrowed


def squared_wavenumber(grid: Grid, polar: PolarFilter | None) -> Field:
    """``k^2 = 4 (1/dx^2 + 1/dy^2)`` (1/m2) at cells, of the shortest waves that differences see and
    that the filter lets pass undamped."""
    return 4.0 * (zonal_resolution(grid, polar) ** -2.0 + grid.dy.c**-2.0)


def _multiplied(values: jax.Array, factors: jax.Array) -> jax.Array:
    if factors.shape[0] == 0:
        return values
    waves = jnp.fft.rfft(values, axis=-1)
    return jnp.fft.irfft(waves * factors, n=values.shape[-1], axis=-1)
