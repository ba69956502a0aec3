"""The external mode: free surface and depth-mean velocity, explicit in substeps or implicit."""

from dassim.dynamics.free_surface.averaging import (
    LEAST_DAMPING,
    LEAST_DISPERSION,
    AveragingFilter,
    averaging_filter,
)
from dassim.dynamics.free_surface.five_point import Overlap, five_point
from dassim.dynamics.free_surface.implicit import ImplicitFreeSurface
from dassim.dynamics.free_surface.interface import (
    AbstractFreeSurface,
    FreeSurfaceStep,
    wave_stiffness,
)
from dassim.dynamics.free_surface.split_explicit import (
    SplitExplicit,
    fastest_waves,
    longest_substep,
)
from dassim.dynamics.free_surface.substeps import (
    SubstepWeights,
    substep_weights,
    weighted_increments,
)

__all__ = [
    "LEAST_DAMPING",
    "LEAST_DISPERSION",
    "AbstractFreeSurface",
    "AveragingFilter",
    "FreeSurfaceStep",
    "ImplicitFreeSurface",
    "Overlap",
    "SplitExplicit",
    "SubstepWeights",
    "averaging_filter",
    "fastest_waves",
    "five_point",
    "longest_substep",
    "substep_weights",
    "wave_stiffness",
    "weighted_increments",
]
