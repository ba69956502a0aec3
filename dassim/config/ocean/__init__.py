"""From a namelist of the ocean to its model, parameters and state."""

from dassim.config.ocean.build import build_ocean

__all__ = ["build_ocean"]
