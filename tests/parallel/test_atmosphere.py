"""Namelists of the atmosphere on few points: the same state on any number of ranks."""

from __future__ import annotations

import numpy as np
import pytest

from dassim.parallel import world
from tests.models.namelists import ATMOSPHERE, SMALLER, build, differences_between_ranks, integrate

STEPS = 100


HYBRID = ("grid.nx=32", "grid.ny=16", "vertical={type: smooth_hybrid, nz: 5, top: 10 hPa}")
CASES = {
    **{name: (name, SMALLER[name]) for name in ATMOSPHERE},
    "hybrid": ("held_suarez", HYBRID),
}


@pytest.mark.parametrize(("name", "smaller"), CASES.values(), ids=CASES)
def test_a_hundred_steps_are_the_same_as_on_one_rank(name, smaller):
    differences = differences_between_ranks(name, STEPS, smaller)
    assert max(differences.values()) <= 1e-12, differences


@pytest.mark.parametrize("name", ATMOSPHERE)
@pytest.mark.ranks(1)
def test_steps_are_finite_and_change_the_state(name):
    start = build(name, SMALLER[name])
    end = integrate(start.model, start.parameters, start.state, 4)
    assert float(end.time) == 4 * start.model.time_step
    assert all(np.isfinite(field.data).all() for field in end.fields().values())
    assert float(abs(end.u - start.state.u).max()) > 1e-6


LAYOUTS = {2: "[1, 2]", 3: "[1, 3]", 4: "[2, 2]"}
"""Circles of latitude divided over ranks, by the number of these."""


@pytest.mark.parametrize("name", ["galewsky", "held_suarez"])
@pytest.mark.ranks(2, 3, 4)
def test_circles_that_are_divided_are_gathered_and_filtered(name):
    divided = [f"decomposition.layout={LAYOUTS[world().size]}"]
    differences = differences_between_ranks(name, 10, SMALLER[name], divided)
    assert max(differences.values()) <= 1e-12, differences
