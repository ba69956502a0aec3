"""Fields of the atmosphere for people to look at, and the numbers by which a run is watched."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp

from dassim.atmosphere.primitive.column import (
    Continuity,
    follows_ground,
    geopotential,
    relative_faces,
    thickness,
)
from dassim.atmosphere.primitive.parameters import AtmosphereParameters
from dassim.atmosphere.primitive.state import (
    FLUXES,
    HUMIDITY,
    SURFACE_TEMPERATURE,
    VARIABLES,
    AtmosphereState,
)
from dassim.dynamics.momentum import kinetic_energy, relative_vorticity, with_poles
from dassim.dynamics.polar import PolarFilter, zonal_resolution
from dassim.grid import Field, Grid, apply
from dassim.grid.levels import REFERENCE_PRESSURE
from dassim.grid.measures import Extreme, Mean, Measure
from dassim.grid.operators import (
    avg_x_f2c,
    avg_y_f2c,
    avg_z_f2c,
    curl,
    diff_x_c2f,
    diff_y_c2f,
    level,
    masked,
    sum_z,
)
from dassim.grid.variables import Variable

if TYPE_CHECKING:
    from dassim.atmosphere.primitive.model import AtmosphereModel, View

SEA_LEVEL_LAPSE = 0.0065  # K/m, of the air that is not there below the ground

TEMPERATURES = (100.0, 400.0)
"""K; no air of a weather system is colder or warmer."""

DIAGNOSED: dict[str, Variable] = {
    variable.name: variable
    for variable in (
        Variable("speed", "c", "m s-1", "wind speed", "wind_speed"),
        Variable("zeta", "q", "s-1", "relative vorticity", "atmosphere_upward_relative_vorticity"),
        Variable("theta", "c", "K", "potential temperature", "air_potential_temperature"),
        Variable(
            "omega", "c", "Pa s-1", "vertical velocity", "lagrangian_tendency_of_air_pressure"
        ),
        Variable("z", "c", "m", "height of the levels", "geopotential_height"),
        Variable("p", "c", "Pa", "pressure at the middle of the levels", "air_pressure"),
        Variable("kinetic_energy", "c", "m2 s-2", "kinetic energy per mass", None),
        Variable(
            "psl",
            "c",
            "Pa",
            "pressure at sea level, below the ground as in air of 6.5 K/km",
            "air_pressure_at_mean_sea_level",
            levels=False,
        ),
    )
}

OUTPUTS: dict[str, Variable] = VARIABLES | DIAGNOSED

OF_VAPOUR: dict[str, Variable] = {
    "q": HUMIDITY,
    "hur": Variable("hur", "c", "1", "relative humidity", "relative_humidity"),
    "prw": Variable(
        "prw",
        "c",
        "kg m-2",
        "vapour in the column",
        "atmosphere_mass_content_of_water_vapor",
        levels=False,
    ),
}
"""What there is of air with the tracer ``q``."""

OF_FLUXES: dict[str, Variable] = FLUXES | {
    "pr": Variable("pr", "c", "kg m-2 s-1", "rain", "precipitation_flux", levels=False),
    "hfls": Variable(
        "hfls",
        "c",
        "W m-2",
        "upward latent heat",
        "surface_upward_latent_heat_flux",
        levels=False,
    ),
}


def output_variables(
    tracers: Iterable[str] = (), fluxes: Iterable[str] = (), *, surface: bool = False
) -> dict[str, Variable]:
    """Metadata of all outputs, of ``tracers``, of ``fluxes`` that are watched, and of the
    temperature of a ``surface``."""
    carried = {name: Variable(name, "c", "1", f"tracer {name}") for name in tracers}
    moist = OF_VAPOUR if "q" in carried else {}
    watched = {name: OF_FLUXES[name] for name in with_sums(dict.fromkeys(fluxes, 0.0), 1.0)}
    below = {"Ts": SURFACE_TEMPERATURE} if surface else {}
    return OUTPUTS | below | carried | moist | watched


def with_sums(fluxes: Mapping[str, Any], latent_heat: Any) -> dict[str, Any]:
    """``fluxes``, the rain of all kinds and the latent heat of evaporation."""
    found = dict(fluxes)
    if rain := [found[name] for name in ("prl", "prc") if name in found]:
        found["pr"] = sum(rain[1:], start=rain[0])
    if "evspsbl" in found:
        found["hfls"] = latent_heat * found["evspsbl"]
    return found


class Diagnosis(NamedTuple):
    """A state with what its diagnosed fields are made of."""

    view: View
    parameters: AtmosphereParameters

    @property
    def grid(self) -> Grid:
        return self.view.grid

    @property
    def pressure(self) -> Field:
        ps = self.view.fields["ps"]
        return avg_z_f2c(relative_faces(self.grid, ps)) * ps

    @property
    def geopotential(self) -> Field:
        gas, virtual = self.parameters.gas_constant, self.view.virtual_temperature
        return geopotential(self.view.weights, gas, virtual, self.view.ground)


def output(
    view: Callable[[], View],
    parameters: AtmosphereParameters,
    state: AtmosphereState,
    names: Iterable[str],
) -> dict[str, jax.Array]:
    """The owned points of the outputs ``names``. ``view``: the state with halos, which diagnosed
    fields need."""
    names = tuple(names)
    prognostic = {name: field.data for name, field in state.fields().items()}
    prognostic["ps"] = state.ps
    if (Ts := parameters.temperature_below(state)) is not None:
        prognostic["Ts"] = Ts
    prognostic |= with_sums(state.fluxes, parameters.water.latent_heat)
    known = prognostic.keys() | DIAGNOSED.keys()
    if "q" in state.tracers:
        known |= OF_VAPOUR.keys()
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"found outputs {unknown}; expected some of {sorted(known)}")
    wanted = [name for name in names if name not in prognostic]
    here = Diagnosis(view(), parameters) if wanted else None
    diagnosed = {name: here.grid.owned(_DIAGNOSES[name](here)) for name in wanted if here}
    return {name: diagnosed.get(name, prognostic.get(name)) for name in names}  # type: ignore[misc]


# -- one function per diagnosed field -------------------------------------------------------------


def _speed(at: Diagnosis) -> Field:
    u, v = avg_x_f2c(at.view.u), avg_y_f2c(at.view.v)
    return apply(jnp.sqrt, u * u + v * v)


def _relative_vorticity(at: Diagnosis) -> Field:
    u, v = at.view.u, at.view.v
    return with_poles(at.grid, relative_vorticity(at.grid, u, v), curl(at.grid, u, v))


def _potential_temperature(at: Diagnosis) -> Field:
    kappa = at.parameters.air.kappa
    return apply(
        lambda T, p: T * (REFERENCE_PRESSURE / p) ** kappa, at.view.temperature, at.pressure
    )


def _pressure_velocity(at: Diagnosis) -> Field:
    """``dp/dt = b (d(ps)/dt + v grad(ps)) - w``, ``w`` upward through the levels."""
    grid, view = at.grid, at.view
    _, rising, upward = Continuity.of(grid, *view.transports)
    ps = view.fields["ps"]
    along = avg_x_f2c(view.u * diff_x_c2f(ps) / grid.dx.u)
    along = along + avg_y_f2c(view.v * diff_y_c2f(ps) / grid.dy.v)
    b = avg_z_f2c(follows_ground(grid))
    return b * (rising + along) - avg_z_f2c(upward) / grid.area.c


def _sea_level_pressure(at: Diagnosis) -> Field:
    """From the lowest level's temperature, with the lapse rate of a standard atmosphere."""
    gravity, gas = at.parameters.gravity, at.parameters.gas_constant
    height = at.view.ground / gravity
    lowest = level(at.view.temperature, -1)

    def reduced(ps, T, z):
        below = SEA_LEVEL_LAPSE * z
        return ps * (1.0 + below / T) ** (gravity / (gas * SEA_LEVEL_LAPSE))

    return apply(reduced, at.view.fields["ps"], lowest, height)


def _relative_humidity(at: Diagnosis) -> Field:
    water, gas = at.parameters.water, at.parameters.gas_constant

    def share(T, q, p):
        return q / water.saturation(T, p, gas)

    return apply(share, at.view.temperature, at.view.fields["q"], at.pressure)


_DIAGNOSES: Mapping[str, Callable[[Diagnosis], Field]] = {
    "speed": _speed,
    "zeta": _relative_vorticity,
    "theta": _potential_temperature,
    "omega": _pressure_velocity,
    "z": lambda at: at.geopotential / at.parameters.gravity,
    "p": lambda at: at.pressure,
    "kinetic_energy": lambda at: kinetic_energy(at.grid, at.view.u, at.view.v),
    "psl": _sea_level_pressure,
    "hur": _relative_humidity,
    "prw": lambda at: sum_z(at.view.fields["q"] * at.view.thickness.c) / at.parameters.gravity,
}


# -- numbers --------------------------------------------------------------------------------------


def advection_rate(view: View, polar: PolarFilter | None) -> Field:
    """``|u|/dx + |v|/dy + |w|/h`` (1/s) at cells, ``dx`` no smaller than what the filter lets
    pass."""
    grid = view.grid
    upward = Continuity.of(grid, *view.transports).upward
    return (
        avg_x_f2c(abs(view.u)) / zonal_resolution(grid, polar)
        + avg_y_f2c(abs(view.v)) / grid.dy.c
        + avg_z_f2c(abs(upward)) / (grid.area.c * view.thickness.c)
    )


def measures(
    model: AtmosphereModel, parameters: AtmosphereParameters, state: AtmosphereState
) -> dict[str, Measure]:
    """Extremes and means over all cells, weighted by mass; all ranks call this together.

    ``courant_number``: the largest ``dt (|u|/dx + |v|/dy + |w|/dz)``, limited by the time stepper's
    stability for oscillations.
    """
    view, grid = model.view(parameters, state), model.grid
    mass = masked(grid.mask.c, view.thickness.c * grid.area.c)
    area = masked(grid.mask.c, grid.area.c)
    total = jnp.sum(grid.owned(mass))
    at = Diagnosis(view, parameters)
    everywhere = grid.owned_mask("c")
    surface = grid.owned_mask("c", levels=False)

    def mean(field: Field, units: str, label: str) -> Mean:
        return Mean(jnp.sum(grid.owned(mass * field)), total, units, label)

    def extreme(kind, field: Field, units: str, label="", limit=None, where=everywhere) -> Extreme:
        return Extreme(grid.owned(field), kind, units, label, where, limit)

    ps, limit = view.fields["ps"], model.stepper.oscillation_limit
    courant = model.time_step * advection_rate(view, model.polar)
    return {
        "maximum_speed": extreme("largest", _speed(at), "m s-1", "speed"),
        "courant_number": extreme("largest", courant, "1", "CFL", limit),
        "mean_kinetic_energy": mean(kinetic_energy(grid, view.u, view.v), "m2 s-2", "KE"),
        "mean_temperature": mean(view.temperature, "K", "T"),
        "mean_surface_pressure": Mean(
            jnp.sum(grid.owned(area * ps)), jnp.sum(grid.owned(area)), "Pa", "ps"
        ),
        "lowest_surface_pressure": extreme(
            "smallest", ps, "Pa", "from", grid.levels.least_pressure, surface
        ),
        "highest_surface_pressure": extreme("largest", ps, "Pa", "to", where=surface),
        "lowest_temperature": extreme("smallest", view.temperature, "K", limit=TEMPERATURES[0]),
        "highest_temperature": extreme("largest", view.temperature, "K", limit=TEMPERATURES[1]),
    }


def kinetic_energy_in_all(grid: Grid, state: AtmosphereState) -> jax.Array:
    """This rank's share of the integral of ``(u^2 + v^2) / 2`` over area and pressure, Pa m4/s2."""
    fields = grid.exchange(state.fields(), 1)
    energy = kinetic_energy(grid, fields["u"], fields["v"])
    mass = thickness(grid, fields["ps"]) * grid.area.c
    return jnp.sum(grid.owned(masked(grid.mask.c, mass * energy)))
