"""Numbers that sum up a state over all points and ranks: extremes with their place, and means.

A model returns them from one traceable function, each as this rank's arrays; a monitor reduces
them on every rank, and then over ranks.
"""

from __future__ import annotations

from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp

from dassim.grid.field import Location


class Extreme(eqx.Module):
    """The largest or smallest of ``values``, ``(nz, ny, nx)`` or ``(ny, nx)`` owned points.

    ``where``: points that count. Beyond ``limit`` a run is unstable. ``label``: what a line of
    the log calls it; left out of lines where empty.
    """

    values: jax.Array
    kind: Literal["largest", "smallest"] = eqx.field(static=True)
    units: str = eqx.field(static=True, default="1")
    label: str = eqx.field(static=True, default="")
    where: jax.Array | bool = True
    limit: float | None = eqx.field(static=True, default=None)
    location: Location = eqx.field(static=True, default="c")

    def local(self) -> tuple[jax.Array, jax.Array]:
        """This rank's extreme and the index of its point; not-a-number wins."""
        sign = 1.0 if self.kind == "largest" else -1.0
        ranked = jnp.where(self.where, sign * self.values, -jnp.inf)
        place = jnp.argmax(ranked)
        return sign * ranked.ravel()[place], place

    def beyond(self, value: float, limit: float) -> bool:
        return value > limit if self.kind == "largest" else value < limit


class Mean(eqx.Module):
    """``total / weight``, each the sum over ranks of this rank's share."""

    total: jax.Array
    weight: jax.Array
    units: str = eqx.field(static=True, default="1")
    label: str = eqx.field(static=True, default="")


Measure = Extreme | Mean
