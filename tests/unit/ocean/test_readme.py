"""The README's ocean runs as it stands."""

from __future__ import annotations

import numpy as np
import pytest

from tests.models.readme import run_example


@pytest.mark.timeout(300)  # most of it compiles
def test_the_energy_of_the_example_depends_on_where_it_is_warm():
    names = run_example("OceanModel")
    slope = np.asarray(names["slope"])
    assert names["energy"] > 0.0
    assert slope.shape == names["model"].grid.shape == (3, 16, 16)
    assert np.isfinite(slope).all()
    # Warmer water everywhere is no front: only differences set it in motion.
    assert abs(slope.sum()) < 1e-3 * abs(slope).sum()
