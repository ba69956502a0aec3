"""From the ``physics`` section to the model's schemes, closures and constants."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

from dassim.config.friction import lateral_friction
from dassim.config.numerics import advection_scheme, time_stepper
from dassim.config.schema.ocean import physics as schema
from dassim.dynamics.free_surface import (
    LEAST_DAMPING,
    LEAST_DISPERSION,
    AbstractFreeSurface,
    ImplicitFreeSurface,
    SplitExplicit,
)
from dassim.dynamics.tracers import LateralDiffusion
from dassim.grid import Grid, Levels
from dassim.ocean import (
    TEOS10,
    AbstractEquationOfState,
    AbstractVerticalMixing,
    BottomDrag,
    CombinedMixing,
    ConstantMixing,
    ConvectiveAdjustment,
    FluxForm,
    LinearEOS,
    OceanModel,
    OceanParameters,
    PacanowskiPhilander,
    VectorInvariant,
    surface_enhanced,
)

FILTER_SLOPE = {"least_dispersion": LEAST_DISPERSION, "least_damping": LEAST_DAMPING}


def ocean_model(physics: schema.Physics, grid: Grid, time_step: float) -> OceanModel:
    """The discretised equations on ``grid``."""
    return OceanModel(
        grid,
        time_step,
        momentum_advection=momentum_advection(physics.momentum),
        tracer_advection=advection_scheme(physics.tracers),
        free_surface=free_surface(physics.free_surface, grid, time_step, physics.gravity),
        stepper=time_stepper(physics.stepper),
        moving_levels=physics.moving_levels,
    )


def coefficients(physics: schema.Physics, levels: Levels) -> OceanParameters:
    """The numbers in the equations, without forcing."""
    diffusion, drag = physics.diffusion, physics.drag
    return OceanParameters(
        eos=equation_of_state(physics.eos, physics.gravity),
        friction=lateral_friction(physics.friction),
        diffusion=LateralDiffusion(
            diffusion.diffusivity, diffusion.biharmonic, diffusion.scale_length
        ),
        mixing=combined([vertical_mixing(closure, levels) for closure in physics.mixing]),
        drag=BottomDrag(drag.linear, drag.quadratic, drag.background_speed),
        heat_capacity=physics.heat_capacity,
    )


# -- equation of state ----------------------------------------------------------------------------


@singledispatch
def equation_of_state(config: Any, gravity: float) -> AbstractEquationOfState:
    """Density of seawater."""
    raise TypeError(f"found {type(config)}; expected an equation of state that is registered")


@equation_of_state.register
def _(config: schema.LinearEOS, gravity: float) -> AbstractEquationOfState:
    return LinearEOS(
        alpha=config.alpha,
        beta=config.beta,
        T0=config.T0,
        S0=config.S0,
        reference_density=config.rho0,
        gravity=gravity,
    )


@equation_of_state.register
def _(config: schema.TEOS10, gravity: float) -> AbstractEquationOfState:
    return TEOS10(reference_density=config.rho0, gravity=gravity)


# -- momentum -------------------------------------------------------------------------------------


@singledispatch
def momentum_advection(config: Any) -> VectorInvariant | FluxForm:
    """Advection of momentum."""
    raise TypeError(f"found {type(config)}; expected an advection that is registered")


@momentum_advection.register
def _(config: schema.VectorInvariant) -> VectorInvariant | FluxForm:
    return VectorInvariant(config.conserving)


@momentum_advection.register
def _(config: schema.FluxForm) -> VectorInvariant | FluxForm:
    return FluxForm(advection_scheme(config.scheme))


# -- free surface ---------------------------------------------------------------------------------


@singledispatch
def free_surface(config: Any, grid: Grid, time_step: float, gravity: float) -> AbstractFreeSurface:
    """The external mode."""
    raise TypeError(f"found {type(config)}; expected a free surface that is registered")


@free_surface.register
def _(
    config: schema.SplitExplicit, grid: Grid, time_step: float, gravity: float
) -> AbstractFreeSurface:
    options: dict[str, Any] = {
        "gravity": gravity,
        "linear": config.linear,
        "filter_slope": FILTER_SLOPE[config.filter],
        "substeps_per_exchange": config.substeps_per_exchange,
    }
    if config.substeps is not None:
        return SplitExplicit(config.substeps, **options)
    return SplitExplicit.for_grid(grid, time_step, courant=config.courant, **options)


@free_surface.register
def _(config: schema.Implicit, grid: Grid, time_step: float, gravity: float) -> AbstractFreeSurface:
    return ImplicitFreeSurface(
        theta=config.theta,
        gravity=gravity,
        linear=config.linear,
        tolerance=config.tolerance,
        max_iterations=config.max_iterations,
        degree=config.degree,
    )


# -- vertical mixing ------------------------------------------------------------------------------


def combined(closures: list[AbstractVerticalMixing]) -> AbstractVerticalMixing:
    """One closure whose coefficients are the sum of those of ``closures``."""
    if not closures:
        return ConstantMixing()
    return closures[0] if len(closures) == 1 else CombinedMixing(tuple(closures))


@singledispatch
def vertical_mixing(config: Any, levels: Levels) -> AbstractVerticalMixing:
    """A closure of vertical mixing."""
    raise TypeError(f"found {type(config)}; expected a closure that is registered")


@vertical_mixing.register
def _(config: schema.ConstantMixing, levels: Levels) -> AbstractVerticalMixing:
    return ConstantMixing(config.viscosity, config.diffusivity)


@vertical_mixing.register
def _(config: schema.SurfaceEnhancedMixing, levels: Levels) -> AbstractVerticalMixing:
    return ConstantMixing(diffusivity=surface_enhanced(levels, config.diffusivity, config.cells))


@vertical_mixing.register
def _(config: schema.PacanowskiPhilander, levels: Levels) -> AbstractVerticalMixing:
    return PacanowskiPhilander(
        viscosity=config.viscosity,
        alpha=config.alpha,
        exponent=config.exponent,
        background_viscosity=config.background_viscosity,
        background_diffusivity=config.background_diffusivity,
    )


@vertical_mixing.register
def _(config: schema.ConvectiveAdjustment, levels: Levels) -> AbstractVerticalMixing:
    return ConvectiveAdjustment(config.diffusivity, config.viscosity, config.width)
