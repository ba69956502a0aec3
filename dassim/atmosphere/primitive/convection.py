"""Convection in dry air, as an adjustment of columns that are unstable."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp

from dassim.atmosphere.primitive.physics import AbstractColumnPhysics, Change, Columns

Levels = tuple[jax.Array, dict[str, jax.Array]]


class DryAdjustment(AbstractColumnPhysics):
    """Neighbouring levels whose potential temperature falls upward are mixed until it is uniform.

    A pair of the masses ``m`` and the temperatures ``T`` gets, with ``e = (p / p0)^kappa``::

        theta = (m_1 T_1 + m_2 T_2) / (m_1 e_1 + m_2 e_2)

    so that its enthalpy stays; its tracers become the mean by mass. One sweep takes all pairs that
    begin at even levels, then those at odd ones. As many ``sweeps`` as levels make deep layers
    neutral within one step, fewer within several (after Manabe et al. 1965, Mon. Wea. Rev. 93,
    769).
    """

    sweeps: int = eqx.field(static=True, default=10)

    def __call__(self, columns: Columns, dt: float) -> Change:
        faces = columns.faces
        mass = jnp.broadcast_to(faces[1:] - faces[:-1], columns.T.shape)
        exner = columns.sigma**columns.air.kappa * jnp.ones_like(columns.T)

        @jax.checkpoint
        def sweep(levels: Levels, _: None) -> tuple[Levels, None]:
            for first in (0, 1):
                levels = _mixed(levels, mass, exner, first)
            return levels, None

        start = (columns.T, columns.tracers)
        (T, tracers), _ = jax.lax.scan(sweep, start, None, length=self.sweeps)
        return Change(
            heating=(T - columns.T) / dt,
            sources={name: (tracers[name] - before) / dt for name, before in start[1].items()},
        )


def _mixed(levels: Levels, mass: jax.Array, exner: jax.Array, first: int) -> Levels:
    """``levels`` with the unstable ones mixed of the pairs that begin at ``first``."""
    T, tracers = levels
    (m1, m2), (e1, e2), (t1, t2) = (_pairs(values, first) for values in (mass, exner, T))
    unstable = t2 * e1 > t1 * e2
    theta = (m1 * t1 + m2 * t2) / (m1 * e1 + m2 * e2)

    def chosen(values: jax.Array, upper: jax.Array, lower: jax.Array) -> jax.Array:
        old = _pairs(values, first)
        new = (jnp.where(unstable, upper, old[0]), jnp.where(unstable, lower, old[1]))
        return _joined(values, new, first)

    def mean(values: jax.Array) -> jax.Array:
        upper, lower = _pairs(values, first)
        mixed = (m1 * upper + m2 * lower) / (m1 + m2)
        return chosen(values, mixed, mixed)

    return chosen(T, theta * e1, theta * e2), {name: mean(c) for name, c in tracers.items()}


def _pairs(values: jax.Array, first: int) -> tuple[jax.Array, jax.Array]:
    """The upper and the lower levels of all pairs that begin at ``first``."""
    end = first + 2 * ((values.shape[0] - first) // 2)
    return values[first:end:2], values[first + 1 : end : 2]


def _joined(values: jax.Array, pairs: tuple[jax.Array, jax.Array], first: int) -> jax.Array:
    """``values`` with the pairs in their places."""
    between = jnp.stack(pairs, axis=1).reshape(-1, *values.shape[1:])
    return jnp.concatenate([values[:first], between, values[first + between.shape[0] :]])
