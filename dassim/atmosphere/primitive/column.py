"""Sums over the column between faces at the pressure ``p_k = a_k + b_k ps``, after Simmons &
Burridge.

With k = 0 at the top, the hydrostatic equation and the work of pressure are differenced so that
what the pressure gradient gives to the kinetic energy is taken from the enthalpy, to round-off
(Simmons & Burridge 1981, Mon. Wea. Rev. 109, 758)::

    phi_k   = phi_s + sum over l > k of R T_l ln(p_{l+1} / p_l) + alpha_k R T_k
    alpha_k = 1 - p_k / (p_{k+1} - p_k) ln(p_{k+1} / p_k),      alpha_0 = ln 2 where p_0 = 0

The pressure of a level is ``exp(-alpha_k) p_{k+1}``: its gradient is that of Simmons & Burridge,
and in isothermal air at rest that of ``phi_k`` balances it to round-off, over any ground.

In sigma coordinates (no ``a``) pressure over that at the ground is the same in all columns, and so
are all of these weights: fields that are constant along y and x.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax.numpy as jnp

from dassim.dynamics.continuity import horizontal_outflow, vertical_transport
from dassim.grid import Field, Grid, Span, apply
from dassim.grid.levels import REFERENCE_PRESSURE
from dassim.grid.operators import cumsum_z_down, cumsum_z_up, diff_z_f2c, sum_z


def relative_faces(grid: Grid, ps: Field) -> Field:
    """``p / ps`` at the faces of the levels over ground that carries ``ps`` (Pa)."""
    a, b = grid.levels.a, follows_ground(grid)
    return b if a is None else b + a / ps


def follows_ground(grid: Grid) -> Field:
    """``b``: the change of pressure with that at the ground, at the faces of the levels."""
    b = grid.levels.b
    if b is None:
        raise ValueError(
            f"found levels of {grid.levels.coordinate}; expected those of an atmosphere; make them "
            f"by sigma_levels or hybrid_levels"
        )
    return b


def stretching(grid: Grid, ps: Field) -> Field:
    """Thickness of the levels over that under the reference pressure; one number in each column of
    sigma."""
    relative = ps / REFERENCE_PRESSURE
    if grid.levels.a is None:
        return relative
    fixed = diff_z_f2c(grid.levels.a) / grid.levels.dz.c
    return fixed + (1.0 - fixed) * relative


def thickness(grid: Grid, ps: Field) -> Field:
    """Pa, of the levels."""
    return grid.levels.dz.c * stretching(grid, ps)


class Continuity(NamedTuple):
    """What follows from the flow of pressure through the sides of cells: ``outflow`` (Pa m2/s) of
    each, ``rising`` (Pa/s) of the pressure at the ground, and the flow ``upward`` (Pa m2/s) through
    the z faces, relative to the levels."""

    outflow: Field
    rising: Field
    upward: Field

    @classmethod
    def of(cls, grid: Grid, along_x: Field, along_y: Field) -> Continuity:
        outflow = horizontal_outflow(along_x, along_y)
        rising = -sum_z(outflow) / grid.area.c
        thickening = rising * diff_z_f2c(follows_ground(grid))
        return cls(outflow, rising, vertical_transport(grid, along_x, along_y, thickening))


class Weights(NamedTuple):
    """Of the levels: ``log = ln(p_{k+1} / p_k)``, 0 where a level has no upper face, ``alpha_k``,
    and ``level``, the logarithm of the level's pressure over that at the ground."""

    log: Field
    alpha: Field
    level: Field

    @classmethod
    def of(cls, grid: Grid, ps: Field) -> Weights:
        faces = relative_faces(grid, ps)
        upper, lower = upper_faces(faces), lower_faces(faces)

        def between(upper, lower):
            return jnp.log(lower / jnp.where(upper > 0.0, upper, lower))

        def part(upper, lower, log):
            return jnp.where(upper > 0.0, 1.0 - upper / (lower - upper) * log, math.log(2.0))

        log = apply(between, upper, lower)
        alpha = apply(part, upper, lower, log)
        return cls(log, alpha, apply(jnp.log, lower) - alpha)


def geopotential(weights: Weights, gas_constant: float, T: Field, surface: Field) -> Field:
    """``phi_k`` (m2/s2) of the levels over that of the ``surface``."""
    below = lower_faces(cumsum_z_up(weights.log * T))
    return surface + gas_constant * (below + weights.alpha * T)


def pressure_work(weights: Weights, T: Field, outflow: Field) -> Field:
    """``T_k (ln(p_{k+1} / p_k) sum over l < k of D_l + alpha_k D_k)`` of the ``outflow`` D of the
    levels: over ``kappa``, what expansion takes from their enthalpy."""
    above = upper_faces(cumsum_z_down(outflow))
    return T * (weights.log * above + weights.alpha * outflow)


def upper_faces(faces: Field) -> Field:
    """Of each level."""
    return Field(faces.data[:-1], (Span("c"), *faces.spans[1:]))


def lower_faces(faces: Field) -> Field:
    """Of each level."""
    return Field(faces.data[1:], (Span("c"), *faces.spans[1:]))
