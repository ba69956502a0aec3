"""Tables of observations, and a rough ocean that they are taken from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from dassim.config.units import linear
from dassim.grid import Grid, build_grid, cartesian, latlon, levels
from dassim.grid.variables import Variable
from dassim.io.observations import ObservationTable, Units
from dassim.io.observations.table import Geometry
from dassim.parallel import Domain

NZ, NY, NX = 4, 8, 12
VARIABLES = {
    "T": Variable("T", "c", "degC", "temperature"),
    "u": Variable("u", "u", "m s-1", "velocity along x"),
    "v": Variable("v", "v", "m s-1", "velocity along y"),
    "eta": Variable("eta", "c", "m", "sea level", levels=False),
}
NAMES = tuple(VARIABLES)
UNITS = Units({"S": "1e-3", **{name: each.units for name, each in VARIABLES.items()}}, linear)


def sea(domain: Domain | None = None, geometry: Geometry = "cartesian") -> Grid:
    """``(4, 8, 12)`` cells of 10 km (or 30 degrees of longitude, 10 of latitude), 100 m thick; an
    island in the cells (3..4, 5..6), and a shelf of two levels in the southern row."""
    domain = domain or Domain.serial((NY, NX), periodic=(False, True))
    if geometry == "cartesian":
        plane = cartesian(domain, 1e4 * np.arange(NX + 1), 1e4 * np.arange(NY + 1), f0=1e-4)
    else:
        plane = latlon(domain, 30.0 * np.arange(NX + 1), 10.0 * np.arange(NY + 1) - 40.0)
    depth = np.full((NY, NX), 400.0)
    depth[3:5, 5:7] = 0.0
    depth[0] = 200.0
    return build_grid(plane, levels([100.0] * NZ), depth)


def table(geometry: Geometry = "cartesian", kind: str = "T", **columns: Any) -> ObservationTable:
    """Observations of one variable; what is not given is in the middle of the sea."""
    middle: Mapping[str, Any] = {"x": 20e3, "y": 65e3, "depth": 120.0, "time": 0.0, "value": 1.0,
                                 "error": 0.5, "good": True}  # fmt: skip
    whole = np.broadcast_arrays(*{**middle, **columns}.values())
    made = dict(zip({**middle, **columns}, map(np.atleast_1d, whole), strict=True))
    return ObservationTable.build(NAMES, geometry, {**made, "kind": NAMES.index(kind)})
