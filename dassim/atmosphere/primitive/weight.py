"""The weight of the water that columns gain and lose."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp

from dassim.atmosphere.primitive.column import thickness
from dassim.atmosphere.primitive.state import AtmosphereState
from dassim.grid import Field, Grid


def weighed(grid: Grid, before: AtmosphereState, after: AtmosphereState) -> AtmosphereState:
    """``after`` processes that have changed the vapour of ``before``, with its weight.

    Processes hold the thickness ``h`` (Pa) of the levels. A level that has gained vapour weighs
    ``m = h (1 + change of q)``, the ground bears what all have gained, and what a level has beyond
    its thickness over the new ``ps`` flows through its lower face, with what it carries there::

        d(ps) = sum of (m - h),      F_k+1 = F_k + m_k - h'_k,      h' c' = m c + F_k c - F_k+1 c

    with ``c`` at faces that of the level where it comes from, and ``m c`` what processes have left
    of vapour and tracers, ``h c``. Kept are the sums over the column of dry air ``(1 - q) h``, of
    vapour and of tracers. Vapour comes and rain leaves with the temperature of its air: the column
    gains ``cp T (E - P)`` that no surface pays, about 1 W/m2. The wind stays.
    """
    if after.tracers.get("q") is before.tracers.get("q"):
        return after  # no process has touched it

    def thick(ps: jax.Array) -> jax.Array:
        return thickness(grid, Field.at("c", ps)).data

    held = thick(before.ps)
    weight = held * (1.0 + (after.tracers["q"] - before.tracers["q"]))
    ps = before.ps + jnp.sum(weight - held, axis=0)
    room = thick(ps)
    down = jnp.cumsum(weight - room, axis=0)[:-1]

    def carried(content: jax.Array) -> jax.Array:
        """What levels then have for each mass, from their ``content`` (Pa)."""
        each = content / weight
        through = down * jnp.where(down > 0.0, each[:-1], each[1:])
        sides = jnp.pad(through, ((1, 1), (0, 0), (0, 0)))
        return (content + sides[:-1] - sides[1:]) / room

    tracers = {name: carried(held * tracer) for name, tracer in after.tracers.items()}
    return replace(after, ps=ps, T=carried(weight * after.T), tracers=tracers)
