"""Implicit vertical diffusion: one symmetric tridiagonal system per column.

Backward Euler of ``d(h x)/dt = d/dz (K dx/dz) - h r x`` on cells of thickness ``h``. With
``d`` the distance between the centres of the cells around an interior face and its conductance
``c = dt K / d``, the new values solve for every cell ``k`` (face ``k`` lies above it)::

    h[k] (1 + dt r[k]) x[k] + c[k] (x[k] - x[k-1]) + c[k+1] (x[k] - x[k+1]) = h[k] x_old[k]

No flux passes the top, the bottom and faces where ``K`` is 0. The matrix is symmetric and
diagonally dominant. Elimination is arranged so that no two numbers are ever subtracted, which
keeps full relative accuracy for any ``c``: the heat content is conserved, a constant stays
constant and extrema do not grow, to round-off.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp

from dassim.grid.field import Field, Span, StaggeringError, Z, align, apply

Values = TypeVar("Values")
Arrays = list[jax.Array]


def implicit_diffusion(
    values: Values,
    thickness: Field,
    diffusivity: Field | float,
    dt: Any,
    *,
    sink: Field | float = 0.0,
) -> Values:
    """``values`` after ``dt`` seconds of vertical diffusion and of the linear sink ``-sink x``.

    * ``values``: a Field, or a tree of them that share one matrix (temperature, salinity and
      tracers of equal diffusivity), at the cell levels and at the cells, u or v points;
    * ``thickness`` of the levels there (m), positive in dry cells too;
    * ``diffusivity`` or viscosity (m2 s-1) there, at the interior z faces 1..nz-1, 0 at faces
      beside a dry cell (see :func:`open_faces`); or one number;
    * ``sink`` (s-1) at the levels there, such as bottom drag; or one number.

    Conserves the sum of ``thickness * values`` where ``sink`` is 0. First-order in ``dt``, stable
    for any. Differentiable in all arguments, in forward and reverse mode and in compositions of
    both; the reverse mode costs one more pair of sweeps.
    """
    leaves, tree = jax.tree.flatten(values, is_leaf=_is_field)
    k_face = _as_field(diffusivity)
    rate = _as_field(sink)
    levels = thickness.data.shape[Z]
    for field in (*leaves, thickness):
        _require(field, Span("c"), levels, "at all levels")
    if rate.spans[Z] is not None:
        _require(rate, Span("c"), levels, "at all levels, or constant along z")
    if k_face.spans[Z] is not None:
        _require(
            k_face,
            Span("f", 1),
            levels - 1,
            "at the interior z faces, or constant along z",
        )

    spans, (h, kappa, r, *old) = _same_columns(thickness, k_face, rate, *leaves)
    around = jnp.broadcast_shapes(*(array.shape[1:] for array in (h, kappa, r, *old)))
    content = [jnp.broadcast_to(h * x, (levels, *around)) for x in old]
    new = _solve(Columns(h, kappa, r, jnp.asarray(dt, h.dtype)), content)
    return jax.tree.unflatten(tree, [Field(x, (Span("c"), *spans)) for x in new])


def open_faces(wet: Field, levels: int) -> Field:
    """Whether the interior z faces 1..nz-1 lie between two wet cells, where ``wet`` levels of
    ``levels``, counted from the top, are wet. One level has no such face: ``False``."""
    if levels == 1:
        return Field.constant(False)
    k = jnp.arange(1, levels, dtype=wet.data.dtype)
    return apply(jnp.less, Field(k[:, None, None], (Span("f", 1), None, None)), wet)


class Columns(NamedTuple):
    """Thickness ``h`` (nz, ...), diffusivity ``kappa`` at interior faces (nz - 1, ...), ``sink`` of
    the levels, over ``dt``. The last two may have one level for all."""

    h: jax.Array
    kappa: jax.Array
    sink: jax.Array
    dt: jax.Array

    def mass(self) -> jax.Array:
        """``h (1 + dt r)`` (m), positive."""
        return self.h * (1.0 + self.dt * self.sink)

    def conductance(self) -> jax.Array:
        """``dt K / d`` (m) of the interior faces."""
        return self.dt * self.kappa / (0.5 * (self.h[:-1] + self.h[1:]))

    def level(self, k: jax.Array, rows: Rows) -> tuple[jax.Array, jax.Array]:
        """The mass of level k, and the conductance of the face below, 0 under the last."""
        h, below = _at(self.h, k, rows), _at(self.h, k + 1, rows)
        open_below = (k + 1 < self.h.shape[0]).astype(h.dtype)
        conductance = open_below * self.dt * _at(self.kappa, k, rows) / (0.5 * (h + below))
        return h * (1.0 + self.dt * _at(self.sink, k, rows)), conductance


class Rows(NamedTuple):
    """So many rows from the first on."""

    first: jax.Array
    count: int


def _at(array: jax.Array, k: jax.Array, rows: Rows) -> jax.Array:
    """Rows of level ``k``, or of the last that there is; what has one row has it for all."""
    levels, ny, nx = array.shape
    first, count = (0, 1) if ny == 1 else rows
    return jax.lax.dynamic_slice(array, (jnp.minimum(k, levels - 1), first, 0), (1, count, nx))[0]


def _solve(columns: Columns, rhs: Arrays) -> Arrays:
    """Solves ``mass x + D^T conductance D x = rhs`` for every right-hand side (m of value), ``D``
    being the difference between a level and the next below."""
    if columns.h.shape[0] == 1:
        return [b / columns.mass() for b in rhs]
    # Derivatives with respect to the matrix come from the matrix product, not from the solution.
    fixed = jax.lax.stop_gradient(columns)
    return jax.lax.custom_linear_solve(
        partial(_matrix_product, columns.mass(), columns.conductance()),
        rhs,
        lambda _, b: _eliminate(fixed, b),
        symmetric=True,
    )


def _matrix_product(mass: jax.Array, conductance: jax.Array, x: Arrays) -> Arrays:
    def product(x: jax.Array) -> jax.Array:
        none = jnp.zeros_like(x[:1])
        down = conductance * (x[:-1] - x[1:])
        return mass * x + jnp.concatenate([down, none]) - jnp.concatenate([none, down])

    return [product(each) for each in x]


def _eliminate(columns: Columns, rhs: Arrays) -> Arrays:
    """The solution, a few rows after the other: what passes from the sweep down to the sweep up
    stays in the cache."""
    levels, ny, nx = rhs[0].shape
    count = _rows_at_once(levels, ny, nx * rhs[0].dtype.itemsize)

    def solve_part(part: jax.Array, solution: Arrays) -> Arrays:
        rows = Rows(jnp.minimum(part * count, ny - count), count)
        return _sweep(columns, rhs, solution, rows)

    return jax.lax.fori_loop(0, -(-ny // count), solve_part, [jnp.zeros_like(b) for b in rhs])


def _sweep(columns: Columns, rhs: Arrays, solution: Arrays, rows: Rows) -> Arrays:
    """``solution``, solved for in these rows from the top down and up again.

    The levels above act on a level like a ``load`` in series with the conductance of the face
    between; ``share`` is the weight of the level below in ``x[k] = z[k] + share[k] x[k+1]``.
    """

    def down(carry, k):
        load, above = carry
        mass, below = columns.level(k, rows)
        total = mass + load
        inverse = 1.0 / (total + below)
        share = below * inverse
        content = [_at(b, k, rows) + a for b, a in zip(rhs, above, strict=True)]
        z = [inverse * c for c in content]
        return (total * share, [share * c for c in content]), (share, z)

    def up(carry, level):
        solution, below = carry
        k, share, z = level
        x = [a + share * b for a, b in zip(z, below, strict=True)]
        return (_with_rows(solution, x, k, rows), x), None

    levels, _, nx = rhs[0].shape
    ks, zero = jnp.arange(levels), jnp.zeros((rows.count, nx), rhs[0].dtype)
    zeros = [zero for _ in rhs]
    _, (share, z) = jax.lax.scan(down, (zero, zeros), ks)
    (solution, _), _ = jax.lax.scan(up, (solution, zeros), (ks, share, z), reverse=True)
    return solution


def _with_rows(arrays: Arrays, new: Arrays, k: jax.Array, rows: Rows) -> Arrays:
    start = (k, rows.first, 0)
    return [
        jax.lax.dynamic_update_slice(array, x[None], start)
        for array, x in zip(arrays, new, strict=True)
    ]


IN_CACHE = 2**17
"""Bytes of an array for all levels and a few rows, one of three or four that are to stay in a
core's cache from one sweep to the next."""


def _rows_at_once(levels: int, ny: int, row: int) -> int:
    """As many of ``ny`` rows, of so many bytes each on a level, as stay in the cache, but one at
    least, in parts of about equal size; all of them on accelerators."""
    if jax.default_backend() != "cpu":
        return ny
    most = max(1, IN_CACHE // (levels * row))
    parts = -(-ny // most)
    return -(-ny // parts)


def _same_columns(*fields: Field) -> tuple[tuple[Span | None, Span | None], Arrays]:
    """Horizontal spans common to ``fields``, and their data there; z is left as it is."""
    arrays, spans = align(*(Field(f.data, (None, *f.spans[1:])) for f in fields))
    return (spans[1], spans[2]), arrays


def _require(field: Field, span: Span, count: int, where: str) -> None:
    if field.spans[Z] != span or field.data.shape[Z] != count:
        raise StaggeringError(
            f"implicit_diffusion: found {field}; expected {count} points along z {where}"
        )


def _is_field(node: Any) -> bool:
    return isinstance(node, Field)


def _as_field(value: Field | float) -> Field:
    return value if isinstance(value, Field) else Field.constant(value)
