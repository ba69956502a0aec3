"""The prognostic fields of the ocean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp

from dassim.grid import Field, Grid
from dassim.grid.variables import Variable

VARIABLES: dict[str, Variable] = {
    variable.name: variable
    for variable in (
        Variable("u", "u", "m s-1", "velocity along x", "sea_water_x_velocity"),
        Variable("v", "v", "m s-1", "velocity along y", "sea_water_y_velocity"),
        Variable("T", "c", "degC", "temperature", "sea_water_potential_temperature"),
        Variable("S", "c", "1e-3", "salinity", "sea_water_salinity"),
        Variable("eta", "c", "m", "sea level", "sea_surface_height_above_geoid", levels=False),
    )
}


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class OceanState:
    """Owned points of one rank; 0 on land.

    ``u`` at x-faces and ``v`` at y-faces (m/s), ``T`` (deg C) and ``S`` (g/kg or psu, as the
    equation of state takes them) at cells, all ``(nz, ny, nx)``; ``eta (ny, nx)`` (m), the height
    of the surface over its rest; passive ``tracers``, by name, at cells; ``time`` (s) since the
    start, in double precision where JAX allows it. ``previous`` is what a multi-step time stepper
    remembers.
    """

    u: jax.Array
    v: jax.Array
    T: jax.Array
    S: jax.Array
    eta: jax.Array
    tracers: dict[str, jax.Array] = field(default_factory=dict)
    time: jax.Array | float = 0.0
    previous: OceanState | None = None

    @classmethod
    def at_rest(
        cls,
        grid: Grid,
        T: jax.Array | float = 10.0,
        S: jax.Array | float = 35.0,
        tracers: Mapping[str, jax.Array | float] | None = None,
    ) -> OceanState:
        """No motion and a level surface; ``T``, ``S``, ``tracers`` as given (numbers, or anything
        that broadcasts to ``(nz, ny, nx)``)."""
        wet = grid.owned_mask("c")
        dtype = grid.levels.dz.c.data.dtype

        def fill(value):
            return jnp.where(wet, jnp.asarray(value, dtype), jnp.zeros((), dtype))

        none = jnp.zeros(grid.shape, dtype)
        return cls(
            u=none,
            v=none,
            T=fill(T),
            S=fill(S),
            eta=none[0],
            tracers={name: fill(value) for name, value in (tracers or {}).items()},
            time=jnp.zeros((), jax.dtypes.canonicalize_dtype("float64")),
        )

    def fields(self) -> dict[str, Field]:
        """All prognostic fields where they lie; passive tracers under their names."""
        own = {name: Field.at(v.location, getattr(self, name)) for name, v in VARIABLES.items()}
        return own | {name: Field.at("c", value) for name, value in self.tracers.items()}
