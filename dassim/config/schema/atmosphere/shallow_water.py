"""The namelist of a layer of fluid on the sphere."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from dassim.atmosphere.shallow_water.output import OUTPUTS
from dassim.config.explain import refuse
from dassim.config.schema.atmosphere.orography import FlatGround, Orography
from dassim.config.schema.atmosphere.polar import PolarFilter, require_circles
from dassim.config.schema.friction import Friction
from dassim.config.schema.namelist import AbstractNamelist
from dassim.config.schema.numerics import AdvectionScheme, RungeKutta3, TimeStepper, Weno
from dassim.config.schema.profiles import SurfaceProfile
from dassim.config.schema.run import Time
from dassim.config.schema.section import Count, Section
from dassim.config.schema.tracers import require_names
from dassim.config.units import Acceleration, Frequency, Latitude, Length, Position, Speed

RESERVED = (*OUTPUTS, "time")
"""Names that a passive tracer may not have."""


class Physics(Section):
    """The shallow-water equations."""

    gravity: Annotated[Acceleration, Field(gt=0)] = 9.80616
    """Acceleration by gravity."""
    conserving: Literal["energy", "enstrophy"] = "energy"
    """What the discrete vorticity flux conserves (Sadourny 1975)."""
    tracers: AdvectionScheme = Weno(type="weno")
    """Advection of passive tracers."""
    stepper: TimeStepper = RungeKutta3(type="runge_kutta_3")
    """Time stepping."""
    friction: Friction = Friction()
    """Lateral friction."""
    polar_filter: PolarFilter | None = None
    """Zonal filter, for grids that reach the poles; none when left out."""


# -- flows at the start ---------------------------------------------------------------------------


class AbstractFlow(Section):
    """A state at the start."""

    tracers: dict[str, SurfaceProfile[float]] = Field(default_factory=dict)
    """Passive tracers, by name."""


class Rest(AbstractFlow):
    """No motion under a level surface."""

    type: Literal["rest"]
    height: Length
    """Height of the surface over height 0 of the ground."""


class SolidRotation(AbstractFlow):
    """Rotation as of a solid body about the poles, with the surface in balance. Williamson et al.
    (1992), J. Comput. Phys. 102, 211, cases 2 and 5."""

    type: Literal["solid_rotation"]
    speed: Speed
    """Speed of the flow at the equator, positive eastward."""
    height: Length
    """Height of the surface at the equator."""


class RossbyHaurwitz(AbstractFlow):
    """A wave that travels around the globe, with the surface in balance. Williamson et al. (1992),
    J. Comput. Phys. 102, 211, case 6."""

    type: Literal["rossby_haurwitz"]
    height: Length = 8000.0
    """Height of the surface at the poles."""
    rate: Frequency = 7.848e-6
    """Angular speed of the zonal flow, and size of the wave."""
    wavenumber: Annotated[Count, Field(ge=2)] = 4
    """Waves around the globe."""


class BarotropicJet(AbstractFlow):
    """A jet in mid-latitudes of the northern hemisphere, with the surface in balance, and a bump on
    it. Galewsky et al. (2004), Tellus A 56, 429."""

    type: Literal["barotropic_jet"]
    speed: Speed = 80.0
    """Largest speed of the jet."""
    south: Latitude = 180 / 7
    """Southern edge of the jet."""
    north: Latitude = 90 - 180 / 7
    """Northern edge of the jet."""
    height: Length = 10e3
    """Mean height of the surface."""
    perturbation: Position = 120.0
    """Height of the bump; 0 for a jet that stays."""

    @model_validator(mode="after")
    def _check(self):
        if not self.south < self.north:
            raise refuse(
                "a northern edge north of the southern one",
                "correct one of them",
                found=f"a jet from {self.south:g} to {self.north:g} degrees",
                key="north",
            )
        return self


Flow = Annotated[Rest | SolidRotation | RossbyHaurwitz | BarotropicJet, Field(discriminator="type")]


class ShallowWaterNamelist(AbstractNamelist[Literal["shallow_water"]]):
    """A layer of fluid on the sphere."""

    narrowest_block: ClassVar[int] = 4

    time: Time = Field()
    """Start, length and step of the run."""
    physics: Physics = Physics()
    """The equations."""
    orography: Orography = FlatGround(type="flat")
    """Height of the ground."""
    initial: Flow
    """State at the start."""
    expected_speed: Speed | None = None
    """Speed that the flow is expected to reach: the time step is checked for it, too."""

    @property
    def whole_circles(self) -> bool:
        return self.physics.polar_filter is not None

    @model_validator(mode="after")
    def _check(self):
        if self.physics.polar_filter is not None:
            require_circles(self.grid, "a polar filter", "physics")
        require_names(self.initial.tracers, RESERVED)
        require_circles(self.grid, f"a flow of type {self.initial.type}", "initial")
        return self
