"""Numbers that sum up a state: transports, overturning, energy, contents.

Each is this rank's share of a sum over all ranks, a differentiable function of the state: add the
shares up with ``grid.domain.sum``; as a cost, differentiate the share itself.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from dassim.dynamics.continuity import volume_transports
from dassim.grid import Field
from dassim.grid.operators import masked
from dassim.ocean.model import OceanModel
from dassim.ocean.state import OceanState
from dassim.ocean.view import layer_stretch

SVERDRUP = 1e6  # m3/s


def transports(model: OceanModel, state: OceanState) -> tuple[jax.Array, jax.Array]:
    """Volume transports (m3/s) through the owned x- and y-faces, ``(nz, ny, nx)`` each."""
    grid = model.grid
    fields = grid.exchange(state.fields(), 1)
    stretch = layer_stretch(grid, fields["eta"], model.moving_levels)
    thickness = stretch.map(lambda s: grid.levels.dz.c * s)
    through = volume_transports(grid, fields["u"], fields["v"], thickness)
    return grid.owned(through[0]), grid.owned(through[1])


def transport_through_x(
    model: OceanModel,
    state: OceanState,
    x: float,
    y_range: tuple[float, float] = (-np.inf, np.inf),
) -> jax.Array:
    """Eastward transport (Sv) through the x-faces nearest to ``x``, south to north in ``y_range``.

    ``x`` and ``y_range`` in the grid's coordinates: metres, or degrees.
    """
    grid = model.grid
    through, _ = transports(model, state)
    distance = jnp.abs(grid.owned(grid.x.u) - x)
    nearest = distance <= grid.domain.min(jnp.min(distance)) * (1 + 1e-6) + 1e-9
    # Two where x lies in the middle between faces, be they of one rank or of two.
    points = grid.domain.sum(jnp.sum(nearest, dtype=through.dtype))
    columns = jnp.maximum(points / grid.domain.global_shape[0], 1.0)
    y = grid.owned(grid.y.u)
    inside = nearest & (y >= y_range[0]) & (y <= y_range[1])
    return jnp.sum(through * inside) / (SVERDRUP * columns)


def overturning(model: OceanModel, state: OceanState) -> jax.Array:
    """Meridional stream function (Sv), ``(nz + 1, global ny)`` at z faces and y-faces.

    ``psi = -(integral of v dx dz from the bottom up)``: positive where the flow is northward above
    and southward below.
    """
    grid = model.grid
    _, through = transports(model, state)
    zonal = jnp.sum(through, axis=-1) / SVERDRUP
    psi = -jnp.concatenate([jnp.flip(jnp.cumsum(jnp.flip(zonal, 0), 0), 0), 0 * zonal[:1]])
    rows = grid.domain.block.y
    whole = jnp.zeros((psi.shape[0], grid.domain.global_shape[0]), psi.dtype)
    return whole.at[:, rows.start : rows.stop].set(psi)


def content(model: OceanModel, state: OceanState, name: str | None = None) -> jax.Array:
    """Integral over the volume (m3) of tracer ``name``; of 1 where ``None``."""
    grid = model.grid
    fields = state.fields()
    h = model.thickness(fields["eta"])
    volume = masked(grid.mask.c, h * grid.area.c)
    value = fields[name] if name else Field.constant(1.0)
    return jnp.sum(grid.owned(volume * value))


def kinetic_energy(model: OceanModel, state: OceanState) -> jax.Array:
    """Integral of ``(u^2 + v^2) / 2`` over the volume (m5/s2)."""
    grid = model.grid
    fields = grid.exchange(state.fields(), 1)
    thickness = layer_stretch(grid, fields["eta"], model.moving_levels).map(
        lambda s: grid.levels.dz.c * s
    )
    along_x = fields["u"] * fields["u"] * thickness.u * grid.area.u
    along_y = fields["v"] * fields["v"] * thickness.v * grid.area.v
    return 0.5 * (
        jnp.sum(grid.owned(masked(grid.mask.u, along_x)))
        + jnp.sum(grid.owned(masked(grid.mask.v, along_y)))
    )
