"""Numbers that can be differentiated, and what they can be differentiated by, for any model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from dassim.config.errors import NamelistError, Problem, mismatch, one_of, suggest
from dassim.config.points import Basin
from dassim.config.schema import assimilation as schema
from dassim.grid import Grid, Location
from dassim.grid.variables import Variable
from dassim.observations.axes import TURN
from dassim.simulation.trees import named_leaves

SECTION = ("sensitivity", "objective")


class Number(NamedTuple):
    """What is differentiated: this rank's share of it as a function of the state."""

    name: str
    units: str
    function: Any


def no_number(section: Any, model: Any, variables: Any) -> Number:
    """Refuses every section."""
    message = mismatch(section.type, "a model that has such a number", "choose another")
    raise NamelistError([Problem((*SECTION, "type"), message)])


def no_fields(parameters: Any, names: Iterable[str], grid: Grid) -> tuple[Any, Mapping[str, str]]:
    """``parameters`` as they are."""
    return parameters, {}


@dataclass(frozen=True)
class Objectives:
    """What a model can be asked for its derivatives.

    * ``number(section, model, variables)``: the number that a section names, of a state with these
      ``variables``, by their paths; all ranks call it together;
    * ``with_fields(parameters, names, grid)``: ``parameters`` with fields of 0 for those of
      ``fields`` that are named and not there, and the paths of all of these by their names;
    * ``sizes``: what counts as a change of a field that is 0 everywhere.
    """

    number: Callable[[Any, Any, Mapping[str, Variable]], Number] = no_number
    with_fields: Callable[[Any, Iterable[str], Any], tuple[Any, Mapping[str, str]]] = no_fields
    fields: Mapping[str, Variable] = field(default_factory=dict)
    sizes: Mapping[str, float] = field(default_factory=dict)


class WeightedMean(eqx.Module):
    """``sum of weights * leaf`` of the state."""

    leaf: str = eqx.field(static=True)
    weights: jax.Array

    def __call__(self, state: Any) -> jax.Array:
        return jnp.sum(self.weights * named_leaves(state)[self.leaf])


def mean_over_box(
    section: schema.MeanOverBox, model: Any, variables: Mapping[str, Variable]
) -> Number:
    """Weighted by volume, of a variable of one level by area. ``variables`` by their paths in the
    state. All ranks call this together; raises NamelistError."""
    grid, paths = model.grid, {variable.name: path for path, variable in variables.items()}
    if section.variable not in paths:
        message = mismatch(f"'{section.variable}'", one_of(paths), suggest(section.variable, paths))
        raise NamelistError([Problem((*SECTION, "variable"), message)])
    leaf = paths[section.variable]
    at, layered = variables[leaf].location, variables[leaf].levels
    volume = getattr(grid.area, at) * (grid.levels.dz.c if layered else 1.0)
    inside = _within_x(grid, at, section.x) & within_y(grid, at, section.y)
    weights = grid.owned(volume) * inside * grid.owned_mask(at, levels=layered)
    if layered:
        _require_levels(section.levels, grid.shape[0])
        weights = weights * np.isin(np.arange(grid.shape[0]), section.levels)[:, None, None]
    total = grid.domain.sum(jnp.sum(weights))
    if not float(total) > 0:
        message = mismatch(
            f"a box without a point of {section.variable}: on land, between points, or beyond "
            f"{_extent(grid)}",
            "at least one",
            "correct x and y or their units",
        )
        raise NamelistError([Problem(SECTION, message)])
    function = WeightedMean(leaf, weights / total)
    return Number(f"mean_{section.variable}", variables[leaf].units, function)


def _require_levels(levels: Iterable[int], count: int) -> None:
    if max(levels) >= count:
        message = mismatch(f"level {max(levels)}", f"levels 0 to {count - 1}", "correct the list")
        raise NamelistError([Problem((*SECTION, "levels"), message)])


# -- where ----------------------------------------------------------------------------------------


def _within_x(grid: Grid, at: Location, ends: tuple[float, float] | None) -> np.ndarray:
    """Whether each owned point lies between the ends. Longitudes mean the same after a whole turn,
    and where the grid is periodic, those from 350 to 10 lie around 0."""
    position = np.asarray(grid.owned(getattr(grid.x, at)), float)
    if ends is None:
        return np.ones(position.shape, bool)
    low, high = ends
    turns = grid.horizontal.geometry == "spherical"
    if not (turns and grid.domain.periodic[1] and low > high):
        _require_order("x", ends)
    if not turns:
        return (position >= low) & (position <= high)
    width = TURN if high - low >= TURN else (high - low) % TURN
    return (position - low) % TURN <= width


def within_y(grid: Grid, at: Location, ends: tuple[float, float] | None) -> np.ndarray:
    """Whether each owned point lies between the ends."""
    position = np.asarray(grid.owned(getattr(grid.y, at)), float)
    if ends is None:
        return np.ones(position.shape, bool)
    _require_order("y", ends)
    return (position >= ends[0]) & (position <= ends[1])


def _require_order(axis: str, ends: tuple[float, float]) -> None:
    low, high = ends
    if low >= high:
        message = mismatch(f"[{low:.15g}, {high:.15g}]", "its lower end first", "exchange the two")
        raise NamelistError([Problem((*SECTION, axis), message)])


def _extent(grid: Grid) -> str:
    """Of the whole grid, in words. All ranks call this together."""
    extent = Basin.of(grid).extent
    return " and ".join(f"{axis} = {extent[axis][0]:g} to {extent[axis][1]:g}" for axis in "xy")
