"""The prognostic fields of a layer of fluid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from dassim.grid import Field, Grid
from dassim.grid.variables import Variable

VARIABLES: dict[str, Variable] = {
    variable.name: variable
    for variable in (
        Variable("u", "u", "m s-1", "velocity along x", "x_wind", levels=False),
        Variable("v", "v", "m s-1", "velocity along y", "y_wind", levels=False),
        Variable("h", "c", "m", "thickness of the fluid", None, levels=False),
    )
}


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ShallowWaterState:
    """Owned points of one rank, ``(ny, nx)``.

    ``u`` at x-faces and ``v`` at y-faces (m/s), thickness ``h`` (m) and passive ``tracers``, by
    name, at cells; ``time`` (s) since the start. ``previous`` is what a multi-step time stepper
    remembers.
    """

    u: jax.Array
    v: jax.Array
    h: jax.Array
    tracers: dict[str, jax.Array] = field(default_factory=dict)
    time: jax.Array | float = 0.0
    previous: ShallowWaterState | None = None

    @classmethod
    def of(
        cls,
        grid: Grid,
        u: ArrayLike,
        v: ArrayLike,
        h: ArrayLike,
        tracers: Mapping[str, ArrayLike] | None = None,
    ) -> ShallowWaterState:
        """From numbers, or anything that broadcasts to ``(ny, nx)``; no flow through walls."""
        dtype = grid.levels.dz.c.data.dtype

        def fill(location, value):
            whole = jnp.broadcast_to(jnp.asarray(value, dtype), grid.shape[1:])
            return jnp.where(grid.owned_mask(location, levels=False), whole, 0.0)

        return cls(
            fill("u", u),
            fill("v", v),
            fill("c", h),
            {name: fill("c", value) for name, value in (tracers or {}).items()},
            jnp.zeros((), jax.dtypes.canonicalize_dtype("float64")),
        )

    def fields(self) -> dict[str, Field]:
        """All prognostic fields where they lie; passive tracers under their names."""
        own = {name: Field.at(v.location, getattr(self, name)) for name, v in VARIABLES.items()}
        return own | {name: Field.at("c", value) for name, value in self.tracers.items()}
