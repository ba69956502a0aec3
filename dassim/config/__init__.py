"""Namelists: YAML files into validated, immutable objects."""

from dassim.config.errors import NamelistError, Place, Problem
from dassim.config.loader import Loaded, load
from dassim.config.schema import Namelist

__all__ = ["Loaded", "Namelist", "NamelistError", "Place", "Problem", "load"]
