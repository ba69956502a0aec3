"""The height of the ground. A further shape is one more section here, a member of ``Orography``,
and one function in :mod:`dassim.config.atmosphere.orography`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from dassim.config.paths import InputFile
from dassim.config.schema.section import Section
from dassim.config.units import AngularLength, Latitude, Length, Longitude


class FlatGround(Section):
    """Ground at height 0."""

    type: Literal["flat"]


class Cone(Section):
    """height (1 - r / radius), r the distance from the centre in longitude and latitude, as if
    they were plane coordinates. Williamson et al. (1992), J. Comput. Phys. 102, 211."""

    type: Literal["cone"]
    height: Length
    """Height of the top."""
    centre: tuple[Longitude, Latitude] = Field(strict=False)
    """Longitude and latitude of the top."""
    radius: AngularLength
    """Angle from the top to the foot."""


class Bell(Section):
    """height exp(-(r / radius)^2), r the angle along great circles from the centre."""

    type: Literal["bell"]
    height: Length
    """Height of the top."""
    centre: tuple[Longitude, Latitude] = Field(strict=False)
    """Longitude and latitude of the top."""
    radius: AngularLength
    """Angle at which the height has fallen by a factor e."""


class OrographyFromFile(Section):
    """Height from a variable (y, x) of a netCDF file."""

    type: Literal["file"]
    file: InputFile
    """A netCDF file."""
    variable: Annotated[str, Field(examples=["orography"])]
    """Variable (y, x) with the height of the ground; 0 over the sea."""
    interpolate: bool = False
    """Whether the values lie at longitudes and latitudes of the file's own, (lat, lon) or (lon,
    lat): bilinear in between, and means over cells that are larger than those of the file."""


Orography = Annotated[FlatGround | Cone | Bell | OrographyFromFile, Field(discriminator="type")]
