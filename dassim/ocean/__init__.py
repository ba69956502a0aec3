"""The ocean: a hydrostatic, Boussinesq model of the primitive equations on a C-grid."""

from dassim.ocean.drag import BottomDrag
from dassim.ocean.eos import TEOS10, AbstractEquationOfState, LinearEOS
from dassim.ocean.forcing import (
    AbstractSource,
    BodyForce,
    Restoring,
    Sponge,
    SurfaceForcing,
)
from dassim.ocean.mixing import (
    AbstractVerticalMixing,
    CombinedMixing,
    ConstantMixing,
    ConvectiveAdjustment,
    PacanowskiPhilander,
    surface_enhanced,
)
from dassim.ocean.model import FluxForm, OceanModel, VectorInvariant
from dassim.ocean.parameters import OceanParameters
from dassim.ocean.state import OceanState

__all__ = [
    "TEOS10",
    "AbstractEquationOfState",
    "AbstractSource",
    "AbstractVerticalMixing",
    "BodyForce",
    "BottomDrag",
    "CombinedMixing",
    "ConstantMixing",
    "ConvectiveAdjustment",
    "FluxForm",
    "LinearEOS",
    "OceanModel",
    "OceanParameters",
    "OceanState",
    "PacanowskiPhilander",
    "Restoring",
    "Sponge",
    "SurfaceForcing",
    "VectorInvariant",
    "surface_enhanced",
]
