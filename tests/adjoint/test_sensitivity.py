"""What the transport of a re-entrant channel depends on: by the adjoint, by finite differences, and
by what is known of Ekman layers."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from dassim.assimilation.objectives import compare_at_points, value
from dassim.config import Namelist, NamelistWarning, load
from dassim.config.experiment import build_experiment
from dassim.config.sensitivity import build_sensitivity, difference_steps
from dassim.parallel import SerialCommunicator
from tests.models.namelists import PROJECT, SMALLER

CHANNEL = PROJECT / "namelists" / "assimilation" / "channel_sensitivity_coarse.yaml"
BY = ("stress_x", "stress_y", "T", "vertical_diffusivity")
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def problem(tmp_path_factory):
    """Six hours from rest: a third of an inertial period, in which long waves cross the channel
    several times."""
    overrides = [
        *SMALLER["reentrant_channel_coarse"],
        "sensitivity.window.length=6 h",
        "sensitivity.adjoint.segment=6 h",
        f"sensitivity.by=[{', '.join(BY)}]",
    ]
    namelist = load(CHANNEL, Namelist, overrides=overrides).namelist
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NamelistWarning)
        experiment = build_experiment(namelist, SerialCommunicator())
    return build_sensitivity(namelist, experiment, tmp_path_factory.mktemp("sweep"))


@pytest.fixture(scope="module")
def gradient(problem):
    return problem.objective(problem.objective.transform.zero()).gradient


def test_the_derivatives_agree_with_finite_differences(problem, gradient):
    total = value(problem.objective, problem.objective.transform.zero())
    steps = difference_steps(problem, total, gradient)
    found = list(compare_at_points(problem.objective, gradient, steps, 1, tolerance=TOLERANCE))
    assert sorted(problem.names[each.name] for each in found) == sorted(BY)
    for each in found:
        assert each.apart <= TOLERANCE, each


def test_winds_push_as_they_do_in_the_southern_hemisphere(problem, gradient):
    """Wind to the east drives water to the east wherever it blows. Wind to the north drives it to
    the left of the wind, to the west: at every latitude, where it blows all around."""
    by = {problem.names[path]: np.asarray(leaf) for path, leaf in gradient.distributed.items()}
    assert (by["stress_x"] >= 0.0).all() and by["stress_x"].sum() > 0.0
    inside = by["stress_y"][1:].sum(axis=1)  # the first row of faces is the southern wall
    assert (inside < 0.0).all()
