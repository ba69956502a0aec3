"""From a namelist of the atmosphere to its model, parameters and state."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from functools import singledispatch
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from dassim.atmosphere import primitive as model_of
from dassim.atmosphere.planet import Planet
from dassim.atmosphere.primitive import AtmosphereModel, AtmosphereParameters, AtmosphereState
from dassim.atmosphere.primitive.output import kinetic_energy_in_all
from dassim.atmosphere.primitive.stability import stability_limits
from dassim.atmosphere.primitive.water import Air
from dassim.config.arrays import as_arrays
from dassim.config.atmosphere.columns import process
from dassim.config.atmosphere.numbers import numbers
from dassim.config.atmosphere.orography import ground_height
from dassim.config.atmosphere.reanalysis import air_on_pressure_levels
from dassim.config.atmosphere.surface import surface_temperature
from dassim.config.atmosphere.tracers import with_tracers
from dassim.config.build import build_domain, build_grid
from dassim.config.errors import NamelistError, NamelistWarning, Problem, mismatch
from dassim.config.experiment import Experiment
from dassim.config.friction import lateral_friction
from dassim.config.limits import too_long_steps
from dassim.config.noise import normal_noise
from dassim.config.numerics import advection_scheme, polar_filter, time_stepper
from dassim.config.objectives import Objectives
from dassim.config.points import first_point
from dassim.config.schema import AtmosphereNamelist
from dassim.config.schema.atmosphere import primitive as schema
from dassim.config.schema.atmosphere.surface import SlabOcean
from dassim.config.schema.grid import LatLonGrid
from dassim.dynamics.friction import DivergenceDamping
from dassim.dynamics.polar import PolarFilter
from dassim.dynamics.tracers import LateralDiffusion
from dassim.grid import Grid
from dassim.parallel import AbstractCommunicator

WATER_HEAT_CAPACITY = 4.184e6
"""J/(m3 K), of liquid water."""


def build_atmosphere(
    namelist: AtmosphereNamelist, comm: AbstractCommunicator | None = None
) -> Experiment:
    """This rank's part of the atmosphere that ``namelist`` describes; ``comm``: all ranks that take
    part, by default those of this run. All ranks call this together.

    Raises NamelistError for what cannot run, on all ranks alike. Warns on rank 0 (NamelistWarning)
    of a time step beyond a limit, and of vapour that may fall below 0.
    """
    physics, time = namelist.physics, namelist.time
    grid = build_grid(namelist, build_domain(namelist, comm))
    assert isinstance(namelist.grid, LatLonGrid), "require_circles has made sure of it"
    planet = Planet(namelist.grid.radius, namelist.grid.rotation, physics.gravity)
    ground = ground_height(namelist.orography, grid)
    start = start_of(namelist.initial, grid, planet, physics, ground)
    surface, wetness = surface_temperature(namelist.surface, grid, time)
    polar = polar_filter(physics.polar_filter, grid)
    model = AtmosphereModel(
        grid,
        time.step,
        polar=polar,
        fast_modes=fast_modes(physics, grid, time.step, polar),
        advection=advection_scheme(physics.advection),
        vertical_advection=advection_scheme(physics.vertical_advection),
        stepper=time_stepper(physics.stepper),
    )
    parameters = coefficients(physics, start.ground)
    humidity = getattr(namelist.initial, "relative_humidity", None)
    state = with_vapour(humidity, start.state, parameters, grid)
    state = with_tracers(namelist.initial.tracers, state, grid)
    state = with_noise(namelist.initial.noise, state, grid)
    require_order_of_levels(grid, state)
    if isinstance(namelist.surface, SlabOcean):
        parameters = replace(parameters, slab=WATER_HEAT_CAPACITY * namelist.surface.depth)
        state = replace(state, Ts=surface.astype(state.ps.dtype))
    else:
        parameters = replace(parameters, surface_temperature=surface, wetness=wetness)
    parameters = as_arrays(parameters, namelist.precision)
    state = model.start(state.watching(model_of.fluxes_of(parameters.physics)))
    speed = namelist.expected_speed or 0.0
    too_long = too_long_steps(model, stability_limits(model, parameters, state, speed))
    for doubt in (*negative_vapour(parameters, state), *too_long):
        if grid.domain.comm.is_root:
            warnings.warn(doubt, stacklevel=2)
    objectives = Objectives(numbers(kinetic_energy_in_all, "Pa m4 s-2"))
    return Experiment(namelist.name, model, parameters, state, time, objectives=objectives)


def fast_modes(
    physics: schema.Physics, grid: Grid, step: float, polar: PolarFilter | None
) -> model_of.FastModes | None:
    """The modes that move in substeps of their own, if any."""
    section = physics.fast_modes
    if section is None:
        return None
    if section.modes > grid.levels.count:
        message = mismatch(
            f"{section.modes} modes",
            f"at most as many as there are levels, {grid.levels.count}",
            "take fewer, 3 for example",
        )
        raise NamelistError([Problem(("physics", "fast_modes", "modes"), message)])
    if physics.stepper.type != "runge_kutta_3":
        message = mismatch(
            f"{physics.stepper.type} beside fast_modes",
            "runge_kutta_3: in states extrapolated in time noise grows within the step's limits",
            "take it, or leave out fast_modes",
        )
        raise NamelistError([Problem(("physics", "stepper", "type"), message)])
    air = Air(physics.gas_constant, physics.heat_capacity)
    try:
        return model_of.FastModes.for_grid(
            grid, step, air, polar, count=section.modes, courant=section.courant
        )
    except ValueError as error:
        problem = Problem(("physics", "fast_modes", "modes"), str(error))
        raise NamelistError([problem]) from None


def coefficients(physics: schema.Physics, ground: np.ndarray) -> AtmosphereParameters:
    """The numbers in the equations, over ``ground`` (m)."""
    damping, diffusion = physics.divergence_damping, physics.diffusion
    return AtmosphereParameters(
        physics.gravity,
        physics.gas_constant,
        physics.heat_capacity,
        ground,
        lateral_friction(physics.friction),
        DivergenceDamping(damping.viscosity, damping.scale_length),
        LateralDiffusion(diffusion.diffusivity, diffusion.biharmonic, diffusion.scale_length),
        tuple(process(section) for section in physics.columns),
    )


def negative_vapour(
    parameters: AtmosphereParameters, state: AtmosphereState
) -> Iterator[NamelistWarning]:
    """Of vapour that nothing fills where advection may leave less than none."""
    filled = any(isinstance(p, model_of.PositiveHumidity) for p in parameters.physics)
    if "q" in state.tracers and not filled:
        message = mismatch(
            "vapour and no positive_humidity among them",
            "a process that fills levels where advection may leave less than no vapour",
            "put {type: positive_humidity} first, or expect some negative humidity",
        )
        yield NamelistWarning(Problem(("physics", "columns"), message))


# -- the start ------------------------------------------------------------------------------------


class Start(eqx.Module):
    """A state, and the height (m) of the ground under it."""

    state: AtmosphereState
    ground: Any


@singledispatch
def start_of(
    section: Any, grid: Grid, planet: Planet, physics: schema.Physics, ground: np.ndarray
) -> Start:
    """What a section describes, over ``ground``. A new start registers its function here."""
    raise TypeError(f"found a start of {type(section)}; expected a type that is registered")


@start_of.register
def _(
    section: schema.IsothermalRest,
    grid: Grid,
    planet: Planet,
    physics: schema.Physics,
    ground: np.ndarray,
) -> Start:
    gas = physics.gas_constant
    rest = model_of.isothermal_rest(grid, planet, section.T, gas, ground, section.pressure)
    return Start(rest, ground)


@start_of.register
def _(
    section: schema.BaroclinicZone,
    grid: Grid,
    planet: Planet,
    physics: schema.Physics,
    ground: np.ndarray,
) -> Start:
    zone = model_of.BaroclinicZone(planet, physics.gas_constant, section.speed)
    return Start(zone.state(grid, section.perturbation), zone.ground_of(grid))


@start_of.register
def _(
    section: schema.FromPressureLevels,
    grid: Grid,
    planet: Planet,
    physics: schema.Physics,
    ground: np.ndarray,
) -> Start:
    air = air_on_pressure_levels(section, grid)
    gravity, gas = physics.gravity, physics.gas_constant
    return Start(model_of.from_pressure_levels(grid, air, ground, gravity, gas), ground)


def require_order_of_levels(grid: Grid, state: AtmosphereState) -> None:
    """Refuse ground so high that levels that do not follow it reach into it. All ranks call this
    together."""
    least = grid.levels.least_pressure
    point = first_point(grid, ~(np.asarray(state.ps) > least)[None])
    if point is not None:
        lowest = float(grid.domain.min(jnp.min(state.ps)))
        message = mismatch(
            f"levels that cross where the ground carries less than {least:g} Pa, as at {point}; "
            f"the least that it carries is {lowest:g} Pa",
            "levels in order over all ground",
            "let them follow the ground further up: a larger b, a lower exponent",
        )
        raise NamelistError([Problem(("vertical",), message)])


def with_vapour(
    relative_humidity: float | None,
    state: AtmosphereState,
    parameters: AtmosphereParameters,
    grid: Grid,
) -> AtmosphereState:
    """``state`` with air of this relative humidity, and no more vapour in a level than in the ones
    below it; ``None``: as it is."""
    if relative_humidity is None:
        return state
    columns = model_of.Columns.of(grid, parameters, state)
    vapour = relative_humidity * columns.saturation
    least = jax.lax.cummin(vapour, axis=0, reverse=True)
    return replace(state, tracers=state.tracers | {"q": least.astype(state.T.dtype)})


def with_noise(noise: schema.Noise, state: AtmosphereState, grid: Grid) -> AtmosphereState:
    """``state`` and noise, none through walls."""
    for name in ("u", "v", "T"):
        size, value = getattr(noise, name), getattr(state, name)
        if size:
            unit = normal_noise(grid.domain, grid.shape[0], name, noise.seed)
            mask = grid.owned_mask("c" if name == "T" else name)
            noisy = value + jnp.asarray(size * unit, value.dtype) * mask
            state = replace(state, **{name: noisy})
    return state
