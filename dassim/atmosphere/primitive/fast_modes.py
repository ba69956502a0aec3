"""The fastest vertical modes in short substeps of their own, averaged in time.

Linear gravity waves fall into vertical modes, each a shallow layer with a speed of its own: in 20
levels 304 m/s (the Lamb wave), 148, 65, 40, ... Explicit time steps of everything are bound by the
first of them. Here a few modes are taken out, and everything else advances in steps that the
others and the wind allow (Madala 1981, in: Finite-difference techniques for vectorized fluid
dynamics calculations, Springer, 56; substeps and averaging are those of the ocean's free surface).

With ``u_j`` and ``P_j`` the amplitudes of the velocity and of the potential ``geopotential +
R T ln(ps)`` in mode j, the waves of the modes taken out obey::

    d(u_j)/dt = a_j - grad(P_j),      d(P_j)/dt = b_j - sum over i of M_ji div(u_i)

``M (x, y)`` is what compression, vertical advection and the change of surface pressure, linear in
the divergence, make of it in the temperature that each column has: so hot and cold columns are
stable alike. In every stage of a time step ``a`` and ``b`` are what the full equations give at the
state ``at`` less the linear part there, and stay constant during the substeps. What is steady for
the full equations is steady in any step.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from dassim.atmosphere.primitive.column import (
    Weights,
    follows_ground,
    geopotential,
    pressure_work,
)
from dassim.atmosphere.primitive.water import Air
from dassim.dynamics.free_surface import (
    LEAST_DAMPING,
    Overlap,
    five_point,
    substep_weights,
    wave_stiffness,
    weighted_increments,
)
from dassim.dynamics.momentum import Vector
from dassim.dynamics.polar import PolarFilter, filtered, zonal_resolution
from dassim.grid import Field, Grid, Span, apply
from dassim.grid.field import Location
from dassim.grid.levels import REFERENCE_PRESSURE
from dassim.grid.operators import (
    avg_z_f2c,
    diff_z_c2f,
    divergence,
    gradient,
    masked,
    with_ends_z,
)

WARM = 320.0  # K: no column's waves are faster than those of isothermal air this warm


class Modes(eqx.Module):
    """The ``m`` fastest vertical modes of air that has the temperature of the standard atmosphere,
    over ground at the reference pressure. Constant arrays.

    ``profile (nz, m)`` of velocity and potential in the modes, ``amplitude (m, nz)`` of the modes
    in a profile, ``speeds (nz)`` (m/s) of all modes. ``potential (m, nz)`` of the modes per
    temperature of the levels, and ``ground (m, nz)`` per temperature and logarithm of the surface
    pressure (m2/(s2 K)). ``stiffness (m, m, nz)`` (m2/(s2 K)): M per temperature of the levels.
    Unit divergence in the modes brings ``squeezing (nz, m)``, of which ``kappa T`` is cooling, and
    ``sinking (nz - 1, m)``: the flow of pressure down through the inner faces (Pa).
    """

    profile: jax.Array
    amplitude: jax.Array
    potential: jax.Array
    ground: jax.Array
    stiffness: jax.Array
    squeezing: jax.Array
    sinking: jax.Array
    speeds: tuple[float, ...] = eqx.field(static=True)

    @classmethod
    def of(cls, grid: Grid, count: int, air: Air) -> Modes:
        weights = Weights.of(grid, Field.constant(REFERENCE_PRESSURE))
        dz = _column(grid.levels.dz.c)[:, 0]
        unit = Field(jnp.eye(dz.size)[:, :, None], (Span("c"), Span("c"), None))
        height = _column(geopotential(weights, 1.0, unit, Field.constant(0.0)))
        outflow = grid.levels.dz.c * unit
        squeezing = _column(pressure_work(weights, Field.constant(1.0), outflow)) / dz[:, None]
        above = np.tril(np.ones((dz.size, dz.size)))[:-1]
        sinking = (_column(follows_ground(grid))[1:-1] - above) * dz

        def stiffness(T: np.ndarray) -> np.ndarray:
            """M in terms of levels, of air of the temperatures ``T (nz)``."""
            cooling = air.kappa * T[:, None] * squeezing
            cooling = cooling + _mean_of_faces(sinking * np.diff(T)[:, None]) / dz[:, None]
            return air.gas_constant * (height @ cooling + np.outer(T, dz / REFERENCE_PRESSURE))

        pressure = REFERENCE_PRESSURE * np.exp(_column(weights.level)[:, 0])
        eigenvalues, vectors = np.linalg.eig(stiffness(standard_temperature(pressure)))
        order = np.argsort(-np.real(eigenvalues))
        squares, profiles = np.real(eigenvalues)[order], np.real(vectors)[:, order]
        profile, amplitude = profiles[:, :count], np.linalg.inv(profiles)[:count]
        dtype = grid.levels.dz.c.data.dtype
        arrays = (
            profile,
            amplitude,
            air.gas_constant * amplitude @ height,
            air.gas_constant * amplitude,
            np.stack([amplitude @ stiffness(T) @ profile for T in np.eye(dz.size)], axis=-1),
            squeezing @ profile,
            sinking @ profile,
        )
        speeds = tuple(float(c) for c in np.sqrt(np.maximum(squares, 0.0)))
        return cls(*(jnp.asarray(each, dtype) for each in arrays), speeds=speeds)


def standard_temperature(pressure: np.ndarray) -> np.ndarray:
    """K, of the standard atmosphere (ISO 2533:1975) up to its lower stratosphere."""
    return np.maximum(288.15 * (pressure / 101325.0) ** 0.190263, 216.65)


class Correction(NamedTuple):
    """What the fast modes change in a step: ``u``, ``v`` (m/s) and ``T`` (K), owned points; and the
    ``wind`` (m/s) that carries tracers: the mean velocity of the step less that of the state
    ``at``, with one point of halo."""

    u: Field
    v: Field
    T: Field
    wind: Vector


class FastModes(eqx.Module):
    """Substeps for ``modes`` in every stage, averaged by the filter of Shchepetkin and McWilliams
    (2005) that damps least."""

    modes: Modes
    substeps: int = eqx.field(static=True)

    @classmethod
    def for_grid(
        cls,
        grid: Grid,
        time_step: float,
        air: Air,
        polar: PolarFilter | None = None,
        *,
        count: int = 3,
        courant: float = 0.7,
    ) -> FastModes:
        """As many substeps as keep each below ``courant`` times the stability limit in air of
        :data:`WARM`. All ranks call this together."""
        if not 1 <= count <= grid.levels.count:
            raise ValueError(f"found {count} modes; expected 1 to {grid.levels.count}")
        squares = grid.owned(zonal_resolution(grid, polar) ** -2.0 + grid.dy.c**-2.0)
        narrowest = max(grid.domain.comm.allgather(float(squares.max()))) ** 0.5
        fastest = math.sqrt(air.gas_constant * WARM / (1.0 - air.kappa))
        substeps = math.ceil(time_step * fastest * narrowest / courant)
        return cls(Modes.of(grid, count, air), max(1, substeps))

    @property
    def fastest_left(self) -> float:
        """Speed of the fastest mode that is left to the long steps (m/s)."""
        speeds, count = self.modes.speeds, self.modes.amplitude.shape[0]
        return speeds[count] if count < len(speeds) else 0.0

    def correction(
        self,
        grid: Grid,
        polar: PolarFilter | None,
        kappa: Any,
        base: Mapping[str, Field],
        at: Mapping[str, Field],
        moved: Mapping[str, Field],
        dt: Any,
    ) -> Correction:
        """Where the full equations, with the rates at the state ``at``, have ``moved`` the state
        ``base`` in ``dt`` seconds. All fields hold owned points."""
        modes, T, ps = self.modes, at["T"], at["ps"]
        warmth = product(modes.ground, T)

        def potential(warming: Field, heavier: Field) -> Field:
            return product(modes.potential, warming) + warmth * heavier

        behind = potential(base["T"] - T, apply(jnp.log, base["ps"] / ps))
        rise = potential(moved["T"] - base["T"], (moved["ps"] - base["ps"]) / ps)
        late = [product(modes.amplitude, base[name] - at[name]) for name in "uv"]
        gain = [product(modes.amplitude, moved[name] - base[name]) for name in "uv"]
        stiffness = jnp.einsum("ijk,kyx->ijyx", modes.stiffness, T.data)

        def along(location: Location, field: Field) -> Field:
            owned = grid.owned(masked(getattr(grid.mask, location), field))
            return filtered(polar, Field.at(location, owned))

        def slopes(*potentials: Field) -> list[Vector]:
            pairs = [gradient(grid.horizontal, p) for p in grid.exchange(list(potentials), 1)]
            return [(along("u", x), along("v", y)) for x, y in pairs]

        def stretched(spread: Field, power: int = 1) -> Field:
            spread = Field.at("c", jnp.einsum("ijyx,jyx->iyx", stiffness, grid.owned(spread)))
            return filtered(polar, spread, power)

        [slope] = slopes(behind)
        force = [each / dt - down for each, down in zip(gain, slope, strict=True)]
        around_force, around_late = grid.exchange((force, late), 1)
        steady = -stretched(divergence(grid.horizontal, *around_force))
        rising = rise / dt - stretched(divergence(grid.horizontal, *around_late))

        weights, tau = substep_weights(self.substeps, LEAST_DAMPING), dt / self.substeps
        overlap = Overlap(grid.domain, 1)
        west, south = overlap.extend([grid.owned(face) for face in open_faces(grid)])

        def push(steady: jax.Array, x: jax.Array) -> jax.Array:
            waves = overlap.owned(five_point(west, south, x, overlap.wrap))
            waves = stretched(Field.at("c", waves) / grid.area.c, power=2)
            return overlap.padded(tau**2 * waves.data) + steady

        first = tau * (rising - 0.5 * tau * steady)
        sums = weighted_increments(push, (tau**2 * steady).data, first.data, weights, overlap)
        at_end, in_mean = (Field.at("c", total) for total in sums)

        end, mean = slopes(behind + at_end, in_mean)
        wind = [
            before + dt * (weights.centre * push - down)
            for before, push, down in zip(late, force, mean, strict=True)
        ]
        around = grid.exchange(wind, 1)
        spread = Field.at("c", grid.owned(divergence(grid.horizontal, *around)))
        cooling = kappa * T * product(modes.squeezing, spread)
        sinking = product(modes.sinking, spread)
        sinking = Field(sinking.data, (Span("f", 1), *sinking.spans[1:]))
        cooling = cooling + avg_z_f2c(with_ends_z(sinking * diff_z_c2f(T))) / grid.levels.dz.c
        return Correction(
            u=-dt * product(modes.profile, end[0]),
            v=-dt * product(modes.profile, end[1]),
            T=-dt * filtered(polar, cooling),
            wind=(product(modes.profile, around[0]), product(modes.profile, around[1])),
        )


def product(matrix: jax.Array, column: Field) -> Field:
    """``matrix @ column`` along z, which then counts the rows."""
    return Field(jnp.einsum("ij,jyx->iyx", matrix, column.data), column.spans)


def open_faces(grid: Grid) -> Vector:
    """Length over distance of the faces around cells, 0 where they are closed."""
    return wave_stiffness(grid, 1.0, 1.0 * grid.mask.u, 1.0 * grid.mask.v)


def _column(field: Field) -> np.ndarray:
    """Of fields along z, and along y if they vary there."""
    return np.asarray(field.data, float)[:, :, 0]


def _mean_of_faces(inner: np.ndarray) -> np.ndarray:
    """At levels ``(nz, n)``, of values at the inner faces, 0 at the outer ones."""
    ends = np.pad(inner, ((1, 1), (0, 0)))
    return 0.5 * (ends[:-1] + ends[1:])
