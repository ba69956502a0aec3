"""From the section of lateral friction to the term."""

from __future__ import annotations

from dassim.config.schema.friction import Friction
from dassim.dynamics.friction import LateralFriction

SLIP = {"free": 0.0, "none": 2.0}


def lateral_friction(section: Friction) -> LateralFriction:
    return LateralFriction(
        section.viscosity, section.biharmonic, SLIP[section.slip], section.scale_length
    )
