"""From a namelist of a layer of fluid to its model, parameters and state."""

from __future__ import annotations

import warnings
from functools import singledispatch
from typing import Any

import numpy as np

from dassim.atmosphere.planet import Planet
from dassim.atmosphere.shallow_water import (
    ShallowWaterModel,
    ShallowWaterParameters,
    ShallowWaterState,
    barotropic_jet,
    fluid_at_rest,
    rossby_haurwitz_wave,
    solid_rotation,
)
from dassim.atmosphere.shallow_water.flows import Jet
from dassim.atmosphere.shallow_water.output import kinetic_energy_in_all
from dassim.atmosphere.shallow_water.stability import stability_limits
from dassim.config.arrays import as_arrays
from dassim.config.atmosphere.numbers import numbers
from dassim.config.atmosphere.orography import ground_height
from dassim.config.atmosphere.tracers import with_tracers
from dassim.config.build import build_domain, build_grid
from dassim.config.errors import NamelistError, Problem, mismatch
from dassim.config.experiment import Experiment
from dassim.config.friction import lateral_friction
from dassim.config.limits import too_long_steps
from dassim.config.numerics import advection_scheme, polar_filter, time_stepper
from dassim.config.objectives import Objectives
from dassim.config.points import first_point
from dassim.config.schema import ShallowWaterNamelist
from dassim.config.schema.atmosphere import shallow_water as schema
from dassim.config.schema.grid import LatLonGrid
from dassim.grid import Grid
from dassim.parallel import AbstractCommunicator


def build_shallow_water(
    namelist: ShallowWaterNamelist, comm: AbstractCommunicator | None = None
) -> Experiment:
    """This rank's part of the fluid that ``namelist`` describes; ``comm``: all ranks that take
    part, by default those of this run. All ranks call this together.

    Raises NamelistError for what cannot run, on all ranks alike. Warns on rank 0 (NamelistWarning)
    of a time step beyond a limit.
    """
    physics, time = namelist.physics, namelist.time
    grid = build_grid(namelist, build_domain(namelist, comm))
    ground = ground_height(namelist.orography, grid)
    model = ShallowWaterModel(
        grid,
        time.step,
        polar=polar_filter(physics.polar_filter, grid),
        conserving=physics.conserving,
        tracer_advection=advection_scheme(physics.tracers),
        stepper=time_stepper(physics.stepper),
    )
    parameters = ShallowWaterParameters(physics.gravity, ground, lateral_friction(physics.friction))
    parameters = as_arrays(parameters, namelist.precision)
    assert isinstance(namelist.grid, LatLonGrid), "require_circles has made sure of it"
    planet = Planet(namelist.grid.radius, namelist.grid.rotation, physics.gravity)
    state = flow(namelist.initial, grid, planet, ground)
    _require_fluid(grid, state)
    state = model.start(with_tracers(namelist.initial.tracers, state, grid))
    speed = namelist.expected_speed or 0.0
    for doubt in too_long_steps(model, stability_limits(model, parameters, state, speed)):
        if grid.domain.comm.is_root:
            warnings.warn(doubt, stacklevel=2)
    objectives = Objectives(numbers(kinetic_energy_in_all, "m5 s-2"))
    return Experiment(namelist.name, model, parameters, state, time, objectives=objectives)


def _require_fluid(grid: Grid, state: ShallowWaterState) -> None:
    point = first_point(grid, np.asarray(state.h <= 0.0)[None])
    if point is not None:
        message = mismatch(
            f"ground above the surface at {point}", "fluid everywhere", "raise initial.height"
        )
        raise NamelistError([Problem(("initial",), message)])


# -- flows at the start ---------------------------------------------------------------------------


@singledispatch
def flow(section: Any, grid: Grid, planet: Planet, ground: np.ndarray) -> ShallowWaterState:
    """The state that a section describes. A new flow registers its function here."""
    raise TypeError(f"found a flow of {type(section)}; expected a type that is registered")


@flow.register
def _(section: schema.Rest, grid: Grid, planet: Planet, ground: np.ndarray) -> ShallowWaterState:
    return fluid_at_rest(grid, section.height, ground)


@flow.register
def _(
    section: schema.SolidRotation, grid: Grid, planet: Planet, ground: np.ndarray
) -> ShallowWaterState:
    return solid_rotation(grid, planet, section.speed, section.height, ground)


@flow.register
def _(
    section: schema.RossbyHaurwitz, grid: Grid, planet: Planet, ground: np.ndarray
) -> ShallowWaterState:
    return rossby_haurwitz_wave(
        grid, planet, section.height, section.rate, section.wavenumber, ground
    )


@flow.register
def _(
    section: schema.BarotropicJet, grid: Grid, planet: Planet, ground: np.ndarray
) -> ShallowWaterState:
    jet = Jet(section.speed, np.deg2rad(section.south), np.deg2rad(section.north))
    return barotropic_jet(grid, planet, section.height, section.perturbation, jet, ground)
