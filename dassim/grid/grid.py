"""The grid of a model: horizontal geometry, levels, and which points are wet."""

from __future__ import annotations

from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from dassim.grid.field import (
    Field,
    HaloError,
    Location,
    Span,
    X,
    Y,
    Z,
    apply,
    minimum,
    taps,
)
from dassim.grid.horizontal import GridError, HorizontalGrid, Staggered
from dassim.grid.levels import Levels
from dassim.grid.operators import sum_z
from dassim.parallel import Domain
from dassim.parallel.domain import halo_widths

Tree = TypeVar("Tree")


class Grid(eqx.Module):
    """Geometry, levels and masks of one rank's part of a C-grid, with halos.

    * ``wet``: how many levels, counted from the top, are open at each point (integers);
    * ``mask``: whether a point is wet, ``k < wet``; constant along z over a flat bottom.
      A face is wet between two wet cells, a corner among four;
    * ``depth``: total thickness (m) of the open levels at rest.
    """

    horizontal: HorizontalGrid
    levels: Levels
    wet: Staggered
    mask: Staggered
    depth: Staggered

    @property
    def domain(self) -> Domain:
        return self.horizontal.domain

    @property
    def x(self) -> Staggered:
        return self.horizontal.x

    @property
    def y(self) -> Staggered:
        return self.horizontal.y

    @property
    def dx(self) -> Staggered:
        return self.horizontal.dx

    @property
    def dy(self) -> Staggered:
        return self.horizontal.dy

    @property
    def area(self) -> Staggered:
        return self.horizontal.area

    @property
    def coriolis(self) -> Staggered:
        return self.horizontal.coriolis

    @property
    def shape(self) -> tuple[int, int, int]:
        """Owned points ``(nz, ny, nx)`` of this rank."""
        return (self.levels.count, *self.domain.shape)

    @property
    def global_shape(self) -> tuple[int, int, int]:
        return (self.levels.count, *self.domain.global_shape)

    def exchange(self, fields: Tree, width: int | tuple[int, int]) -> Tree:
        """A tree of owned Fields, with halos; see :func:`exchange`."""
        return exchange(self.domain, fields, width)

    def owned(self, field: Field) -> jax.Array:
        """The owned points as a bare array: ``(nz, ny, nx)``, ``(ny, nx)`` if constant along z."""
        return field.owned(self.domain.shape)

    def owned_mask(self, location: Location, *, levels: bool = True) -> jax.Array:
        """Wet owned points: ``(nz, ny, nx)``, or the top level's ``(ny, nx)``."""
        mask = getattr(self.mask, location)
        if not levels:
            mask = Field(mask.data[:1], (None, *mask.spans[1:]))
        owned = self.owned(mask)
        return jnp.broadcast_to(owned, self.shape) if levels else owned


def exchange(domain: Domain, fields: Tree, width: int | tuple[int, int]) -> Tree:
    """``fields``, a tree of :class:`Field` that hold their owned points, with halos.

    All travel in one message per direction. Halos behind walls hold zeros.
    """
    wy, wx = halo_widths(width)
    leaves, tree = jax.tree.flatten(fields, is_leaf=lambda node: isinstance(node, Field))
    extended = domain.exchange([leaf.data for leaf in leaves], (wy, wx))
    return jax.tree.unflatten(
        tree,
        [
            Field(data, (leaf.spans[Z], _widened(leaf, Y, wy), _widened(leaf, X, wx)))
            for leaf, data in zip(leaves, extended, strict=True)
        ],
    )


def _widened(field: Field, axis: int, width: int) -> Span:
    span = field.spans[axis]
    if span is None or span.start != 0:
        raise HaloError(f"found {field}; expected owned points, from index 0 on, along y and x")
    return Span(span.at, -width)


def build_grid(horizontal: HorizontalGrid, levels: Levels, depth: Any = None) -> Grid:
    """Full-step topography: a level is wet where the bottom lies below its centre.

    ``depth``: global ``(ny, nx)`` metres, positive down, 0 on land (an array, or an open file
    variable of which only this rank's part is read); ``None`` is a flat bottom under all levels.
    """
    domain, halo = horizontal.domain, horizontal.halo
    whole = np.broadcast_to(1e9, domain.global_shape) if depth is None else depth
    bottom = domain.local(whole, halo, beyond=0.0)
    _require_depths(bottom, domain, halo)
    centres = -np.asarray(levels.z.c.data)[:, 0, 0]
    count = (bottom[None] > centres[:, None, None]).sum(axis=0)

    cells = Field(jnp.asarray(count, jnp.int32)[None], (None, Span("c", -halo), Span("c", -halo)))
    x_faces, y_faces = _between(cells, X), _between(cells, Y)
    wet = Staggered(c=cells, u=x_faces, v=y_faces, q=_between(y_faces, X))
    # The decision is taken on the whole basin, so that every rank compiles the same program.
    owned = count[halo:-halo, halo:-halo] if halo else count
    flat = all(domain.comm.allgather(bool(np.isin(owned, (0, levels.count)).all())))
    k = Field(
        jnp.arange(levels.count, dtype=jnp.int32)[:, None, None],
        (Span("c"), None, None),
    )
    mask = wet.map(lambda wet: wet > 0 if flat else apply(jnp.less, k, wet))
    thickness = levels.dz.c
    return Grid(
        horizontal,
        levels,
        wet,
        mask,
        depth=mask.map(lambda mask: sum_z(thickness * mask)),
    )


def _between(wet: Field, axis: int) -> Field:
    """The shallower of the two points around each face along ``axis``."""
    return minimum(*taps(wet, axis, range(-1, 1), to="f"))


def _require_depths(bottom: np.ndarray, domain: Domain, halo: int) -> None:
    for what, wrong in (
        ("not a number", ~np.isfinite(bottom)),
        ("a negative depth", bottom < 0),
    ):
        if wrong.any():
            j, i = np.argwhere(wrong)[0]
            raise GridError(
                f"bathymetry: found {what} ({bottom[j, i]}) at row "
                f"{domain.block.y.start + j - halo}, column {domain.block.x.start + i - halo}; "
                f"expected metres, positive down, 0 on land"
            )
