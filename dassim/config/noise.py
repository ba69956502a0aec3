"""Noise that is the same over the whole grid for every number of ranks."""

from __future__ import annotations

import zlib

import numpy as np

from dassim.parallel import Domain


def normal_noise(domain: Domain, levels: int, name: str, seed: int) -> np.ndarray:
    """Standard normal numbers ``(levels, ny, nx)`` at this rank's points: of each global row a
    stream of its own, from ``seed``, the variable's ``name`` and the row."""
    columns = slice(domain.block.x.start, domain.block.x.stop)
    variable = zlib.crc32(name.encode())

    def row(j: int) -> np.ndarray:
        generator = np.random.default_rng([seed, variable, j])
        return generator.standard_normal((levels, domain.global_shape[1]))[:, columns]

    return np.stack([row(j) for j in domain.block.y], axis=1)
