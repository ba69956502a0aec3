"""From the ``vertical`` section to the thickness of the levels."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import numpy as np

from dassim.config.errors import NamelistError, Problem, mismatch
from dassim.config.files import file_variable
from dassim.config.schema.vertical import (
    GivenLevels,
    LevelsFromFile,
    StretchedLevels,
    UniformLevels,
)
from dassim.grid import stretched_thickness, uniform_thickness

VARIABLE = ("vertical", "variable")


@singledispatch
def level_thickness(config: Any) -> np.ndarray:
    """Thickness (m) of every level, topmost first."""
    raise TypeError(f"found levels of {type(config)}; expected a type that is registered")


@level_thickness.register
def _(config: UniformLevels) -> np.ndarray:
    return uniform_thickness(config.nz, config.depth)


@level_thickness.register
def _(config: StretchedLevels) -> np.ndarray:
    return stretched_thickness(config.nz, config.first, config.ratio)


@level_thickness.register
def _(config: GivenLevels) -> np.ndarray:
    return np.array(config.thickness)


@level_thickness.register
def _(config: LevelsFromFile) -> np.ndarray:
    variable = file_variable(config.file, config.variable, VARIABLE, "m")
    values = variable[...]
    thickness = np.diff(values) if values.ndim == 1 and values[0] == 0 else values
    if thickness.ndim != 1 or not (thickness > 0).all():
        message = mismatch(
            f"{config.variable} {values} in {config.file}",
            "one positive thickness per level, or the depths of all faces from 0 down",
            "choose another variable",
        )
        raise NamelistError([Problem(VARIABLE, message)])
    return thickness
