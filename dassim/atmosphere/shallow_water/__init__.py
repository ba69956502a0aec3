"""One layer of fluid on the sphere: the shallow-water equations."""

from dassim.atmosphere.shallow_water.flows import (
    barotropic_jet,
    fluid_at_rest,
    rossby_haurwitz_wave,
    solid_rotation,
)
from dassim.atmosphere.shallow_water.model import ShallowWaterModel, ShallowWaterParameters
from dassim.atmosphere.shallow_water.state import ShallowWaterState

__all__ = [
    "ShallowWaterModel",
    "ShallowWaterParameters",
    "ShallowWaterState",
    "barotropic_jet",
    "fluid_at_rest",
    "rossby_haurwitz_wave",
    "solid_rotation",
]
