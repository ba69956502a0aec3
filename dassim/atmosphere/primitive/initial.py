"""States of the atmosphere that start experiments, on grids in longitude and latitude."""

from __future__ import annotations

from typing import Any

import numpy as np

from dassim.atmosphere.planet import Planet, distance, positions
from dassim.atmosphere.primitive.column import relative_faces
from dassim.atmosphere.primitive.state import AtmosphereState
from dassim.grid import Field, Grid
from dassim.grid.levels import REFERENCE_PRESSURE
from dassim.grid.operators import avg_z_f2c


def isothermal_rest(
    grid: Grid,
    planet: Planet,
    temperature: float,
    gas_constant: float,
    orography: Any = 0.0,
    pressure: float = 1e5,
) -> AtmosphereState:
    """No wind at one ``temperature`` (K); ``pressure`` (Pa) at height 0 of the ground."""
    height = np.asarray(orography, float)
    ps = pressure * np.exp(-planet.gravity * height / (gas_constant * temperature))
    return AtmosphereState.of(grid, 0.0, 0.0, temperature, ps)


class BaroclinicZone:
    """Westerly jets in balance, steady but unstable (Jablonowski & Williamson 2006, Quart. J. Roy.
    Meteor. Soc. 132, 2943): ``u = u0 cos(eta_v)^(3/2) sin(2 lat)^2``, ``eta_v = (eta - eta_0)
    pi / 2``, over ground that carries 1000 hPa: ``eta`` is the pressure over that."""

    def __init__(self, planet: Planet, gas_constant: float, speed: float = 35.0):
        self.planet, self.gas_constant, self.speed = planet, gas_constant, speed

    surface_temperature, lapse_rate, stratosphere = 288.0, 0.005, 4.8e5
    eta_t, eta_0 = 0.2, 0.252

    def wind(self, eta: np.ndarray, lat: np.ndarray) -> np.ndarray:
        """Eastward (m/s)."""
        return self.speed * _cos32(self._eta_v(eta)) * np.sin(2 * lat) ** 2

    def temperature(self, eta: np.ndarray, lat: np.ndarray) -> np.ndarray:
        """K."""
        eta_v = self._eta_v(eta)
        mean = self.surface_temperature * eta ** (
            self.gas_constant * self.lapse_rate / self.planet.gravity
        )
        mean = mean + self.stratosphere * np.maximum(0.0, self.eta_t - eta) ** 5
        first, second = self._shapes(lat)
        factor = 0.75 * np.pi * self.speed / self.gas_constant
        rotation = self.planet.radius * self.planet.rotation
        swirl = 2 * self.speed * _cos32(eta_v) * first + rotation * second
        return mean + factor * eta * np.sin(eta_v) * np.sqrt(np.cos(eta_v)) * swirl

    def ground(self, lat: np.ndarray) -> np.ndarray:
        """Height (m)."""
        speed = self.speed * _cos32(self._eta_v(np.asarray(1.0)))
        first, second = self._shapes(lat)
        rotation = self.planet.radius * self.planet.rotation
        return speed * (speed * first + rotation * second) / self.planet.gravity

    def _eta_v(self, eta: np.ndarray) -> np.ndarray:
        return (eta - self.eta_0) * np.pi / 2

    @staticmethod
    def _shapes(lat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        sin2, cos2 = np.sin(lat) ** 2, np.cos(lat) ** 2
        first = -2 * sin2**3 * (cos2 + 1 / 3) + 10 / 63
        second = 8 / 5 * np.cos(lat) ** 3 * (sin2 + 2 / 3) - np.pi / 4
        return first, second

    def ground_of(self, grid: Grid) -> np.ndarray:
        """Height (m) at the owned cells, ``(ny, nx)``."""
        return np.broadcast_to(self.ground(_latitude(grid, "c")), grid.shape[1:])

    def state(self, grid: Grid, perturbation: float = 0.0) -> AtmosphereState:
        """With a bump of the wind of ``perturbation`` (m/s) at 20 E, 40 N."""
        faces = relative_faces(grid, Field.constant(REFERENCE_PRESSURE))
        eta = np.asarray(avg_z_f2c(faces).data, float)
        u = self.wind(eta, _latitude(grid, "u")) + perturbation * _bump(grid)
        T = self.temperature(eta, _latitude(grid, "c"))
        return AtmosphereState.of(grid, u, 0.0, T, REFERENCE_PRESSURE)


def _bump(grid: Grid) -> np.ndarray:
    return np.exp(-((10 * distance(*positions(grid, "u"), (20.0, 40.0))) ** 2))


def _latitude(grid: Grid, at: str) -> np.ndarray:
    return positions(grid, at)[1]


def _cos32(eta_v: np.ndarray) -> np.ndarray:
    return np.cos(eta_v) ** 1.5
