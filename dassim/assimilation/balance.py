"""Balanced parts of increments: what a change of one variable says of another.

The background error is that of unbalanced variables, and ``K`` adds to each what follows from
others: ``B^(1/2) = K Sigma C^(1/2)``. Each balance reads variables that it does not write, so ``K``
is undone by subtracting the same. Weaver et al. (2005), Q. J. R. Meteorol. Soc. 131, 3605.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from dassim.grid import Field, Grid
from dassim.grid.operators import (
    avg_x_c2f,
    avg_x_f2c,
    avg_y_c2f,
    avg_y_f2c,
    avg_z_f2c,
    cumsum_z_down,
    gradient,
    masked,
)

Increments = Mapping[str, jax.Array]

LEAST_GRADIENT = 1e-3
"""Vertical temperature gradient (K/m) below which water counts as mixed."""

LEAST_CORIOLIS = 1e-5
"""Coriolis parameter (1/s), that of 4 degrees of latitude, below which geostrophy fades out."""


class AbstractBalance(eqx.Module):
    """One balance between increments, which are owned points by name; linear."""

    @abc.abstractmethod
    def additions(self, increments: Increments) -> dict[str, jax.Array]:
        """What to add to increments other than those that it depends on. All ranks call this
        together."""


class SalinityBalance(AbstractBalance):
    """Water moves up and down with its salinity: ``dS = slope dT``, with ``slope (nz, ny, nx)``
    of the background's T-S relation."""

    slope: jax.Array
    temperature: str = eqx.field(static=True, default="state.T")
    salinity: str = eqx.field(static=True, default="state.S")

    def additions(self, increments: Increments) -> dict[str, jax.Array]:
        return {self.salinity: self.slope * increments[self.temperature]}


def salinity_slope(
    grid: Grid, temperature: Any, salinity: Any, *, least_gradient: float = LEAST_GRADIENT
) -> np.ndarray:
    """``(dS/dz) / (dT/dz)`` of a column, ``(nz, ny, nx)``, from the levels above and below; 0 where
    the temperature changes by less than ``least_gradient`` (K/m), and where dry."""
    T, S = np.asarray(temperature), np.asarray(salinity)
    wet = np.asarray(grid.owned_mask("c"))
    z = np.broadcast_to(np.asarray(grid.levels.z.c.data), T.shape)
    k = np.arange(len(T))
    above, below = np.maximum(k - 1, 0), np.minimum(k + 1, len(T) - 1)
    below = np.where(wet[below], below[:, None, None], k[:, None, None])

    def across(values: np.ndarray) -> np.ndarray:
        return values[above] - np.take_along_axis(values, below, axis=0)

    dT, dS, dz = across(T), across(S), across(z)
    stratified = wet & (np.abs(dT) > least_gradient * dz)
    return np.where(stratified, dS / np.where(stratified, dT, 1.0), 0.0)


class GeostrophicBalance(AbstractBalance):
    """``u = -(1/f) d(phi)/dy``, ``v = (1/f) d(phi)/dx``, ``phi = g eta - (weight of the water)``.

    ``buoyancy``: by the name of an increment, the derivative of the buoyancy by it (m/s2 per unit)
    at cells ``(nz, ny, nx)``. ``1/f`` is ``f / (f^2 + f_0^2)``, bounded at the equator. At a
    velocity point stands the mean over the wet faces around; levels are those at rest.
    """

    grid: Grid
    buoyancy: dict[str, jax.Array]
    gravity: Any = 9.81
    least_coriolis: float = eqx.field(static=True, default=LEAST_CORIOLIS)
    sea_level: str = eqx.field(static=True, default="state.eta")
    velocities: tuple[str, str] = eqx.field(static=True, default=("state.u", "state.v"))

    def additions(self, increments: Increments) -> dict[str, jax.Array]:
        grid, mask = self.grid, self.grid.mask
        phi = grid.exchange(self._potential(increments), 1)
        along_x, along_y = gradient(grid, phi)
        along_x, along_y = masked(mask.u, along_x), masked(mask.v, along_y)
        one_u, one_v = masked(mask.u, 0.0 * along_x + 1.0), masked(mask.v, 0.0 * along_y + 1.0)
        to_u = _mean(avg_x_c2f(avg_y_f2c(along_y)), avg_x_c2f(avg_y_f2c(one_v)))
        to_v = _mean(avg_y_c2f(avg_x_f2c(along_x)), avg_y_c2f(avg_x_f2c(one_u)))
        u = masked(mask.u, -1.0 * self._inverse(grid.coriolis.u) * to_u)
        v = masked(mask.v, self._inverse(grid.coriolis.v) * to_v)
        shape = grid.shape
        return {
            name: jnp.broadcast_to(grid.owned(field), shape)
            for name, field in zip(self.velocities, (u, v), strict=True)
        }

    def _potential(self, increments: Increments) -> Field:
        """``phi`` (m2/s2) on owned cells."""
        phi = Field.at("c", jnp.zeros(self.grid.shape))
        if self.sea_level in increments:
            phi = phi + self.gravity * Field.at("c", increments[self.sea_level])
        for name, derivative in self.buoyancy.items():
            b = Field.at("c", derivative * increments[name])
            phi = phi - avg_z_f2c(cumsum_z_down(b * self.grid.levels.dz.c))
        return phi

    def _inverse(self, f: Field) -> Field:
        return f / (f * f + self.least_coriolis**2)


def _mean(total: Field, count: Field) -> Field:
    """``total / count``, 0 where there is none to count."""
    none = count.data == 0
    return Field(total.data / jnp.where(none, 1.0, count.data), total.spans)
