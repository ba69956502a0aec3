"""Small basins, and states in them as the physics sees them."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from dassim.grid import Grid, build_grid, cartesian, levels
from dassim.ocean.eos import LinearEOS
from dassim.ocean.state import OceanState
from dassim.ocean.view import View, view
from dassim.parallel import Domain

NY, NX = 4, 5
EOS = LinearEOS(alpha=2e-4, beta=8e-4)


def basin(thickness: Any, depth: Any = None, dtype: Any = float) -> Grid:
    """A doubly periodic basin of 5 x 4 cells of 1 km, flat unless ``depth (ny, nx)`` is given."""
    domain = Domain.serial((NY, NX), periodic=(True, True))
    x, y = 1e3 * np.arange(NX + 1.0), 1e3 * np.arange(NY + 1.0)
    horizontal = cartesian(domain, x, y, f0=1e-4, halo=2, dtype=dtype)
    return build_grid(horizontal, levels(thickness, dtype), depth)


def seen(grid: Grid, *, u: Any = 0.0, v: Any = 0.0, T: Any = 10.0, eta: Any = 0.0) -> View:
    """The state of these values (numbers, profiles ``(nz, 1, 1)`` or whole arrays), 0 on land."""

    def fill(value, location):
        return jnp.where(grid.owned_mask(location), jnp.asarray(value, dtype), 0.0)

    dtype = grid.levels.dz.c.data.dtype
    rest = OceanState.at_rest(grid)
    state = OceanState(
        u=fill(u, "u"),
        v=fill(v, "v"),
        T=fill(T, "c"),
        S=rest.S,
        eta=jnp.broadcast_to(jnp.asarray(eta, dtype), grid.domain.shape),
        time=rest.time,
    )
    return view(grid, EOS, state, 2, True)
