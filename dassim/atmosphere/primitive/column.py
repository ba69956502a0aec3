"""Sums over the column in sigma coordinates, after Simmons & Burridge.

On levels between the faces ``s_k`` of ``sigma = p / ps``, k = 0 at the top, the hydrostatic
equation and the work of pressure are differenced so that what the pressure gradient gives to the
kinetic energy is taken from the enthalpy, to round-off (Simmons & Burridge 1981, Mon. Wea. Rev.
109, 758)::

    phi_k   = phi_s + sum over l > k of R T_l ln(s_{l+1} / s_l) + alpha_k R T_k
    alpha_k = 1 - s_k / (s_{k+1} - s_k) ln(s_{k+1} / s_k),      alpha_0 = ln 2
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dassim.grid import Field, Grid, Span
from dassim.grid.operators import cumsum_z_down, cumsum_z_up


def sigma_faces(grid: Grid) -> jax.Array:
    """``s_0 = 0 ... s_nz = 1``."""
    z = grid.levels.z.f.data[:, 0, 0]
    return z / z[-1]


class Weights(NamedTuple):
    """``ln(s_{k+1} / s_k)``, 0 at the top level, and ``alpha_k``, as fields of the levels."""

    log: Field
    alpha: Field

    @classmethod
    def of(cls, grid: Grid) -> Weights:
        faces = sigma_faces(grid)
        upper, lower = faces[1:-1], faces[2:]
        log = jnp.log(lower / upper)
        alpha = 1.0 - upper / (lower - upper) * log
        return cls(
            _along_z(jnp.concatenate([jnp.zeros_like(log[:1]), log])),
            _along_z(jnp.concatenate([jnp.full_like(alpha[:1], np.log(2.0)), alpha])),
        )


def geopotential(grid: Grid, gas_constant: float, T: Field, surface: Field) -> Field:
    """``phi_k`` (m2/s2) of the levels over that of the ``surface``."""
    weights = Weights.of(grid)
    below = _lower_faces(cumsum_z_up(weights.log * T))
    return surface + gas_constant * (below + weights.alpha * T)


def pressure_work(grid: Grid, T: Field, outflow: Field) -> Field:
    """``T_k (ln(s_{k+1} / s_k) sum over l < k of D_l + alpha_k D_k)`` of the ``outflow`` D of the
    levels: over ``kappa``, what expansion takes from their enthalpy."""
    weights = Weights.of(grid)
    above = _upper_faces(cumsum_z_down(outflow))
    return T * (weights.log * above + weights.alpha * outflow)


def _upper_faces(faces: Field) -> Field:
    return Field(faces.data[:-1], (Span("c"), *faces.spans[1:]))


def _lower_faces(faces: Field) -> Field:
    return Field(faces.data[1:], (Span("c"), *faces.spans[1:]))


def _along_z(values: jax.Array) -> Field:
    return Field(values[:, None, None], (Span("c"), None, None))
