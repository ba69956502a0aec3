"""Namelists of the atmosphere on few points: the same state on any number of ranks."""

from __future__ import annotations

import numpy as np
import pytest

from dassim.config import Namelist, load
from dassim.config.errors import NamelistError
from dassim.config.experiment import build_experiment
from dassim.parallel import world
from tests.models.namelists import ATMOSPHERE, SMALLER, build, differences_between_ranks, integrate

STEPS = 100


HYBRID = ("grid.nx=32", "grid.ny=16", "vertical={type: smooth_hybrid, nz: 5, top: 10 hPa}")
CASES = {
    **{name: (name, SMALLER[name]) for name in ("galewsky", "held_suarez", "aquaplanet")},
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


@pytest.mark.ranks(2)
def test_circles_that_are_divided_are_refused():
    loaded = load(ATMOSPHERE["galewsky"], Namelist, overrides=["decomposition.layout=[1, 2]"])
    with pytest.raises(NamelistError, match=r"write layout: \[2, 1\], or auto"):
        build_experiment(loaded.namelist, world())
