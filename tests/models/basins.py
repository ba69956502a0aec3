"""A small closed basin with an island and a rough bottom, on a plane or on the sphere."""

from __future__ import annotations

import numpy as np

from dassim.grid import Field, Grid, build_grid, cartesian, latlon, levels
from dassim.parallel import Domain

NZ, NY, NX = 5, 12, 16


def rough_basin(geometry: str = "cartesian", periodic: bool = True, flat: bool = False) -> Grid:
    """``(5, 12, 16)`` cells; depths between 100 and 500 m, and an island, unless ``flat``."""
    domain = Domain.serial((NY, NX), periodic=(False, periodic))
    if geometry == "cartesian":
        horizontal = cartesian(
            domain,
            np.linspace(0, 160e3, NX + 1),
            np.linspace(0, 120e3, NY + 1),
            f0=1e-4,
            beta=2e-11,
        )
    else:
        horizontal = latlon(domain, np.linspace(0, 360, NX + 1), np.linspace(-70, 50, NY + 1))
    depth = np.random.default_rng(7).uniform(120, 500, (NY, NX))
    depth[4:6, 5:8] = 0.0
    return build_grid(horizontal, levels(np.full(NZ, 100.0)), None if flat else depth)


def flow(grid: Grid, seed: int = 0) -> tuple[Field, Field]:
    """Random velocities (m/s) on wet faces, with halos."""
    rng = np.random.default_rng(seed)
    u, v = (
        Field.at(location, rng.normal(size=grid.shape) * np.asarray(grid.owned_mask(location)))
        for location in ("u", "v")
    )
    return grid.exchange((u, v), 4)


def cells(grid: Grid, seed: int = 1) -> Field:
    """Random values on wet cells, with halos."""
    values = np.random.default_rng(seed).normal(size=grid.shape)
    return grid.exchange(Field.at("c", values * np.asarray(grid.owned_mask("c"))), 4)
