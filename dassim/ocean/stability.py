"""How near a configuration is to the limits of its time step, term by term and where."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from dassim.dynamics.free_surface import SplitExplicit, fastest_waves
from dassim.dynamics.implicit import open_faces
from dassim.dynamics.stability import Limit, Rate, damping_rates, limits
from dassim.grid import Field, apply, maximum
from dassim.grid.operators import masked, sum_z
from dassim.ocean.measures import advection_rate
from dassim.ocean.model import OceanModel
from dassim.ocean.parameters import OceanParameters
from dassim.ocean.state import OceanState


def stability_limits(
    model: OceanModel, parameters: OceanParameters, state: OceanState, speed: float = 0.0
) -> list[Limit]:
    """All terms that bound the time step, each with its worst cell over all ranks.

    Where the flow of ``state`` is slower than ``speed`` (m/s), as in a start from rest, advection
    is that of such a flow in the worst direction.

    Explicit terms only: vertical mixing and drag are implicit. With
    ``k = 2 sqrt(1/dx^2 + 1/dy^2)``, the largest wavenumber::

        advection    dt (|u|/dx + |v|/dy + |w|/dz)
        Coriolis     dt |f|
        internal waves   dt c k,     c = sum(N dz) / pi, the first baroclinic mode
        surface waves    dt sqrt(g H) k / (2 substeps), of a split-explicit free surface
        friction     dt (nu k^2 + nu_4 k^4),   diffusion likewise
    """
    rates = _rates(model, parameters, state, speed)
    return limits(model.grid, model.time_step, rates)


@eqx.filter_jit
def _rates(
    model: OceanModel, parameters: OceanParameters, state: OceanState, speed: float
) -> list[Rate]:
    """Terms, their rates (1/s) at cells, and the largest stable ``dt`` times rate."""
    here, grid, stepper = model.view(parameters, state), model.grid, model.stepper
    wavenumber2 = 4.0 * (grid.dx.c**-2.0 + grid.dy.c**-2.0)
    courant = maximum(advection_rate(model, here), 0.5 * speed * apply(jnp.sqrt, wavenumber2))
    between_wet = open_faces(grid.wet.c, grid.levels.count)
    stable = masked(between_wet, maximum(here.stratification, 0.0))
    frequency = apply(jnp.sqrt, stable)
    interior_dz = Field(grid.levels.dz.f.data[1:-1], (*here.stratification.spans[:1], None, None))
    mode_speed = sum_z(frequency * interior_dz) / np.pi

    rates: list[Rate] = [
        ("advection (Courant number)", courant, min(1.0, stepper.oscillation_limit)),
        ("Coriolis force", abs(grid.coriolis.c), stepper.oscillation_limit),
        (
            "internal gravity waves",
            mode_speed * apply(jnp.sqrt, wavenumber2),
            stepper.oscillation_limit,
        ),
    ]
    if isinstance(model.free_surface, SplitExplicit):
        substeps = model.free_surface.substeps
        waves = fastest_waves(grid, model.free_surface.gravity) / substeps
        rates.append((f"surface gravity waves in {substeps} substeps", waves, 1.0))
    for kind, term in (("viscosity", parameters.friction), ("diffusivity", parameters.diffusion)):
        rates += damping_rates(grid, kind, term, wavenumber2, stepper.decay_limit)
    return rates
