"""Exchange of heat, vapour and momentum with the surface, and turbulence above it."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from dassim.atmosphere.primitive.physics import AbstractColumnPhysics, Change, Columns
from dassim.atmosphere.primitive.water import virtual_factor

KARMAN = 0.4
SURFACE_LAYER = 0.1
"""Part of the boundary layer in which diffusivity grows as in the surface layer."""


class Profile(NamedTuple):
    """What turbulence depends on: ``height`` (m) of the levels, ``speed`` (m/s), virtual static
    energy ``cp T_v + g z`` (J/kg), all ``(nz, ny, nx)``."""

    height: jax.Array
    speed: jax.Array
    energy: jax.Array


class BoundaryLayer(AbstractColumnPhysics):
    """Bulk fluxes from a surface of water at ``Ts``, and diffusion up to the height where the bulk
    Richardson number ``Ri`` passes ``critical`` (Frierson et al. 2006, J. Atmos. Sci. 63, 2548)::

        H = rho cp C |v| (Ts - T - g z / cp),   E = w rho C |v| (q_s(Ts) - q),   tau = rho C |v| v
        C = (k / ln(z / z_0))^2 (1 - r)^2,      r = Ri / critical, between 0 and 1
        Ri(z) = g z (s_v(z) - s_v(surface)) / (s_v |v|^2)

    of the lowest level as it is at the step's end, so that a thin one does not go beyond the
    surface; w is the wetness of the surface. ``roughness`` (m): z_0, of sea and land alike.
    ``gustiness`` (m/s): wind at the surface in calm air. Diffusion works on ``cp T + g z``, tracers
    and wind, with ``K = k u* z / (1 + r ln(z / z_0) / (1 - r))`` in the lowest tenth of the layer,
    and a parabola's part of that from there to its top.
    """

    fluxes: ClassVar[tuple[str, ...]] = ("hfss", "evspsbl")

    roughness: Any = 3.21e-5
    critical: Any = 1.0
    gustiness: Any = 1.0

    def __call__(self, columns: Columns, dt: float) -> Change:
        air = self.profile(columns)
        lowest = columns.mass[-1]
        stability = self.stability(columns, air)
        coefficient = self.exchange(air, stability)
        flow = self.density(columns) * coefficient * air.speed[-1]  # kg m-2 s-1
        heat, vapour = self.surface_fluxes(columns, air, flow)
        rate = flow / lowest
        heat = heat / (1.0 + dt * rate)
        vapour = vapour / (1.0 + dt * columns.wetness * rate)
        cp, latent = columns.air.heat_capacity, columns.water.latent_heat
        return Change(
            heating=_at_ground(heat / (cp * lowest), columns.T),
            sources={"q": _at_ground(vapour / lowest, columns.T)},
            drag=_at_ground(rate, columns.T),
            mixing=self.mixing(columns, air, coefficient, stability),
            surface_heating=-heat - latent * vapour,
            fluxes={"hfss": heat, "evspsbl": vapour},
        )

    def profile(self, columns: Columns) -> Profile:
        u, v = columns.wind()
        height = columns.height
        speed = jnp.sqrt(u**2 + v**2 + self.gustiness**2)
        energy = columns.air.heat_capacity * columns.virtual_temperature
        return Profile(height, speed, energy + columns.gravity * height)

    def density(self, columns: Columns) -> jax.Array:
        """kg/m3, of the lowest level."""
        warmth = columns.air.gas_constant * columns.virtual_temperature[-1]
        return columns.pressure[-1] / warmth

    def surface_fluxes(
        self, columns: Columns, air: Profile, flow: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Upward sensible heat (W/m2) and vapour (kg m-2 s-1), by ``flow`` of air (kg m-2 s-1)."""
        cp = columns.air.heat_capacity
        lift = columns.gravity * air.height[-1] / cp
        heat = cp * flow * (columns.surface_temperature - columns.T[-1] - lift)
        return heat, flow * (_at_surface(columns) - columns.q[-1])

    def stability(self, columns: Columns, air: Profile) -> jax.Array:
        """``r`` of the lowest level: 0 over a warmer surface, 1 where turbulence ends."""
        gas, cp = columns.air.gas_constant, columns.air.heat_capacity
        factor = virtual_factor(_at_surface(columns), gas, columns.water)
        stable = (air.energy[-1] - cp * columns.surface_temperature * factor) / air.energy[-1]
        richardson = columns.gravity * air.height[-1] * stable / air.speed[-1] ** 2
        return jnp.clip(richardson / self.critical, 0.0, 1.0)

    def exchange(self, air: Profile, stability: jax.Array) -> jax.Array:
        """``C`` of the lowest level."""
        neutral = (KARMAN / jnp.log(air.height[-1] / self.roughness)) ** 2
        return neutral * (1.0 - stability) ** 2

    def depth(self, columns: Columns, air: Profile) -> jax.Array:
        """Height (m) of the boundary layer's top: where ``Ri``, from the lowest level on, first
        reaches ``critical``, between levels by a line."""
        rise = (air.energy - air.energy[-1]) / air.energy[-1]
        richardson = columns.gravity * air.height * rise / air.speed**2
        below, above = richardson[1:], richardson[:-1]
        past = above >= self.critical
        first = past & (jnp.cumsum(past[::-1], axis=0)[::-1] == 1)
        step = jnp.where(first, above - below, 1.0)
        part = jnp.where(first, (self.critical - below) / step, 0.0)
        z_below, z_above = air.height[1:], air.height[:-1]
        found = jnp.sum(jnp.where(first, z_below + part * (z_above - z_below), 0.0), axis=0)
        return jnp.where(jnp.any(first, axis=0), found, air.height[0])

    def mixing(
        self, columns: Columns, air: Profile, coefficient: jax.Array, stability: jax.Array
    ) -> jax.Array:
        """``rho K / dz`` (kg m-2 s-1) between neighbouring levels, ``(nz - 1, ny, nx)``."""
        top = self.depth(columns, air)
        friction_speed = jnp.sqrt(coefficient + 1e-12) * air.speed[-1]
        z = 0.5 * (air.height[1:] + air.height[:-1])
        near = SURFACE_LAYER * top
        inside = jnp.clip((z - near) / (top - near), 0.0, 1.0)
        free = 1.0 - stability
        log = jnp.log(jnp.minimum(z, near) / self.roughness)
        damped = free / (free + stability * jnp.maximum(log, 0.0))
        diffusivity = KARMAN * friction_speed * z * damped * (1.0 - inside) ** 2
        T = columns.virtual_temperature
        density = (
            columns.faces[1:-1] * columns.ps / (columns.air.gas_constant * 0.5 * (T[1:] + T[:-1]))
        )
        return density * diffusivity / (air.height[:-1] - air.height[1:])


def _at_surface(columns: Columns) -> jax.Array:
    """Specific humidity of the air at the surface: saturated over water, that of the lowest level
    over dry ground."""
    T, gas, q = columns.surface_temperature, columns.air.gas_constant, columns.q[-1]
    return q + columns.wetness * (columns.water.saturation(T, columns.ps, gas) - q)


def _at_ground(lowest: jax.Array, like: jax.Array) -> jax.Array:
    """``lowest`` at the lowest level, nothing above."""
    return jnp.zeros_like(like).at[-1].set(lowest)
