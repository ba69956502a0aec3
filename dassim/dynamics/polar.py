"""The zonal filter that latitude-longitude grids need where meridians converge.

Poleward of a latitude ``phi_c`` the cells get so narrow that explicit steps would follow the
shortest zonal waves there, and nothing else. Each such circle is transformed along x, and the wave
with ``k`` of ``N`` cells' wavenumbers is multiplied by::

    F_k = min(1, cos(phi) / cos(phi_c) / sin(pi k / N))

so that ``F_k`` times its finite-difference wavenumber nowhere exceeds that of the shortest wave at
``phi_c`` (Arakawa & Lamb 1977, Methods Comput. Phys. 17, 173). The filter is linear, symmetric,
and leaves zonal means alone: filtered tendencies of mass conserve mass. Where circles are divided,
each rank gathers those of its rows that are filtered, and keeps its part of the result.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from dassim.grid import Field, Grid, GridError
from dassim.parallel import Domain

DAMPING_POWER = 4
"""How often friction and diffusion are filtered: as often as biharmonic terms differentiate."""


class Circles(eqx.Module):
    """``factors``: ``F_k`` on the circles of this rank that are filtered, the first ``south`` ones
    and those at the northern end."""

    factors: jax.Array
    south: int = eqx.field(static=True)
    domain: Domain = eqx.field(static=True)

    @classmethod
    def of(cls, cosines: np.ndarray, critical: float, domain: Domain, dtype: Any) -> Circles:
        """``cosines (ny)`` of the latitudes of this rank's circles, south first."""
        nx = domain.global_shape[1]
        waves = np.sin(np.pi * np.arange(nx // 2 + 1) / nx)
        with np.errstate(divide="ignore"):
            factors = np.minimum(1.0, cosines[:, None] / critical / waves)
        narrow = (factors < 1.0).any(axis=1)
        wide = np.flatnonzero(~narrow)
        south, north = (int(wide[0]), wide[-1] + 1) if wide.size else (len(cosines),) * 2
        ends = np.concatenate([factors[:south], factors[north:]])
        return cls(jnp.asarray(ends, dtype), south, domain)

    def __call__(self, values: jax.Array, power: int) -> jax.Array:
        """Owned points ``(..., ny, nx)``, all waves multiplied by ``F_k ** power``."""
        count, south = self.factors.shape[0], self.south
        if count == 0:
            return values
        north = values.shape[-2] - (count - south)
        ends = jnp.concatenate([values[..., :south, :], values[..., north:, :]], axis=-2)
        waves = jnp.fft.rfft(self.domain.whole_rows(ends), axis=-1) * self.factors**power
        own, nx = self.domain.block.x, self.domain.global_shape[1]
        ends = jnp.fft.irfft(waves, n=nx, axis=-1)[..., own.start : own.stop]
        parts = [ends[..., :south, :], values[..., south:north, :], ends[..., south:, :]]
        return jnp.concatenate(parts, axis=-2)


class PolarFilter(eqx.Module):
    """The filter on the circles of this rank, poleward of ``latitude`` (degrees).

    ``row``: on circles through cells and x-faces, ``face``: on those through y-faces.
    """

    latitude: float = eqx.field(static=True)
    row: Circles
    face: Circles

    @classmethod
    def on(cls, grid: Grid, latitude: float) -> PolarFilter:
        """Raises GridError for a grid without circles of latitude."""
        horizontal, domain = grid.horizontal, grid.domain
        if horizontal.geometry != "spherical" or not domain.periodic[1]:
            raise GridError(
                "polar filter: found a grid without circles of latitude; expected a latlon grid "
                "that is periodic in x; correct the grid, or leave the filter out"
            )
        if horizontal.dx.u.spans[2] is not None:
            raise GridError("polar filter: found longitudes that are stretched; expected uniform")
        dtype, critical = grid.levels.dz.c.data.dtype, float(np.cos(np.deg2rad(latitude)))

        def circles(latitudes: Field) -> Circles:
            degrees = np.asarray(grid.owned(latitudes), float)[:, 0]
            cosines = np.maximum(np.cos(np.deg2rad(degrees)), 1e-12)
            return Circles.of(cosines, critical, domain, dtype)

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
