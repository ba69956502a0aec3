"""From the ``vertical`` section to the levels."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import numpy as np

from dassim.config.errors import NamelistError, Problem, mismatch
from dassim.config.files import file_variable
from dassim.config.schema.atmosphere.primitive import (
    HybridLevels,
    SigmaLevels,
    SmoothHybrid,
    UniformSigma,
)
from dassim.config.schema.vertical import (
    GivenLevels,
    LevelsFromFile,
    StretchedLevels,
    UniformLevels,
)
from dassim.grid import (
    GridError,
    Levels,
    hybrid_levels,
    levels,
    one_layer,
    sigma_levels,
    smooth_hybrid_levels,
    stretched_thickness,
    uniform_thickness,
)

VARIABLE = ("vertical", "variable")


@singledispatch
def build_levels(config: Any, dtype: Any = float) -> Levels:
    """The levels that a section tells; of a fluid without levels, its one layer."""
    return levels(level_thickness(config), dtype)


@build_levels.register
def _(config: None, dtype: Any = float) -> Levels:
    return one_layer(dtype)


@build_levels.register(UniformSigma)
@build_levels.register(SigmaLevels)
def _(config: UniformSigma | SigmaLevels, dtype: Any = float) -> Levels:
    return sigma_levels(config.faces, dtype)


@build_levels.register
def _(config: SmoothHybrid, dtype: Any = float) -> Levels:
    return smooth_hybrid_levels(config.nz, config.top, config.exponent, dtype)


@build_levels.register
def _(config: HybridLevels, dtype: Any = float) -> Levels:
    try:
        return hybrid_levels(np.array(config.a) * config.reference_pressure, config.b, dtype)
    except GridError as error:
        raise NamelistError([Problem(("vertical",), str(error))]) from None


def in_words(levels: Levels) -> str:
    """How many levels, and how far they reach."""
    count = levels.count
    if levels.coordinate == "layer":
        return "one layer"
    if levels.coordinate == "sigma":
        return f"{count} level{'s' * (count > 1)}, sigma from 0 to 1"
    if levels.a is not None:
        top = float(levels.a.data[0].item())
        return f"{count} level{'s' * (count > 1)}, hybrid from {top:.10g} Pa to the ground"
    return f"{count} level{'s' * (count > 1)}, {float(levels.dz.c.data.sum()):.10g} m deep"


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
