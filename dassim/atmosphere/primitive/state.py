"""The prognostic fields of the atmosphere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from dassim.grid import Field, Grid
from dassim.grid.variables import Variable

VARIABLES: dict[str, Variable] = {
    variable.name: variable
    for variable in (
        Variable("u", "u", "m s-1", "eastward wind", "x_wind"),
        Variable("v", "v", "m s-1", "northward wind", "y_wind"),
        Variable("T", "c", "K", "air temperature", "air_temperature"),
        Variable("ps", "c", "Pa", "surface pressure", "surface_air_pressure", levels=False),
    )
}

HUMIDITY = Variable("q", "c", "1", "specific humidity", "specific_humidity")
"""The tracer of this name is water vapour."""

FLUXES: dict[str, Variable] = {
    name: Variable(name, "c", units, long_name, standard_name, levels=False)
    for name, units, long_name, standard_name in (
        (
            "prl",
            "kg m-2 s-1",
            "rain from saturated air that reaches the ground",
            "stratiform_precipitation_flux",
        ),
        ("prc", "kg m-2 s-1", "rain of convection", "convective_precipitation_flux"),
        ("evspsbl", "kg m-2 s-1", "evaporation", "water_evapotranspiration_flux"),
        ("hfss", "W m-2", "upward sensible heat", "surface_upward_sensible_heat_flux"),
        ("rlut", "W m-2", "infrared that leaves at the top", "toa_outgoing_longwave_flux"),
        (
            "rlus",
            "W m-2",
            "infrared upward from the ground",
            "surface_upwelling_longwave_flux_in_air",
        ),
        (
            "rlds",
            "W m-2",
            "infrared downward at the ground",
            "surface_downwelling_longwave_flux_in_air",
        ),
        (
            "rsns",
            "W m-2",
            "sunlight that the ground absorbs",
            "surface_net_downward_shortwave_flux",
        ),
    )
}
"""What processes tell of the ground and of the top, under the names of CMIP."""

SURFACE_TEMPERATURE = Variable(
    "Ts", "c", "K", "temperature of the surface", "surface_temperature", levels=False
)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class AtmosphereState:
    """Owned points of one rank.

    ``u`` at x-faces and ``v`` at y-faces (m/s), ``T`` (K) and ``tracers`` (per mass of air), by
    name, at cells, all ``(nz, ny, nx)``; surface pressure ``ps (ny, nx)`` (Pa); ``time`` (s) since
    the start. ``previous`` is what a multi-step time stepper remembers. ``Ts (ny, nx)`` (K) is the
    temperature of the surface, where there is physics that asks for it. ``fluxes``: those of
    :data:`FLUXES` that are watched, means over the last time step, ``(ny, nx)``; nothing depends on
    them.
    """

    u: jax.Array
    v: jax.Array
    T: jax.Array
    ps: jax.Array
    tracers: dict[str, jax.Array] = field(default_factory=dict)
    time: jax.Array | float = 0.0
    previous: AtmosphereState | None = None
    Ts: jax.Array | None = None
    fluxes: dict[str, jax.Array] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        grid: Grid,
        u: ArrayLike,
        v: ArrayLike,
        T: ArrayLike,
        ps: ArrayLike,
        tracers: Mapping[str, ArrayLike] | None = None,
        Ts: ArrayLike | None = None,
    ) -> AtmosphereState:
        """From numbers, or anything that broadcasts to the shape; no wind through walls."""
        dtype = grid.levels.dz.c.data.dtype

        def fill(location, value, shape=grid.shape):
            whole = jnp.broadcast_to(jnp.asarray(value, dtype), shape)
            return jnp.where(grid.owned_mask(location, levels=len(shape) == 3), whole, 0.0)

        return cls(
            fill("u", u),
            fill("v", v),
            fill("c", T),
            fill("c", ps, grid.shape[1:]),
            {name: fill("c", value) for name, value in (tracers or {}).items()},
            jnp.zeros((), jax.dtypes.canonicalize_dtype("float64")),
            Ts=None if Ts is None else fill("c", Ts, grid.shape[1:]),
        )

    def watching(self, fluxes: Iterable[str]) -> AtmosphereState:
        """This state with fluxes of these names, 0 so far."""
        return replace(self, fluxes={name: jnp.zeros_like(self.ps) for name in fluxes})

    def fields(self) -> dict[str, Field]:
        """All prognostic fields where they lie; tracers under their names."""
        own = {name: Field.at(v.location, getattr(self, name)) for name, v in VARIABLES.items()}
        return own | {name: Field.at("c", value) for name, value in self.tracers.items()}
