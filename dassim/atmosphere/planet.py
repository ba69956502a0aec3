"""The sphere that an atmosphere lies on, and where the points of a grid are on it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dassim.grid import Grid
from dassim.grid.horizontal import EARTH_RADIUS, EARTH_ROTATION


class Planet(NamedTuple):
    """Radius (m), rotation (1/s) and gravity (m/s2)."""

    radius: float = EARTH_RADIUS
    rotation: float = EARTH_ROTATION
    gravity: float = 9.80616


def positions(grid: Grid, location: str) -> tuple[np.ndarray, np.ndarray]:
    """Longitudes and latitudes (radians) of the owned points of ``location``."""
    lon, lat = (
        np.deg2rad(np.asarray(grid.owned(getattr(axis, location)), float))
        for axis in (grid.x, grid.y)
    )
    return lon, lat


def distance(lon: np.ndarray, lat: np.ndarray, centre: tuple[float, float]) -> np.ndarray:
    """The angle (radians) along the great circle to ``centre`` (longitude and latitude, degrees).

    >>> np.rad2deg(distance(np.array([0.0]), np.array([0.5 * np.pi]), (20.0, 40.0))).round(9)
    array([50.])
    """
    x0, y0 = np.deg2rad(centre)
    cosine = np.sin(y0) * np.sin(lat) + np.cos(y0) * np.cos(lat) * np.cos(lon - x0)
    return np.arccos(np.clip(cosine, -1.0, 1.0))
