"""Everything in the atmosphere's equations that is a number, and so can be differentiated."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax

from dassim.atmosphere.primitive.physics import AbstractColumnPhysics
from dassim.atmosphere.primitive.state import AtmosphereState
from dassim.atmosphere.primitive.water import Air, Water
from dassim.dynamics.friction import DivergenceDamping, LateralFriction
from dassim.dynamics.series import TimeSeries, value_at
from dassim.dynamics.tracers import LateralDiffusion

DRY_AIR = 287.0  # J/(kg K)
HEAT_CAPACITY = 1004.5  # J/(kg K), at constant pressure


class AtmosphereParameters(eqx.Module):
    """Constants, damping, physics, the ground.

    ``gravity`` (m/s2), ``gas_constant`` and ``heat_capacity`` (J/(kg K)) of dry air; ``orography``
    (m, ``(ny, nx)`` at cells, or a number). ``friction`` and ``divergence_damping`` act on the
    wind, ``diffusion`` on temperature and tracers, along levels; ``physics``: processes within
    columns, one after the other. ``water``: constants of the tracer ``q``. ``slab``: heat capacity
    (J/(m2 K)) of a slab of water whose temperature is that of the surface. Without one,
    ``surface_temperature``: K, ``(ny, nx)``, or a series of it; ``None`` where no physics asks.
    ``wetness``: evaporation from the surface over that from water; a number, ``(ny, nx)``, or a
    series.
    """

    gravity: Any = 9.80616
    gas_constant: Any = DRY_AIR
    heat_capacity: Any = HEAT_CAPACITY
    orography: Any = 0.0
    friction: LateralFriction = eqx.field(default_factory=LateralFriction)
    divergence_damping: DivergenceDamping = eqx.field(default_factory=DivergenceDamping)
    diffusion: LateralDiffusion = eqx.field(default_factory=LateralDiffusion)
    physics: tuple[AbstractColumnPhysics, ...] = ()
    water: Water = eqx.field(default_factory=Water)
    slab: Any = None
    surface_temperature: jax.Array | TimeSeries | None = None
    wetness: Any = 1.0

    @property
    def air(self) -> Air:
        return Air(self.gas_constant, self.heat_capacity)

    def temperature_below(self, state: AtmosphereState) -> jax.Array | None:
        """Of the surface (K), ``(ny, nx)``."""
        if state.Ts is not None or self.surface_temperature is None:
            return state.Ts
        return value_at(self.surface_temperature, state.time)
