"""Diffusion as a smoother: the heart of correlation operators that respect coasts.

``L = (1 - l^2 laplacian)^(-M)`` has, far from coasts and for uniform ``l``, a kernel of the Matern
family. With the length scale ``D`` of the Gaussian ``exp(-r^2 / 2 D^2)`` that has the same
curvature at r = 0 (Daley's), ``l^2 = D^2 / (2 M - d - 2)`` in ``d`` dimensions; for growing ``M``
the kernel tends to that Gaussian. ``L`` is symmetric in the inner product weighted by the cells'
sizes, no flux passes the coasts, and its square root is half of the ``M`` solves.

Sources: Weaver & Courtier (2001), Q. J. R. Meteorol. Soc. 127, 1815; Weaver & Mirouze (2013),
Q. J. R. Meteorol. Soc. 139, 242.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from dassim.dynamics.conjugate_gradients import conjugate_gradients, jacobi, local_dots
from dassim.dynamics.free_surface.five_point import Overlap, five_point
from dassim.dynamics.implicit import implicit_diffusion
from dassim.grid import Field, Grid, Location, Span, Staggered
from dassim.grid.field import X, Y
from dassim.parallel import Domain

BETWEEN: dict[Location, tuple[Location, Location]] = {
    "c": ("u", "v"),
    "u": ("c", "q"),
    "v": ("q", "c"),
}
"""By location of points: what lies between a point and its western, its southern neighbour."""


def diffusion_length(scale: Any, order: int, dimensions: int) -> Any:
    """``l`` (m) of ``order`` solves whose kernel has the length scale ``scale`` (m).

    >>> diffusion_length(100e3, 4, 2)
    50000.0
    """
    if order % 2 or 2 * order <= dimensions + 2:
        raise ValueError(
            f"found {order} solves in {dimensions} dimensions; expected an even number of at least "
            f"{2 if dimensions == 1 else 4}"
        )
    return scale / math.sqrt(2 * order - dimensions - 2)


class AbstractDiffusion(eqx.Module):
    """``L`` on owned points ``(nz, ny, nx)``, zero where dry."""

    order: eqx.AbstractVar[int]

    @property
    @abc.abstractmethod
    def size(self) -> jax.Array:
        """Sizes of the cells, in which ``L`` is symmetric; broadcasts to ``(nz, ny, nx)``."""

    def root(self, x: jax.Array) -> jax.Array:
        """``L^(1/2) x``."""
        return _repeated(self.solve, self.order // 2, x)

    def whole(self, x: jax.Array) -> jax.Array:
        """``L x``."""
        return _repeated(self.solve, self.order, x)

    def inverse_root(self, x: jax.Array) -> jax.Array:
        """``L^(-1/2) x``, without solving anything."""
        return _repeated(self.product, self.order // 2, x)

    @abc.abstractmethod
    def solve(self, x: jax.Array) -> jax.Array:
        """``(1 - l^2 laplacian)^(-1) x``; traceable and differentiable."""

    @abc.abstractmethod
    def product(self, x: jax.Array) -> jax.Array:
        """``(1 - l^2 laplacian) x``."""


class HorizontalDiffusion(AbstractDiffusion):
    """Along every level, over all ranks.

    ``area (ny, nx)`` (m2) of the cells around the points; ``west``, ``south``: ``l^2`` times the
    length of the edge to the western and southern neighbour over the distance to it (m2), 0
    towards dry points, ``(nz, ny, nx)`` with the halo of an :class:`Overlap` of width 1;
    ``diagonal`` of the matrix. Systems are solved by conjugate gradients to ``tolerance``: so
    linear, and so symmetric, is the operator.
    """

    domain: Domain = eqx.field(static=True)
    area: jax.Array
    west: jax.Array
    south: jax.Array
    diagonal: jax.Array
    order: int = eqx.field(static=True)
    tolerance: float = eqx.field(static=True, default=1e-13)

    @classmethod
    def on(
        cls, grid: Grid, location: Location, wet: Any, length: Any, order: int
    ) -> HorizontalDiffusion:
        """Between the points of ``location`` that are ``wet (nz, ny, nx)``, with ``length`` ``l``
        (m): a number, or owned points ``(ny, nx)``. All ranks call this together."""
        domain = grid.domain
        area = jnp.asarray(points_around(grid.area, location, domain)[1:-1, 1:-1])
        west_edge, south_edge = _edges(grid, location)

        @jax.jit
        def matrix(squared: jax.Array, wet: jax.Array) -> tuple[jax.Array, ...]:
            squared, wet = domain.exchange((squared, wet), 1)
            west = west_edge * _mean_of_pairs(squared, X) * _pairs(wet, X)
            south = south_edge * _mean_of_pairs(squared, Y) * _pairs(wet, Y)
            beyond_x, beyond_y = domain.exchange((west, south), 1)
            east, north = beyond_x[..., 1:-1, 2:], beyond_y[..., 2:, 1:-1]
            wide = Overlap(domain, 1).extend((west, south))
            return *wide, area + west + east + south + north

        squared = jnp.broadcast_to(jnp.asarray(length, area.dtype) ** 2, domain.shape)
        west, south, diagonal = matrix(squared, jnp.asarray(wet))
        return cls(domain=domain, area=area, west=west, south=south, diagonal=diagonal, order=order)

    @property
    def size(self) -> jax.Array:
        return self.area

    def solve(self, x: jax.Array) -> jax.Array:
        return conjugate_gradients(
            self._matrix_product,
            self.area * x,
            preconditioner=jacobi(self.diagonal),
            dots=lambda *pairs: self.domain.sum(local_dots(*pairs)),
            tolerance=self.tolerance,
            max_iterations=10_000,
        ).x

    def product(self, x: jax.Array) -> jax.Array:
        return self._matrix_product(x) / self.area

    def _matrix_product(self, x: jax.Array) -> jax.Array:
        """``area (1 - l^2 laplacian) x``: symmetric and positive definite."""
        overlap = Overlap(self.domain, 1)
        net_flux = five_point(self.west, self.south, overlap.extend(x), overlap.wrap)
        return self.area * x - overlap.owned(net_flux)


class VerticalDiffusion(AbstractDiffusion):
    """In every column: tridiagonal systems.

    ``thickness (nz, 1, 1)`` (m) of the levels; ``squared``: ``l^2`` (m2) at the interior z faces
    ``(nz - 1, ny, nx)``, 0 beside dry points.
    """

    thickness: jax.Array
    squared: jax.Array
    order: int = eqx.field(static=True)

    @classmethod
    def on(cls, grid: Grid, wet: Any, length: Any, order: int) -> VerticalDiffusion:
        """Between ``wet (nz, ny, nx)`` points of a column, with ``length`` ``l`` (m)."""
        wet = jnp.asarray(wet)
        open_faces = wet[:-1] & wet[1:]
        squared = jnp.where(open_faces, jnp.asarray(length, float) ** 2, 0.0)
        return cls(thickness=grid.levels.dz.c.data, squared=squared, order=order)

    @property
    def size(self) -> jax.Array:
        return self.thickness

    def solve(self, x: jax.Array) -> jax.Array:
        thickness = Field(self.thickness, (Span("c"), None, None))
        squared = Field(self.squared, (Span("f", 1), Span("c"), Span("c")))
        return implicit_diffusion(Field.at("c", x), thickness, squared, 1.0).data

    def product(self, x: jax.Array) -> jax.Array:
        distance = 0.5 * (self.thickness[:-1] + self.thickness[1:])
        down = self.squared * (x[:-1] - x[1:]) / distance
        none = jnp.zeros_like(x[:1])
        flux = jnp.concatenate([down, none]) - jnp.concatenate([none, down])
        return x + flux / self.thickness


def _repeated(function: Callable[[jax.Array], jax.Array], times: int, x: jax.Array) -> jax.Array:
    return jax.lax.scan(lambda x, _: (function(x), None), x, length=times)[0]


def points_around(
    metric: Staggered, location: Location, domain: Domain, halo: int = 1
) -> np.ndarray:
    """``metric`` at ``location`` as ``(ny + 2 halo, nx + 2 halo)``."""
    field = getattr(metric, location)
    shape = tuple(n + 2 * halo for n in domain.shape)
    data = np.asarray(field.data)[0]
    for axis in (Y, X):
        span = field.spans[axis]
        if span is not None:
            first = -halo - span.start
            data = np.take(data, range(first, first + shape[axis - 1]), axis=axis - 1)
    return np.broadcast_to(data, shape)


def _edges(grid: Grid, location: Location) -> tuple[np.ndarray, np.ndarray]:
    """Length of the edge between a point and its western, its southern neighbour over the distance
    between the two, ``(ny, nx)``.

    A u point's western neighbour lies beyond the cell west of it, a v point's southern one beyond
    the cell south of it: one index lower than the edges of cells.
    """
    at_west, at_south = BETWEEN[location]
    ny, nx = grid.domain.shape
    row, column = int(location == "v"), int(location == "u")
    west = slice(1, ny + 1), slice(1 - column, nx + 1 - column)
    south = slice(1 - row, ny + 1 - row), slice(1, nx + 1)

    def metric(name: str, at: Location, index: tuple[slice, slice]) -> np.ndarray:
        return points_around(getattr(grid, name), at, grid.domain)[index]

    return (
        metric("dy", at_west, west) / metric("dx", at_west, west),
        metric("dx", at_south, south) / metric("dy", at_south, south),
    )


def _neighbours(wide: jax.Array, axis: int) -> tuple[jax.Array, jax.Array]:
    """Owned points and their western (southern) neighbours out of an array with a halo of 1."""
    here = wide[..., 1:-1, 1:-1]
    before = wide[..., 1:-1, :-2] if axis == X else wide[..., :-2, 1:-1]
    return here, before


def _mean_of_pairs(wide: jax.Array, axis: int) -> jax.Array:
    here, before = _neighbours(wide, axis)
    return 0.5 * (here + before)


def _pairs(wet: jax.Array, axis: int) -> jax.Array:
    here, before = _neighbours(wet, axis)
    return here & before
