"""State of the ocean at the start."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from dassim.config.schema.profiles import SurfaceProfile, VolumeProfile
from dassim.config.schema.section import Section
from dassim.config.units import Position, Salinity, Speed, Temperature, TemperatureDifference


class Noise(Section):
    """Normal noise: standard deviations of what is added to the variables, point by point.

    The same over the whole grid for every number of ranks.
    """

    seed: Annotated[int, Field(ge=0)] = 0
    """Another seed gives other noise."""
    u: Speed = 0.0
    """Of the velocity along x."""
    v: Speed = 0.0
    """Of the velocity along y."""
    T: TemperatureDifference = 0.0
    """Of the temperature."""
    S: float = 0.0
    """Of the salinity."""
    eta: Position = 0.0
    """Of the sea level."""
    tracers: dict[str, float] = Field(default_factory=dict)
    """Of passive tracers, by name."""


class Initial(Section):
    """State of the ocean at the start: at rest unless it says otherwise."""

    T: VolumeProfile[Temperature]
    """Temperature: potential, or conservative where the equation of state is teos10."""
    S: VolumeProfile[Salinity]
    """Salinity: practical, or absolute where the equation of state is teos10."""
    u: VolumeProfile[Speed] | None = None
    """Velocity along x; 0 when left out."""
    v: VolumeProfile[Speed] | None = None
    """Velocity along y; 0 when left out."""
    eta: SurfaceProfile[Position] | None = None
    """Height of the sea level over its rest; 0 when left out."""
    tracers: dict[str, VolumeProfile[float]] = Field(default_factory=dict)
    """Passive tracers, by name."""
    noise: Noise = Noise()
    """Noise on top."""
