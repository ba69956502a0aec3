"""Correlations of the errors of one variable: normalised diffusion.

``C^(1/2) = N_h L_h^(1/2) A^(-1/2) N_v L_v^(1/2) h^(-1/2)``, from unit white noise on wet points to
noise of unit variance with the length scales of the horizontal and the vertical diffusion; ``A``
and ``h`` are areas and thicknesses of the cells. The factors ``N``, which make the diagonals of
both parts 1, make that of the product 1: the vertical part does not mix columns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from dassim.assimilation.diffusion import (
    AbstractDiffusion,
    HorizontalDiffusion,
    VerticalDiffusion,
    diffusion_length,
    points_around,
)
from dassim.grid import Grid, Location
from dassim.parallel import Domain

ROUGH = 1e-5
"""Tolerance of solves for a variance that is not exact anyway."""


class VarianceError(ValueError):
    """A variance that is not positive. The same on all ranks."""


@dataclass(frozen=True)
class Normalisation:
    """How the variance of a horizontal diffusion is found, at all points.

    It is the response, at each point, to an impulse there. ``separation``: impulses of random sign
    act together where they lie at least so many length scales apart; the variance is then wrong by
    about twice their correlation. ``None``: one impulse at a time, exact, for small grids.
    """

    separation: float | None = None
    seed: int = 0


class Normalised(eqx.Module):
    """A ``diffusion`` as the root of a correlation: ``N L^(1/2) W^(-1/2)`` on owned points
    ``(nz, ny, nx)``, with ``W`` the sizes of its cells and ``factor`` N, 0 where dry."""

    diffusion: AbstractDiffusion
    factor: jax.Array

    def root(self, x: jax.Array) -> jax.Array:
        return self.factor * self.diffusion.root(x / jnp.sqrt(self.diffusion.size))

    def inverse_root(self, x: jax.Array) -> jax.Array:
        dry = self.factor == 0
        x = jnp.where(dry, 0.0, x / jnp.where(dry, 1.0, self.factor))
        return self.diffusion.inverse_root(x) * jnp.sqrt(self.diffusion.size)


class Correlation(eqx.Module):
    """``C^(1/2)`` of one variable on owned points ``(nz, ny, nx)`` or ``(ny, nx)``; zero where
    dry. Without parts, the identity on wet points. Records of a surface field ``(n, ny, nx)`` are
    taken one by one."""

    wet: jax.Array
    horizontal: Normalised | None = None
    vertical: Normalised | None = None

    def root(self, x: jax.Array) -> jax.Array:
        y = self._on_levels(x)
        for part in (self.vertical, self.horizontal):
            y = y if part is None else part.root(y)
        return y.reshape(x.shape)

    def inverse_root(self, x: jax.Array) -> jax.Array:
        y = self._on_levels(x)
        for part in (self.horizontal, self.vertical):
            y = y if part is None else part.inverse_root(y)
        return y.reshape(x.shape)

    def _on_levels(self, x: jax.Array) -> jax.Array:
        return jnp.where(self.wet, x.reshape(-1, *self.wet.shape[1:]), 0.0)


def correlation(
    grid: Grid,
    location: Location,
    *,
    levels: bool = True,
    horizontal: Any = None,
    vertical: Any = None,
    order: int = 4,
    normalisation: Normalisation = Normalisation(),
) -> Correlation:
    """Of a variable at ``location`` with these length scales (m): numbers, ``horizontal`` also
    owned points ``(ny, nx)``. Of a variable without ``levels`` there is no vertical one.

    ``order``: solves of the whole operator. All ranks call this together.
    """
    mask = grid.owned_mask(location, levels=levels)
    wet = mask if levels else mask[None]
    parts: dict[str, Normalised] = {}
    if horizontal is not None:
        length = diffusion_length(jnp.asarray(horizontal), order, 2)
        diffusion = HorizontalDiffusion.on(grid, location, wet, length, order)
        spacing = _spacing(grid, location, horizontal, normalisation.separation)
        as_good = diffusion.tolerance if normalisation.separation is None else ROUGH
        variance = _horizontal_variance(
            replace(diffusion, tolerance=as_good), wet, spacing, normalisation.seed
        )
        parts["horizontal"] = Normalised(diffusion, _factor(grid.domain, variance, wet))
    if vertical is not None and levels and grid.levels.count > 1:
        column = VerticalDiffusion.on(grid, wet, diffusion_length(vertical, order, 1), order)
        parts["vertical"] = Normalised(
            column, _factor(grid.domain, _vertical_variance(column, wet), wet)
        )
    return Correlation(wet, **parts)


def _factor(domain: Domain, variance: jax.Array, wet: jax.Array) -> jax.Array:
    """``N``, the same decision on all ranks."""
    known = jnp.where(wet, variance, 1.0)
    least = float(domain.min(jnp.min(known)))
    if not least > 0:
        raise VarianceError(
            f"found a variance of {least:.1e}; expected positive ones: impulses are too near to "
            f"each other; use a larger separation, or the exact normalisation"
        )
    return jnp.where(wet, 1.0 / jnp.sqrt(known), 0.0)


# -- variances ------------------------------------------------------------------------------------


@eqx.filter_jit
def _vertical_variance(diffusion: VerticalDiffusion, wet: jax.Array) -> jax.Array:
    """The diagonal of ``L h^(-1)``: the response of every level to itself, in all columns."""

    def response(k: jax.Array) -> jax.Array:
        impulse = jnp.zeros(wet.shape).at[k].set(1.0)
        return diffusion.whole(impulse / diffusion.size)[k]

    return jax.lax.map(response, jnp.arange(wet.shape[0]))


@eqx.filter_jit
def _horizontal_variance(
    diffusion: HorizontalDiffusion, wet: jax.Array, spacing: tuple[int, int], seed: int
) -> jax.Array:
    """The diagonal of ``L A^(-1)``, from impulses at least ``spacing`` points (y, x) apart."""
    domain = diffusion.domain
    rows, columns = (
        _turns(n, apart, owned)
        for n, apart, owned in zip(
            domain.global_shape, spacing, (domain.block.y, domain.block.x), strict=True
        )
    )
    count_x = columns.count
    sign = _signs(domain, seed)

    def add(turn: jax.Array, total: jax.Array) -> jax.Array:
        here = (rows.turn == turn // count_x)[:, None] & (columns.turn == turn % count_x)
        impulses = jnp.where(here & wet, sign, 0.0)
        return total + impulses * diffusion.whole(impulses / diffusion.size)

    return jax.lax.fori_loop(0, rows.count * count_x, add, jnp.zeros(wet.shape))


class _Turns(eqx.Module):
    """When each owned point of an axis has its impulse, out of ``count`` turns."""

    turn: jax.Array
    count: int = eqx.field(static=True)


def _turns(n: int, apart: int, owned: range) -> _Turns:
    """The axis in parts of at least ``apart`` points; points at one place of their parts act
    together. So they are at least ``apart`` from each other, also around a periodic axis."""
    parts = max(1, n // apart)
    starts = np.arange(parts) * n // parts
    points = np.asarray(owned)
    turn = points - starts[np.searchsorted(starts, points, side="right") - 1]
    return _Turns(jnp.asarray(turn), -(-n // parts))


def _signs(domain: Domain, seed: int) -> jax.Array:
    """+1 or -1 at the owned points ``(ny, nx)``, the same on every number of ranks."""

    def row(j: int) -> np.ndarray:
        return np.random.default_rng([seed, j]).choice([-1.0, 1.0], domain.global_shape[1])

    return jnp.asarray(np.stack([row(j) for j in domain.block.y])[:, _columns(domain)])


def _columns(domain: Domain) -> slice:
    return slice(domain.block.x.start, domain.block.x.stop)


def _spacing(
    grid: Grid, location: Location, scale: Any, separation: float | None
) -> tuple[int, int]:
    """Points (y, x) between impulses, the same on all ranks; the whole axes for one at a time."""
    domain = grid.domain
    if separation is None:
        return domain.global_shape
    metrics = (points_around(m, location, domain)[1:-1, 1:-1] for m in (grid.dy, grid.dx))
    most = [float(np.max(separation * np.asarray(scale) / metric)) for metric in metrics]
    along_y, along_x = (
        math.ceil(max(each)) for each in zip(*domain.comm.allgather(most), strict=True)
    )
    return min(along_y, domain.global_shape[0]), min(along_x, domain.global_shape[1])
