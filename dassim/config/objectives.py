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
from dassim.config.schema import assimilation as schema
from dassim.grid import Field, Grid
from dassim.grid.variables import Variable

SECTION = ("sensitivity", "objective")


class Number(NamedTuple):
    """What is differentiated: this rank's share of it as a function of the state."""

    name: str
    units: str
    function: Any


def no_number(section: Any, model: Any) -> Number:
    """Refuses every section."""
    message = mismatch(section.type, "a model that has such a number", "choose another")
    raise NamelistError([Problem((*SECTION, "type"), message)])


def no_fields(parameters: Any, names: Iterable[str], grid: Grid) -> tuple[Any, Mapping[str, str]]:
    """``parameters`` as they are."""
    return parameters, {}


@dataclass(frozen=True)
class Objectives:
    """What a model can be asked for its derivatives.

    * ``number(section, model)``: the number that a section names; all ranks call it together;
    * ``with_fields(parameters, names, grid)``: ``parameters`` with fields of 0 for those of
      ``fields`` that are named and not there, and the paths of all of these by their names;
    * ``sizes``: what counts as a change of a field that is 0 everywhere.
    """

    number: Callable[[Any, Any], Number] = no_number
    with_fields: Callable[[Any, Iterable[str], Any], tuple[Any, Mapping[str, str]]] = no_fields
    fields: Mapping[str, Variable] = field(default_factory=dict)
    sizes: Mapping[str, float] = field(default_factory=dict)


class WeightedMean(eqx.Module):
    """``sum of weights * variable``."""

    variable: str = eqx.field(static=True)
    weights: jax.Array

    def __call__(self, state: Any) -> jax.Array:
        return jnp.sum(self.weights * getattr(state, self.variable))


def mean_over_box(section: schema.MeanOverBox, model: Any) -> Number:
    """Weighted by volume, of a variable of one level by area."""
    grid, known = model.grid, model.variables
    if section.variable not in known:
        message = mismatch(f"'{section.variable}'", one_of(known), suggest(section.variable, known))
        raise NamelistError([Problem((*SECTION, "variable"), message)])
    variable = known[section.variable]
    at, layered = variable.location, variable.levels
    volume = getattr(grid.area, at) * (grid.levels.dz.c if layered else 1.0)
    inside = _between(grid, getattr(grid.x, at), section.x)
    inside = inside & _between(grid, getattr(grid.y, at), section.y)
    weights = grid.owned(volume) * inside * grid.owned_mask(at, levels=layered)
    if layered:
        weights = weights * np.isin(np.arange(grid.shape[0]), section.levels)[:, None, None]
    total = grid.domain.sum(jnp.sum(weights))
    function = WeightedMean(section.variable, weights / total)
    return Number(f"mean_{section.variable}", variable.units, function)


def _between(grid: Grid, position: Field, ends: tuple[float, float] | None) -> jax.Array:
    owned = grid.owned(position)
    low, high = ends or (-np.inf, np.inf)
    return (owned >= low) & (owned <= high)
