"""Convection in moist air, as a relaxation towards the air that a rising parcel would leave."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from dassim.atmosphere.primitive.physics import AbstractColumnPhysics, Change, Columns


class Ascent(NamedTuple):
    """Of a parcel from the lowest level: temperature (K) and vapour at all levels, and whether
    convection reaches them, ``(nz, ny, nx)``."""

    T: jax.Array
    q: jax.Array
    reached: jax.Array


class BettsMiller(AbstractColumnPhysics):
    """Where a parcel from the lowest level becomes lighter than the air around it, the column
    relaxes within ``timescale`` (s) towards the parcel's temperature and ``humidity`` times its
    vapour, up to the first level above at which it is heavier again.

    * Deep, where both drying and warming make rain: the temperature is shifted as a whole so that
      the enthalpy ``cp T + L q`` stays.
    * Shallow, where warming would and drying would not: temperature and vapour are both shifted so
      that their sums stay; it does not rain.

    The simplified scheme of Frierson (2007), J. Atmos. Sci. 64, 1959, with the changed reference
    humidity in shallow convection.
    """

    fluxes: ClassVar[tuple[str, ...]] = ("prc",)

    timescale: Any = 7200.0
    humidity: Any = 0.7

    def __call__(self, columns: Columns, dt: float) -> Change:
        parcel = ascent(columns)
        heat = columns.water.latent_heat / columns.air.heat_capacity
        mass = columns.mass * parcel.reached

        def column(values: jax.Array) -> jax.Array:
            return jnp.sum(mass * values, axis=0)

        whole = jnp.maximum(column(jnp.ones_like(parcel.T)), 1e-30)
        warming, moist = parcel.T - columns.T, self.humidity * parcel.q
        rain_by_warming = column(warming) / heat
        rain_by_drying = column(columns.q - moist)
        active = rain_by_warming > 0.0
        deep = active & (rain_by_drying > 0.0)

        wanted = jnp.where(deep, heat * rain_by_drying, 0.0)
        warming = warming - (column(warming) - wanted) / whole
        held = column(moist)
        kept = column(columns.q) / jnp.where(held > 0.0, held, 1.0)
        moist = jnp.where(deep, 1.0, kept) * moist
        at_work = parcel.reached & active
        moistening = jnp.where(at_work, moist - columns.q, 0.0) / self.timescale
        return Change(
            heating=jnp.where(at_work, warming, 0.0) / self.timescale,
            sources={"q": moistening},
            fluxes={"prc": jnp.where(deep, -columns.total(moistening), 0.0)},
        )


def ascent(columns: Columns) -> Ascent:
    """Of the lowest level's air: dry until it is saturated, then losing what condenses::

    d(T)/d(ln p) = kappa T (1 + L q_s / (R T)) / (1 + L^2 q_s / (cp R_v T^2))
    """
    air, water = columns.air, columns.water
    pressure = columns.pressure
    own = columns.q[-1]

    def saturation(T: jax.Array, p: jax.Array) -> jax.Array:
        return water.saturation(T, p, air.gas_constant)

    def cooling(T: jax.Array, p: jax.Array) -> jax.Array:
        q_s, latent = saturation(T, p), water.latent_heat
        gain = 1.0 + latent * q_s / (air.gas_constant * T)
        return air.kappa * T * gain / (1.0 + latent / air.heat_capacity * q_s * water.steepness(T))

    def lifted(T: jax.Array, wet: jax.Array, p: jax.Array, to: jax.Array):
        """Temperature at ``to``, and whether the parcel is saturated there."""
        step = jnp.log(to / p)
        middle = T + 0.5 * step * cooling(T, p)
        along_moist = T + step * cooling(middle, jnp.sqrt(p * to))
        along_dry = T * (to / p) ** air.kappa
        excess = water.excess(along_dry, own, to, air)
        risen = along_dry + water.latent_heat / air.heat_capacity * jnp.maximum(excess, 0.0)
        return jnp.where(wet, along_moist, risen), wet | (excess > 0.0)

    def rise(carry, level):
        T, wet, p, buoyant, over = carry
        around, to = level
        T, wet = lifted(T, wet, p, to)
        lighter = around < T
        over = over | (buoyant & ~lighter)
        carry = T, wet, to, buoyant | lighter, over
        return carry, (T, wet, ~over)

    T, p = columns.T[-1], pressure[-1]
    wet, no = own >= saturation(T, p), jnp.zeros_like(T, bool)
    (_, _, _, buoyant, _), (parcel, saturated, reached) = jax.lax.scan(
        rise, (T, wet, p, no, no), (columns.T[:-1], pressure[:-1]), reverse=True
    )
    parcel = jnp.concatenate([parcel, T[None]])
    saturated = jnp.concatenate([saturated, wet[None]])
    vapour = jnp.where(saturated, saturation(parcel, pressure), own)
    reached = jnp.concatenate([reached, ~no[None]]) & buoyant
    return Ascent(parcel, jnp.minimum(vapour, own), reached)
