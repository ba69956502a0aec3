"""Bottom drag, as a rate that the implicit vertical mixing applies to the lowest wet level."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from dassim.grid import Field, Span, apply
from dassim.grid.operators import (
    avg_x_c2f,
    avg_x_f2c,
    avg_y_c2f,
    avg_y_f2c,
    masked,
    sum_z,
)
from dassim.ocean.view import View

Sink = Field | float


class BottomDrag(eqx.Module):
    """Stress ``tau / rho0 = -(r + c |u_b|) u_b`` at the bottom (m2 s-2).

    ``linear`` is r (m s-1), ``quadratic`` c (1), ``None`` where there is none; ``u_b`` is the
    velocity of the lowest wet level. ``background_speed`` (m s-1), such as that of tides which
    the model lacks, adds its square to that of ``|u_b|``. The derivative of ``|u_b|`` at rest
    is 0.
    """

    linear: Any = None
    quadratic: Any = None
    background_speed: Any = 0.0

    def __call__(self, view: View) -> tuple[Sink, Sink]:
        """Rates (s-1) of decay of u and v: at their levels, 0 above the bottom; 0 without drag."""
        if self.linear is None and self.quadratic is None:
            return 0.0, 0.0
        v_at_u = avg_x_c2f(avg_y_f2c(view.v))
        u_at_v = avg_y_c2f(avg_x_f2c(view.u))
        wet, thickness = view.grid.wet, view.thickness
        return (
            self._rate(view.u, v_at_u, wet.u, thickness.u),
            self._rate(view.v, u_at_v, wet.v, thickness.v),
        )

    def _rate(self, along: Field, across: Field, wet: Field, thickness: Field) -> Field:
        lowest = lowest_wet(wet, thickness.data.shape[0])
        rate = Field.constant(0.0 if self.linear is None else self.linear)
        if self.quadratic is not None:
            bottom = (sum_z(masked(lowest, component)) for component in (along, across))
            speed = apply(self._speed, *bottom)
            rate = rate + self.quadratic * speed
        return masked(lowest, rate / thickness)

    def _speed(self, u: jax.Array, v: jax.Array) -> jax.Array:
        square = u * u + v * v + self.background_speed**2
        moving = square > 0.0
        return jnp.where(moving, jnp.sqrt(jnp.where(moving, square, 1.0)), 0.0)


def lowest_wet(wet: Field, levels: int) -> Field:
    """Whether a level is the lowest of the ``wet`` ones, of ``levels`` in all."""
    k = jnp.arange(levels, dtype=wet.data.dtype)[:, None, None]
    return apply(jnp.equal, Field(k, (Span("c"), None, None)), wet - 1)
