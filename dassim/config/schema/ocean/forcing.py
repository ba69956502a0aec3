"""What drives the ocean from outside."""

from __future__ import annotations

from typing import Annotated, Generic, TypeVar

from pydantic import Field, Strict, model_validator
from typing_extensions import TypeAliasType

from dassim.config.explain import refuse
from dassim.config.schema.profiles import AbstractQuantified, SurfaceProfile, VolumeForcing
from dassim.config.schema.section import Section
from dassim.config.units import (
    Acceleration,
    Coordinate,
    Duration,
    HeatFlux,
    Position,
    Salinity,
    Speed,
    Stress,
    Temperature,
    TemperatureFlux,
    Warming,
)

Value = TypeVar("Value")

Ramp = Annotated[tuple[Coordinate, Coordinate], Strict(False)]
VerticalRamp = Annotated[tuple[Position, Position], Strict(False)]


class Restoring(AbstractQuantified[Value], Generic[Value]):
    """Relaxation of the top level."""

    target: SurfaceProfile[Value]
    """Surface values to relax to."""
    timescale: Duration
    """Time over which a difference falls by a factor e."""


class Restorings(Section):
    """Relaxation of the top level of each tracer."""

    T: Restoring[Temperature] | None = None
    """Of temperature."""
    S: Restoring[Salinity] | None = None
    """Of salinity."""
    tracers: dict[str, Restoring[float]] = Field(default_factory=dict)
    """Of passive tracers, by name."""


class Fluxes(Section):
    """Fluxes of tracers into the top level, positive into the ocean."""

    T: SurfaceProfile[TemperatureFlux] | None = None
    """Of temperature, beside the heat flux."""
    S: SurfaceProfile[float] | None = None
    """Of salinity, in salinity times m/s."""
    tracers: dict[str, SurfaceProfile[float]] = Field(default_factory=dict)
    """Of passive tracers by name, in their unit times m/s."""


class Sponge(AbstractQuantified[Value], Generic[Value]):
    """Relaxation within a part of the basin, as strong as the strongest of its ramps."""

    target: VolumeForcing[Value] | None = None
    """Values to relax to; those of the start, without noise, when left out."""
    timescale: Duration
    """Time over which a difference falls by a factor e, at full strength."""
    x: Ramp | None = None
    """Strength rises linearly from 0 at the first to 1 at the second of these positions along x,
    and stays 1 beyond."""
    y: Ramp | None = None
    """The same along y."""
    z: VerticalRamp | None = None
    """The same along z, negative below the surface."""

    @model_validator(mode="after")
    def _check(self):
        for axis in ("x", "y", "z"):
            ramp = getattr(self, axis)
            if ramp is not None and ramp[0] == ramp[1]:
                raise refuse("two different positions", "correct one of them", key=axis)
        return self


SpongeList = TypeAliasType(
    "SpongeList", Annotated[tuple[Sponge[Value], ...], Strict(False)], type_params=(Value,)
)


class Sponges(Section):
    """Relaxation of each variable within parts of the basin."""

    u: SpongeList[Speed] = ()
    """Of the velocity along x."""
    v: SpongeList[Speed] = ()
    """Of the velocity along y."""
    T: SpongeList[Temperature] = ()
    """Of temperature."""
    S: SpongeList[Salinity] = ()
    """Of salinity."""
    tracers: dict[str, SpongeList[float]] = Field(default_factory=dict)
    """Of passive tracers, by name."""


class BodyForces(Section):
    """Prescribed tendencies within the water."""

    u: VolumeForcing[Acceleration] | None = None
    """Acceleration along x."""
    v: VolumeForcing[Acceleration] | None = None
    """Acceleration along y."""
    T: VolumeForcing[Warming] | None = None
    """Rate of warming."""
    S: VolumeForcing[float] | None = None
    """Rate of salinification, in salinity per second."""
    tracers: dict[str, VolumeForcing[float]] = Field(default_factory=dict)
    """Rate of growth of passive tracers by name, in their unit per second."""


class Forcing(Section):
    """What drives the ocean from outside; nothing when left out."""

    stress_x: SurfaceProfile[Stress] | None = None
    """Wind stress along x, positive eastward."""
    stress_y: SurfaceProfile[Stress] | None = None
    """Wind stress along y, positive northward."""
    heat: SurfaceProfile[HeatFlux] | None = None
    """Heat flux, positive into the ocean."""
    freshwater: SurfaceProfile[Speed] | None = None
    """Rain and rivers less evaporation, as height of water per time, positive into the ocean."""
    fluxes: Fluxes = Fluxes()
    """Fluxes of tracers through the surface."""
    restoring: Restorings = Restorings()
    """Relaxation of the surface to a climatology."""
    sponges: Sponges = Sponges()
    """Relaxation within parts of the basin."""
    body_forces: BodyForces = BodyForces()
    """Tendencies within the water."""
