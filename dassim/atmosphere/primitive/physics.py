"""Processes within columns of air, behind one interface.

A process looks at all columns of this rank, and returns rates of change. Processes act one after
the other, each for a whole time step on what the ones before have left.
"""

from __future__ import annotations

import abc
from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from dassim.atmosphere.primitive.column import sigma_faces
from dassim.atmosphere.primitive.state import AtmosphereState
from dassim.grid import Field, Grid
from dassim.grid.operators import avg_x_c2f, avg_y_c2f


class Change(eqx.Module):
    """What a process does at cells.

    ``heating`` (K/s) and ``sources`` of tracers by name (1/s), both ``(nz, ny, nx)``; ``drag``: the
    rate (1/s) at which the wind decays, ``(nz, ny, nx)`` or ``(nz, 1, 1)``. ``None``: nothing.
    """

    heating: jax.Array | None = None
    drag: jax.Array | None = None
    sources: dict[str, jax.Array] = eqx.field(default_factory=dict)


class Columns(eqx.Module):
    """The columns over this rank's cells, levels from the top down.

    ``T`` (K) and ``tracers``, ``(nz, ny, nx)``; ``ps (ny, nx)`` (Pa); ``sigma (nz, 1, 1)`` at the
    middle of the levels; ``latitude (ny, nx)`` (radians); constants of the air; ``time`` (s).
    """

    grid: Grid
    T: jax.Array
    ps: jax.Array
    tracers: dict[str, jax.Array]
    sigma: jax.Array
    latitude: jax.Array
    gravity: Any
    gas_constant: Any
    heat_capacity: Any
    time: Any

    @classmethod
    def of(cls, grid: Grid, parameters: Any, state: AtmosphereState) -> Columns:
        faces = sigma_faces(grid)
        middle = 0.5 * (faces[1:] + faces[:-1])
        return cls(
            grid,
            state.T,
            state.ps,
            state.tracers,
            middle[:, None, None],
            jnp.deg2rad(grid.owned(grid.y.c)),
            parameters.gravity,
            parameters.gas_constant,
            parameters.heat_capacity,
            state.time,
        )

    @property
    def pressure(self) -> jax.Array:
        """Pa, at the middle of the levels."""
        return self.sigma * self.ps

    @property
    def kappa(self) -> Any:
        return self.gas_constant / self.heat_capacity

    def moved(self, state: AtmosphereState, change: Change, dt: float) -> AtmosphereState:
        """``state`` after ``change`` has acted for ``dt`` seconds; drag acts implicitly."""
        T = self.T if change.heating is None else self.T + dt * change.heating
        tracers = {
            name: tracer + dt * change.sources[name] if name in change.sources else tracer
            for name, tracer in self.tracers.items()
        }
        state = replace(state, T=T, tracers=tracers)
        if change.drag is None:
            return state
        at_u, at_v = self._at_faces(change.drag)
        return replace(state, u=state.u / (1.0 + dt * at_u), v=state.v / (1.0 + dt * at_v))

    def _at_faces(self, rate: jax.Array) -> tuple[jax.Array, jax.Array]:
        if rate.shape[-2:] == (1, 1):
            return rate, rate
        at_c = self.grid.exchange(Field.at("c", rate), 1)
        return self.grid.owned(avg_x_c2f(at_c)), self.grid.owned(avg_y_c2f(at_c))


class AbstractColumnPhysics(eqx.Module):
    """A process within columns. Its numbers are parameters: they can be differentiated."""

    @abc.abstractmethod
    def __call__(self, columns: Columns, dt: float) -> Change:
        """Rates of change over the next ``dt`` seconds."""


class HeldSuarez(AbstractColumnPhysics):
    """Relaxation of the temperature towards that of radiation and convection, and of the wind near
    the ground towards rest (Held & Suarez 1994, Bull. Amer. Meteor. Soc. 75, 1825)::

        T_eq = max(T_strat, (T_equator - dT_y sin(lat)^2 - dtheta_z ln(p / p0) cos(lat)^2)
                            (p / p0)^kappa)
        k_T = k_a + (k_s - k_a) low(sigma) cos(lat)^4,      k_v = k_f low(sigma)
        low(sigma) = max(0, (sigma - sigma_b) / (1 - sigma_b))
    """

    equator: Any = 315.0
    contrast: Any = 60.0
    stability: Any = 10.0
    stratosphere: Any = 200.0
    sigma_b: Any = 0.7
    friction_rate: Any = 1.0 / 86400.0
    air_rate: Any = 1.0 / (40.0 * 86400.0)
    surface_rate: Any = 1.0 / (4.0 * 86400.0)
    reference_pressure: Any = 1e5

    def __call__(self, columns: Columns, dt: float) -> Change:
        low = jnp.maximum(0.0, (columns.sigma - self.sigma_b) / (1.0 - self.sigma_b))
        cos2 = jnp.cos(columns.latitude) ** 2
        rate = self.air_rate + (self.surface_rate - self.air_rate) * low * cos2**2
        heating = -rate * (columns.T - self.equilibrium(columns))
        return Change(heating=heating, drag=self.friction_rate * low)

    def equilibrium(self, columns: Columns) -> jax.Array:
        """``T_eq`` (K), ``(nz, ny, nx)``."""
        relative = columns.pressure / self.reference_pressure
        cos2 = jnp.cos(columns.latitude) ** 2
        warm = self.equator - self.contrast * (1.0 - cos2)
        warm = warm - self.stability * jnp.log(relative) * cos2
        return jnp.maximum(self.stratosphere, warm * relative**columns.kappa)


class Sponge(AbstractColumnPhysics):
    """Decay of the wind above ``sigma``: at ``rate`` (1/s) at the top, with the square of the
    distance from ``sigma`` below."""

    rate: Any
    sigma: Any

    def __call__(self, columns: Columns, dt: float) -> Change:
        above = jnp.maximum(0.0, 1.0 - columns.sigma / self.sigma)
        return Change(drag=self.rate * above**2)
