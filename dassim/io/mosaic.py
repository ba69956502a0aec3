"""Global fields from the rectangles that parts hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

ALONG_Y = frozenset({"y", "y_v", "lat", "lat_v", "row"})
ALONG_X = frozenset({"x", "x_u", "lon", "lon_u", "column"})
"""Names of horizontal dimensions in files of fields."""


class Region(NamedTuple):
    """A rectangle of global indices, (y, x): where it starts, and how many points it has."""

    start: tuple[int, int]
    shape: tuple[int, int]

    @classmethod
    def of(cls, y: range, x: range) -> Region:
        return cls((y.start, x.start), (len(y), len(x)))

    @classmethod
    def around(cls, regions: Sequence[Region]) -> Region:
        """The rectangle that ``regions`` make up."""
        low = np.min([region.start for region in regions], axis=0)
        high = np.max([np.add(region.start, region.shape) for region in regions], axis=0)
        return cls((int(low[0]), int(low[1])), (int(high[0] - low[0]), int(high[1] - low[1])))


def horizontal_axis(dimension: str) -> int | None:
    """0 for a dimension along y, 1 along x, ``None`` for any other."""
    return 0 if dimension in ALONG_Y else 1 if dimension in ALONG_X else None


def assemble(
    parts: Sequence[np.ndarray], dims: Sequence[str], regions: Sequence[Region], whole: Region
) -> np.ndarray:
    """The array on ``whole`` from its ``parts`` on ``regions``; ``dims`` name its axes."""

    def place(dimension: str, region: Region) -> slice:
        axis = horizontal_axis(dimension)
        if axis is None:
            return slice(None)
        start = region.start[axis] - whole.start[axis]
        return slice(start, start + region.shape[axis])

    axes = [horizontal_axis(dimension) for dimension in dims]
    shape = tuple(
        n if axis is None else whole.shape[axis]
        for axis, n in zip(axes, parts[0].shape, strict=True)
    )
    array = np.empty(shape, parts[0].dtype)
    for part, region in zip(parts, regions, strict=True):
        array[tuple(place(dimension, region) for dimension in dims)] = part
    return array
