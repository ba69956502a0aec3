"""Processes within columns of air, behind one interface.

A process looks at all columns of this rank, and returns rates of change. Processes act one after
the other, each for a whole time step on what the ones before have left.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import equinox as eqx
import jax
import jax.numpy as jnp

from dassim.atmosphere.primitive.column import Weights, geopotential, relative_faces
from dassim.atmosphere.primitive.state import AtmosphereState
from dassim.atmosphere.primitive.water import Air, Water, virtual_factor
from dassim.dynamics.implicit import implicit_diffusion
from dassim.dynamics.series import value_at
from dassim.grid import Field, Grid, Span
from dassim.grid.operators import avg_x_c2f, avg_x_f2c, avg_y_c2f, avg_y_f2c

if TYPE_CHECKING:
    from dassim.atmosphere.primitive.parameters import AtmosphereParameters

_BETWEEN = (Span("f", 1), Span("c"), Span("c"))  # the faces between levels


class Change(eqx.Module):
    """What a process does at cells.

    ``heating`` (K/s) and ``sources`` of tracers by name (1/s), both ``(nz, ny, nx)``; ``drag``: the
    rate (1/s) at which the wind decays, ``(nz, ny, nx)`` or ``(nz, 1, 1)``; ``mixing (nz - 1, ny,
    nx)`` (kg m-2 s-1): air that neighbouring levels exchange, with its static energy, tracers and
    momentum; ``surface_heating (ny, nx)`` (W/m2) of what lies below. ``None``: nothing.
    ``fluxes``: what of this crosses the ground and the top, by the names of
    :data:`~dassim.atmosphere.primitive.state.FLUXES`, ``(ny, nx)``.
    """

    heating: jax.Array | None = None
    drag: jax.Array | None = None
    sources: dict[str, jax.Array] = eqx.field(default_factory=dict)
    mixing: jax.Array | None = None
    surface_heating: jax.Array | None = None
    fluxes: dict[str, jax.Array] = eqx.field(default_factory=dict)


class Columns(eqx.Module):
    """The columns over this rank's cells, levels from the top down.

    ``T`` (K) and ``tracers``, ``(nz, ny, nx)``; ``ps (ny, nx)`` (Pa); ``u`` and ``v`` where they
    lie; ``below``: temperature of the surface, where there is one; pressure over that at the
    ground: ``sigma`` at the middle of the levels, ``(nz, ny, nx)`` or, where it is the same in all
    columns, ``(nz, 1, 1)``, and ``faces`` between them; ``latitude (ny, nx)`` (radians); ``time``
    (s); constants. ``slab``: heat capacity (J/(m2 K)) of the surface, if it has one;
    ``wetness``: its evaporation over that of water.
    """

    grid: Grid
    T: jax.Array
    ps: jax.Array
    tracers: dict[str, jax.Array]
    u: jax.Array
    v: jax.Array
    below: jax.Array | None
    sigma: jax.Array
    faces: jax.Array
    latitude: jax.Array
    gravity: Any
    air: Air
    water: Water
    slab: Any
    wetness: Any
    time: Any

    @classmethod
    def of(cls, grid: Grid, parameters: AtmosphereParameters, state: AtmosphereState) -> Columns:
        faces = relative_faces(grid, Field.at("c", state.ps)).data
        return cls(
            grid,
            state.T,
            state.ps,
            state.tracers,
            state.u,
            state.v,
            parameters.temperature_below(state),
            0.5 * (faces[1:] + faces[:-1]),
            faces,
            jnp.deg2rad(grid.owned(grid.y.c)),
            parameters.gravity,
            parameters.air,
            parameters.water,
            parameters.slab,
            value_at(parameters.wetness, state.time),
            state.time,
        )

    @property
    def pressure(self) -> jax.Array:
        """Pa, at the middle of the levels."""
        return self.sigma * self.ps

    @property
    def surface_temperature(self) -> jax.Array:
        """K, ``(ny, nx)``."""
        if self.below is None:
            raise ValueError(
                "found no temperature of the surface; expected surface_temperature among the "
                "parameters, or Ts in the state; give one of them"
            )
        return self.below

    @property
    def q(self) -> jax.Array:
        """Specific humidity."""
        return self.tracers["q"]

    @property
    def saturation(self) -> jax.Array:
        """Specific humidity of saturated air at the levels' temperatures."""
        return self.water.saturation(self.T, self.pressure, self.air.gas_constant)

    @property
    def mass(self) -> jax.Array:
        """kg/m2, of the levels."""
        return (self.faces[1:] - self.faces[:-1]) * self.ps / self.gravity

    def total(self, values: jax.Array) -> jax.Array:
        """kg/m2 of what the columns hold ``values`` of per mass, ``(ny, nx)``."""
        return jnp.sum(self.mass * values, axis=0)

    @property
    def virtual_temperature(self) -> jax.Array:
        if "q" not in self.tracers:
            return self.T
        return self.T * virtual_factor(self.q, self.air.gas_constant, self.water)

    @property
    def height(self) -> jax.Array:
        """m above the surface, of the middle of the levels."""
        virtual = Field.at("c", self.virtual_temperature)
        surface = Field.at("c", jnp.zeros_like(self.ps))
        weights = Weights.of(self.grid, Field.at("c", self.ps))
        phi = geopotential(weights, self.air.gas_constant, virtual, surface)
        return phi.data / self.gravity

    def wind(self) -> tuple[jax.Array, jax.Array]:
        """``u`` and ``v`` at cells. One message per direction."""
        u, v = self.grid.exchange((Field.at("u", self.u), Field.at("v", self.v)), 1)
        return self.grid.owned(avg_x_f2c(u)), self.grid.owned(avg_y_f2c(v))

    def moved(self, state: AtmosphereState, change: Change, dt: float) -> AtmosphereState:
        """``state`` after ``change`` has acted for ``dt`` seconds; drag and mixing act implicitly,
        after the rest."""
        T = self.T if change.heating is None else self.T + dt * change.heating
        tracers = {
            name: tracer + dt * change.sources[name] if name in change.sources else tracer
            for name, tracer in self.tracers.items()
        }
        state = replace(state, T=T, tracers=tracers)
        if change.surface_heating is not None and self.slab is not None:
            state = replace(state, Ts=state.Ts + dt * change.surface_heating / self.slab)
        if change.mixing is not None:
            return self._mixed(state, change.mixing, change.drag, dt)
        if change.drag is None:
            return state
        at_u, at_v = self._at_faces(change.drag)
        return replace(state, u=state.u / (1.0 + dt * at_u), v=state.v / (1.0 + dt * at_v))

    def _mixed(
        self, state: AtmosphereState, mixing: jax.Array, drag: jax.Array | None, dt: float
    ) -> AtmosphereState:
        """``cp T + phi``, tracers and the wind after diffusion, ``phi`` held. Sums over the column
        of enthalpy and tracers stay; those of momentum lose what ``drag`` takes."""
        grid, mass = self.grid, self.mass
        between = (
            0.5 * (mass[:-1] + mass[1:]) * mixing
        )  # implicit_diffusion divides by the distance
        sink = jnp.zeros_like(mass) if drag is None else jnp.broadcast_to(drag, mass.shape)
        at_c = Field.at("c", mass), Field(between, _BETWEEN), Field.at("c", sink)
        lift = self.gravity * self.height / self.air.heat_capacity
        carried = {name: Field.at("c", x) for name, x in state.tracers.items()}
        static = Field.at("c", state.T + lift)
        static, carried = implicit_diffusion((static, carried), at_c[0], at_c[1], dt)
        around = grid.exchange(at_c, 1)

        def mixed(name: Literal["u", "v"], average: Callable[[Field], Field]) -> jax.Array:
            thickness, diffusivity, rate = (average(field) for field in around)
            old = Field.at(name, getattr(state, name))
            return grid.owned(implicit_diffusion(old, thickness, diffusivity, dt, sink=rate))

        return replace(
            state,
            u=mixed("u", avg_x_c2f),
            v=mixed("v", avg_y_c2f),
            T=static.data - lift,
            tracers={name: field.data for name, field in carried.items()},
        )

    def _at_faces(self, rate: jax.Array) -> tuple[jax.Array, jax.Array]:
        if rate.shape[-2:] == (1, 1):
            return rate, rate
        at_c = self.grid.exchange(Field.at("c", rate), 1)
        return self.grid.owned(avg_x_c2f(at_c)), self.grid.owned(avg_y_c2f(at_c))


class AbstractColumnPhysics(eqx.Module):
    """A process within columns. Its numbers are parameters: they can be differentiated."""

    fluxes: ClassVar[tuple[str, ...]] = ()
    """Names of the fluxes that its changes tell."""

    @abc.abstractmethod
    def __call__(self, columns: Columns, dt: float) -> Change:
        """Rates of change over the next ``dt`` seconds."""


def fluxes_of(processes: Iterable[AbstractColumnPhysics]) -> tuple[str, ...]:
    """Names of the fluxes that any of ``processes`` tells."""
    return tuple(dict.fromkeys(name for process in processes for name in process.fluxes))


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
        return jnp.maximum(self.stratosphere, warm * relative**columns.air.kappa)


class Sponge(AbstractColumnPhysics):
    """Decay of the wind above ``sigma``: at ``rate`` (1/s) at the top, with the square of the
    distance from ``sigma`` below."""

    rate: Any
    sigma: Any

    def __call__(self, columns: Columns, dt: float) -> Change:
        above = jnp.maximum(0.0, 1.0 - columns.sigma / self.sigma)
        return Change(drag=self.rate * above**2)
