"""The hydrostatic primitive equations of the atmosphere."""

from dassim.atmosphere.primitive.analysis import PressureLevels, from_pressure_levels
from dassim.atmosphere.primitive.boundary_layer import BoundaryLayer
from dassim.atmosphere.primitive.condensation import Condensation, PositiveHumidity
from dassim.atmosphere.primitive.convection import DryAdjustment
from dassim.atmosphere.primitive.fast_modes import FastModes
from dassim.atmosphere.primitive.initial import BaroclinicZone, isothermal_rest
from dassim.atmosphere.primitive.model import AtmosphereModel
from dassim.atmosphere.primitive.moist_convection import BettsMiller
from dassim.atmosphere.primitive.parameters import AtmosphereParameters
from dassim.atmosphere.primitive.physics import (
    AbstractColumnPhysics,
    Change,
    Columns,
    HeldSuarez,
    Sponge,
    fluxes_of,
)
from dassim.atmosphere.primitive.radiation import GreyRadiation
from dassim.atmosphere.primitive.state import AtmosphereState

__all__ = [
    "AbstractColumnPhysics",
    "AtmosphereModel",
    "AtmosphereParameters",
    "AtmosphereState",
    "BaroclinicZone",
    "BettsMiller",
    "BoundaryLayer",
    "Change",
    "Columns",
    "Condensation",
    "DryAdjustment",
    "FastModes",
    "GreyRadiation",
    "HeldSuarez",
    "PositiveHumidity",
    "PressureLevels",
    "Sponge",
    "fluxes_of",
    "from_pressure_levels",
    "isothermal_rest",
]
