"""What a free surface takes and returns, and what its kinds share.

Equations of the external mode, per unit area, with column depth ``H`` at the faces::

    d eta / dt = F - div(H u)                 eta (m) at c, F (m/s) at c
    d u / dt   = slow_u - g d eta / dx        u (m/s), slow_u (m/s2) at u
    d v / dt   = slow_v - g d eta / dy        v (m/s), slow_v (m/s2) at v

``H`` is the rest depth plus, unless ``linear``, the sea level averaged to the face, both at the
start of the step: within a step the system is linear with constant coefficients, and only the
increment of the sea level, ``x = eta - eta_start``, has to be solved for.
"""

from __future__ import annotations

import abc
from typing import Any

import equinox as eqx
import jax

from dassim.grid import Field, Grid
from dassim.grid.locality import compiled_apart
from dassim.grid.operators import avg_x_c2f, avg_y_c2f, divergence, gradient, level, masked


class FreeSurfaceStep(eqx.Module):
    """The external mode at the end of a step, and what flowed during it (owned points).

    ``eta`` (m, c); depth-mean ``u_mean`` (m/s, u), ``v_mean`` (m/s, v); ``transport_u`` (m2/s, u),
    ``transport_v`` (m2/s, v): volume per second and metre of face, averaged over the step, with
    ``eta = eta_before - dt div(transport) + dt volume_flux``. ``iterations``: substeps, or
    iterations of the solver. ``residual``: the solver's, relative to its right-hand side; 0
    without a solver.
    """

    eta: Field
    u_mean: Field
    v_mean: Field
    transport_u: Field
    transport_v: Field
    iterations: jax.Array
    residual: jax.Array


class AbstractFreeSurface(eqx.Module):
    """A way to step the external mode under ``gravity`` (m/s2). Static settings only, no state."""

    gravity: float = eqx.field(static=True, default=9.81, kw_only=True)

    @abc.abstractmethod
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
        """The external mode ``dt`` seconds later.

        All fields hold owned points and are constant along z. ``slow_u``, ``slow_v`` (m/s2):
        depth-mean acceleration by everything but ``g grad eta``; ``volume_flux`` (m/s): into the
        column (rain, rivers). Sea level of dry cells and velocity of dry faces are 0.
        """


class Columns(eqx.Module):
    """The external mode at the start of a step, on owned cells and on all the faces around them.

    ``acceleration_u``, ``acceleration_v`` (m/s2) are ``slow - g grad(eta)``. The column depths (m)
    are 0 at dry faces, so that nothing flows there.
    """

    grid: Grid
    gravity: float = eqx.field(static=True)
    eta: Field
    u: Field
    v: Field
    acceleration_u: Field
    acceleration_v: Field
    volume_flux: Field
    depth_u: Field
    depth_v: Field

    @classmethod
    def gather(
        cls,
        grid: Grid,
        eta: Field,
        velocity: tuple[Field, Field],
        slow: tuple[Field, Field],
        volume_flux: Field,
        *,
        gravity: float,
        linear: bool,
    ) -> Columns:
        """Fetch one point of halo, and freeze the column depths."""
        eta, (u, v), (slow_u, slow_v) = grid.exchange((eta, velocity, slow), 1)
        slope_x, slope_y = gradient(grid.horizontal, eta)
        depth_u, depth_v = grid.depth.u, grid.depth.v
        if not linear:
            depth_u = depth_u + avg_x_c2f(eta)
            depth_v = depth_v + avg_y_c2f(eta)
        return cls(
            grid,
            gravity,
            eta,
            u,
            v,
            slow_u - gravity * slope_x,
            slow_v - gravity * slope_y,
            volume_flux,
            _wet(grid.mask.u, depth_u),
            _wet(grid.mask.v, depth_v),
        )

    def velocity(self, time: Any, fall: Field | None = None) -> tuple[Field, Field]:
        """``u + time acceleration - g grad(fall)`` (m/s), likewise v; ``fall`` (m s): an increment
        of the sea level, integrated over time."""
        u = self.u + time * self.acceleration_u
        v = self.v + time * self.acceleration_v
        if fall is None:
            return u, v
        slope_x, slope_y = gradient(self.grid.horizontal, fall)
        return u - self.gravity * slope_x, v - self.gravity * slope_y

    def transport(self, u: Field, v: Field) -> tuple[Field, Field]:
        """``H u``, ``H v`` (m2/s)."""
        return self.depth_u * u, self.depth_v * v

    def divergence(self, u: Field, v: Field) -> Field:
        """``div(H u)`` at cells: m/s from velocities, m/s2 from accelerations."""
        return divergence(self.grid.horizontal, *self.transport(u, v))

    def stiffness(self) -> tuple[Field, Field]:
        """See :func:`wave_stiffness`."""
        return wave_stiffness(self.grid, self.gravity, self.depth_u, self.depth_v)

    def finish(
        self,
        dt: Any,
        end: tuple[Field, Field],
        mean: tuple[Field, Field],
        iterations: jax.Array,
        residual: jax.Array,
    ) -> FreeSurfaceStep:
        """The result, from the velocities at the ``end`` and in the ``mean`` of the step; stored,
        since all levels use it."""
        grid = self.grid

        def owned(field: Field) -> Field:
            return Field.at(field.location, grid.owned(field))

        def result(end: tuple[Field, Field], mean: tuple[Field, Field]) -> FreeSurfaceStep:
            transport_u, transport_v = self.transport(*mean)
            eta = self.eta + dt * (self.volume_flux - self.divergence(*mean))
            return FreeSurfaceStep(
                eta=owned(_wet(grid.mask.c, eta)),
                u_mean=owned(_wet(grid.mask.u, end[0])),
                v_mean=owned(_wet(grid.mask.v, end[1])),
                transport_u=owned(transport_u),
                transport_v=owned(transport_v),
                iterations=iterations,
                residual=residual,
            )

        return compiled_apart(result, end, mean)


def wave_stiffness(
    grid: Grid, gravity: float, depth_u: Field, depth_v: Field
) -> tuple[Field, Field]:
    """``g H dy/dx`` at u, ``g H dx/dy`` at v (m2/s2): acceleration of the flow through a face
    (m3/s2) per metre of difference in sea level across it."""
    return (
        gravity * depth_u * grid.dy.u / grid.dx.u,
        gravity * depth_v * grid.dx.v / grid.dy.v,
    )


def _wet(mask: Field, field: Field) -> Field:
    """``field`` where the top level is wet, 0 elsewhere."""
    return masked(level(mask, 0), field)
