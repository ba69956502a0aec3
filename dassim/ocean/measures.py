"""The numbers by which a run of the ocean is watched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import jax.numpy as jnp

from dassim.dynamics.continuity import stretching, vertical_transport, volume_transports
from dassim.grid import Field, apply
from dassim.grid.measures import Extreme, Mean, Measure
from dassim.grid.operators import avg_x_f2c, avg_y_f2c, avg_z_f2c, masked
from dassim.ocean.parameters import OceanParameters
from dassim.ocean.state import OceanState
from dassim.ocean.view import View

if TYPE_CHECKING:
    from dassim.ocean.model import OceanModel

Kind = Literal["largest", "smallest"]

TEMPERATURES = (-10.0, 60.0)
"""degC; no water of an ocean is colder or warmer."""

SALINITIES = (-1.0, 100.0)
"""g/kg; overshoots of advection near freshwater are not an error."""

THINNEST = 0.05
"""Of a column's thickness at rest; levels that follow the surface may not vanish."""


def measures(
    model: OceanModel, parameters: OceanParameters, state: OceanState
) -> dict[str, Measure]:
    """Extremes and means over all wet cells; all ranks call this together.

    ``courant_number``: the largest ``dt (|u|/dx + |v|/dy + |w|/dz)``, limited by the time stepper's
    stability for oscillations. ``thinnest_column``: thickness over thickness at rest. Speeds and
    energies are of velocities averaged to cells.
    """
    here, grid = model.view(parameters, state), model.grid
    wet = grid.owned_mask("c")
    volume = masked(grid.mask.c, here.thickness.c * grid.area.c)
    weight = jnp.sum(grid.owned(volume))
    u2, v2 = avg_x_f2c(here.u * here.u), avg_y_f2c(here.v * here.v)
    speed = apply(jnp.sqrt, u2 + v2)

    surface = grid.owned_mask("c", levels=False)
    courant = model.time_step * advection_rate(model, here)
    T, S, eta = here.fields["T"], here.fields["S"], here.eta
    stretch = stretching(grid, eta).c

    def mean(field: Field, units: str, label: str) -> Mean:
        return Mean(jnp.sum(grid.owned(volume * field)), weight, units, label)

    def extreme(kind: Kind, field: Field, units: str, label="", limit=None, where=wet) -> Extreme:
        return Extreme(grid.owned(field), kind, units, label, where, limit)

    return {
        "maximum_speed": extreme("largest", speed, "m s-1", "speed"),
        "courant_number": extreme("largest", courant, "1", "CFL", model.stepper.oscillation_limit),
        "mean_kinetic_energy": mean(0.5 * (u2 + v2), "m2 s-2", "KE"),
        "mean_temperature": mean(T, "degC", "T"),
        "lowest_sea_level": extreme("smallest", eta, "m", "eta from", where=surface),
        "highest_sea_level": extreme("largest", eta, "m", "to", where=surface),
        "thinnest_column": extreme("smallest", stretch, "1", limit=THINNEST, where=surface),
        "lowest_temperature": extreme("smallest", T, "degC", limit=TEMPERATURES[0]),
        "highest_temperature": extreme("largest", T, "degC", limit=TEMPERATURES[1]),
        "lowest_salinity": extreme("smallest", S, "1e-3", limit=SALINITIES[0]),
        "highest_salinity": extreme("largest", S, "1e-3", limit=SALINITIES[1]),
    }


def advection_rate(model: OceanModel, here: View) -> Field:
    """``|u|/dx + |v|/dy + |w|/dz`` (1/s) at cells, levels at rest."""
    grid = model.grid
    transports = volume_transports(grid, here.u, here.v, here.thickness)
    upward = vertical_transport(grid, *transports, Field.constant(0.0))
    return (
        avg_x_f2c(abs(here.u)) / grid.dx.c
        + avg_y_f2c(abs(here.v)) / grid.dy.c
        + avg_z_f2c(abs(upward)) / (grid.area.c * here.thickness.c)
    )
