"""Every namelist of the ocean validates, builds, and steps."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from tests.models.namelists import OCEAN, SMALLER, build, integrate

each_namelist = pytest.mark.parametrize("name", OCEAN)


@pytest.fixture(autouse=True)
def data(data_directory, monkeypatch):
    monkeypatch.setenv("DASSIM_DATA", str(data_directory))


@each_namelist
@pytest.mark.timeout(300)
def test_two_steps_are_finite_and_change_the_state(name):
    experiment = build(name, SMALLER.get(name, ()))
    start = experiment.state
    end = integrate(experiment.model, experiment.parameters, start, 2)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(end))
    assert float(end.time) == 2 * experiment.model.time_step
    moved = max(float(abs(after - before).max()) for after, before in [(end.u, start.u)])
    if name == "seamount":
        assert moved < 1e-12
    else:
        assert moved > 1e-6


def test_files_are_named_as_their_experiments():
    from dassim.config import Namelist, load

    for stem, path in OCEAN.items():
        assert load(path, Namelist).namelist.name == stem
