"""Numbers of an ocean that can be differentiated, and what they can be differentiated by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import singledispatch
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from dassim.config.errors import NamelistError, Problem, mismatch
from dassim.config.objectives import SECTION, Number, Objectives, mean_over_box, within_y
from dassim.config.points import Basin
from dassim.config.schema import assimilation as schema
from dassim.grid import Grid
from dassim.grid.variables import Variable
from dassim.observations.axes import TURN
from dassim.ocean import CombinedMixing, OceanModel, OceanParameters, OceanState
from dassim.ocean.diagnostics import kinetic_energy, transport_through_x
from dassim.ocean.mixing import AddedMixing

FLUXES = {
    "stress_x": Variable("stress_x", "u", "Pa", "eastward wind stress", None, False),
    "stress_y": Variable("stress_y", "v", "Pa", "northward wind stress", None, False),
    "heat": Variable("heat", "c", "W m-2", "downward heat flux", None, False),
    "freshwater": Variable("freshwater", "c", "m s-1", "freshwater flux", None, False),
}
"""Surface fluxes that can be differentiated by also where they are 0."""

MIXING = {
    "vertical_diffusivity": Variable("vertical_diffusivity", "w", "m2 s-1", "diffusivity"),
    "vertical_viscosity": Variable("vertical_viscosity", "w", "m2 s-1", "viscosity"),
}
"""Coefficients at the upper faces of all cells but the topmost, added to those of the closures."""


SIZES = {
    "stress_x": 0.1,
    "stress_y": 0.1,
    "heat": 100.0,
    "freshwater": 1e-7,
    "vertical_diffusivity": 1e-2,
    "vertical_viscosity": 1e-2,
}
"""What counts as a change of a field that is 0 everywhere."""


class TransportThroughX(eqx.Module):
    model: OceanModel
    x: float = eqx.field(static=True)
    y: tuple[float, float] = eqx.field(static=True)

    def __call__(self, state: OceanState) -> jax.Array:
        return transport_through_x(self.model, state, self.x, self.y)


class Energy(eqx.Module):
    model: OceanModel

    def __call__(self, state: OceanState) -> jax.Array:
        return kinetic_energy(self.model, state)


@singledispatch
def number(section: Any, model: OceanModel, variables: Mapping[str, Variable]) -> Number:
    """The number that a section names, of a state with these ``variables``, by their paths. All
    ranks call this together; raises NamelistError."""
    raise TypeError(f"found {type(section)}; expected an objective that is registered")


@number.register
def _(section: schema.Transport, model: OceanModel, variables: Any) -> Number:
    grid = model.grid
    points = Basin.of(grid).points("u")
    low, x = points.extent["x"][0], section.x
    if grid.horizontal.geometry == "spherical":
        x = low + (x - low) % TURN
    points.require_inside("x", x, (*SECTION, "x"))
    if not grid.domain.sum(within_y(grid, "u", section.y).sum()):
        message = mismatch(
            "a section between the points of the grid, or beyond them",
            "one with at least one cell in it",
            "correct y or its unit",
        )
        raise NamelistError([Problem((*SECTION, "y"), message)])
    ends = section.y or (-np.inf, np.inf)
    return Number("transport", "1e6 m3 s-1", TransportThroughX(model, x, ends))


@number.register
def _(section: schema.MeanOverBox, model: OceanModel, variables: Any) -> Number:
    return mean_over_box(section, model, variables)


@number.register
def _(section: schema.KineticEnergy, model: OceanModel, variables: Any) -> Number:
    return Number("kinetic_energy", "m5 s-2", Energy(model))


# -- what to differentiate by ---------------------------------------------------------------------


def with_fields(
    parameters: OceanParameters, names: Iterable[str], grid: Grid
) -> tuple[OceanParameters, dict[str, str]]:
    """``parameters`` with fields of 0 for those of :data:`FLUXES` and :data:`MIXING` that are named
    and not there, and the paths of all these names."""
    paths: dict[str, str] = {}
    dtype = grid.levels.dz.c.data.dtype
    forcing = parameters.forcing
    for name in names:
        if name in FLUXES:
            if getattr(forcing, name) is None:
                forcing = replace(forcing, **{name: jnp.zeros(grid.shape[1:], dtype)})
            paths[name] = f"parameters.forcing.{name}"
    if any(name in MIXING for name in names):
        nz, *plane = grid.shape
        zeros = jnp.zeros((nz - 1, *plane), dtype)
        mixing = CombinedMixing((parameters.mixing, AddedMixing(zeros, zeros)))
        parameters = replace(parameters, mixing=mixing)
        for name in MIXING:
            paths[name] = f"parameters.mixing.parts.1.{name.removeprefix('vertical_')}"
    return replace(parameters, forcing=forcing), paths


OBJECTIVES = Objectives(number, with_fields, FLUXES | MIXING, SIZES)
"""Of the ocean."""
