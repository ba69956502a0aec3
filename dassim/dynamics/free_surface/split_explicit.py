"""The external mode in many short explicit steps, averaged in time.

Substeps are forward-backward in time with the velocity half a substep from the sea level
(Stoermer-Verlet). With ``tau = dt / M`` they are stable for ``omega tau <= 2``, that is
``tau sqrt(g H (1/dx^2 + 1/dy^2)) <= 1``, of second order, and without damping; the averaging
damps. Column depth and slow acceleration being constant within a step, the velocity is eliminated,
and the increment ``x_k = eta_k - eta_0`` obeys::

    rise_k = rise_{k-1} + tau^2 (div(g H grad x_{k-1}) - div(H a_0)),    a_0 = slow - g grad(eta_0)
    x_k    = x_{k-1} + rise_k,      x_0 = 0,      rise_0 = tau (F - div(H (u_0 - tau/2 a_0)))

The filtered velocity and transport follow from two weighted sums over x_k. So one array and its
increment are all that the substeps carry and exchange, and x_k all that the reverse sweep saves.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from dassim.dynamics.free_surface.averaging import LEAST_DISPERSION
from dassim.dynamics.free_surface.five_point import Overlap, five_point
from dassim.dynamics.free_surface.interface import (
    AbstractFreeSurface,
    Columns,
    FreeSurfaceStep,
    wave_stiffness,
)
from dassim.dynamics.free_surface.substeps import (
    SubstepWeights,
    overlapping_increments,
    substep_weights,
)
from dassim.grid import Field, Grid, apply
from dassim.grid.operators import avg_x_f2c, avg_y_f2c
from dassim.parallel import Domain


class SplitExplicit(AbstractFreeSurface):
    """Substeps of ``dt / substeps``, averaged by the filter of Shchepetkin and McWilliams (2005).

    ``linear``: the rest depth instead of the depth at the start of the step.
    ``filter_slope``: see :func:`averaging_filter`.
    ``substeps_per_exchange``: substeps between two halo exchanges, whose halo is as many points
    wide and is computed redundantly; ``None``: a quarter of the blocks' shortest edge, at most 8.
    The result does not depend on it.
    """

    substeps: int = eqx.field(static=True)
    linear: bool = eqx.field(static=True, default=False)
    filter_slope: float = eqx.field(static=True, default=LEAST_DISPERSION)
    substeps_per_exchange: int | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        for name in ("substeps", "substeps_per_exchange"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"found {name} = {value}; expected at least 1")

    @classmethod
    def for_grid(
        cls, grid: Grid, time_step: float, *, courant: float = 0.7, gravity: float = 9.81, **options
    ) -> SplitExplicit:
        """As many substeps as keep each below ``courant`` times the stability limit."""
        longest = courant * longest_substep(grid, gravity)
        substeps = max(1, math.ceil(time_step / longest))
        return cls(substeps=substeps, gravity=gravity, **options)

    def advance(
        self,
        grid: Grid,
        eta: Field,
        u_mean: Field,
        v_mean: Field,
        slow_u: Field,
        slow_v: Field,
        volume_flux: Field,
        dt: Any,
    ) -> FreeSurfaceStep:
        dt = jnp.asarray(dt, eta.data.dtype)
        columns = Columns.gather(
            grid,
            eta,
            (u_mean, v_mean),
            (slow_u, slow_v),
            volume_flux,
            gravity=self.gravity,
            linear=self.linear,
        )
        weights = substep_weights(self.substeps, self.filter_slope)
        for_end, for_mean = self._filtered_increments(columns, dt, weights)
        return columns.finish(
            dt,
            end=columns.velocity(dt, dt * for_end),
            mean=columns.velocity(dt * weights.centre, dt * for_mean),
            iterations=jnp.asarray(len(weights.end)),
            residual=jnp.zeros((), dt.dtype),
        )

    def _filtered_increments(
        self, columns: Columns, dt: jax.Array, weights: SubstepWeights
    ) -> tuple[Field, Field]:
        """``sum_k end_k x_k`` and ``sum_k mean_k x_k`` (m), with one point of halo."""
        grid, tau = columns.grid, dt / self.substeps
        divergence = columns.divergence(columns.acceleration_u, columns.acceleration_v)
        inflow = columns.volume_flux - columns.divergence(*columns.velocity(-0.5 * tau))
        west, south = columns.stiffness()
        rates = Rates(
            west=grid.owned(west),
            south=grid.owned(south),
            response=grid.owned(tau**2 / grid.area.c),
            steady=grid.owned(-(tau**2) * divergence),
        )
        rise = grid.owned(tau * inflow)
        overlap = Overlap(grid.domain, self._per_exchange(grid.domain, weights))
        rates = overlap.extend(rates)

        def push(x: jax.Array) -> jax.Array:
            waves = five_point(rates.west, rates.south, x, overlap.wrap)
            return rates.response * waves + rates.steady

        totals = overlapping_increments(push, rise, weights, overlap)
        return grid.exchange((Field.at("c", totals[0]), Field.at("c", totals[1])), 1)

    def _per_exchange(self, domain: Domain, weights: SubstepWeights) -> int:
        """Substeps between two exchanges, such that all stretches are of nearly equal length."""
        count = len(weights.end)
        divided = zip(domain.global_shape, domain.decomposition.layout, strict=True)
        blocks = [n // p for n, p in divided if p > 1]
        if not blocks:
            return count
        asked = self.substeps_per_exchange
        if asked is None:
            asked = max(1, min(8, min(blocks) // 4))
        return math.ceil(count / math.ceil(count / asked))


def longest_substep(grid: Grid, gravity: float = 9.81) -> float:
    """The stability limit (s) of a substep over all ranks, see :func:`fastest_waves`. Not
    traceable."""
    rates = eqx.filter_jit(lambda grid: grid.owned(fastest_waves(grid, gravity)))(grid)
    fastest = max(grid.domain.comm.allgather(float(rates.max())))
    return 1 / fastest if fastest > 0 else math.inf


def fastest_waves(grid: Grid, gravity: float = 9.81) -> Field:
    """The rate (1/s) at cells whose inverse no substep may exceed, at rest depth: ``sqrt(s / 2)``,
    s the sum over a cell's faces of ``g H length / distance``, over the cell's area.

    On a uniform grid ``sqrt(g H (1/dx^2 + 1/dy^2))``.
    """
    west, south = wave_stiffness(grid, gravity, grid.depth.u, grid.depth.v)
    around = (2 * avg_x_f2c(west) + 2 * avg_y_f2c(south)) / grid.area.c
    return apply(jnp.sqrt, 0.5 * around)


class Rates(NamedTuple):
    """What is constant in the substeps, all ``(ny, nx)``: stiffness of the western and southern
    face (m2/s2), ``tau^2 / area`` (s2/m2), and the steady part of the increment (m)."""

    west: jax.Array
    south: jax.Array
    response: jax.Array
    steady: jax.Array
