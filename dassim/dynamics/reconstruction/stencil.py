"""Stencils of fields on the C-grid: which points a face sees, at coasts, at the surface, upwind."""

from __future__ import annotations

import jax.numpy as jnp

from dassim.dynamics.reconstruction.schemes import Scheme
from dassim.grid.field import Field, Span, Z, apply, taps
from dassim.grid.operators import masked


def reconstruct(
    field: Field, axis: int, velocity: Field, scheme: Scheme, wet: Field | None = None
) -> Field:
    """``field`` at the points between its own along ``axis``, seen from upstream.

    ``velocity`` lies at the points of the result; only its sign counts: along ``X`` and ``Y``
    positive is towards higher indices, along ``Z`` positive is up. Centres become faces, faces
    centres. Along x and y the result is ``2 scheme.reach - 1`` points shorter; along z it has all
    points between two levels (centres give the faces 1..nz-1).

    Beyond the two points around the face, differences to dry points (``wet``, at the points of
    ``field``, is False), above the top and below the bottom count as 0: as if the nearest wet
    value stood there. The two points around the face are taken as they are: no flux passes a face
    beside a dry cell, and a velocity at a coast is 0.

    A field constant along ``axis`` is its own reconstruction.
    """
    span = field.spans[axis]
    if span is None:
        return field
    to = "f" if span.at == "c" else "c"
    pair = range(-1, 1) if to == "f" else range(2)
    low, high = taps(field, axis, pair, to)
    around = scheme.reach - 1
    below, above = [], []
    if around:
        differences = high - low
        if wet is not None:
            one, other = taps(wet, axis, pair, to)
            differences = masked(one & other, differences)
        if axis == Z:
            differences = _with_zeros(differences, around)
        differences = taps(differences, axis, range(-around, around + 1), to)
        below, above = differences[:around][::-1], differences[around + 1 :]

    def between(forward, low, high, *differences):
        return scheme.between(forward, low, high, differences[:around], differences[around:])

    forward = velocity < 0.0 if axis == Z else velocity > 0.0
    return apply(between, forward, low, high, *below, *above)


def _with_zeros(differences: Field, count: int) -> Field:
    """No difference to ``count`` points above the top and below the bottom."""
    span = differences.spans[Z]
    assert span is not None
    end = jnp.zeros_like(differences.data, shape=(count, *differences.data.shape[1:]))
    data = jnp.concatenate([end, differences.data, end], axis=Z)
    return Field(data, (Span(span.at, span.start - count), *differences.spans[1:]))
