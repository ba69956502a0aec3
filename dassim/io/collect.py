"""Which ranks write for which: each for itself, or a few for the blocks around them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dassim.io.geometry import Geometry, join
from dassim.io.mosaic import Region, assemble
from dassim.parallel import AbstractCommunicator, Decomposition, DecompositionError, Domain
from dassim.parallel.communicator import SerialCommunicator


@dataclass(frozen=True)
class Collector:
    """One part of the grid: the ranks of ``group``, whose first one writes their ``region``.

    Parts are numbered from 0 to ``count - 1``; ``pieces`` are the blocks of the group's ranks.
    """

    group: AbstractCommunicator
    pieces: tuple[Region, ...]
    number: int
    count: int

    @classmethod
    def create(cls, domain: Domain, writers: int | None) -> Collector:
        """``writers`` ranks at most, ``None`` for all. All ranks call this together."""
        rank, ranks = domain.comm.rank, domain.decomposition

        def region(rank: int) -> Region:
            block = ranks.block(rank)
            return Region.of(block.y, block.x)

        if writers is None:
            return cls(SerialCommunicator(), (region(rank),), rank, ranks.size)
        parts = _parts(ranks.layout, writers)
        number = _part_of(parts, ranks.position(rank))
        members = [r for r in range(ranks.size) if _part_of(parts, ranks.position(r)) == number]
        pieces = tuple(region(member) for member in members)
        return cls(domain.comm.split(number), pieces, number, parts.size)

    @property
    def region(self) -> Region:
        return Region.around(self.pieces)

    @property
    def writes(self) -> bool:
        return self.group.is_root

    def geometry(self, own: Geometry) -> Geometry | None:
        """That of the region, on its writer."""
        parts = self.group.gather(own)
        return None if parts is None else join(parts, self.pieces)

    def field(self, own: np.ndarray | Exception) -> np.ndarray | None:
        """The region of a field ``(..., y, x)``, on its writer, from the owned points of all its
        ranks.

        A rank that has an error to send instead raises it on the writer, too.
        """
        parts = self.group.gather(own)
        if parts is None:
            return None
        for part in parts:
            if isinstance(part, Exception):
                raise part
        dims = (*[""] * (parts[0].ndim - 2), "y", "x")
        return assemble(parts, dims, self.pieces, self.region)


def _parts(layout: tuple[int, int], writers: int) -> Decomposition:
    """The layout of ranks divided over at most so many writers."""
    for count in range(min(writers, layout[0] * layout[1]), 1, -1):
        try:
            return Decomposition.choose(layout, count)
        except DecompositionError:
            continue
    return Decomposition(layout)


def _part_of(parts: Decomposition, position: tuple[int, int]) -> int:
    row, column = position
    return next(
        number
        for number in range(parts.size)
        if row in parts.block(number).y and column in parts.block(number).x
    )
