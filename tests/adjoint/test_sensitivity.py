"""What the transport of a channel depends on: by the adjoint, by finite differences, and by what is
known of Ekman layers and of the thermal wind."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from dassim.assimilation.differences import Verdict
from dassim.assimilation.objectives import compare_at_points
from dassim.config import Namelist, NamelistWarning, load
from dassim.config.experiment import build_experiment
from dassim.config.sensitivity import build_sensitivity, magnitudes
from dassim.parallel import SerialCommunicator
from tests.models.namelists import PROJECT, SMALLER

CHANNEL = PROJECT / "namelists" / "assimilation" / "channel_sensitivity_coarse.yaml"
BY = ("stress_x", "stress_y", "T", "vertical_diffusivity")
TOLERANCE = 1e-5


CENTRED = [f"physics.{flux}={{type: centred, order: 4}}" for flux in ("tracers", "momentum.scheme")]


def small_channel(folder, *schemes: str):
    """Six hours from rest: a third of an inertial period, in which long waves cross the channel
    several times."""
    overrides = [
        *SMALLER["reentrant_channel_coarse"],
        "sensitivity.window.length=6 h",
        "sensitivity.adjoint.segment=6 h",
        f"sensitivity.by=[{', '.join(BY)}]",
        *schemes,
    ]
    namelist = load(CHANNEL, Namelist, overrides=overrides).namelist
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NamelistWarning)
        experiment = build_experiment(namelist, SerialCommunicator())
    return build_sensitivity(namelist, experiment, folder)


@pytest.fixture(scope="module")
def problem(tmp_path_factory):
    return small_channel(tmp_path_factory.mktemp("sweep"))


@pytest.fixture(scope="module")
def gradient(problem):
    return problem.objective(problem.objective.transform.zero()).gradient


def comparisons(problem, gradient):
    found = list(compare_at_points(problem.objective, gradient, magnitudes(problem), 1, TOLERANCE))
    assert sorted(problem.names[each.name] for each in found) == sorted(BY)
    return found


def test_the_derivatives_agree_with_finite_differences(problem, gradient):
    for each in comparisons(problem, gradient):
        assert each.verdict(TOLERANCE) is Verdict.AGREES and each.apart <= TOLERANCE, each


def test_without_upwinding_they_agree_to_the_tolerance(tmp_path):
    problem = small_channel(tmp_path, *CENTRED)
    gradient = problem.objective(problem.objective.transform.zero()).gradient
    for each in comparisons(problem, gradient):
        assert each.apart <= TOLERANCE, each


def test_winds_push_as_they_do_in_the_southern_hemisphere(problem, gradient):
    """Wind to the east drives water to the east wherever it blows. Wind to the north drives it to
    the left of the wind, to the west: at every latitude, where it blows all around."""
    by = {problem.names[path]: np.asarray(leaf) for path, leaf in gradient.distributed.items()}
    assert (by["stress_x"] >= 0.0).all() and by["stress_x"].sum() > 0.0
    inside = by["stress_y"][1:].sum(axis=1)  # the first row of faces is the southern wall
    assert (inside < 0.0).all()


def test_water_drawn_by_warmth_turns_to_its_left(problem, gradient):
    """Within hours the sea rises over light water, by its expansion at a depth -z times
    (H + z) / H. What flows there turns to its left: to the east where the warmth is in the
    south."""
    (path,) = (path for path, name in problem.names.items() if name == "T")
    by, model = np.asarray(gradient.distributed[path]), problem.objective.run.segment.model
    assert abs(by.sum()) < 1e-3 * abs(by).sum()  # the same warmth everywhere moves nothing
    faces = np.asarray(model.grid.levels.z.f.data).ravel()
    expected = (faces[:-1] - faces[1:]) * (0.5 * (faces[:-1] + faces[1:]) - faces[-1])
    rows = by.shape[1] * 7 // 20  # the middle of the gap, 700 km of 2000 km
    for sign, half in ((1.0, by[:, :rows]), (-1.0, by[:, rows:])):
        found = sign * half.sum(axis=(1, 2))
        np.testing.assert_allclose(found / found.sum(), expected / expected.sum(), rtol=0.15)
        assert found.sum() > 0.0


BASIN = """
name: basin
source: Tests of sensitivities
model: ocean
grid: {type: cartesian, nx: 4, ny: 8, lx: 200 km, ly: 400 km, periodic: [x], f0: -1e-4 s-1}
vertical: {type: uniform, nz: 5, depth: 1000 m}
bathymetry: {type: flat}
time: {duration: 6 d, step: 1 h}
physics:
  eos: {type: linear, alpha: 2e-4, beta: 0.0}
  gravity: 9.81 m s-2
  drag: {linear: 1e-2 m s-1}
initial: {T: 10 degC, S: 35}
sensitivity:
  window: {length: 6 d}
  objective: {type: transport, x: 100 km}
  by: [T]
  adjoint: {segment: 6 d}
"""


def test_the_transport_that_drag_leaves_is_that_of_the_thermal_wind(tmp_path):
    """Once drag has brought the lowest level to rest, 1 K from wall to wall, warm to the north,
    carries g alpha / |f| times the integral of z - z_lowest to the east."""
    (tmp_path / "basin.yaml").write_text(BASIN)
    loaded = load(tmp_path / "basin.yaml", Namelist)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NamelistWarning)
        experiment = build_experiment(loaded.namelist, SerialCommunicator())
    problem = build_sensitivity(loaded.namelist, experiment, tmp_path / "sweep")
    gradient = problem.objective(problem.objective.transform.zero()).gradient
    ((_, by),) = gradient.distributed.items()
    warmth = (np.arange(8) + 0.5) / 8
    found = np.sum(np.asarray(by) * warmth[:, None])
    heights = 200.0 * np.arange(5)
    assert found == pytest.approx(9.81 * 2e-4 / 1e-4 * 200.0 * heights.sum() / 1e6, rel=5e-2)
