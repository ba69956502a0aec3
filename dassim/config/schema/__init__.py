"""What a namelist may say: one module for each group of sections."""

from typing import Annotated

from pydantic import Field

from dassim.config.schema.atmosphere import AtmosphereNamelist, ShallowWaterNamelist
from dassim.config.schema.namelist import GridNamelist
from dassim.config.schema.ocean import OceanNamelist

Namelist = Annotated[
    GridNamelist | OceanNamelist | ShallowWaterNamelist | AtmosphereNamelist,
    Field(discriminator="model"),
]
"""Every namelist there is."""

__all__ = [
    "AtmosphereNamelist",
    "GridNamelist",
    "Namelist",
    "OceanNamelist",
    "ShallowWaterNamelist",
]
