"""Differences, averages, sums, and the vector calculus of the C-grid.

Names tell axis and staggering: ``diff_x_c2f`` takes cell centres to x-faces, ``avg_y_f2c`` takes
y-faces to centres. Each result is shorter than its operand by one point along its axis.
With face ``i`` on the low side of cell ``i``::

    c2f:  (diff c)[i] = c[i] - c[i - 1]        (avg c)[i] = (c[i - 1] + c[i]) / 2
    f2c:  (diff f)[i] = f[i + 1] - f[i]        (avg f)[i] = (f[i] + f[i + 1]) / 2

z points down in index space: ``diff_z_c2f`` is a value below a face minus the value above it.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Protocol

import jax
import jax.numpy as jnp

from dassim.grid.field import (
    LOCATIONS,
    Field,
    Location,
    Point,
    Span,
    StaggeringError,
    X,
    Y,
    Z,
    taps,
    where,
)

_OTHER: dict[Point, Point] = {"c": "f", "f": "c"}


def _pair(field: Field, axis: int, source: Point) -> list[Field]:
    span = field.spans[axis]
    if span is not None and span.at != source:
        name = "zyx"[axis]
        found, expected = ("faces", "centres") if source == "c" else ("centres", "faces")
        raise StaggeringError(
            f"found a field on {name} {found}, expected {name} {expected}; use the operator that "
            f"ends in {_OTHER[source]}2{source}"
        )
    offsets = range(-1, 1) if source == "c" else range(2)
    return taps(field, axis, offsets, to=_OTHER[source])


def _diff(field: Field, axis: int, source: Point) -> Field:
    low, high = _pair(field, axis, source)
    return high - low


def _avg(field: Field, axis: int, source: Point) -> Field:
    low, high = _pair(field, axis, source)
    return 0.5 * (low + high)


diff_x_c2f = partial(_diff, axis=X, source="c")
diff_x_f2c = partial(_diff, axis=X, source="f")
diff_y_c2f = partial(_diff, axis=Y, source="c")
diff_y_f2c = partial(_diff, axis=Y, source="f")
diff_z_c2f = partial(_diff, axis=Z, source="c")
diff_z_f2c = partial(_diff, axis=Z, source="f")
avg_x_c2f = partial(_avg, axis=X, source="c")
avg_x_f2c = partial(_avg, axis=X, source="f")
avg_y_c2f = partial(_avg, axis=Y, source="c")
avg_y_f2c = partial(_avg, axis=Y, source="f")
avg_z_c2f = partial(_avg, axis=Z, source="c")
avg_z_f2c = partial(_avg, axis=Z, source="f")


def interpolate(field: Field, to: Location) -> Field:
    """``field`` at the points ``to``: averaged along each axis on which it lies at others.

    Second order on uniform and smoothly stretched grids. From u to v, for example, each point
    gets the mean of the four around it.
    """
    for axis, at in zip((X, Y, Z), reversed(LOCATIONS[to]), strict=True):
        span = field.spans[axis]
        if span is not None and span.at != at:
            field = _avg(field, axis, source=span.at)
    return field


# -- the vertical -------------------------------------------------------------------------------


def with_ends_z(interior: Field, top: Any = 0.0, bottom: Any = 0.0) -> Field:
    """Faces 0..nz from the ``interior`` ones 1..nz-1: ``top`` and ``bottom`` (scalars, or fields
    constant along z) stand at the two ends."""
    span = interior.spans[Z]
    if span != Span("f", 1):
        raise StaggeringError(f"found {interior}; expected the interior z faces 1..nz-1")
    shape = (1, *interior.data.shape[1:])

    def end(value):
        if isinstance(value, Field):
            value = (value + 0.0 * first).data
        return jnp.broadcast_to(jnp.asarray(value, interior.data.dtype), shape)

    first = Field(interior.data[:1], (None, *interior.spans[1:]))
    data = jnp.concatenate([end(top), interior.data, end(bottom)], axis=Z)
    return Field(data, (Span("f", 0), *interior.spans[1:]))


def interior_z(faces: Field) -> Field:
    """The interior z faces 1..nz-1 of a field on all faces 0..nz."""
    if faces.spans[Z] != Span("f", 0):
        raise StaggeringError(f"found {faces}; expected the z faces 0..nz")
    return Field(faces.data[1:-1], (Span("f", 1), *faces.spans[1:]))


def sum_z(field: Field) -> Field:
    """Sum over all levels: a field constant along z."""
    return Field(jnp.sum(field.data, axis=Z, keepdims=True), (None, *field.spans[1:]))


def cumsum_z_down(cells: Field) -> Field:
    """Faces 0..nz: the sum of all ``cells`` above each; 0 at the top."""
    return _cumulated(cells, reverse=False)


def cumsum_z_up(cells: Field) -> Field:
    """Faces 0..nz: the sum of all ``cells`` below each; 0 at the bottom."""
    return _cumulated(cells, reverse=True)


def _cumulated(cells: Field, reverse: bool) -> Field:
    def level(total, value):
        return total + value, total + value

    zero = jnp.zeros_like(cells.data[0])
    _, totals = jax.lax.scan(level, zero, cells.data, reverse=reverse)
    parts = [totals, zero[None]] if reverse else [zero[None], totals]
    return Field(jnp.concatenate(parts, axis=Z), (Span("f", 0), *cells.spans[1:]))


def level(field: Field, k: int) -> Field:
    """One level (or z-face) as a field constant along z. Negative ``k`` counts from the bottom."""
    return Field(jax.lax.index_in_dim(field.data, k, axis=Z), (None, *field.spans[1:]))


# -- vector calculus ------------------------------------------------------------------------------


class Staggered(Protocol):
    @property
    def c(self) -> Field: ...

    @property
    def u(self) -> Field: ...

    @property
    def v(self) -> Field: ...

    @property
    def q(self) -> Field: ...


class Metric(Protocol):
    """Edge lengths (m) and areas (m2) at cells, x-faces, y-faces and corners."""

    @property
    def dx(self) -> Staggered: ...

    @property
    def dy(self) -> Staggered: ...

    @property
    def area(self) -> Staggered: ...


def gradient(metric: Metric, phi: Field) -> tuple[Field, Field]:
    """``(d phi/dx at u, d phi/dy at v)`` of ``phi`` at cells (units of phi per m)."""
    return diff_x_c2f(phi) / metric.dx.u, diff_y_c2f(phi) / metric.dy.v


def divergence(metric: Metric, u: Field, v: Field) -> Field:
    """``du/dx + dv/dy`` at cells: net flux through the four faces over the cell's area."""
    outflow = diff_x_f2c(u * metric.dy.u) + diff_y_f2c(v * metric.dx.v)
    return outflow / metric.area.c


def curl(metric: Metric, u: Field, v: Field) -> Field:
    """``dv/dx - du/dy`` at corners: circulation around the corner's dual cell over its area."""
    circulation = diff_x_c2f(v * metric.dy.v) - diff_y_c2f(u * metric.dx.u)
    return circulation / metric.area.q


def perpendicular_gradient(metric: Metric, psi: Field) -> tuple[Field, Field]:
    """``(-d psi/dy at u, d psi/dx at v)`` of a stream function at corners; free of divergence."""
    return -1.0 * diff_y_f2c(psi) / metric.dy.u, diff_x_f2c(psi) / metric.dx.v


def laplacian(metric: Metric, phi: Field, open_u: Any = 1.0, open_v: Any = 1.0) -> Field:
    """``div(grad phi)`` at cells; no flux through faces where ``open_u``, ``open_v`` is 0."""
    along_x, along_y = gradient(metric, phi)
    return divergence(metric, along_x * open_u, along_y * open_v)


def masked(mask: Any, field: Field) -> Field:
    """``field`` where ``mask`` holds, 0 elsewhere."""
    return where(mask, field, 0.0) if isinstance(mask, Field) else field * mask
