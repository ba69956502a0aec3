"""Namelists: YAML files into validated, immutable objects."""

from dassim.config.errors import NamelistError, NamelistWarning, Place, Problem
from dassim.config.loader import Loaded, load
from dassim.config.schema import Namelist

__all__ = ["Loaded", "Namelist", "NamelistError", "NamelistWarning", "Place", "Problem", "load"]
