"""What lies below the air."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from dassim.config.schema.profiles import SurfaceProfile
from dassim.config.schema.section import Section
from dassim.config.units import AirTemperature, Length


class GivenSurface(Section):
    """A surface of water whose temperature is given."""

    type: Literal["given"]
    temperature: SurfaceProfile[AirTemperature]
    """Temperature of the surface, which may change in time."""


class SlabOcean(Section):
    """Water, mixed down to a depth, that takes up what heat reaches it."""

    type: Literal["slab"]
    depth: Length = 2.4
    """How deep the water is mixed."""
    temperature: SurfaceProfile[AirTemperature]
    """Temperature at the start."""


Surface = Annotated[GivenSurface | SlabOcean, Field(discriminator="type")]
