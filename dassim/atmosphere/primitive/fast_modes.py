"""The fastest vertical modes in short substeps of their own, averaged in time.

Linear gravity waves fall into vertical modes, each a shallow layer with a speed of its own: in 20
levels 305 m/s (the Lamb wave), 152, 69, 40, ... Explicit time steps of everything are bound by the
first of them. Here a few modes are taken out, and everything else advances in steps that the
others and the wind allow (Madala 1981, in: Finite-difference techniques for vectorized fluid
dynamics calculations, Springer, 56; substeps and averaging are those of the ocean's free surface).

With ``u_j`` and ``P_j`` the amplitudes in mode j of the velocity and of the potential that drives
it (``geopotential + R T ln(ps)`` in sigma coordinates), the waves of the modes taken out obey::

    d(u_j)/dt = a_j - grad(P_j),      d(P_j)/dt = b_j - sum over i of M_ji div(u_i)

``M (x, y)`` is what compression, vertical advection and the change of surface pressure, linear in
the divergence, make of it in the temperature that each column has: so hot and cold columns are
stable alike. In every stage of a time step ``a`` and ``b`` are what the full equations give at the
state ``at`` less the linear part there, and stay constant during the substeps. What is steady for
the full equations is steady in any step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
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
    relative_faces,
    thickness,
)
from dassim.atmosphere.primitive.water import Air
from dassim.dynamics.free_surface import (
    LEAST_DAMPING,
    Overlap,
    SubstepWeights,
    five_point,
    substep_weights,
    wave_stiffness,
    weighted_increments,
)
from dassim.dynamics.momentum import Vector
from dassim.dynamics.polar import PolarFilter, filtered, squared_wavenumber
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

DISTINCT = 1e-9  # of the square of the fastest speed: nearer speeds are one
WARM = 320.0  # K: no column's waves are faster than those of isothermal air this warm


def require_waves(eigenvalues: np.ndarray, count: int) -> None:
    """Refuse levels whose ``count`` fastest modes are no waves, each of a speed of its own.

    ``eigenvalues``: squares of the speeds of all modes (m2/s2).
    """
    squares = np.sort(np.real(eigenvalues))[::-1][: count + 1]
    fastest = squares[0]
    nearest = np.min(-np.diff(squares), initial=np.inf)
    imaginary = np.abs(np.imag(eigenvalues)).max()
    if imaginary > DISTINCT * fastest or squares[count - 1] <= 0.0 or nearest < DISTINCT * fastest:
        speeds = np.emath.sqrt(eigenvalues[np.argsort(-np.real(eigenvalues))][: count + 1])
        raise ValueError(
            f"found modes of the speeds {np.array2string(speeds, precision=4)} m/s; expected "
            f"{count} that are waves, each of a speed of its own; take fewer modes, or smoother "
            "levels"
        )


class Modes(eqx.Module):
    """The ``m`` fastest vertical modes of air that has the temperature of the standard atmosphere,
    over ground at the reference pressure, and what they do in any column. Constant arrays.

    ``profile (nz, m)`` of velocity and potential in the modes, ``amplitude (m, nz)`` of the modes
    in a profile. What follows is tabulated at ``n`` surface pressures ``ps`` (Pa), between which
    the columns' are interpolated; in sigma coordinates one is enough. ``potential (n, m, nz)`` of
    the modes per temperature of the levels (m2/(s2 K)), and ``ground (n, m, nz)`` per temperature
    and logarithm of the surface pressure; ``stiffness (n, m m, nz)`` (m2/(s2 K)): M per temperature
    of the levels. Unit divergence in the modes brings ``squeezing (n, nz, m)``, of which ``kappa
    T`` is cooling, and ``sinking (n, nz - 1, m)``: the flow of pressure down through the inner
    faces (Pa). ``left`` (m2/(s2 K)): square of the fastest speed that is left to everything else,
    over the temperature of isothermal air.
    """

    profile: jax.Array
    amplitude: jax.Array
    ps: jax.Array
    potential: jax.Array
    ground: jax.Array
    stiffness: jax.Array
    squeezing: jax.Array
    sinking: jax.Array
    left: float = eqx.field(static=True)

    @classmethod
    def of(cls, grid: Grid, count: int, air: Air) -> Modes:
        standard = Column.over(grid, REFERENCE_PRESSURE)
        eigenvalues, vectors = np.linalg.eig(
            standard.stiffness(standard_temperature(standard.pressure), air)
        )
        require_waves(eigenvalues, count)
        order = np.argsort(-np.real(eigenvalues))
        vectors = np.real(vectors)[:, order]
        vectors = vectors * np.sign(vectors[-1])
        profile, amplitude = vectors[:, :count], np.linalg.inv(vectors)[:count]
        unit = np.eye(len(vectors))
        rest, isothermal = unit - profile @ amplitude, standard.stiffness(unit.sum(0), air)
        left = float(np.max(np.real(np.linalg.eigvals(rest @ isothermal @ rest)), initial=0.0))

        def stiffness(column: Column) -> np.ndarray:
            each = [amplitude @ column.stiffness(T, air) @ profile for T in unit]
            return np.stack(each, axis=-1).reshape(count * count, -1)

        pressures = surface_pressures(grid)
        columns = [Column.over(grid, ps) for ps in pressures]
        tables = (
            [air.gas_constant * amplitude @ column.height for column in columns],
            [air.gas_constant * amplitude @ column.heavier for column in columns],
            [stiffness(column) for column in columns],
            [column.squeezing @ profile for column in columns],
            [column.sinking @ profile for column in columns],
        )
        dtype = grid.levels.dz.c.data.dtype
        arrays = (profile, amplitude, pressures, *(np.stack(table) for table in tables))
        return cls(*(jnp.asarray(each, dtype) for each in arrays), left=left)

    def shares(self, ps: Field) -> jax.Array | None:
        """``(n, ny, nx)``, of the tabulated pressures in that of columns; ``None`` of one alone."""
        if self.ps.size == 1:
            return None
        place = (ps.data[0] - self.ps[0]) / (self.ps[1] - self.ps[0])
        place = jnp.clip(place, 0.0, self.ps.size - 1.0)
        apart = abs(place - jnp.arange(self.ps.size, dtype=place.dtype)[:, None, None])
        return jnp.maximum(0.0, 1.0 - apart)


class Column(NamedTuple):
    """Matrices of the levels over ground at one pressure. ``pressure (nz)`` and ``thickness (nz)``
    (Pa). Geopotential over R by temperature: ``height (nz, nz)``; force over R, as a potential, by
    temperature per logarithm of the surface pressure: ``heavier (nz, nz)``. By unit divergence of
    levels: ``squeezing (nz, nz)``, ``sinking (nz - 1, nz)`` through the inner faces (Pa)."""

    ps: float
    pressure: np.ndarray
    thickness: np.ndarray
    height: np.ndarray
    heavier: np.ndarray
    squeezing: np.ndarray
    sinking: np.ndarray

    @classmethod
    def over(cls, grid: Grid, ps: float) -> Column:
        ground, one = Field.constant(ps), Field.constant(1.0)
        weights, h = Weights.of(grid, ground), thickness(grid, ground)
        dz, b = _column(h)[:, 0], _column(follows_ground(grid))
        unit = Field(jnp.eye(dz.size)[:, :, None], (Span("c"), Span("c"), None))
        height = _column(geopotential(weights, 1.0, unit, Field.constant(0.0)))
        work = _column(pressure_work(weights, one, h * unit))
        # d(ln p)/d(ln ps) of the faces below, and how much it differs between those of a level
        follows = b[1:, 0] / _column(relative_faces(grid, ground))[1:, 0]
        below = np.triu(np.tile(np.diff(follows, prepend=0.0), (dz.size, 1)), 1)
        return cls(
            ps,
            ps * np.exp(_column(weights.level)[:, 0]),
            dz,
            height,
            below + np.diag(follows),
            work / dz[:, None],
            (b[1:-1] - np.tril(np.ones((dz.size, dz.size)))[:-1]) * dz,
        )

    def stiffness(self, T: np.ndarray, air: Air) -> np.ndarray:
        """M in terms of levels, of air of the temperatures ``T (nz)``."""
        cooling = air.kappa * T[:, None] * self.squeezing
        inner = np.pad(self.sinking * np.diff(T)[:, None], ((1, 1), (0, 0)))
        cooling = cooling + 0.5 * (inner[:-1] + inner[1:]) / self.thickness[:, None]
        force = np.outer(self.heavier @ T, self.thickness / self.ps)
        return air.gas_constant * (self.height @ cooling + force)


def surface_pressures(grid: Grid) -> np.ndarray:
    """At which the operators of columns are tabulated (Pa)."""
    if grid.levels.a is None:
        return np.array([REFERENCE_PRESSURE])
    return np.linspace(max(5e4, 1.05 * grid.levels.least_pressure), 1.05e5, 6)


def standard_temperature(pressure: np.ndarray) -> np.ndarray:
    """K, of the standard atmosphere (ISO 2533:1975) up to its lower stratosphere."""
    return np.maximum(288.15 * (pressure / 101325.0) ** 0.190263, 216.65)


class Correction(NamedTuple):
    """What the fast modes change in a step: ``u``, ``v`` (m/s) and ``T`` (K), owned points; and the
    ``wind`` (m/s) that carries tracers besides that of the state ``at``: in the fast modes, the
    mean velocity of the step less that of ``at``, with one point of halo."""

    u: Field
    v: Field
    T: Field
    wind: Vector


class FastModes(eqx.Module):
    """As many ``substeps`` for ``modes`` in every stage, however long, averaged by the filter of
    Shchepetkin and McWilliams (2005) that damps least. ``kappa`` of the air as it is in the modes:
    both are no parameters that vary."""

    modes: Modes
    substeps: int = eqx.field(static=True)
    kappa: float = eqx.field(static=True)

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
            raise ValueError(
                f"found {count} modes; expected 1 to {grid.levels.count}, the number of levels; "
                f"take 3 for example"
            )
        largest = float(grid.owned(squared_wavenumber(grid, polar)).max())
        squared = WARM * air.lamb_waves * max(grid.domain.comm.allgather(largest))
        substeps = math.ceil(time_step * math.sqrt(squared) / (2.0 * courant))
        return cls(Modes.of(grid, count, air), max(1, substeps), air.kappa)

    def correction(
        self,
        grid: Grid,
        polar: PolarFilter | None,
        base: Mapping[str, Field],
        at: Mapping[str, Field],
        moved: Mapping[str, Field],
        dt: Any,
    ) -> Correction:
        """Where the full equations, with the rates at the state ``at``, have ``moved`` the state
        ``base`` in ``dt`` seconds. All fields hold owned points."""
        modes, T, ps = self.modes, at["T"], at["ps"]
        shares = modes.shares(ps)
        warmth = mixed(modes.ground, shares, T)

        def potential(warming: Field, heavier: Field) -> Field:
            return mixed(modes.potential, shares, warming) + warmth * heavier

        behind = potential(base["T"] - T, apply(jnp.log, base["ps"] / ps))
        rise = potential(moved["T"] - base["T"], (moved["ps"] - base["ps"]) / ps)
        late = [product(modes.amplitude, base[name] - at[name]) for name in "uv"]
        gain = [product(modes.amplitude, moved[name] - base[name]) for name in "uv"]
        count = modes.amplitude.shape[0]
        stiffness = mixed(modes.stiffness, shares, T).data.reshape(count, count, *T.data.shape[1:])

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

        def spreading(waves: Field) -> Field:
            return stretched(waves / grid.area.c, power=2) + steady

        first = tau * (rising - 0.5 * tau * steady)
        at_end, in_mean = _increments(grid, spreading, first, tau, weights)
        end, mean = slopes(behind + at_end, in_mean)
        wind = [
            before + dt * (weights.centre * onward - down)
            for before, onward, down in zip(late, force, mean, strict=True)
        ]
        around = grid.exchange(wind, 1)
        spread = Field.at("c", grid.owned(divergence(grid.horizontal, *around)))
        cooling = self.kappa * T * mixed(modes.squeezing, shares, spread)
        sinking = mixed(modes.sinking, shares, spread)
        sinking = Field(sinking.data, (Span("f", 1), *sinking.spans[1:]))
        cooling = cooling + avg_z_f2c(with_ends_z(sinking * diff_z_c2f(T))) / thickness(grid, ps)
        return Correction(
            u=-dt * product(modes.profile, end[0]),
            v=-dt * product(modes.profile, end[1]),
            T=-dt * filtered(polar, cooling),
            wind=(product(modes.profile, around[0]), product(modes.profile, around[1])),
        )


def product(matrix: jax.Array, column: Field) -> Field:
    """``matrix @ column`` along z, which then counts the rows."""
    return Field(jnp.einsum("ij,jyx->iyx", matrix, column.data), column.spans)


def mixed(tables: jax.Array, shares: jax.Array | None, column: Field) -> Field:
    """``product`` with ``tables (n, i, j)``, of which columns have their ``shares (n, ny, nx)``."""
    if shares is None:
        return product(tables[0], column)
    each = jnp.einsum("nij,jyx->niyx", tables, column.data)
    return Field(jnp.einsum("nyx,niyx->iyx", shares, each), column.spans)


def _increments(
    grid: Grid,
    spreading: Callable[[Field], Field],
    first: Field,
    tau: Any,
    weights: SubstepWeights,
) -> tuple[Field, Field]:
    """Weighted sums over substeps ``tau`` of the modes' potential, whose ``spreading`` (m2/s4) is
    that of a net flux of its gradient into cells."""
    overlap = Overlap(grid.domain, 1)
    faces = wave_stiffness(grid, 1.0, 1.0 * grid.mask.u, 1.0 * grid.mask.v)
    west, south = (overlap.cut(face) for face in faces)

    def push(x: jax.Array) -> jax.Array:
        waves = overlap.owned(five_point(west, south, overlap.extend(x), overlap.wrap))
        return (tau**2 * spreading(Field.at("c", waves))).data

    sums = weighted_increments(push, first.data, weights)
    return Field.at("c", sums[0]), Field.at("c", sums[1])


def _column(field: Field) -> np.ndarray:
    """Of fields along z, and along y if they vary there."""
    return np.asarray(field.data, float)[:, :, 0]
