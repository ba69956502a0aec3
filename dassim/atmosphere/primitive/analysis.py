"""From air on levels of pressure, such as that of a reanalysis, to a state of the model."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from dassim.atmosphere.primitive.column import relative_faces
from dassim.atmosphere.primitive.state import AtmosphereState
from dassim.grid import Field, Grid
from dassim.grid.operators import avg_x_c2f, avg_y_c2f, avg_z_f2c

LAPSE = 0.0065
"""K/m, of air below the lowest level of pressure."""


class PressureLevels(NamedTuple):
    """Air over this rank's cells: pressure ``p (n,)`` (Pa), growing; ``geopotential`` (m2/s2),
    ``T`` (K), ``u`` and ``v`` (m/s), ``(n, ny, nx)``, and specific humidity ``q``, if there is
    any."""

    p: np.ndarray
    geopotential: np.ndarray
    T: np.ndarray
    u: np.ndarray
    v: np.ndarray
    q: np.ndarray | None = None


def ground_pressure(
    air: PressureLevels, ground: np.ndarray, gravity: float, gas_constant: float
) -> np.ndarray:
    """Pressure (Pa), ``(ny, nx)``, where the geopotential is that of the ``ground`` (m).

    The geopotential is linear in ``ln p`` between levels: hydrostatic, of the mean temperature in
    between. Below the lowest level the temperature ``T`` there grows by :data:`LAPSE`::

        p_s = p (1 + LAPSE (z - z_s) / T)^(g / (R LAPSE))
    """
    surface, log = gravity * ground, np.log(air.p)
    count = len(air.p)
    upper = np.clip((air.geopotential >= surface).sum(axis=0) - 1, 0, count - 2)

    def at(values: np.ndarray, level: np.ndarray) -> np.ndarray:
        return np.take_along_axis(values, level[None], axis=0)[0]

    above, below = at(air.geopotential, upper), at(air.geopotential, upper + 1)
    part = (above - surface) / (above - below)
    inside = np.exp(log[upper] + part * (log[upper + 1] - log[upper]))
    depth = np.maximum(air.geopotential[-1] - surface, 0.0) / gravity
    lower = air.p[-1] * (1.0 + LAPSE * depth / air.T[-1]) ** (gravity / (gas_constant * LAPSE))
    return np.where(surface < air.geopotential[-1], lower, inside)


def interpolated(air: PressureLevels, values: np.ndarray, p: np.ndarray) -> np.ndarray:
    """``values (n, ny, nx)`` at the pressures ``p (nz, ny, nx)``: linear in ``ln p``, constant
    beyond the highest and the lowest level."""
    log, to = np.log(air.p), np.log(p)
    upper = np.clip(np.searchsorted(log, to, side="right") - 1, 0, len(log) - 2)
    part = np.clip((to - log[upper]) / (log[upper + 1] - log[upper]), 0.0, 1.0)
    above, below = (np.take_along_axis(values, k, axis=0) for k in (upper, upper + 1))
    return above + part * (below - above)


def from_pressure_levels(
    grid: Grid, air: PressureLevels, ground: np.ndarray, gravity: float, gas_constant: float
) -> AtmosphereState:
    """The state over the model's own ``ground`` (m), ``(ny, nx)``. All ranks call this together."""
    ps = ground_pressure(air, ground, gravity, gas_constant)
    faces = relative_faces(grid, Field.at("c", jnp.asarray(ps)))
    p = np.asarray(avg_z_f2c(faces).data, float) * ps
    deep = np.maximum(p / air.p[-1], 1.0) ** (gas_constant * LAPSE / gravity)
    wind = [Field.at("c", jnp.asarray(interpolated(air, x, p))) for x in (air.u, air.v)]
    u, v = grid.exchange(wind, 1)
    q = {} if air.q is None else {"q": np.maximum(interpolated(air, air.q, p), 0.0)}
    return AtmosphereState.of(
        grid,
        grid.owned(avg_x_c2f(u)),
        grid.owned(avg_y_c2f(v)),
        interpolated(air, air.T, p) * deep,
        ps,
        q,
    )
