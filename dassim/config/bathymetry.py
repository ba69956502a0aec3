"""From the ``bathymetry`` section to the depth of the bottom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import singledispatch
from typing import Any, Protocol

import numpy as np

from dassim.config.errors import KeyPath, NamelistError, Problem, mismatch
from dassim.config.files import FileVariable, file_variable
from dassim.config.horizontal import Centres
from dassim.config.schema.bathymetry import BathymetryFromFile, FlatBottom, Seamount, Wall
from dassim.parallel import Domain

SECTION = ("bathymetry",)
VARIABLE = (*SECTION, "variable")
ROWS_AT_ONCE = 256
ABYSS = 1e9
"""Depth (m) under all levels."""


class Depth(Protocol):
    """Metres, positive down, 0 on land: global ``(ny, nx)``, sliced like an array."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, index: Any) -> np.ndarray: ...


@singledispatch
def bottom_depth(config: Any, centres: Centres) -> Depth | None:
    """The depth that ``config`` describes at the cells; ``None`` lies under all levels.

    A new shape registers its function here.
    """
    raise TypeError(f"found bathymetry of {type(config)}; expected a type that is registered")


@bottom_depth.register
def _(config: FlatBottom, centres: Centres) -> None:
    return None


@bottom_depth.register
def _(config: BathymetryFromFile, centres: Centres) -> Depth:
    variable = file_variable(config.file, config.variable, VARIABLE, "m", fill=0.0)
    if variable.shape != centres.shape:
        message = mismatch(
            f"{config.variable} of shape {variable.shape} in {config.file}",
            f"shape {centres.shape}, the (ny, nx) of the grid",
            "correct grid.nx and grid.ny, or choose another variable",
        )
        raise NamelistError([Problem(VARIABLE, message)])
    return DepthFromFile(variable, 1.0 if config.positive == "down" else -1.0)


@bottom_depth.register
def _(config: Seamount, centres: Centres) -> Depth:
    x0, y0 = config.centre
    for index, (axis, position) in enumerate((("x", x0), ("y", y0))):
        _require_near((*SECTION, "centre", index), axis, position, getattr(centres, axis)[...])

    def formula(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        r2 = ((x - x0) ** 2 + (y - y0) ** 2) / config.width**2
        return config.depth - config.height * np.exp(-r2)

    return DepthFromFormula(centres, formula)


@bottom_depth.register
def _(config: Wall, centres: Centres) -> Depth:
    axis, ends = ("x", config.x) if config.x is not None else ("y", config.y)
    assert ends is not None, "exactly_one has made sure of it"
    _require_within(axis, ends, getattr(centres, axis)[...])
    gap = config.gap or (np.inf, -np.inf)

    def formula(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        across, along = (x, y) if axis == "x" else (y, x)
        wall = (across > ends[0]) & (across < ends[1])
        closed = (along < gap[0]) | (along > gap[1])
        return np.where(wall & closed, 0.0, ABYSS)

    return DepthFromFormula(centres, formula)


def _require_near(key: KeyPath, axis: str, position: float, positions: np.ndarray) -> None:
    """Refuse a ``position`` at ``key`` further than a cell outside of the grid's cells."""
    low, high = positions.min(), positions.max()
    cell = (high - low) / max(positions.shape[0 if axis == "y" else -1] - 1, 1)
    if not low - cell <= position <= high + cell:
        message = mismatch(
            f"{axis} = {position:g}",
            f"a position within the grid, {low:g} to {high:g}",
            "correct the position or its unit",
        )
        raise NamelistError([Problem(key, message)])


def _require_within(axis: str, ends: tuple[float, float], positions: np.ndarray) -> None:
    """Refuse a wall between ``ends`` that holds no cell of the grid."""
    if not ((positions > ends[0]) & (positions < ends[1])).any():
        message = mismatch(
            f"no cell between {axis} = {ends[0]:g} and {ends[1]:g}",
            f"positions within the grid, {positions.min():g} to {positions.max():g}",
            "correct the positions or their unit",
        )
        raise NamelistError([Problem((*SECTION, axis), message)])


@dataclass(frozen=True)
class DepthFromFile:
    """Depths in a file, or with ``sign = -1`` heights, of which those above the sea are land."""

    variable: FileVariable
    sign: float

    @property
    def shape(self) -> tuple[int, ...]:
        return self.variable.shape

    def __getitem__(self, index: Any) -> np.ndarray:
        depth = self.sign * self.variable[index]
        return depth if self.sign > 0 else np.where(depth < 0, 0.0, depth)


@dataclass(frozen=True)
class DepthFromFormula:
    """``formula(x, y)`` in metres, evaluated where it is asked for."""

    centres: Centres
    formula: Callable[[np.ndarray, np.ndarray], np.ndarray]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.centres.shape

    def __getitem__(self, index: Any) -> np.ndarray:
        return self.formula(*self.centres.at(index))


def check_depth(depth: Depth, centres: Centres, domain: Domain) -> None:
    """Refuse what is not a depth, and a basin of land. Every rank reads its own part, in bands of
    rows; all refuse alike."""
    wet, point = False, None
    rows, columns = domain.block.y, domain.block.x
    for first in range(rows.start, rows.stop, ROWS_AT_ONCE):
        band = depth[
            ...,
            first : min(first + ROWS_AT_ONCE, rows.stop),
            columns.start : columns.stop,
        ]
        wet |= bool((band > 0).any())
        if not (band >= 0).all():
            j, i = np.argwhere(~(band >= 0))[0]
            name = centres.name(first + int(j), columns.start + int(i))
            point = f"{band[j, i]:g} m at {name}"
            break
    parts = domain.comm.allgather((point, wet))
    point = next((point for point, _ in parts if point), None)
    if point:
        remedy = "correct the file, or write positive: up if it holds heights"
        message = mismatch(point, "metres of depth, 0 on land", remedy)
        raise NamelistError([Problem(SECTION, message)])
    if not any(wet for _, wet in parts):
        message = mismatch("no point below the sea", "an ocean", "correct positive: up or down")
        raise NamelistError([Problem(SECTION, message)])
