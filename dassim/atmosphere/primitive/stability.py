"""What bounds the time step of the atmosphere."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp

from dassim.atmosphere.primitive.model import AtmosphereModel
from dassim.atmosphere.primitive.output import advection_rate
from dassim.atmosphere.primitive.parameters import AtmosphereParameters
from dassim.atmosphere.primitive.state import AtmosphereState
from dassim.dynamics.polar import squared_wavenumber
from dassim.dynamics.stability import Limit, Rate, damping_rates, limits
from dassim.grid import apply, maximum
from dassim.grid.operators import sum_z


def stability_limits(
    model: AtmosphereModel,
    parameters: AtmosphereParameters,
    state: AtmosphereState,
    speed: float = 0.0,
) -> list[Limit]:
    """All terms that bound the time step, each with its worst cell over all ranks.

    Where the flow of ``state`` is slower than ``speed`` (m/s), advection is that of such a flow.
    With ``k = 2 sqrt(1/dx^2 + 1/dy^2)``, ``dx`` no smaller than what the polar filter lets pass,
    and ``c = sqrt(R T / (1 - kappa))``, ``T`` the mean of the column::

        advection       dt (|u|/dx + |v|/dy + |w|/dz)
        Coriolis        dt |f|
        Lamb waves      dt c k,               per substep where these are taken out
        gravity waves   dt c_m k,             of the fastest that are left then, in isothermal air
                                              as warm as the column on average: half as fast again
                                              as in the troposphere, which is about what 60 m/s of
                                              wind add to their frequency on the shortest waves
        friction        dt (nu k^2 + nu_4 k^4),   divergence damping and diffusion likewise
    """
    return limits(model.grid, model.time_step, _rates(model, parameters, state, speed))


@eqx.filter_jit
def _rates(
    model: AtmosphereModel, parameters: AtmosphereParameters, state: AtmosphereState, speed: float
) -> list[Rate]:
    here, grid, stepper = model.view(parameters, state), model.grid, model.stepper
    wavenumber2 = squared_wavenumber(grid, model.polar)
    wavenumber = apply(jnp.sqrt, wavenumber2)
    courant = maximum(advection_rate(here, model.polar), 0.5 * speed * wavenumber)
    mean = sum_z(here.temperature * grid.levels.dz.c) / sum_z(grid.levels.dz.c)
    fastest = apply(jnp.sqrt, maximum(mean, 0.0) * parameters.air.lamb_waves)
    rates: list[Rate] = [
        ("advection (Courant number)", courant, min(1.0, stepper.oscillation_limit)),
        ("Coriolis force", abs(grid.coriolis.c), stepper.oscillation_limit),
    ]
    if (modes := model.fast_modes) is None:
        rates.append(("Lamb waves", fastest * wavenumber, stepper.oscillation_limit))
    else:
        left = apply(jnp.sqrt, maximum(mean, 0.0) * modes.modes.left) * wavenumber
        substeps = f"Lamb waves in {modes.substeps} substeps"
        rates.append((substeps, fastest * wavenumber / modes.substeps, 2.0))
        rates.append(("gravity waves", left, stepper.oscillation_limit))
    for kind, term, label in (
        ("viscosity", parameters.friction, "viscosity"),
        ("viscosity", parameters.divergence_damping, "divergence damping"),
        ("diffusivity", parameters.diffusion, "diffusivity"),
    ):
        rates += damping_rates(grid, kind, term, wavenumber2, stepper.decay_limit, label)
    return rates
