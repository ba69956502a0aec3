"""What lies below the air."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from dassim.config.schema.profiles import SurfaceProfile
from dassim.config.schema.section import Section
from dassim.config.units import AirTemperature, Length

Share = Annotated[float, Field(ge=0, le=1)]


class Land(Section):
    """Land in part of the cells. A cell exchanges heat and vapour as one surface, with the mean
    temperature and the mean wetness of its water and its land."""

    fraction: SurfaceProfile[Share]
    """Share of the cell that is land."""
    temperature: SurfaceProfile[AirTemperature]
    """Temperature of the land, which may change in time."""
    wetness: SurfaceProfile[Share]
    """Evaporation over that from water of the same temperature, which may change in time."""


class GivenSurface(Section):
    """A surface of water, and of land, whose temperature is given."""

    type: Literal["given"]
    temperature: SurfaceProfile[AirTemperature]
    """Temperature of the water, which may change in time."""
    land: Land | None = None
    """Land; none when left out."""


class SlabOcean(Section):
    """Water, mixed down to a depth, that takes up what heat reaches it."""

    type: Literal["slab"]
    depth: Length = 2.4
    """How deep the water is mixed."""
    temperature: SurfaceProfile[AirTemperature]
    """Temperature at the start."""


Surface = Annotated[GivenSurface | SlabOcean, Field(discriminator="type")]
