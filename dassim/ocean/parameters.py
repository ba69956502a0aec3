"""Everything in the ocean's equations that is a number, and so can be differentiated."""

from __future__ import annotations

from typing import Any

import equinox as eqx

from dassim.dynamics.friction import LateralFriction
from dassim.dynamics.tracers import LateralDiffusion
from dassim.ocean.drag import BottomDrag
from dassim.ocean.eos import AbstractEquationOfState, LinearEOS
from dassim.ocean.forcing import AbstractSource, SurfaceForcing
from dassim.ocean.mixing import AbstractVerticalMixing, ConstantMixing

SEAWATER_HEAT_CAPACITY = 3991.86795711963  # J/(kg K), TEOS-10


class OceanParameters(eqx.Module):
    """Coefficients, forcing and closures. Replace parts with ``equinox.tree_at`` or ``replace``."""

    eos: AbstractEquationOfState = eqx.field(default_factory=LinearEOS)
    friction: LateralFriction = eqx.field(default_factory=LateralFriction)
    diffusion: LateralDiffusion = eqx.field(default_factory=LateralDiffusion)
    mixing: AbstractVerticalMixing = eqx.field(default_factory=ConstantMixing)
    drag: BottomDrag = eqx.field(default_factory=BottomDrag)
    forcing: SurfaceForcing = eqx.field(default_factory=SurfaceForcing)
    sources: tuple[AbstractSource, ...] = ()
    heat_capacity: Any = SEAWATER_HEAT_CAPACITY
