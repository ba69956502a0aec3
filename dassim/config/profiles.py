"""From profiles to arrays: the values of a field at this rank's points."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import numpy as np

from dassim.config.errors import KeyPath, NamelistError, Problem, mismatch
from dassim.config.points import Points
from dassim.config.schema.profiles import (
    Abernathey,
    DoubleGyre,
    Exponential,
    Front,
    Levels,
    Linear,
    NealeHoskins,
    Sinusoid,
    Step,
    Uniform,
)


@singledispatch
def values(profile: Any, at: Points, key: KeyPath) -> np.ndarray:
    """The field that ``profile``, which stands at ``key`` of the namelist, describes: an array
    that broadcasts to ``(nz, ny, nx)``, and to ``(1, ny, nx)`` at the surface.

    A new profile registers its function here.
    """
    raise TypeError(f"found a profile of {type(profile)}; expected a type that is registered")


@values.register
def _(profile: Uniform, at: Points, key: KeyPath) -> np.ndarray:
    return np.full((1, 1, 1), profile.value)


@values.register
def _(profile: Linear, at: Points, key: KeyPath) -> np.ndarray:
    return profile.low + (profile.high - profile.low) * at.fraction(profile.axis, key)


@values.register
def _(profile: Step, at: Points, key: KeyPath) -> np.ndarray:
    at.require_inside(profile.axis, profile.at, (*key, "at"))
    return np.where(at.position(profile.axis, key) < profile.at, profile.low, profile.high)


@values.register
def _(profile: Sinusoid, at: Points, key: KeyPath) -> np.ndarray:
    wave = np.sin if profile.type == "sine" else np.cos
    return profile.amplitude * wave(np.pi * profile.half_waves * at.fraction(profile.axis, key))


@values.register
def _(profile: DoubleGyre, at: Points, key: KeyPath) -> np.ndarray:
    r = at.fraction(profile.axis, key) - 0.5
    return profile.amplitude * (np.cos(2 * np.pi * r) + 2 * np.sin(np.pi * r))


@values.register
def _(profile: Abernathey, at: Points, key: KeyPath) -> np.ndarray:
    r = at.fraction(profile.axis, key)
    return profile.amplitude * np.where(r < 5 / 6, np.cos(3 * np.pi * r), 0.0)


@values.register
def _(profile: NealeHoskins, at: Points, key: KeyPath) -> np.ndarray:
    latitude = np.deg2rad(np.clip(at.position("y", key), -60.0, 60.0))
    shape = 1.0 - np.sin(1.5 * latitude) ** 2
    return profile.poles + (profile.equator - profile.poles) * shape


@values.register
def _(profile: Levels, at: Points, key: KeyPath) -> np.ndarray:
    levels = at.grid.levels.count
    if len(profile.values) != levels:
        message = mismatch(
            f"{len(profile.values)} values",
            f"one for each of {levels} levels",
            "correct the list or the levels",
        )
        raise NamelistError([Problem((*key, "values"), message)])
    return np.array(profile.values)[:, None, None]


@values.register
def _(profile: Exponential, at: Points, key: KeyPath) -> np.ndarray:
    bottom = 0.0 if profile.bottom is None else profile.bottom
    depth = -at.extent["z"][0]
    floor = np.exp(-depth / profile.scale)
    share = (np.exp(at.position("z", key) / profile.scale) - floor) / (1 - floor)
    return bottom + (profile.surface - bottom) * share


@values.register
def _(profile: Front, at: Points, key: KeyPath) -> np.ndarray:
    at.require_inside(profile.axis, profile.centre, (*key, "centre"))
    across = (at.position(profile.axis, key) - profile.centre) / profile.width
    low, high = (
        bottom + (surface - bottom) * at.fraction("z", key)
        for bottom, surface in zip(profile.bottom, profile.surface, strict=True)
    )
    return low + (high - low) * np.clip(across + 0.5, 0.0, 1.0)
