"""What a namelist may say: one module for each group of sections."""

from typing import Annotated

from pydantic import Field

from dassim.config.schema.namelist import GridNamelist
from dassim.config.schema.ocean import OceanNamelist

Namelist = Annotated[GridNamelist | OceanNamelist, Field(discriminator="model")]
"""Every namelist there is."""

__all__ = ["GridNamelist", "Namelist", "OceanNamelist"]
