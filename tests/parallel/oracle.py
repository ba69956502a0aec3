"""What the parallel layer should do, written with whole NumPy arrays and no ranks."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from dassim.parallel import AbstractCommunicator, Domain

WALLS_AND_WRAPS = list(itertools.product((False, True), repeat=2))


def every_domain(
    comm: AbstractCommunicator,
    shape: tuple[int, int],
    periodic: tuple[bool, bool],
    width: int = 5,
) -> Iterator[Domain]:
    """``shape`` over the ranks in every layout whose blocks can fill a halo of ``width``."""
    for py in range(1, comm.size + 1):
        px = comm.size // py
        divided = [n // p for n, p in zip(shape, (py, px), strict=True) if p > 1]
        if py * px == comm.size and min(divided, default=width) >= width:
            yield Domain.create(shape, periodic=periodic, layout=(py, px), comm=comm)


def padded(whole: Any, widths: tuple[int, int], periodic: tuple[bool, bool]) -> np.ndarray:
    """``whole (..., ny, nx)`` with halos: wrapped around, or zeros behind a wall."""
    whole = np.asarray(whole)
    for axis, width, wraps in zip((-2, -1), widths, periodic, strict=True):
        pads = [(0, 0)] * whole.ndim
        pads[axis] = (width, width)
        whole = np.pad(whole, pads, mode="wrap" if wraps else "constant")
    return whole


def block_of(whole: Any, domain: Domain, widths: tuple[int, int] = (0, 0)) -> np.ndarray:
    """This rank's block of ``whole`` with halos, cut out of the padded global array."""
    rows, columns = (
        slice(owned.start, owned.stop + 2 * width)
        for owned, width in zip((domain.block.y, domain.block.x), widths, strict=True)
    )
    return padded(whole, widths, domain.periodic)[..., rows, columns]


def both(width: int | tuple[int, int]) -> tuple[int, int]:
    return width if isinstance(width, tuple) else (width, width)


def gathered(domain: Domain, tree: Any) -> Any:
    """Every leaf put together from the owned points of all ranks."""
    return jax.tree.map(domain.gather, tree)


def assert_same(found: Any, expected: Any, relative: float, what: Any = "") -> None:
    """Every leaf agrees to ``relative``, measured against the largest number of that leaf."""
    for (path, one), other in zip(
        jax.tree.leaves_with_path(found), jax.tree.leaves(expected), strict=True
    ):
        error = np.abs(np.asarray(one) - np.asarray(other)).max()
        scale = np.abs(other).max()
        assert scale > 0, f"{what} {jax.tree_util.keystr(path)}: the expected numbers are all zero"
        assert error <= relative * scale, (
            f"{what} {jax.tree_util.keystr(path)}: relative difference {error / scale:.1e}"
        )
