"""Every namelist of the ocean steps, and gives the same state on any number of ranks.

``python -m tests.models.namelists`` compares at full size and over more steps.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.models.namelists import OCEAN, SMALLER, build, differences_between_ranks, integrate

STEPS = 5
AT_REST = ("seamount",)

each_namelist = pytest.mark.parametrize("name", OCEAN)
each_namelist_on_some_ranks = pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.ranks(2 + i % 2)) for i, name in enumerate(OCEAN)],
)


@pytest.fixture(autouse=True)
def data(data_directory, monkeypatch):
    monkeypatch.setenv("DASSIM_DATA", str(data_directory))


@each_namelist
@pytest.mark.ranks(1)
@pytest.mark.timeout(300)
def test_steps_are_finite_and_change_the_state(name):
    start = build(name, SMALLER.get(name, ()))
    end = integrate(start.model, start.parameters, start.state, STEPS)
    assert float(end.time) == STEPS * start.model.time_step
    assert all(np.isfinite(field.data).all() for field in end.fields().values())
    moved = float(abs(end.u - start.state.u).max())
    assert moved < 1e-12 if name in AT_REST else moved > 1e-6


@each_namelist_on_some_ranks
@pytest.mark.timeout(600)
def test_steps_are_the_same_as_on_one_rank(name):
    differences = differences_between_ranks(name, STEPS, SMALLER.get(name, ()))
    assert max(differences.values()) <= 1e-12, differences
