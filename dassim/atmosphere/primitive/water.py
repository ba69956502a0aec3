"""Water vapour in air: how much there can be, and what it does to the air's density."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

TRIPLE_POINT = 273.16  # K
TRIPLE_POINT_PRESSURE = 610.78  # Pa, of the vapour


class Air(eqx.Module):
    """``gas_constant`` and ``heat_capacity`` at constant pressure of dry air (J/(kg K))."""

    gas_constant: Any
    heat_capacity: Any

    @property
    def kappa(self) -> Any:
        return self.gas_constant / self.heat_capacity

    @property
    def lamb_waves(self) -> Any:
        """Square of their speed over the temperature of isothermal air (m2/(s2 K))."""
        return self.gas_constant / (1.0 - self.kappa)


class Water(eqx.Module):
    """``latent_heat`` of condensation (J/kg), the same at all temperatures, and ``gas_constant`` of
    vapour (J/(kg K))."""

    latent_heat: Any = 2.5e6
    gas_constant: Any = 461.5

    def saturation(self, T: jax.Array, p: jax.Array, dry_gas: Any) -> jax.Array:
        """Specific humidity of saturated air of ``T`` (K) at ``p`` (Pa)::

            q_s = (R_d / R_v) e_s / p,    e_s = e_0 exp(-(L / R_v) (1 / T - 1 / T_0))

        for vapour that is thin beside the air.
        """
        warmth = self.latent_heat / self.gas_constant * (1.0 / TRIPLE_POINT - 1.0 / T)
        vapour = TRIPLE_POINT_PRESSURE * jnp.exp(warmth)
        return dry_gas / self.gas_constant * vapour / p

    def steepness(self, T: jax.Array) -> jax.Array:
        """``d(ln q_s)/dT`` (1/K), the Clausius-Clapeyron equation."""
        return self.latent_heat / (self.gas_constant * T**2)

    def excess(self, T: jax.Array, q: jax.Array, p: jax.Array, air: Air) -> jax.Array:
        """Vapour that condenses until air of ``T`` and ``q`` is saturated, which warms it; negative
        where some has to evaporate. One Newton step."""
        q_s = self.saturation(T, p, air.gas_constant)
        return (q - q_s) / (1.0 + self.latent_heat / air.heat_capacity * q_s * self.steepness(T))


def virtual_factor(q: Any, dry_gas: Any, water: Water) -> Any:
    """``1 + (R_v / R_d - 1) q``: by how much warmer dry air is that is as dense as moist air."""
    return 1.0 + (water.gas_constant / dry_gas - 1.0) * q
