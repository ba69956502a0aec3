"""What a namelist may say: one module for each group of sections."""

from dassim.config.schema.namelist import GridNamelist, Namelist

__all__ = ["GridNamelist", "Namelist"]
