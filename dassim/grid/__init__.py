"""The C-grid: fields that know their staggering, operators, geometry, levels and masks."""

from dassim.grid.field import (
    Field,
    HaloError,
    Location,
    Span,
    StaggeringError,
    apply,
    maximum,
    minimum,
    taps,
    where,
)
from dassim.grid.grid import Grid, build_grid, exchange
from dassim.grid.horizontal import (
    GridError,
    HorizontalGrid,
    Staggered,
    cartesian,
    latlon,
    orthogonal,
)
from dassim.grid.levels import (
    Levels,
    hybrid_levels,
    levels,
    one_layer,
    sigma_levels,
    smooth_hybrid_levels,
    stretched_thickness,
    uniform_thickness,
)

__all__ = [
    "Field",
    "Grid",
    "GridError",
    "HaloError",
    "HorizontalGrid",
    "Levels",
    "Location",
    "Span",
    "Staggered",
    "StaggeringError",
    "apply",
    "build_grid",
    "cartesian",
    "exchange",
    "hybrid_levels",
    "latlon",
    "levels",
    "maximum",
    "minimum",
    "one_layer",
    "orthogonal",
    "sigma_levels",
    "smooth_hybrid_levels",
    "stretched_thickness",
    "taps",
    "uniform_thickness",
    "where",
]
