"""Everything in the atmosphere's equations that is a number, and so can be differentiated."""

from __future__ import annotations

from typing import Any

import equinox as eqx

from dassim.atmosphere.primitive.physics import AbstractColumnPhysics
from dassim.dynamics.friction import DivergenceDamping, LateralFriction
from dassim.dynamics.tracers import LateralDiffusion

DRY_AIR = 287.0  # J/(kg K)
HEAT_CAPACITY = 1004.5  # J/(kg K), at constant pressure


class AtmosphereParameters(eqx.Module):
    """Constants, damping, physics, the ground.

    ``gravity`` (m/s2), ``gas_constant`` and ``heat_capacity`` (J/(kg K)) of dry air; ``orography``
    (m, ``(ny, nx)`` at cells, or a number). ``friction`` and ``divergence_damping`` act on the
    wind, ``diffusion`` on temperature and tracers, along levels; ``physics``: processes within
    columns, one after the other.
    """

    gravity: Any = 9.80616
    gas_constant: Any = DRY_AIR
    heat_capacity: Any = HEAT_CAPACITY
    orography: Any = 0.0
    friction: LateralFriction = eqx.field(default_factory=LateralFriction)
    divergence_damping: DivergenceDamping = eqx.field(default_factory=DivergenceDamping)
    diffusion: LateralDiffusion = eqx.field(default_factory=LateralDiffusion)
    physics: tuple[AbstractColumnPhysics, ...] = ()
