"""Grey radiation: one band of infrared, absorbed by a gas that is given; sunlight at the ground."""

from __future__ import annotations

from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from dassim.atmosphere.primitive.physics import AbstractColumnPhysics, Change, Columns

STEFAN_BOLTZMANN = 5.670374e-8  # W/(m2 K4)


class GreyRadiation(AbstractColumnPhysics):
    """Two streams without scattering, and what they do to the air and to the ground::

        dU/dtau = U - B,    dD/dtau = B - D,    B = Stefan-Boltzmann T^4,    U(ground) = B(T_s)
        tau     = tau_s (f sigma + (1 - f) sigma^4)
        tau_s   = tau_equator + (tau_pole - tau_equator) sin(lat)^2

    of temperatures that are uniform in each level, and sunlight that the air lets pass::

        S = (1 - albedo) solar / 4 (1 + contrast (1 - 3 sin(lat)^2) / 4)

    After Frierson et al. (2006), J. Atmos. Sci. 63, 2548; the mean over the year, none over the
    day.
    """

    fluxes: ClassVar[tuple[str, ...]] = ("rlut", "rlus", "rlds", "rsns")

    solar: Any = 1360.0
    albedo: Any = 0.31
    contrast: Any = 1.4
    equator: Any = 6.0
    pole: Any = 1.5
    linear: Any = 0.1

    def __call__(self, columns: Columns, dt: float) -> Change:
        up, down = self.streams(columns)
        net = up - down
        heating = (net[1:] - net[:-1]) / (columns.air.heat_capacity * columns.mass)
        sunlight = self.sunlight(columns)
        return Change(
            heating=heating,
            surface_heating=sunlight - net[-1],
            fluxes={"rlut": up[0], "rlus": up[-1], "rlds": down[-1], "rsns": sunlight},
        )

    def depth(self, columns: Columns) -> jax.Array:
        """Optical depth of what lies above the faces of the levels, ``(nz + 1, ny, nx)``."""
        s, sin2 = columns.faces, jnp.sin(columns.latitude) ** 2
        whole = self.equator + (self.pole - self.equator) * sin2
        return whole * (self.linear * s + (1.0 - self.linear) * s**4)

    def sunlight(self, columns: Columns) -> jax.Array:
        """W/m2, absorbed by the ground, ``(ny, nx)``."""
        shape = 1.0 + self.contrast * (1.0 - 3.0 * jnp.sin(columns.latitude) ** 2) / 4.0
        return (1.0 - self.albedo) * self.solar / 4.0 * shape

    def streams(self, columns: Columns) -> tuple[jax.Array, jax.Array]:
        """Infrared upward and downward (W/m2) through the faces, ``(nz + 1, ny, nx)``."""
        depth = self.depth(columns)
        passing = jnp.exp(depth[:-1] - depth[1:])
        own = STEFAN_BOLTZMANN * columns.T**4 * (1.0 - passing)

        def through(beam: jax.Array, level: tuple[jax.Array, jax.Array]):
            passing, own = level
            beam = beam * passing + own
            return beam, beam

        top, ground = jnp.zeros_like(own[0]), STEFAN_BOLTZMANN * columns.surface_temperature**4
        _, down = jax.lax.scan(through, top, (passing, own))
        _, up = jax.lax.scan(through, ground, (passing, own), reverse=True)
        return jnp.concatenate([up, ground[None]]), jnp.concatenate([top[None], down])
