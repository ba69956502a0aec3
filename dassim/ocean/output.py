"""Fields of the ocean for people to look at: the state, and what is diagnosed from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp

from dassim.dynamics.continuity import vertical_transport, volume_transports
from dassim.dynamics.momentum import kinetic_energy, relative_vorticity
from dassim.grid import Field, Grid, Span, apply
from dassim.grid.operators import avg_x_f2c, avg_y_f2c, masked, with_ends_z
from dassim.grid.variables import Variable
from dassim.ocean.eos import TEOS10, AbstractEquationOfState
from dassim.ocean.state import VARIABLES, OceanState
from dassim.ocean.view import View

SIGMA_OFFSET = 1000.0
"""Subtracted from a density to make it sigma (kg m-3)."""

REFERENCE_DEPTH, DENSITY_THRESHOLD = 10.0, 0.03
"""Mixed layer: as far as the density exceeds that in 10 m by no more than 0.03 kg m-3."""

DIAGNOSED: dict[str, Variable] = {
    variable.name: variable
    for variable in (
        Variable("w", "w", "m s-1", "upward velocity", "upward_sea_water_velocity"),
        Variable("h", "c", "m", "thickness of the level", "cell_thickness"),
        Variable("rho", "c", "kg m-3", "in-situ density", "sea_water_density"),
        Variable(
            "sigma0", "c", "kg m-3", "potential density less 1000 kg m-3", "sea_water_sigma_theta"
        ),
        Variable(
            "N2",
            "w",
            "s-2",
            "squared buoyancy frequency, 0 at the surface",
            "square_of_brunt_vaisala_frequency_in_sea_water",
        ),
        Variable("speed", "c", "m s-1", "speed", "sea_water_speed"),
        Variable(
            "kinetic_energy",
            "c",
            "m2 s-2",
            "kinetic energy per mass",
            "specific_kinetic_energy_of_sea_water",
        ),
        Variable("zeta", "q", "s-1", "relative vorticity", "ocean_relative_vorticity"),
        Variable(
            "transport_x", "u", "m3 s-1", "volume transport along x", "ocean_volume_x_transport"
        ),
        Variable(
            "transport_y", "v", "m3 s-1", "volume transport along y", "ocean_volume_y_transport"
        ),
        Variable(
            "mld",
            "c",
            "m",
            "mixed layer depth: density within 0.03 kg m-3 of that in 10 m",
            "ocean_mixed_layer_thickness_defined_by_sigma_theta",
            levels=False,
        ),
    )
}

OUTPUTS: dict[str, Variable] = VARIABLES | DIAGNOSED


def output_variables(
    eos: AbstractEquationOfState, tracers: Iterable[str] = ()
) -> dict[str, Variable]:
    """Metadata of all outputs: temperature and salinity as ``eos`` takes them, and ``tracers``."""
    passive = {name: Variable(name, "c", "1", f"tracer {name}") for name in tracers}
    return OUTPUTS | (_teos10() if isinstance(eos, TEOS10) else {}) | passive


def _teos10() -> dict[str, Variable]:
    return {
        "T": replace(
            VARIABLES["T"],
            long_name="Conservative Temperature",
            standard_name="sea_water_conservative_temperature",
        ),
        "S": replace(
            VARIABLES["S"],
            long_name="Absolute Salinity",
            units="g kg-1",
            standard_name="sea_water_absolute_salinity",
        ),
    }


@dataclass(frozen=True)
class Diagnosis:
    """A state with what its diagnosed fields are made of."""

    view: View
    eos: AbstractEquationOfState

    @property
    def grid(self) -> Grid:
        return self.view.grid


def output(
    view: Callable[[], View],
    eos: AbstractEquationOfState,
    state: OceanState,
    names: Iterable[str],
) -> dict[str, jax.Array]:
    """The owned points of the outputs ``names``; 0 on land. ``view``: the state with halos, which
    diagnosed fields need."""
    names = tuple(names)
    prognostic = {name: field.data for name, field in state.fields().items()}
    prognostic["eta"] = prognostic["eta"][0]
    known = prognostic.keys() | DIAGNOSED.keys()
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"found outputs {unknown}; expected some of {sorted(known)}")
    wanted = [name for name in names if name in DIAGNOSED]
    here = Diagnosis(view(), eos) if wanted else None
    diagnosed = {name: here.grid.owned(_DIAGNOSES[name](here)) for name in wanted if here}
    return {name: diagnosed.get(name, prognostic.get(name)) for name in names}  # type: ignore[misc]


# -- one function per diagnosed field -------------------------------------------------------------


def _upward_velocity(at: Diagnosis) -> Field:
    """At upper faces: through the levels, and with them as they move."""
    flows = volume_transports(at.grid, at.view.u, at.view.v, at.view.thickness)
    upward = vertical_transport(at.grid, *flows, Field.constant(0.0))
    return masked(at.grid.mask.c, _upper(upward) / at.grid.area.c)


def _upper(faces: Field) -> Field:
    """The faces 0..nz-1, each under the index of the level below it, as if at its centre."""
    return Field(faces.data[:-1], (Span("c"), *faces.spans[1:]))


def _squared_buoyancy_frequency(at: Diagnosis) -> Field:
    return masked(at.grid.mask.c, _upper(with_ends_z(at.view.stratification)))


def _density(at: Diagnosis) -> Field:
    fields = at.view.fields
    return at.eos.density(fields["T"], fields["S"], at.grid.levels.z.c)


def _sigma0(at: Diagnosis) -> Field:
    fields = at.view.fields
    surface = 0.0 * at.grid.levels.z.c
    return at.eos.density(fields["T"], fields["S"], surface) - SIGMA_OFFSET


def _speed(at: Diagnosis) -> Field:
    u, v = avg_x_f2c(at.view.u), avg_y_f2c(at.view.v)
    return apply(jnp.sqrt, u * u + v * v)


def _mixed_layer_depth(at: Diagnosis) -> Field:
    """Where the density first passes the threshold, linear between levels; the whole column where
    it never does. de Boyer Montegut et al. (2004), J. Geophys. Res. 109, C12003."""
    grid = at.grid
    density = _sigma0(at)
    owned, depth = grid.owned(density), -grid.levels.z.c.data
    last = jnp.maximum(grid.owned(grid.wet.c) - 1, 0)
    start = jnp.minimum(jnp.argmin(jnp.abs(depth - REFERENCE_DEPTH)), last)
    reference = jnp.take_along_axis(owned, start[None], axis=0)
    excess = owned - reference - DENSITY_THRESHOLD
    k = jnp.arange(grid.levels.count)[:, None, None]
    dense = (excess >= 0) & (k > start) & (k <= last)
    first = jnp.argmax(dense, axis=0)

    def value(field: jax.Array, index: jax.Array) -> jax.Array:
        whole = jnp.broadcast_to(field, owned.shape)
        return jnp.take_along_axis(whole, index[None], axis=0)[0]

    above = jnp.maximum(first - 1, 0)
    step = value(excess, first) - value(excess, above)
    share = -value(excess, above) / jnp.where(step > 0, step, 1.0)
    between = value(depth, above) + share * (value(depth, first) - value(depth, above))
    column = grid.owned(grid.depth.c)
    return Field.at("c", jnp.where(dense.any(axis=0), between, column))


def _along(component: int) -> Callable[[Diagnosis], Field]:
    def transport(at: Diagnosis) -> Field:
        return volume_transports(at.grid, at.view.u, at.view.v, at.view.thickness)[component]

    return transport


_DIAGNOSES: Mapping[str, Callable[[Diagnosis], Field]] = {
    "w": _upward_velocity,
    "h": lambda at: masked(at.grid.mask.c, at.view.thickness.c),
    "rho": lambda at: masked(at.grid.mask.c, _density(at)),
    "sigma0": lambda at: masked(at.grid.mask.c, _sigma0(at)),
    "N2": _squared_buoyancy_frequency,
    "speed": lambda at: masked(at.grid.mask.c, _speed(at)),
    "kinetic_energy": lambda at: masked(
        at.grid.mask.c, kinetic_energy(at.grid, at.view.u, at.view.v)
    ),
    "zeta": lambda at: relative_vorticity(at.grid, at.view.u, at.view.v),
    "transport_x": _along(0),
    "transport_y": _along(1),
    "mld": _mixed_layer_depth,
}
