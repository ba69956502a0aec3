"""The namelist of a hydrostatic atmosphere."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, Strict, model_validator

from dassim.atmosphere.primitive.output import OF_FLUXES, OF_VAPOUR, OUTPUTS
from dassim.config.explain import refuse
from dassim.config.paths import InputFile
from dassim.config.schema.atmosphere.columns import ColumnPhysics
from dassim.config.schema.atmosphere.orography import FlatGround, Orography
from dassim.config.schema.atmosphere.polar import PolarFilter, require_circles
from dassim.config.schema.atmosphere.surface import Surface
from dassim.config.schema.friction import Friction
from dassim.config.schema.namelist import AbstractNamelist
from dassim.config.schema.numerics import (
    AdvectionScheme,
    Centred,
    RungeKutta3,
    TimeStepper,
    Weno,
)
from dassim.config.schema.profiles import AirProfile
from dassim.config.schema.run import Time
from dassim.config.schema.section import Count, Section
from dassim.config.schema.tracers import require_names
from dassim.config.units import (
    Acceleration,
    AirTemperature,
    BiharmonicDiffusivity,
    Diffusivity,
    HeatCapacity,
    Length,
    Pressure,
    PressureAloft,
    Speed,
    TemperatureDifference,
)
from dassim.grid.levels import REFERENCE_PRESSURE

RESERVED = (*OUTPUTS, *OF_VAPOUR, *OF_FLUXES, "Ts", "time")
"""Names that a passive tracer may not have."""

# -- levels ---------------------------------------------------------------------------------------


class UniformSigma(Section):
    """Levels of equal pressure thickness."""

    type: Literal["uniform_sigma"]
    nz: Count
    """Number of levels."""

    @property
    def faces(self) -> tuple[float, ...]:
        return tuple(k / self.nz for k in range(self.nz + 1))


class SigmaLevels(Section):
    """Levels between listed faces."""

    type: Literal["sigma"]
    faces: Annotated[tuple[float, ...], Strict(False), Field(min_length=2)]
    """Pressure over that at the ground at the faces of the levels, from 0 at the top to 1 at the
    ground."""

    @model_validator(mode="after")
    def _check(self):
        faces = self.faces
        wrong = [k for k in range(1, len(faces)) if not faces[k] > faces[k - 1]]
        if wrong:
            raise refuse(
                "faces that grow from the top to the ground",
                "sort them, each once",
                found=f"face {wrong[0]} at {faces[wrong[0]]:g}, not above {faces[wrong[0] - 1]:g}",
                key="faces",
            )
        if faces[0] != 0.0 or faces[-1] != 1.0:
            raise refuse(
                "faces from 0 at the top to 1 at the ground",
                "correct the ends",
                found=f"faces from {faces[0]:g} to {faces[-1]:g}",
                key="faces",
            )
        return self


class SmoothHybrid(Section):
    """Levels of equal pressure thickness where the ground carries 1000 hPa, that follow the ground
    less and less the higher they are. Laprise & Girard (1990), J. Climate 3, 32."""

    type: Literal["smooth_hybrid"]
    nz: Count
    """Number of levels."""
    top: PressureAloft = 0.0
    """Pressure at the top of the topmost level."""
    exponent: Annotated[float, Field(ge=1, le=5)] = 1.5
    """The larger, the sooner levels become those of pressure; 1 with a top at 0 is sigma."""

    @model_validator(mode="after")
    def _check(self):
        if self.top >= REFERENCE_PRESSURE:
            raise refuse(
                f"less than the {REFERENCE_PRESSURE:g} Pa at the ground",
                "correct the pressure or its unit",
                found=f"a top at {self.top:g} Pa",
                key="top",
            )
        return self


class HybridLevels(Section):
    """Levels between listed faces at the pressure a reference_pressure + b ps, ps that at the
    ground. Simmons & Burridge (1981), Mon. Wea. Rev. 109, 758."""

    type: Literal["hybrid"]
    a: Annotated[tuple[float, ...], Strict(False), Field(min_length=2)]
    """Part of the faces, the topmost first, that does not depend on the ground; 0 at the ground."""
    b: Annotated[tuple[float, ...], Strict(False), Field(min_length=2)]
    """Share of the pressure at the ground, from 0 at the top to 1 at the ground."""
    reference_pressure: Pressure = REFERENCE_PRESSURE
    """What a is multiplied with; 1 Pa where the list is in pascals."""


AirVertical = Annotated[
    UniformSigma | SigmaLevels | SmoothHybrid | HybridLevels, Field(discriminator="type")
]


# -- physics --------------------------------------------------------------------------------------


class FastModes(Section):
    """The fastest vertical modes of gravity waves, moved in substeps of their own and averaged.

    Without them the time step is bound by the Lamb wave; with three taken out it can be about four
    times as long. The wind, and the first mode that is left, bind it then. They need
    runge_kutta_3.
    """

    modes: Annotated[int, Field(ge=1)] = 3
    """How many modes."""
    courant: Annotated[float, Field(gt=0, le=1)] = 0.7
    """Length of a substep over its stability limit."""


class DivergenceDamping(Section):
    """Damping of divergent motion: gravity waves."""

    viscosity: Diffusivity | None = None
    """Viscosity of the divergence; none when left out."""
    scale_length: Length | None = None
    """With it the viscosity is that of a cell of this size, and grows with the cell's size."""


class Diffusion(Section):
    """Lateral diffusion of temperature and tracers along levels."""

    diffusivity: Diffusivity | None = None
    """Laplacian diffusivity; none when left out."""
    biharmonic: BiharmonicDiffusivity | None = None
    """Biharmonic diffusivity; none when left out."""
    scale_length: Length | None = None
    """With it the coefficients are those of a cell of this size, the Laplacian one growing with the
    cell's size and the biharmonic one with its cube; without, they are constant."""


class Physics(Section):
    """The atmosphere's equations."""

    gravity: Annotated[Acceleration, Field(gt=0)] = 9.80616
    """Acceleration by gravity."""
    gas_constant: HeatCapacity = 287.0
    """Gas constant of dry air."""
    heat_capacity: HeatCapacity = 1004.5
    """Specific heat capacity of dry air at constant pressure."""
    advection: AdvectionScheme = Weno(type="weno")
    """Horizontal advection of temperature and tracers."""
    vertical_advection: AdvectionScheme = Centred(type="centred")
    """Vertical advection of temperature and tracers."""
    stepper: TimeStepper = RungeKutta3(type="runge_kutta_3")
    """Time stepping."""
    polar_filter: PolarFilter | None = None
    """Zonal filter, for grids that reach the poles; none when left out."""
    fast_modes: FastModes | None = None
    """Substeps for the fastest gravity waves; none when left out."""
    friction: Friction = Friction()
    """Lateral friction."""
    divergence_damping: DivergenceDamping = DivergenceDamping()
    """Damping of gravity waves."""
    diffusion: Diffusion = Diffusion()
    """Lateral diffusion of temperature and tracers."""
    columns: Annotated[tuple[ColumnPhysics, ...], Strict(False), Field(examples=["[]"])] = ()
    """Processes within columns, which act one after the other."""


# -- the start ------------------------------------------------------------------------------------

RelativeHumidity = Annotated[float, Field(ge=0, le=1)]


class Noise(Section):
    """Normal noise: standard deviations of what is added to the variables, point by point.

    The same over the whole grid for every number of ranks.
    """

    seed: Annotated[int, Field(ge=0)] = 0
    """Another seed gives other noise."""
    u: Speed = 0.0
    """Of the eastward wind."""
    v: Speed = 0.0
    """Of the northward wind."""
    T: TemperatureDifference = 0.0
    """Of the temperature."""


class AbstractStart(Section):
    """A state at the start, and which of its keys says that there is vapour."""

    vapour: ClassVar[str] = "relative_humidity"

    tracers: dict[str, AirProfile[float]] = Field(default_factory=dict)
    """Passive tracers, per mass of air, by name."""

    @property
    def has_vapour(self) -> bool:
        return getattr(self, self.vapour) is not None


class IsothermalRest(AbstractStart):
    """No wind, and one temperature."""

    type: Literal["isothermal"]
    T: AirTemperature
    """Temperature."""
    pressure: Pressure = 1e5
    """Pressure at height 0 of the ground."""
    relative_humidity: RelativeHumidity | None = None
    """Of the air; without it there is no vapour in the model."""
    noise: Noise = Noise()
    """Noise on top."""


class BaroclinicZone(AbstractStart):
    """Westerly jets in balance over ground of their own, which takes the place of the section
    orography. Jablonowski & Williamson (2006), Quart. J. Roy. Meteor. Soc. 132, 2943."""

    type: Literal["jablonowski_williamson"]
    speed: Speed = 35.0
    """Largest wind."""
    perturbation: Speed = 0.0
    """Bump of the wind at 20 E, 40 N, from which a wave grows; 0 for a flow that stays."""
    relative_humidity: RelativeHumidity | None = None
    """Of the air; without it there is no vapour in the model."""
    noise: Noise = Noise()
    """Noise on top."""


class FromPressureLevels(AbstractStart):
    """Air on levels of pressure at longitudes and latitudes of the file's own, such as that of a
    reanalysis. The pressure at the ground is found where the file has the geopotential of the
    model's orography; below the file's lowest level the air warms by 6.5 K/km.

    Variables along pressure (in its units, else hPa), latitude and longitude in any order, with
    values below the ground too. Their names are by default those of ERA5.
    """

    vapour: ClassVar[str] = "q"

    type: Literal["pressure_levels"]
    file: InputFile
    """A netCDF file."""
    geopotential: str = "geopotential"
    """Variable with the geopotential."""
    T: str = "temperature"
    """Variable with the temperature."""
    u: str = "u_component_of_wind"
    """Variable with the eastward wind."""
    v: str = "v_component_of_wind"
    """Variable with the northward wind."""
    q: str | None = "specific_humidity"
    """Variable with the specific humidity; null: without vapour."""
    noise: Noise = Noise()
    """Noise on top."""


Initial = Annotated[
    IsothermalRest | BaroclinicZone | FromPressureLevels, Field(discriminator="type")
]


class AtmosphereNamelist(AbstractNamelist[Literal["atmosphere"]]):
    """A hydrostatic atmosphere."""

    narrowest_block: ClassVar[int] = 4

    time: Time = Field()
    """Start, length and step of the run."""
    vertical: AirVertical
    """Levels, the topmost first."""
    physics: Physics = Physics()
    """The atmosphere's equations."""
    orography: Orography = FlatGround(type="flat")
    """Height of the ground."""
    surface: Surface | None = None
    """Water below the air, for physics that asks for its temperature."""
    initial: Initial
    """State at the start."""
    expected_speed: Speed | None = None
    """Speed that the wind is expected to reach: the time step is checked for it, too."""

    @property
    def column(self) -> AirVertical:
        return self.vertical

    @property
    def whole_circles(self) -> bool:
        return self.physics.polar_filter is not None

    @model_validator(mode="after")
    def _check(self):
        if self.physics.polar_filter is not None:
            require_circles(self.grid, "a polar filter", "physics")
        require_circles(self.grid, f"a state of type {self.initial.type}", "initial")
        require_names(self.initial.tracers, RESERVED)
        self._check_columns()
        own_ground = isinstance(self.initial, BaroclinicZone)
        if own_ground and not isinstance(self.orography, FlatGround):
            raise refuse(
                "no orography: the jets bring their own",
                "remove the section, or choose another start",
                found=f"orography of type {self.orography.type}",
                key="orography",
            )
        return self

    def _check_columns(self) -> None:
        """Refuses processes that lack what they act on, and those that a step takes too far."""
        for index, process in enumerate(self.physics.columns):
            key = f"physics.columns.{index}"
            for name in process.relaxing:
                if (seconds := getattr(process, name)) < self.time.step:
                    raise refuse(
                        f"at least the time step, {self.time.step:g} s: air that relaxes within "
                        "less goes beyond its aim",
                        "lengthen it, or shorten the step",
                        found=f"a {name} of {seconds:g} s",
                        key=f"{key}.{name}",
                    )
            if process.needs_surface and self.surface is None:
                raise refuse(
                    "a surface below it",
                    "add the section surface, such as {type: given, temperature: 300 K}",
                    found=f"{process.type} and no section surface",
                    key=key,
                )
            if process.needs_vapour and not self.initial.has_vapour:
                raise refuse(
                    "vapour in the air",
                    f"set initial.{self.initial.vapour}",
                    found=f"{process.type} and no {self.initial.vapour} in the section initial",
                    key=key,
                )
