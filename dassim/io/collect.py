"""Which ranks write for which: each for itself, or a few for the blocks around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dassim.io.geometry import Geometry, assemble, join
from dassim.parallel import AbstractCommunicator, Decomposition, DecompositionError, Domain
from dassim.parallel.communicator import SerialCommunicator
from dassim.parallel.decomposition import Block


@dataclass(frozen=True)
class Collector:
    """One part of the grid: the ranks of ``group``, whose first one writes their ``region``.

    Parts are numbered from 0 to ``count - 1``; ``blocks`` are those of the group's ranks.
    """

    group: AbstractCommunicator
    blocks: tuple[Block, ...]
    region: Block
    number: int
    count: int
    axes: tuple[set[str], set[str]] = field(default=(set(), set()))

    @classmethod
    def create(cls, domain: Domain, writers: int | None, geometry: Geometry) -> Collector:
        """``writers`` ranks at most, ``None`` for all. All ranks call this together."""
        axes = {d[1] for d in geometry.dims.values()}, {d[2] for d in geometry.dims.values()}
        rank, ranks = domain.comm.rank, domain.decomposition
        if writers is None:
            own = domain.block
            return cls(SerialCommunicator(), (own,), own, rank, ranks.size, axes)
        parts = _parts(ranks.layout, writers)
        number = _part_of(parts, ranks.position(rank))
        members = [r for r in range(ranks.size) if _part_of(parts, ranks.position(r)) == number]
        blocks = tuple(ranks.block(member) for member in members)
        region = Block(
            range(blocks[0].y.start, blocks[-1].y.stop), range(blocks[0].x.start, blocks[-1].x.stop)
        )
        return cls(domain.comm.split(number), blocks, region, number, parts.size, axes)

    @property
    def writes(self) -> bool:
        return self.group.is_root

    def geometry(self, own: Geometry) -> Geometry | None:
        """That of the region, on its writer."""
        parts = self.group.gather(own)
        return None if parts is None else join(parts, self.blocks, self.region)

    def field(self, own: np.ndarray | Exception) -> np.ndarray | None:
        """The region of a field, on its writer, from the owned points of all its ranks.

        A rank that has an error to send instead raises it on the writer, too.
        """
        parts = self.group.gather(own)
        if parts is None:
            return None
        for part in parts:
            if isinstance(part, Exception):
                raise part
        if len(parts) == 1:
            return parts[0]
        dims: Sequence[Any] = [None] * (parts[0].ndim - 2)
        y, x = (next(iter(names)) for names in self.axes)
        return assemble(parts, (*dims, y, x), self.axes, self.blocks, self.region)


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
