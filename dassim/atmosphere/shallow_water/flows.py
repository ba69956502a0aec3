"""Flows of a layer of fluid on the sphere that start experiments.

Each gives the state at the owned points of a grid in longitude and latitude, on a planet,
over ground of the height ``orography`` (m, owned cells).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from dassim.atmosphere.planet import Planet, positions
from dassim.atmosphere.shallow_water.state import ShallowWaterState
from dassim.grid import Grid

Angle = np.ndarray


def fluid_at_rest(grid: Grid, height: float, orography: Any = 0.0) -> ShallowWaterState:
    """No motion under a level surface at ``height`` (m)."""
    return ShallowWaterState.of(grid, 0.0, 0.0, height - np.asarray(orography))


def solid_rotation(
    grid: Grid,
    planet: Planet,
    speed: float,
    height: float,
    orography: Any = 0.0,
    angle: float = 0.0,
) -> ShallowWaterState:
    """Rotation as of a solid body, with ``speed`` (m/s) on its equator, where the surface has its
    greatest ``height`` (m); its axis is tilted by ``angle`` (radians) against that of the grid.

    A steady solution over flat ground where the Coriolis parameter is tilted likewise (Williamson
    et al. 1992, J. Comput. Phys. 102, 211, case 2; over a mountain, case 5).
    """

    def latitude_sine(lon: Angle, lat: Angle) -> np.ndarray:
        return np.sin(lat) * np.cos(angle) - np.cos(lon) * np.cos(lat) * np.sin(angle)

    def u(lon: Angle, lat: Angle) -> np.ndarray:
        along = np.cos(lat) * np.cos(angle) + np.cos(lon) * np.sin(lat) * np.sin(angle)
        return speed * along

    fall = (planet.radius * planet.rotation + speed / 2) * speed / planet.gravity

    def surface(lon: Angle, lat: Angle) -> np.ndarray:
        return height - fall * latitude_sine(lon, lat) ** 2

    return ShallowWaterState.of(
        grid,
        at(grid, "u", u),
        at(grid, "v", lambda lon, lat: -speed * np.sin(lon) * np.sin(angle)),
        at(grid, "c", surface) - np.asarray(orography),
    )


def rossby_haurwitz_wave(
    grid: Grid,
    planet: Planet,
    height: float,
    rate: float = 7.848e-6,
    wavenumber: int = 4,
    orography: Any = 0.0,
) -> ShallowWaterState:
    """A wave that travels eastward around the globe without change of shape, nearly.

    Its stream function is ``-a^2 rate (sin(lat) - cos(lat)^R sin(lat) cos(R lon))``, R the
    ``wavenumber``, the surface in balance with it, ``height`` (m) at the poles. Without divergence
    the phase would go ``(R (3 + R) rate - 2 rotation) / ((1 + R) (2 + R))`` radians a second
    eastward (Williamson et al. 1992, J. Comput. Phys. 102, 211, case 6).
    """
    a, r, w = planet.radius, wavenumber, rate

    def u(lon: Angle, lat: Angle) -> np.ndarray:
        cos, sin = np.cos(lat), np.sin(lat)
        wave = cos ** (r - 1) * (r * sin**2 - cos**2) * np.cos(r * lon)
        return a * w * (cos + wave)

    def v(lon: Angle, lat: Angle) -> np.ndarray:
        return -a * w * r * np.cos(lat) ** (r - 1) * np.sin(lat) * np.sin(r * lon)

    def surface(lon: Angle, lat: Angle) -> np.ndarray:
        cos2 = np.cos(lat) ** 2
        mean = w / 2 * (2 * planet.rotation + w) * cos2 + w**2 / 4 * cos2 ** (r - 1) * (
            (r + 1) * cos2**2 + (2 * r**2 - r - 2) * cos2 - 2 * r**2
        )
        once = 2 * (planet.rotation + w) * w / ((r + 1) * (r + 2)) * cos2 ** (r / 2)
        once = once * ((r**2 + 2 * r + 2) - (r + 1) ** 2 * cos2)
        twice = w**2 / 4 * cos2**r * ((r + 1) * cos2 - (r + 2))
        potential = mean + once * np.cos(r * lon) + twice * np.cos(2 * r * lon)
        return height + a**2 / planet.gravity * potential

    h = at(grid, "c", surface) - np.asarray(orography)
    return ShallowWaterState.of(grid, at(grid, "u", u), at(grid, "v", v), h)


class Jet(NamedTuple):
    """A westerly jet between two latitudes (radians), with its largest speed (m/s)."""

    speed: float = 80.0
    south: float = np.pi / 7
    north: float = np.pi / 2 - np.pi / 7

    def __call__(self, lat: Angle) -> np.ndarray:
        inside = (lat > self.south) & (lat < self.north)
        product = np.where(inside, (lat - self.south) * (lat - self.north), -1.0)
        peak = -4.0 / (self.north - self.south) ** 2
        return np.where(inside, self.speed * np.exp(1.0 / product - peak), 0.0)


def barotropic_jet(
    grid: Grid,
    planet: Planet,
    height: float = 10e3,
    perturbation: float = 120.0,
    jet: Jet | None = None,
    orography: Any = 0.0,
) -> ShallowWaterState:
    """A balanced jet under a surface of mean ``height`` (m), and a bump of ``perturbation`` (m) on
    it, at which it becomes unstable (Galewsky et al. 2004, Tellus A 56, 429)."""
    wind = Jet() if jet is None else jet
    lat = np.linspace(-np.pi / 2, np.pi / 2, 20001)
    u = wind(lat)
    slope = -u * (2 * planet.rotation * np.sin(lat) * planet.radius + u * np.tan(lat))
    steps = 0.5 * (slope[1:] + slope[:-1]) * np.diff(lat) / planet.gravity
    fall = np.concatenate([[0.0], np.cumsum(steps)])
    mean = np.trapezoid(fall * np.cos(lat), lat) / 2

    def surface(lon: Angle, at_lat: Angle) -> np.ndarray:
        from_centre = np.mod(lon + np.pi, 2 * np.pi) - np.pi
        bump = np.exp(-((3 * from_centre) ** 2) - (15 * (np.pi / 4 - at_lat)) ** 2)
        balanced = height - mean + np.interp(at_lat, lat, fall)
        return balanced + perturbation * np.cos(at_lat) * bump

    h = at(grid, "c", surface) - np.asarray(orography)
    return ShallowWaterState.of(grid, at(grid, "u", lambda lon, lat: wind(lat)), 0.0, h)


def at(grid: Grid, location: str, function: Callable[[Angle, Angle], np.ndarray]) -> np.ndarray:
    """``function(longitude, latitude)``, in radians, at the owned points of ``location``."""
    return np.broadcast_to(function(*positions(grid, location)), grid.shape[1:])
