"""The part of the global (y, x) index space that this rank owns, and its ties to the others.

The one object through which the numerics see other ranks. Local arrays end in ``(..., y, x)`` and
hold owned points only; :meth:`Domain.exchange` returns them with halos.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from operator import index
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from dassim.parallel.communicator import (
    AbstractCommunicator,
    SerialCommunicator,
    world,
)
from dassim.parallel.decomposition import Block, Decomposition, DecompositionError
from dassim.parallel.primitives import Neighbours, Ranks, all_extreme, all_sum, neighbour_swap
from dassim.parallel.standin import StandInCommunicator

Tree = TypeVar("Tree")

Array = TypeVar("Array", jax.Array, np.ndarray)

REAL = frozenset(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)) | {
    "float32",
    "float64",
}
NUMBERS = REAL | {"complex64", "complex128"}
"""Types of numbers that MPI knows; others are refused on one rank, too."""


@dataclass(frozen=True)
class Domain:
    """A decomposition seen from one rank of a communicator. Hashable, static under ``jit``."""

    comm: AbstractCommunicator
    decomposition: Decomposition

    def __post_init__(self):
        if self.comm.size != self.decomposition.size:
            raise DecompositionError(
                f"a layout of {self.decomposition.layout} (y, x) needs {self.decomposition.size} "
                f"ranks, found {self.comm.size}"
            )

    @classmethod
    def create(
        cls,
        shape: tuple[int, int],
        *,
        periodic: tuple[bool, bool] = (False, False),
        layout: tuple[int, int] | None = None,
        minimum: int = 1,
        comm: AbstractCommunicator | None = None,
    ) -> Domain:
        """Divide ``shape = (ny, nx)`` over the ranks of ``comm`` (default: all of this run)."""
        comm = world() if comm is None else comm
        return cls(
            comm,
            Decomposition.choose(
                shape, comm.size, layout=layout, periodic=periodic, minimum=minimum
            ),
        )

    @classmethod
    def serial(
        cls, shape: tuple[int, int], *, periodic: tuple[bool, bool] = (False, False)
    ) -> Domain:
        """The whole of ``shape = (ny, nx)`` on this process alone."""
        return cls.create(shape, periodic=periodic, comm=SerialCommunicator())

    # -- where this rank is ---------------------------------------------------------------------

    @cached_property
    def block(self) -> Block:
        return self.decomposition.block(self.comm.rank)

    @property
    def shape(self) -> tuple[int, int]:
        """Owned points ``(ny, nx)`` of this rank."""
        return self.block.shape

    @property
    def global_shape(self) -> tuple[int, int]:
        return self.decomposition.shape

    @property
    def periodic(self) -> tuple[bool, bool]:
        return self.decomposition.periodic

    # -- messages, inside compiled programs -------------------------------------------------------

    def exchange(self, fields: Tree, width: int | tuple[int, int]) -> Tree:
        """``fields`` with halos ``width`` points wide (or ``(y, x)`` widths) on all four sides.

        Each leaf ``(..., ny, nx)`` grows to ``(..., ny + 2 w, nx + 2 w)``. Halos hold the
        neighbours' owned values, corners included, and zeros behind walls. All leaves travel
        together: one message per direction. Linear, differentiable in both modes.
        """
        wy, wx = halo_widths(width)
        leaves, tree = jax.tree.flatten(fields)
        for leaf in leaves:
            _require_type(leaf, NUMBERS | {"bool"})
            if leaf.shape[-2:] != self.shape:
                raise ValueError(
                    f"found an array of shape {leaf.shape}; exchange expects the owned points "
                    f"(..., {self.shape[0]}, {self.shape[1]}) of this rank"
                )
        leaves = self._extend(leaves, axis=1, width=wx)
        leaves = self._extend(leaves, axis=0, width=wy)
        return jax.tree.unflatten(tree, leaves)

    def whole_rows(self, values: jax.Array) -> jax.Array:
        """``(..., n, nx)`` of all ranks along x that own the same rows, from west to east; on each
        of them, which all call this with as many rows. Linear, differentiable in both modes.

        In a ring: strips are handed on eastwards and westwards until all have come by.
        """
        count = self.decomposition.layout[1]
        if count == 1:
            return values
        if not self.periodic[1]:
            raise ValueError("whole_rows: found walls along x; expected a grid periodic in x")
        _, own = self.decomposition.position(self.comm.rank)
        widths = self.decomposition.widths_along_x
        padding = [(0, 0)] * (values.ndim - 1) + [(0, max(widths) - values.shape[-1])]
        eastwards = westwards = strips = jnp.pad(values, padding)
        parts = {own: strips}
        for distance in range(1, count // 2 + 1):
            eastwards, westwards = neighbour_swap(westwards, eastwards, self.neighbours[1])
            parts[(own - distance) % count] = eastwards
            parts[(own + distance) % count] = westwards
        whole = [parts[column][..., :width] for column, width in enumerate(widths)]
        return jnp.concatenate(whole, axis=-1)

    def sum(self, x: Any) -> jax.Array:
        """Elementwise sum over ranks. Linear and its own transpose, since a cost is the sum over
        ranks of local shares."""
        x = _require_type(jnp.asarray(x), NUMBERS)
        return all_sum(x, self.comm) if isinstance(self.comm, Ranks) else x

    def max(self, x: Any) -> jax.Array:
        """Elementwise maximum over ranks, of booleans whether any holds; constant under
        differentiation."""
        return self._extreme(x, "max")

    def min(self, x: Any) -> jax.Array:
        """Elementwise minimum over ranks, of booleans whether all hold; constant under
        differentiation."""
        return self._extreme(x, "min")

    def dot(self, a: Any, b: Any) -> jax.Array:
        """Inner product of two trees of owned points, over all leaves and ranks."""
        return self.sum(self.local_dot(a, b))

    @staticmethod
    def local_dot(a: Any, b: Any) -> jax.Array:
        """This rank's share of :meth:`dot`."""
        products = jax.tree.map(lambda p, q: jnp.sum(jnp.asarray(p) * q), a, b)
        return sum(jax.tree.leaves(products), start=jnp.zeros(()))

    def _extreme(self, x: Any, op: str) -> jax.Array:
        x = _require_type(jnp.asarray(x), REAL | {"bool"})
        if not isinstance(self.comm, Ranks):
            return jax.lax.stop_gradient(x)
        if x.dtype == bool:  # of which MPI has no largest
            return all_extreme(x.astype(jnp.uint8), self.comm, op).astype(bool)
        return all_extreme(x, self.comm, op)

    def _extend(self, leaves: list[jax.Array], axis: int, width: int) -> list[jax.Array]:
        if width == 0 or not leaves:
            return leaves
        if self.decomposition.layout[axis] == 1:
            extended = _wrapped if self.periodic[axis] else _between_zeros
            return [extended(leaf, axis, width) for leaf in leaves]
        self.decomposition.require_width(width)
        lows, highs = (
            [_slice(leaf, axis, edge) for leaf in leaves]
            for edge in (slice(0, width), slice(-width, None))
        )
        from_low, from_high = self._swap(lows, highs, axis)
        return [
            jnp.concatenate(parts, axis=axis - 2)
            for parts in zip(from_low, leaves, from_high, strict=True)
        ]

    def _swap(self, lows: list[jax.Array], highs: list[jax.Array], axis: int):
        neighbours = self.neighbours[axis]
        from_low: list[Any] = [None] * len(lows)
        from_high: list[Any] = [None] * len(lows)
        for dtype in dict.fromkeys(low.dtype for low in lows):
            of_type = [i for i, low in enumerate(lows) if low.dtype == dtype]
            received = neighbour_swap(
                _pack([lows[i] for i in of_type]),
                _pack([highs[i] for i in of_type]),
                neighbours,
            )
            shapes = [lows[i].shape for i in of_type]
            for i, low, high in zip(
                of_type, *(_unpack(message, shapes) for message in received), strict=True
            ):
                from_low[i], from_high[i] = low, high
        return from_low, from_high

    @cached_property
    def neighbours(self) -> tuple[Neighbours, Neighbours]:
        """The ranks on either side along y and along x."""
        assert isinstance(self.comm, Ranks)
        at = [
            [self.decomposition.neighbour(self.comm.rank, axis, step) for step in (-1, 1)]
            for axis in (0, 1)
        ]
        return Neighbours(self.comm, *at[0]), Neighbours(self.comm, *at[1])

    # -- whole fields, on the host ----------------------------------------------------------------

    def local(self, whole: Any, width: int = 0, beyond: float | None = 0.0) -> np.ndarray:
        """This rank's points of a global ``(..., ny, nx)`` array, with ``width`` points of halo.

        ``whole`` may be a NumPy array or anything sliced like one (an open netCDF or HDF5
        variable): only the rows and columns needed are read. Behind walls stands ``beyond``, or
        the nearest point where ``beyond`` is ``None``.
        """
        if tuple(whole.shape[-2:]) != self.global_shape:
            raise ValueError(
                f"found an array of shape {tuple(whole.shape)}; expected (..., "
                f"{self.global_shape[0]}, {self.global_shape[1]}), the global grid"
            )
        ys, xs = (
            np.arange(owned.start - width, owned.stop + width)
            for owned in (self.block.y, self.block.x)
        )
        inside_y, iy = self._inside(ys, 0)
        inside_x, ix = self._inside(xs, 1)
        rows, columns = _hull(iy), _hull(ix)
        window = np.asarray(whole[..., rows, columns])
        values = window[..., (iy - rows.start)[:, None], ix - columns.start]
        if beyond is None:
            return values
        return np.where(inside_y[:, None] & inside_x, values, np.asarray(beyond, values.dtype))

    def _inside(self, indices: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
        """Which of ``indices`` lie inside the domain, and the nearest index that does."""
        n = self.global_shape[axis]
        if self.periodic[axis]:
            return np.ones(indices.shape, bool), indices % n
        return (indices >= 0) & (indices < n), np.clip(indices, 0, n - 1)

    def gather(self, owned: Any) -> np.ndarray:
        """The global ``(..., ny, nx)`` array of which each rank gives its owned points.

        On every rank's host memory: for tests, small fields and figures.
        """
        owned = np.asarray(owned)
        whole = np.empty((*owned.shape[:-2], *self.global_shape), owned.dtype)
        for rank, part in enumerate(self.comm.allgather(owned)):
            block = self.decomposition.block(rank)
            if isinstance(self.comm, StandInCommunicator):
                part = _image(part, block.shape)
            if part.shape != (*owned.shape[:-2], *block.shape):
                raise ValueError(
                    f"found an array of shape {part.shape} on rank {rank}; gather expects its "
                    f"owned points {(*owned.shape[:-2], *block.shape)}"
                )
            whole[..., block.y.start : block.y.stop, block.x.start : block.x.stop] = part
        return whole


def halo_widths(width: int | tuple[int, int]) -> tuple[int, int]:
    """The widths of a halo in y and x, given as one for both or as a pair."""
    wy, wx = width if isinstance(width, tuple | list) else (width, width)
    return index(wy), index(wx)


def _require_type(x: Array, known: frozenset[str]) -> Array:
    if x.dtype.name not in known:
        raise TypeError(
            f"found an array of {x.dtype.name}; expected one of {', '.join(sorted(known))}; "
            f"convert it with astype"
        )
    return x


def _slice(array: jax.Array, axis: int, part: slice) -> jax.Array:
    index = (part, slice(None)) if axis == 0 else (slice(None), part)
    return array[(..., *index)]


def _wrapped(array: jax.Array, axis: int, width: int) -> jax.Array:
    """``array`` continued periodically, by as many turns as ``width`` takes."""
    turns, rest = divmod(width, array.shape[axis - 2])
    parts = [array] * (2 * turns + 1)
    if rest:
        low, high = slice(-rest, None), slice(0, rest)
        parts = [_slice(array, axis, low), *parts, _slice(array, axis, high)]
    return jnp.concatenate(parts, axis=axis - 2)


def _between_zeros(array: jax.Array, axis: int, width: int) -> jax.Array:
    """Two copies, where ``jnp.pad`` would be a loop with a condition at every point on CPUs."""
    zeros = jnp.zeros_like(_slice(array, axis, slice(0, 1)))
    zeros = jnp.concatenate([zeros] * width, axis=axis - 2)
    return jnp.concatenate([zeros, array, zeros], axis=axis - 2)


def _image(part: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """``part``, repeated or cut to ``(..., *shape)``."""
    rows, columns = (np.arange(n) % m for n, m in zip(shape, part.shape[-2:], strict=True))
    return part[..., rows[:, None], columns]


def _hull(indices: np.ndarray) -> slice:
    return slice(int(indices.min()), int(indices.max()) + 1)


def _pack(strips: list[jax.Array]) -> jax.Array:
    return jnp.concatenate([strip.ravel() for strip in strips])


def _unpack(message: jax.Array, shapes: list[tuple[int, ...]]) -> list[jax.Array]:
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    parts = jnp.split(message, ends[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
