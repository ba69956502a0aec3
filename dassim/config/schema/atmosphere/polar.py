"""Grids that reach the poles."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from dassim.config.explain import refuse
from dassim.config.schema.grid import HorizontalGrid, LatLonGrid
from dassim.config.schema.section import Section
from dassim.config.units import Latitude


class PolarFilter(Section):
    """Damping of the shortest zonal waves of tendencies poleward of a latitude, so that narrow
    cells do not bound the time step. Arakawa & Lamb (1977), Methods Comput. Phys. 17, 173.
    """

    latitude: Annotated[Latitude, Field(gt=0, lt=90)] = 60.0
    """Latitude poleward of which waves are damped, on both hemispheres."""


def require_circles(grid: HorizontalGrid, why: str, key: str) -> None:
    """Refuse a grid without whole circles of latitude."""
    if isinstance(grid, LatLonGrid) and grid.periodic and not isinstance(grid.dlon, tuple):
        return
    found = f"{why} on a {grid.type} grid"
    if isinstance(grid, LatLonGrid):
        found += " that is closed along x" if not grid.periodic else " of uneven longitudes"
    raise refuse(
        "circles of latitude: type: latlon, periodic: [x], equal longitudes",
        "correct the grid",
        found=found,
        key=key,
    )
