"""What bounds the time step of a layer of fluid."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp

from dassim.atmosphere.shallow_water.model import ShallowWaterModel, ShallowWaterParameters
from dassim.atmosphere.shallow_water.output import advection_rate
from dassim.atmosphere.shallow_water.state import ShallowWaterState
from dassim.dynamics.polar import squared_wavenumber
from dassim.dynamics.stability import Limit, Rate, damping_rates, limits
from dassim.grid import apply, maximum


def stability_limits(
    model: ShallowWaterModel,
    parameters: ShallowWaterParameters,
    state: ShallowWaterState,
    speed: float = 0.0,
) -> list[Limit]:
    """All terms that bound the time step, each with its worst cell over all ranks.

    Where the flow of ``state`` is slower than ``speed`` (m/s), advection is that of such a flow.
    With ``k = 2 sqrt(1/dx^2 + 1/dy^2)``, ``dx`` no smaller than what the polar filter lets pass::

        advection       dt (|u|/dx + |v|/dy)
        Coriolis        dt |f|
        gravity waves   dt (|u|/dx + |v|/dy + sqrt(g h) k)
        friction        dt (nu k^2 + nu_4 k^4)
    """
    return limits(model.grid, model.time_step, _rates(model, parameters, state, speed))


@eqx.filter_jit
def _rates(
    model: ShallowWaterModel,
    parameters: ShallowWaterParameters,
    state: ShallowWaterState,
    speed: float,
) -> list[Rate]:
    here, grid, largest = model.view(parameters, state), model.grid, model.stepper.oscillation_limit
    wavenumber2 = squared_wavenumber(grid, model.polar)
    wavenumber = apply(jnp.sqrt, wavenumber2)
    courant = maximum(advection_rate(here, model.polar), 0.5 * speed * wavenumber)
    waves = apply(jnp.sqrt, here.gravity * here.thickness.c) * wavenumber
    return [
        ("advection (Courant number)", courant, min(1.0, largest)),
        ("Coriolis force", abs(grid.coriolis.c), largest),
        ("gravity waves", courant + waves, largest),
        *damping_rates(
            grid, "viscosity", parameters.friction, wavenumber2, model.stepper.decay_limit
        ),
    ]
