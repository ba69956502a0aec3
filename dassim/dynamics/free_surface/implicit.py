"""The external mode in one implicit step.

With ``theta`` between 1/2 (trapezoidal: second order, undamped) and 1 (backward Euler: first
order, damps), and the increment ``x`` of the sea level over the step::

    u_new     = u + dt a - theta dt g grad(x),    a = slow - g grad(eta)
    transport = H (theta u_new + (1 - theta) u)
    x         = dt F - dt div(transport)

    (area - (theta dt)^2 area div(g H grad)) x = area dt (F - div(H (u + theta dt a)))

The operator is symmetric and positive definite. The new sea level is taken from the transport, so
that volume is conserved to round-off whatever the solver's tolerance.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from dassim.dynamics.conjugate_gradients import (
    Solution,
    chebyshev,
    conjugate_gradients,
    local_dots,
)
from dassim.dynamics.free_surface.five_point import Overlap, five_point
from dassim.dynamics.free_surface.interface import AbstractFreeSurface, Columns, FreeSurfaceStep
from dassim.grid import Field, Grid
from dassim.grid.operators import avg_x_f2c, avg_y_f2c
from dassim.parallel import Domain


class ImplicitFreeSurface(AbstractFreeSurface):
    """One theta step, solved by preconditioned conjugate gradients.

    ``tolerance``: residual over right-hand side, both of the equation for the increment.
    ``degree``: applications of the operator in the Chebyshev preconditioner; 0 is Jacobi. No
    setting depends on the ranks, so the answer is the same for all to the tolerance.
    ``linear``: the rest depth instead of the depth at the start of the step.
    """

    theta: float = eqx.field(static=True, default=0.6)
    linear: bool = eqx.field(static=True, default=False)
    tolerance: float = eqx.field(static=True, default=1e-12)
    max_iterations: int = eqx.field(static=True, default=1000)
    degree: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        if not 0.5 <= self.theta <= 1:
            raise ValueError(
                f"found theta = {self.theta}; expected 0.5 (trapezoidal) to 1 (backward Euler)"
            )

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
        implicit = self.theta * dt
        solution = self._increment(columns, dt)
        increment = grid.exchange(Field.at("c", solution.x), 1)
        return columns.finish(
            dt,
            end=columns.velocity(dt, implicit * increment),
            mean=columns.velocity(implicit, self.theta * implicit * increment),
            iterations=solution.iterations,
            residual=solution.residual,
        )

    def _increment(self, columns: Columns, dt: jax.Array) -> Solution:
        """The increment of the sea level (m) on owned cells."""
        grid, domain = columns.grid, columns.grid.domain
        implicit = self.theta * dt
        inflow = columns.volume_flux - columns.divergence(*columns.velocity(implicit))
        west, south = (implicit**2 * stiffness for stiffness in columns.stiffness())
        area = grid.owned(grid.area.c)
        faces = grid.owned(2 * (avg_x_f2c(west) + avg_y_f2c(south)))
        operator = helmholtz(domain, area, grid.owned(west), grid.owned(south))
        # Gershgorin: the eigenvalues of operator / diagonal lie within 1 +- spread.
        spread = domain.max(jnp.max(faces / (area + faces)))
        return conjugate_gradients(
            operator,
            area * dt * grid.owned(inflow),
            preconditioner=chebyshev(operator, area + faces, 1 - spread, 1 + spread, self.degree),
            dots=lambda *pairs: domain.sum(local_dots(*pairs)),
            tolerance=self.tolerance,
            max_iterations=self.max_iterations,
        )


def helmholtz(
    domain: Domain, area: jax.Array, west: jax.Array, south: jax.Array
) -> Callable[[jax.Array], jax.Array]:
    """``x -> area x - sum over the faces of stiffness (x beyond the face - x)`` on owned points
    ``(ny, nx)``: area (m2), stiffness of the western and southern faces (m2)."""
    overlap = Overlap(domain, 1)
    west, south = overlap.extend((west, south))

    def apply(x: jax.Array) -> jax.Array:
        return area * x - overlap.owned(five_point(west, south, overlap.extend(x), overlap.wrap))

    return apply
