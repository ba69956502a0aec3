"""Arrays that know where on the C-grid their points lie.

A :class:`Field` is an array ``(z, y, x)`` with one :class:`Span` per axis: whether its points are
cell centres (``"c"``) or faces (``"f"``), and the index of its first point relative to the first
point that this rank owns. On every axis face ``i`` is the low side of cell ``i``: the western,
the southern, the upper face. Operands of arithmetic must lie at the same points; the result
covers the indices that all of them cover. So each operator shrinks its operand, and a term of an
equation is computed on just the points that the halo allows, with no index in sight.

An axis along which a field is constant has length 1 and no span: it fits centres and faces alike
(a depth-independent sea level, the spacing of a uniform grid).
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from dassim.grid.locality import on_levels

Z, Y, X = 0, 1, 2
Point = Literal["c", "f"]
Location = Literal["c", "u", "v", "q", "w"]


class StaggeringError(ValueError):
    """Fields at different points were combined, or an operator got a field at the wrong points."""


class HaloError(ValueError):
    """A halo is too narrow for what is computed from it."""


class Span(NamedTuple):
    """Points of a field along one axis: cell centres or faces, from index ``start`` on."""

    at: Point
    start: int = 0


Spans = tuple[Span | None, Span | None, Span | None]

# Cells, x-faces (u), y-faces (v), corners (vorticity), upper faces (w): points along (z, y, x).
LOCATIONS: dict[Location, tuple[Point, Point, Point]] = {
    "c": ("c", "c", "c"),
    "u": ("c", "c", "f"),
    "v": ("c", "f", "c"),
    "q": ("c", "f", "f"),
    "w": ("f", "c", "c"),
}


@partial(jax.tree_util.register_dataclass, data_fields=["data"], meta_fields=["spans"])
@dataclass(frozen=True, eq=False)
class Field:
    """``data (z, y, x)`` at the points that ``spans`` tell (``None``: constant along that axis).

    >>> cells = Field.at("c", jnp.arange(4.0).reshape(1, 4))
    >>> cells
    Field(z: constant, y: centres 0..0, x: centres 0..3)
    >>> cells * 2.0 + Field.at("u", jnp.ones((1, 4)))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    dassim.grid.field.StaggeringError: found x centres combined with x faces; ...
    """

    data: jax.Array
    spans: Spans

    @classmethod
    def at(cls, location: Location, owned: Any) -> Field:
        """The owned points of a ``(nz, ny, nx)`` array at ``location``, or of a depth-independent
        ``(ny, nx)`` one."""
        z, y, x = LOCATIONS[location]
        owned = jnp.asarray(owned)
        if owned.ndim == 2:
            return cls(owned[None], (None, Span(y), Span(x)))
        if owned.ndim != 3:
            raise ValueError(f"found an array of shape {owned.shape}; expected (z, y, x) or (y, x)")
        return cls(owned, (Span(z), Span(y), Span(x)))

    @classmethod
    def constant(cls, value: Any) -> Field:
        """One number everywhere."""
        return cls(jnp.reshape(jnp.asarray(value), (1, 1, 1)), (None, None, None))

    @property
    def location(self) -> Location:
        """``"c"``, ``"u"``, ``"v"``, ``"q"`` or ``"w"``; constant axes count as centred."""
        points = tuple("c" if span is None else span.at for span in self.spans)
        return next(name for name, at in LOCATIONS.items() if at == points)

    def owned(self, shape: tuple[int, int]) -> jax.Array:
        """The ``(ny, nx) = shape`` owned points: ``(nz, ny, nx)``, or ``(ny, nx)`` where constant
        along z."""
        data = self.data
        starts, stops = [0] * data.ndim, list(data.shape)
        for axis, n in ((Y, shape[0]), (X, shape[1])):
            span = self.spans[axis]
            if span is None:
                continue
            have = range(span.start, span.start + data.shape[axis])
            if have.start > 0 or have.stop < n:
                raise HaloError(
                    f"found points {have.start}..{have.stop - 1} along {'zyx'[axis]}; the owned "
                    f"ones are 0..{n - 1}: exchange a halo wider by "
                    f"{max(have.start, n - have.stop)}"
                )
            starts[axis], stops[axis] = -span.start, n - span.start
        data = jax.lax.slice(data, starts, stops)
        data = jnp.broadcast_to(data, (data.shape[0], *shape))
        return data[0] if self.spans[Z] is None else data

    def __repr__(self) -> str:
        def describe(name, span, n):
            if span is None:
                return f"{name}: constant"
            return f"{name}: {_PLURAL[span.at]} {span.start}..{span.start + n - 1}"

        if getattr(self.data, "ndim", 0) < 3:  # inside tree functions: no array yet
            return f"Field({self.data!r}, {self.spans})"
        *members, nz, ny, nx = self.data.shape
        parts = [describe(*entry) for entry in zip("zyx", self.spans, (nz, ny, nx), strict=True)]
        if members:  # outside of the vmap that made them
            parts.append(f"members: {tuple(members)}")
        return f"Field({', '.join(parts)})"

    def __bool__(self) -> bool:
        raise TypeError(f"{self} has no single truth value; use where(condition, yes, no)")

    __array_ufunc__ = None  # NumPy's operators on the left hand over to those below

    def __add__(self, other):
        return apply(operator.add, self, other)

    def __radd__(self, other):
        return apply(operator.add, other, self)

    def __sub__(self, other):
        return apply(operator.sub, self, other)

    def __rsub__(self, other):
        return apply(operator.sub, other, self)

    def __mul__(self, other):
        return apply(operator.mul, self, other)

    def __rmul__(self, other):
        return apply(operator.mul, other, self)

    def __truediv__(self, other):
        return apply(operator.truediv, self, other)

    def __rtruediv__(self, other):
        return apply(operator.truediv, other, self)

    def __pow__(self, exponent):
        return apply(operator.pow, self, exponent)

    def __neg__(self):
        return apply(operator.neg, self)

    def __abs__(self):
        return apply(jnp.abs, self)

    def __lt__(self, other):
        return apply(operator.lt, self, other)

    def __le__(self, other):
        return apply(operator.le, self, other)

    def __gt__(self, other):
        return apply(operator.gt, self, other)

    def __ge__(self, other):
        return apply(operator.ge, self, other)

    def __and__(self, other):
        return apply(operator.and_, self, other)

    def __or__(self, other):
        return apply(operator.or_, self, other)

    def __invert__(self):
        return apply(operator.invert, self)


_PLURAL = {"c": "centres", "f": "faces"}


def apply(function: Callable[..., Any], *operands: Any) -> Field:
    """``function``, elementwise, at the points that all Field operands cover.

    Operands that are not fields are scalars and are handed on as they are.
    """
    arrays, spans = align(*(o for o in operands if isinstance(o, Field)))
    levels = max((array.shape[Z] for array in arrays), default=1)
    remaining = iter([_repeated(array, levels) for array in arrays])
    values = (next(remaining) if isinstance(o, Field) else _scalar(o) for o in operands)
    return Field(function(*values), spans)


def _repeated(array: jax.Array, levels: int) -> jax.Array:
    """At so many levels, if it varies horizontally and does not with depth."""
    nz, ny, nx = array.shape
    return on_levels(array, levels) if nz == 1 < levels and ny * nx > 1 else array


def where(condition: Field, yes: Any, no: Any) -> Field:
    """``yes`` where ``condition`` holds, ``no`` elsewhere. Both must be finite everywhere: the
    derivative of the branch not taken is multiplied by zero, not left out."""
    return apply(jnp.where, condition, yes, no)


def maximum(a: Any, b: Any) -> Field:
    return apply(jnp.maximum, a, b)


def minimum(a: Any, b: Any) -> Field:
    return apply(jnp.minimum, a, b)


def align(*fields: Field) -> tuple[list[jax.Array], Spans]:
    """The data of ``fields`` cut to the indices that all cover, and the spans of the result."""
    arrays = [field.data for field in fields]
    spans: list[Span | None] = []
    for axis in (Z, Y, X):
        present = [
            (i, span) for i, field in enumerate(fields) if (span := field.spans[axis]) is not None
        ]
        if not present:
            spans.append(None)
            continue
        at = present[0][1].at
        unlike = next((span.at for _, span in present if span.at != at), None)
        if unlike is not None:
            name = "zyx"[axis]
            raise StaggeringError(
                f"found {name} {_PLURAL[at]} combined with {name} {_PLURAL[unlike]}; bring both to "
                f"the same points first, for example with avg_{name}_c2f or avg_{name}_f2c"
            )
        start = max(span.start for _, span in present)
        stop = min(span.start + arrays[i].shape[axis] for i, span in present)
        if stop - start < _fewest(axis):
            raise HaloError(
                f"no point along {'zyx'[axis]} is covered by all of {list(fields)}; exchange a "
                f"wider halo"
            )
        for i, span in present:
            if (span.start, span.start + arrays[i].shape[axis]) != (start, stop):
                arrays[i] = jax.lax.slice_in_dim(
                    arrays[i], start - span.start, stop - span.start, axis=axis
                )
        spans.append(Span(at, start))
    return arrays, (spans[0], spans[1], spans[2])


def taps(field: Field, axis: int, offsets: range, to: Point) -> list[Field]:
    """For every offset ``o`` the field whose value at point ``i`` is ``field`` at ``i + o``.

    All lie at the points ``to`` along ``axis`` and cover the same indices: the stencil of a
    derivative, an average, a reconstruction.
    """
    span = field.spans[axis]
    if span is None:
        return [field] * len(offsets)
    count = field.data.shape[axis] - (offsets[-1] - offsets[0])
    if count < _fewest(axis):
        raise HaloError(
            f"a stencil of {len(offsets)} points along {'zyx'[axis]} does not fit {field}; "
            f"exchange a wider halo"
        )
    spans = list(field.spans)
    spans[axis] = Span(to, span.start - offsets[0])
    result_spans = (spans[0], spans[1], spans[2])
    return [
        Field(
            jax.lax.slice_in_dim(field.data, o - offsets[0], o - offsets[0] + count, axis=axis),
            result_spans,
        )
        for o in offsets
    ]


def _fewest(axis: int) -> int:
    """The fewest points of a result: one, but a single level has no interior z faces."""
    return 0 if axis == Z else 1


def _scalar(value: Any) -> Any:
    if getattr(value, "ndim", 0) != 0:
        raise StaggeringError(
            f"found a bare array of shape {value.shape} beside a Field; say where its points lie "
            f"with Field.at(location, array)"
        )
    return value
