"""The namelist of the ocean."""

from dassim.config.schema.ocean.namelist import OceanNamelist

__all__ = ["OceanNamelist"]
