"""Processes within columns of air. A further one is one more section here, a member of
``ColumnPhysics``, and one function in :mod:`dassim.config.atmosphere.columns`."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from dassim.config.schema.section import Count, Section
from dassim.config.units import (
    AirTemperature,
    Duration,
    HeatFlux,
    Length,
    Speed,
    TemperatureDifference,
)

Share = Annotated[float, Field(ge=0, le=1)]


class AbstractProcess(Section):
    """A process within columns, and what it needs besides dry air."""

    needs_surface: ClassVar[bool] = False
    """Whether it asks for the temperature of the surface."""
    needs_vapour: ClassVar[bool] = False
    """Whether it acts on water vapour."""
    relaxing: ClassVar[tuple[str, ...]] = ()
    """Keys of times within which temperature or vapour relaxes, at a rate of the step's start."""


class HeldSuarez(AbstractProcess):
    """Relaxation of temperature and near-surface wind, in place of all physics. Held & Suarez
    (1994), Bull. Amer. Meteor. Soc. 75, 1825."""

    relaxing: ClassVar[tuple[str, ...]] = ("air_time", "surface_time")

    type: Literal["held_suarez"]
    equator: AirTemperature = 315.0
    """Temperature at the ground of the equator."""
    contrast: TemperatureDifference = 60.0
    """Difference of temperature between equator and poles."""
    stability: TemperatureDifference = 10.0
    """Growth of the potential temperature with height, in the tropics."""
    stratosphere: AirTemperature = 200.0
    """Lowest temperature."""
    sigma_b: Annotated[float, Field(gt=0, lt=1)] = 0.7
    """Top of the layer near the ground."""
    friction_time: Duration = 86400.0
    """Time over which wind at the ground decays."""
    air_time: Duration = 40 * 86400.0
    """Time over which air relaxes to its temperature."""
    surface_time: Duration = 4 * 86400.0
    """The same at the ground of the equator."""


class Sponge(AbstractProcess):
    """Decay of the wind near the top."""

    type: Literal["sponge"]
    timescale: Duration
    """Time over which the wind at the top decays."""
    sigma: Annotated[float, Field(gt=0, lt=1)]
    """Where it begins; it grows with the square of the distance from here."""


class DryAdjustment(AbstractProcess):
    """Mixing of neighbouring levels that are unstable, at once and without loss of energy. After
    Manabe et al. (1965), Mon. Wea. Rev. 93, 769."""

    type: Literal["dry_adjustment"]
    sweeps: Count = 10
    """How often all pairs of levels are looked at in a step."""


class GreyRadiation(AbstractProcess):
    """Infrared in one band, absorbed by a gas that is given, and sunlight that reaches the ground.
    Frierson et al. (2006), J. Atmos. Sci. 63, 2548."""

    needs_surface: ClassVar[bool] = True

    type: Literal["grey_radiation"]
    solar: Annotated[HeatFlux, Field(ge=0)] = 1360.0
    """Sunlight through a face that is turned to the sun."""
    albedo: Share = 0.31
    """Part of the sunlight that goes back to space."""
    contrast: Annotated[float, Field(ge=-4, le=2)] = 1.4
    """Of the sunlight between equator and poles: c in 1 + c (1 - 3 sin(latitude)^2) / 4."""
    equator: Annotated[float, Field(ge=0)] = 6.0
    """Optical depth of the air over the equator."""
    pole: Annotated[float, Field(ge=0)] = 1.5
    """The same over the poles."""
    linear: Share = 0.1
    """Part of the optical depth that grows with pressure; the rest grows with its fourth power."""


class BoundaryLayer(AbstractProcess):
    """Fluxes between the surface and the lowest level, and turbulence above it. Frierson et al.
    (2006), J. Atmos. Sci. 63, 2548."""

    needs_surface: ClassVar[bool] = True
    needs_vapour: ClassVar[bool] = True

    type: Literal["boundary_layer"]
    roughness: Length = 3.21e-5
    """Roughness length of the surface, of sea and land alike."""
    critical: Annotated[float, Field(gt=0)] = 1.0
    """Richardson number at which turbulence ends."""
    gustiness: Annotated[Speed, Field(gt=0)] = 1.0
    """Wind at the surface in calm air."""


class BettsMiller(AbstractProcess):
    """Relaxation of columns that convect towards the air that a rising parcel leaves. Frierson
    (2007), J. Atmos. Sci. 64, 1959."""

    needs_vapour: ClassVar[bool] = True
    relaxing: ClassVar[tuple[str, ...]] = ("timescale",)

    type: Literal["betts_miller"]
    timescale: Duration = 7200.0
    """Time within which columns relax."""
    humidity: Annotated[float, Field(gt=0, le=1)] = 0.7
    """Relative humidity of the air that convection leaves."""


class Condensation(AbstractProcess):
    """Vapour beyond saturation falls as rain, which evaporates in drier levels below."""

    needs_vapour: ClassVar[bool] = True

    type: Literal["condensation"]


class PositiveHumidity(AbstractProcess):
    """Levels with less than no vapour take what they lack from those below."""

    needs_vapour: ClassVar[bool] = True

    type: Literal["positive_humidity"]


ColumnPhysics = Annotated[
    HeldSuarez
    | Sponge
    | DryAdjustment
    | GreyRadiation
    | BoundaryLayer
    | BettsMiller
    | Condensation
    | PositiveHumidity,
    Field(discriminator="type"),
]
