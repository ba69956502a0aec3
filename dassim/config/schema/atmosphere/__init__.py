"""The namelists of the atmosphere."""

from dassim.config.schema.atmosphere.primitive import AtmosphereNamelist
from dassim.config.schema.atmosphere.shallow_water import ShallowWaterNamelist

__all__ = ["AtmosphereNamelist", "ShallowWaterNamelist"]
