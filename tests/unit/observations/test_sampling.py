"""Synthetic observations: where they are, and their errors."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from dassim.observations.placing import Moments, Placer
from dassim.observations.sampling import Design, sample
from tests.models.observed import NX, NY, NZ, VARIABLES, sea

MOMENTS = Moments(0.0, (10.0,))
SIZES = {"x": 1e4 * NX, "y": 1e4 * NY}


def test_errors_are_independent_of_positions():
    """At the scale of the basin and of its parts. Of several seeds: draws of one stream that are
    used in two ways lose step after about a hundred."""
    placer = Placer.on(sea(), MOMENTS)
    still = {"T": jnp.zeros((NZ, NY, NX))}

    def observed(seed):
        design = Design({"T": 1.0}, columns=100, depths=(5.0,), seed=seed)
        where = design.table(placer.axes, MOMENTS)
        return sample(placer, VARIABLES, where, lambda _: still, seed=seed)

    tables = [observed(seed) for seed in range(6)]
    errors = np.concatenate([table.value for table in tables])
    assert errors.size > 500 and np.std(errors) == pytest.approx(1.0, rel=0.1)
    for axis, size in SIZES.items():
        shares = np.concatenate([getattr(table, axis) for table in tables]) / size
        for parts in (1, 2, 4, 8, 16):
            found = np.corrcoef([errors, np.abs(errors), parts * shares % 1.0])[2, :2]
            assert np.abs(found).max() < 4 / np.sqrt(errors.size), (axis, parts)
