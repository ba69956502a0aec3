"""Fields that are given, for one time or many."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp


class TimeSeries(eqx.Module):
    """``values (nt, ...)`` at ``times (nt)`` (s, increasing), linear in between.

    Constant before the first and after the last time; with ``period`` (s) it repeats, the last
    time joined to the first.
    """

    values: jax.Array
    times: jax.Array
    period: float | None = eqx.field(static=True, default=None)

    def at(self, time: Any) -> jax.Array:
        """The values at ``time`` (s)."""
        count = self.times.shape[0]
        if count == 1:
            return self.values[0]
        time = jnp.asarray(time)
        if self.period is None:
            after = jnp.clip(jnp.searchsorted(self.times, time, side="right"), 1, count - 1)
            before = after - 1
            t0, t1 = self.times[before], self.times[after]
        else:
            time = self.times[0] + jnp.mod(time - self.times[0], self.period)
            after = jnp.searchsorted(self.times, time, side="right")
            before, after = after - 1, after % count
            t0 = self.times[before]
            t1 = jnp.where(after == 0, self.times[0] + self.period, self.times[after])
        weight = jnp.clip((time - t0) / (t1 - t0), 0.0, 1.0).astype(self.values.dtype)
        return self.values[before] * (1 - weight) + self.values[after] * weight


Forced = jax.Array | TimeSeries | None


def value_at(forced: jax.Array | TimeSeries, time: Any) -> jax.Array:
    """``forced`` at ``time`` (s)."""
    return forced.at(time) if isinstance(forced, TimeSeries) else forced
