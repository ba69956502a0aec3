"""Values between points: centred, upwind-biased, WENO and flux-limited reconstructions."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from dassim.grid.field import Field, Span, Z, align, apply, taps, where


class Scheme(abc.ABC):
    """A static, hashable choice of reconstruction; ``reach``: points on either side."""

    reach: int

    @abc.abstractmethod
    def value(self, q: list[Any]) -> Any:
        """From ``2 reach`` values in the direction of flow, the one between the middle two."""


@dataclass(frozen=True)
class Centred(Scheme):
    order: int = 2
    reach = 1

    def value(self, q):
        return 0.5 * (q[0] + q[1])


@dataclass(frozen=True)
class Upwind(Scheme):
    order: int = 3
    reach = 2

    def value(self, q):
        return (-q[0] + 5 * q[1] + 2 * q[2]) / 6


@dataclass(frozen=True)
class WENO(Scheme):
    order: int = 5

    @property
    def reach(self):
        return (self.order + 1) // 2

    def value(self, q):
        return _weno3(*q[:3]) if self.order == 3 else _weno5(*q[:5])


@dataclass(frozen=True)
class FluxLimited(Scheme):
    limiter: str = "van_leer"
    reach = 2

    def value(self, q):
        a, b = q[1] - q[0], q[2] - q[1]
        product = a * b
        safe = jnp.where(product > 0, a + b, 1.0)
        return q[1] + jnp.where(product > 0, product / safe, 0.0)


def _weno3(a, b, c):
    eps = 1e-6 * (a * a + b * b + c * c) + 1e-30
    p0, p1 = 1.5 * b - 0.5 * a, 0.5 * (b + c)
    b0, b1 = (b - a) ** 2, (c - b) ** 2
    tau = abs(b0 - b1)
    w0 = (1 + tau / (b0 + eps)) / 3
    w1 = 2 * (1 + tau / (b1 + eps)) / 3
    return (w0 * p0 + w1 * p1) / (w0 + w1)


def _weno5(a, b, c, d, e):
    eps = 1e-8 * (a * a + b * b + c * c + d * d + e * e) + 1e-30
    b0 = 13 / 12 * (a - 2 * b + c) ** 2 + 0.25 * (a - 4 * b + 3 * c) ** 2
    b1 = 13 / 12 * (b - 2 * c + d) ** 2 + 0.25 * (b - d) ** 2
    b2 = 13 / 12 * (c - 2 * d + e) ** 2 + 0.25 * (3 * c - 4 * d + e) ** 2
    t = b0 - b2
    w0 = 0.1 * (1 + (t / (b0 + eps)) ** 2)
    w1 = 0.6 * (1 + (t / (b1 + eps)) ** 2)
    w2 = 0.3 * (1 + (t / (b2 + eps)) ** 2)
    p0 = (2 * a - 7 * b + 11 * c) / 6
    p1 = (-b + 5 * c + 2 * d) / 6
    p2 = (2 * c + 5 * d - e) / 6
    return (w0 * p0 + w1 * p1 + w2 * p2) / (w0 + w1 + w2)


def reconstruct(field, axis, velocity, scheme, wet=None):
    """``field`` at the points between its own along ``axis``, upwinded by ``velocity`` there."""
    span = field.spans[axis]
    to = "f" if span is None or span.at == "c" else "c"
    r = scheme.reach
    first = -r if to == "f" else 1 - r
    if axis == Z:
        field = _continued(field, r - 1)
        wet = None if wet is None or wet.spans[Z] is None else _continued(wet, r - 1)
    q = taps(field, axis, range(first, first + 2 * r), to)
    if wet is not None and r > 1:
        w = taps(wet, axis, range(first, first + 2 * r), to)
        for k in range(r - 2, -1, -1):
            q[k] = where(w[k], q[k], q[k + 1])
            m = 2 * r - 1 - k
            q[m] = where(w[m], q[m], q[m - 1])
    if r == 1:
        return apply(lambda *q: scheme.value(list(q)), *q)
    forward = velocity < 0.0 if axis == Z else velocity >= 0.0

    def kernel(forward, *q):
        upwinded = [jnp.where(forward, q[k], q[2 * r - 1 - k]) for k in range(2 * r)]
        return scheme.value(upwinded)

    return apply(kernel, forward, *q)


def _continued(field: Field, count: int) -> Field:
    data = jnp.concatenate(
        [field.data[:1]] * count + [field.data] + [field.data[-1:]] * count, axis=0
    )
    return Field(data, (Span(field.spans[Z].at, -count), *field.spans[1:]))
