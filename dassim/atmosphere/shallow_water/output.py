"""Fields of a layer of fluid for people to look at, and the numbers by which a run is watched."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from dassim.atmosphere.shallow_water.state import VARIABLES, ShallowWaterState
from dassim.dynamics.momentum import kinetic_energy
from dassim.dynamics.polar import PolarFilter, zonal_resolution
from dassim.dynamics.stepping import AbstractTimeStepper
from dassim.grid import Field, Grid, apply
from dassim.grid.measures import Extreme, Mean, Measure
from dassim.grid.operators import avg_x_f2c, avg_y_f2c, masked
from dassim.grid.variables import Variable

if TYPE_CHECKING:
    from dassim.atmosphere.shallow_water.model import View

DIAGNOSED: dict[str, Variable] = {
    variable.name: variable
    for variable in (
        Variable("surface_height", "c", "m", "height of the free surface", None, levels=False),
        Variable("speed", "c", "m s-1", "speed", "wind_speed", levels=False),
        Variable("kinetic_energy", "c", "m2 s-2", "kinetic energy per mass", None, levels=False),
        Variable(
            "zeta",
            "q",
            "s-1",
            "relative vorticity",
            "atmosphere_upward_relative_vorticity",
            levels=False,
        ),
        Variable("pv", "q", "m-1 s-1", "potential vorticity (f + zeta) / h", None, levels=False),
    )
}

OUTPUTS: dict[str, Variable] = VARIABLES | DIAGNOSED


def output_variables(tracers: Iterable[str] = ()) -> dict[str, Variable]:
    """Metadata of all outputs, and of passive ``tracers``."""
    return OUTPUTS | {
        name: Variable(name, "c", "1", f"tracer {name}", levels=False) for name in tracers
    }


def output(view: View, state: ShallowWaterState, names: Iterable[str]) -> dict[str, jax.Array]:
    """The owned points of the outputs ``names``, ``(ny, nx)`` each."""
    prognostic = {name: field.data[0] for name, field in state.fields().items()}
    names = tuple(names)
    known = prognostic.keys() | DIAGNOSED.keys()
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"found outputs {unknown}; expected some of {sorted(known)}")
    return {
        name: prognostic[name] if name in prognostic else view.grid.owned(_DIAGNOSES[name](view))
        for name in names
    }


def _speed(view: View) -> Field:
    u, v = avg_x_f2c(view.u), avg_y_f2c(view.v)
    return apply(jnp.sqrt, u * u + v * v)


_DIAGNOSES: Mapping[str, Callable[[View], Field]] = {
    "surface_height": lambda view: view.surface,
    "speed": _speed,
    "kinetic_energy": lambda view: kinetic_energy(view.grid, view.u, view.v),
    "zeta": lambda view: view.relative_vorticity,
    "pv": lambda view: view.vorticity / view.thickness.q,
}


def advection_rate(view: View, polar: PolarFilter | None) -> Field:
    """``|u|/dx + |v|/dy`` (1/s) at cells, ``dx`` no smaller than what the filter lets pass."""
    grid = view.grid
    along_x = avg_x_f2c(abs(view.u)) / zonal_resolution(grid, polar)
    return along_x + avg_y_f2c(abs(view.v)) / grid.dy.c


def measures(
    view: View, polar: PolarFilter | None, time_step: float, stepper: AbstractTimeStepper
) -> dict[str, Measure]:
    """Extremes and means over all cells; all ranks call this together.

    ``courant_number``: the largest ``dt (|u|/dx + |v|/dy)``, limited by the time stepper's
    stability for oscillations.
    """
    grid = view.grid
    area, h = masked(grid.mask.c, grid.area.c), view.thickness.c
    wet = grid.owned_mask("c", levels=False)
    volume = jnp.sum(grid.owned(area * h))

    def extreme(kind, field: Field, units: str, label="", limit=None) -> Extreme:
        return Extreme(grid.owned(field), kind, units, label, wet, limit)

    energy = kinetic_energy(grid, view.u, view.v)
    courant = time_step * advection_rate(view, polar)
    return {
        "maximum_speed": extreme("largest", _speed(view), "m s-1", "speed"),
        "courant_number": extreme("largest", courant, "1", "CFL", stepper.oscillation_limit),
        "mean_kinetic_energy": Mean(jnp.sum(grid.owned(area * h * energy)), volume, "m2 s-2", "KE"),
        "mean_thickness": Mean(volume, jnp.sum(grid.owned(area)), "m", "h"),
        "smallest_thickness": extreme("smallest", h, "m", "h from", 0.0),
        "largest_thickness": extreme("largest", h, "m", "to"),
    }


def kinetic_energy_in_all(grid: Grid, state: ShallowWaterState) -> jax.Array:
    """This rank's share of the integral of ``h (u^2 + v^2) / 2`` over the area (m5/s2)."""
    fields = grid.exchange(state.fields(), 1)
    energy = kinetic_energy(grid, fields["u"], fields["v"])
    return jnp.sum(grid.owned(masked(grid.mask.c, fields["h"] * grid.area.c * energy)))
