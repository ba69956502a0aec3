"""Small helpers of the validation cases: boxes of water, and runs that record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from dassim.grid import Grid, build_grid, cartesian, levels, uniform_thickness
from dassim.parallel import Domain


def box(
    cells: tuple[int, int, int],
    extent: tuple[float, float, float],
    periodic: tuple[bool, bool] = (True, True),
    f0: float = 0.0,
    beta: float = 0.0,
    origin: tuple[float, float] = (0.0, 0.0),
    depth: Any = None,
    comm: Any = None,
) -> Grid:
    """A Cartesian grid of ``(nz, ny, nx)`` uniform cells over ``(depth, ly, lx)`` metres, its
    south-western corner at ``origin = (y, x)``."""
    (nz, ny, nx), (lz, ly, lx) = cells, extent
    domain = Domain.create((ny, nx), periodic=periodic, minimum=4, comm=comm)
    y, x = origin
    horizontal = cartesian(
        domain, x + np.linspace(0, lx, nx + 1), y + np.linspace(0, ly, ny + 1), f0=f0, beta=beta
    )
    return build_grid(horizontal, levels(uniform_thickness(nz, lz)), depth)


def run(model: Any, parameters: Any, state: Any, steps: int, record: Callable | None = None):
    """The state after ``steps`` steps, and ``record(state)`` after each of them."""

    @eqx.filter_jit
    def integrate(model, parameters, state):
        def step(state, _):
            state = model.step(parameters, state)
            return state, record(state) if record else None

        return jax.lax.scan(step, state, None, steps)

    return integrate(model, parameters, state)


def frequency(signal: np.ndarray, dt: float) -> float:
    """Angular frequency of a rotating complex ``signal`` sampled every ``dt``."""
    phase = np.unwrap(np.angle(np.asarray(signal)))
    return abs(np.polyfit(dt * np.arange(len(phase)), phase, 1)[0])


def order(errors: list[float], ratio: float = 2.0) -> float:
    """Order of convergence from the errors at two resolutions ``ratio`` apart."""
    return float(np.log(abs(errors[0] / errors[1])) / np.log(ratio))


def at(grid: Grid, location: str, function: Callable) -> jax.Array:
    """``function(x, y)`` at the owned points of ``location``, ``(ny, nx)``."""
    x = grid.owned(getattr(grid.x, location))
    y = grid.owned(getattr(grid.y, location))
    return jnp.asarray(function(x, y))
