"""The hydrostatic primitive equations of the atmosphere."""

from dassim.atmosphere.primitive.convection import DryAdjustment
from dassim.atmosphere.primitive.initial import BaroclinicZone, isothermal_rest
from dassim.atmosphere.primitive.model import AtmosphereModel
from dassim.atmosphere.primitive.parameters import AtmosphereParameters
from dassim.atmosphere.primitive.physics import (
    AbstractColumnPhysics,
    Change,
    Columns,
    HeldSuarez,
    Sponge,
)
from dassim.atmosphere.primitive.state import AtmosphereState

__all__ = [
    "AbstractColumnPhysics",
    "AtmosphereModel",
    "AtmosphereParameters",
    "AtmosphereState",
    "BaroclinicZone",
    "Change",
    "Columns",
    "DryAdjustment",
    "HeldSuarez",
    "Sponge",
    "isothermal_rest",
]
