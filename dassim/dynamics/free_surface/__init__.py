"""The external mode: free surface and depth-mean velocity, explicit in substeps or implicit."""

from dassim.dynamics.free_surface.averaging import (
    LEAST_DAMPING,
    LEAST_DISPERSION,
    AveragingFilter,
    averaging_filter,
)
from dassim.dynamics.free_surface.implicit import ImplicitFreeSurface
from dassim.dynamics.free_surface.interface import AbstractFreeSurface, FreeSurfaceStep
from dassim.dynamics.free_surface.split_explicit import (
    SplitExplicit,
    fastest_waves,
    longest_substep,
)

__all__ = [
    "LEAST_DAMPING",
    "LEAST_DISPERSION",
    "AbstractFreeSurface",
    "AveragingFilter",
    "FreeSurfaceStep",
    "ImplicitFreeSurface",
    "SplitExplicit",
    "averaging_filter",
    "fastest_waves",
    "longest_substep",
]
