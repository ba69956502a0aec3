"""Division of a global (y, x) index space into one rectangular block per rank."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from operator import index

import numpy as np


class DecompositionError(ValueError):
    """The global grid cannot be divided as asked."""


@dataclass(frozen=True)
class Block:
    """The rectangle of global indices that one rank owns: rows ``y``, columns ``x``."""

    y: range
    x: range

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.y), len(self.x)


@dataclass(frozen=True)
class Decomposition:
    """Blocks of a global ``shape = (ny, nx)`` on a ``layout = (py, px)`` of ranks.

    Ranks are numbered row by row, x fastest. Blocks along an axis differ by at most one point,
    the larger ones first. ``periodic = (y, x)`` says which axes wrap around.

    >>> d = Decomposition(shape=(10, 8), layout=(3, 1), periodic=(False, True))
    >>> [len(d.block(rank).y) for rank in range(3)]
    [4, 3, 3]
    >>> d.neighbour(0, axis=0, step=-1) is None, d.neighbour(0, axis=1, step=-1)
    (True, 0)
    """

    shape: tuple[int, int]
    layout: tuple[int, int] = (1, 1)
    periodic: tuple[bool, bool] = (False, False)

    def __post_init__(self):
        for name, kind in (("shape", index), ("layout", index), ("periodic", bool)):
            object.__setattr__(self, name, tuple(map(kind, getattr(self, name))))
        for name, n, p in zip("yx", self.shape, self.layout, strict=True):
            if n < 1 or p < 1:
                raise DecompositionError(
                    f"found {n} points over {p} ranks along {name}; both must be at least 1"
                )
            if p > n:
                raise DecompositionError(
                    f"{n} points along {name} cannot be divided over {p} ranks; "
                    f"use at most {n} ranks along {name}, or a finer grid"
                )

    @classmethod
    def choose(
        cls,
        shape: tuple[int, int],
        size: int,
        *,
        layout: tuple[int, int] | None = None,
        periodic: tuple[bool, bool] = (False, False),
        minimum: int = 1,
        bands: bool = False,
    ) -> Decomposition:
        """The given layout if it fits ``size`` ranks, else the one with the shortest block edge;
        with ``bands`` the one with the longest rows, whole ones if there are enough.

        No block is narrower than ``minimum`` points (the widest halo that will be exchanged)
        along an axis that is divided. Of equal layouts the one with longer rows wins: rows are
        contiguous in memory.
        """
        if layout is not None:
            if layout[0] * layout[1] != size:
                raise DecompositionError(
                    f"layout {layout[0]} x {layout[1]} (y, x) needs {layout[0] * layout[1]} ranks, "
                    f"found {size}; start as many ranks, or use layout: auto"
                )
            chosen = cls(shape, layout, periodic)
            chosen.require_width(minimum)
            return chosen
        candidates = _layouts(shape, size, minimum)
        if size < 1:
            raise DecompositionError(f"found {size} ranks; expected at least 1")
        if not candidates:
            most = np.prod([max(1, n // max(minimum, 1)) for n in shape], dtype=int).item()
            fewer = next(
                n for n in range(min(size - 1, most), 0, -1) if _layouts(shape, n, minimum)
            )
            raise DecompositionError(
                f"{shape[0]} rows of {shape[1]} points cannot be divided over {size} ranks with "
                f"at least {minimum} points a block and axis; use fewer ranks (at most {fewer}) "
                f"or a finer grid"
            )

        def edge(candidate):
            py, px = candidate
            if bands:
                return px
            along_x = shape[1] / px if py > 1 else 0.0
            along_y = shape[0] / py if px > 1 else 0.0
            return along_x + along_y, px

        return cls(shape, min(candidates, key=edge), periodic)

    @property
    def size(self) -> int:
        return self.layout[0] * self.layout[1]

    @cached_property
    def _starts(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        def starts(n, p):
            quotient, rest = divmod(n, p)
            return tuple(np.cumsum([0] + [quotient + (i < rest) for i in range(p)]).tolist())

        return starts(self.shape[0], self.layout[0]), starts(self.shape[1], self.layout[1])

    @property
    def widths_along_x(self) -> tuple[int, ...]:
        """Points of the blocks of a row, from west to east."""
        return tuple(np.diff(self._starts[1]).tolist())

    def position(self, rank: int) -> tuple[int, int]:
        """Row and column of ``rank`` in the layout."""
        return divmod(rank, self.layout[1])

    def block(self, rank: int) -> Block:
        (row, column), (ys, xs) = self.position(rank), self._starts
        return Block(range(ys[row], ys[row + 1]), range(xs[column], xs[column + 1]))

    def neighbour(self, rank: int, axis: int, step: int) -> int | None:
        """The rank next to ``rank`` along ``axis`` (0: y, 1: x), ``None`` behind a wall."""
        position = list(self.position(rank))
        position[axis] += step
        if self.periodic[axis]:
            position[axis] %= self.layout[axis]
        elif not 0 <= position[axis] < self.layout[axis]:
            return None
        return position[0] * self.layout[1] + position[1]

    def require_width(self, width: int) -> None:
        """Raise unless every divided axis has blocks at least ``width`` points long."""
        for name, n, p in zip("yx", self.shape, self.layout, strict=True):
            if not _fits(n, p, width):
                raise DecompositionError(
                    f"{n} points along {name} over {p} ranks give blocks of {n // p} points, "
                    f"narrower than a halo of {width}; use at most {max(1, n // width)} ranks "
                    f"along {name}"
                )


def _fits(n: int, p: int, minimum: int) -> bool:
    """Whether ``n`` points over ``p`` ranks leave none without a point, or with too few."""
    return p == 1 or n // p >= max(minimum, 1)


def _layouts(shape: tuple[int, int], size: int, minimum: int) -> list[tuple[int, int]]:
    """All ``(py, px)`` of ``size`` ranks whose blocks are at least ``minimum`` points long."""
    layouts = ((py, size // py) for py in range(1, min(size, shape[0]) + 1) if size % py == 0)
    return [
        (py, px)
        for py, px in layouts
        if _fits(shape[0], py, minimum) and _fits(shape[1], px, minimum)
    ]
