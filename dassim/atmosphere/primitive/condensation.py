"""Rain from air that holds more vapour than it can."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp

from dassim.atmosphere.primitive.physics import AbstractColumnPhysics, Change, Columns


class Condensation(AbstractColumnPhysics):
    """Vapour beyond saturation becomes rain at once, which evaporates again in drier levels below
    until they are saturated; what is left reaches the ground. What condensation takes from ``L q``
    it gives to ``cp T`` (after Frierson et al. 2006, J. Atmos. Sci. 63, 2548).
    """

    fluxes: ClassVar[tuple[str, ...]] = ("prl",)

    def __call__(self, columns: Columns, dt: float) -> Change:
        condensed = self.condensed(columns)
        heat = columns.water.latent_heat / columns.air.heat_capacity
        return Change(
            heating=heat * condensed / dt,
            sources={"q": -condensed / dt},
            fluxes={"prl": columns.total(condensed / dt)},
        )

    def condensed(self, columns: Columns) -> jax.Array:
        """Specific humidity that becomes rain, negative where rain evaporates, ``(nz, ny, nx)``."""
        excess = columns.water.excess(columns.T, columns.q, columns.pressure, columns.air)

        def fall(rain: jax.Array, level: tuple[jax.Array, jax.Array]):
            excess, mass = level
            condensed = jnp.maximum(excess, -rain / mass)
            return rain + mass * condensed, condensed

        start = jnp.zeros_like(columns.ps)
        _, condensed = jax.lax.scan(fall, start, (excess, columns.mass))
        return condensed


class PositiveHumidity(AbstractColumnPhysics):
    """A level with less than no vapour takes what it lacks from the next below, the lowest from
    those above. The column keeps its vapour; only where it has none in all does the lowest level
    stay below 0."""

    def __call__(self, columns: Columns, dt: float) -> Change:
        has = columns.q * columns.mass

        def borrow(debt: jax.Array, content: jax.Array):
            content = content + debt
            return jnp.minimum(content, 0.0), jnp.maximum(content, 0.0)

        debt, filled = jax.lax.scan(borrow, jnp.zeros_like(columns.ps), has)
        debt, filled = jax.lax.scan(borrow, debt, filled, reverse=True)
        filled = filled.at[-1].add(debt)
        return Change(sources={"q": (filled - has) / (columns.mass * dt)})
