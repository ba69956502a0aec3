"""From a namelist of the atmosphere to its model, parameters and state."""

from dassim.config.atmosphere.primitive import build_atmosphere
from dassim.config.atmosphere.shallow_water import build_shallow_water

__all__ = ["build_atmosphere", "build_shallow_water"]
