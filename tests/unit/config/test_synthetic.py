"""Observations of another run's snapshots."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from dassim.assimilation.data import DataError
from dassim.assimilation.window import Window
from dassim.config import NamelistError
from dassim.config.experiment import build_experiment
from dassim.config.observations import build_observations
from dassim.config.schema.observations import SyntheticSource
from dassim.config.synthetic import Nature
from dassim.config.text import as_yaml
from dassim.io.observations import read_table
from dassim.io.restarts import Moment, StateArchive
from dassim.io.stream import Clock
from dassim.simulation.clock import Clock as StepClock
from dassim.simulation.folder import RunFolder
from dassim.simulation.trees import named_leaves
from tests.models.observed import UNITS
from tests.unit.config.ocean import ocean

WINDOW = Window.of(0, 72, 36)


@pytest.fixture(scope="module")
def namelist():
    return ocean("initial.T={type: linear, axis: z, low: 0 degC, high: 15 degC}")


@pytest.fixture(scope="module")
def experiment(namelist):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return build_experiment(namelist)


@pytest.fixture(scope="module")
def nature(namelist, experiment, tmp_path_factory):
    """A run that warms by 1 K until its second snapshot, and has a sea level of 0.25 m."""
    run = RunFolder(tmp_path_factory.mktemp("nature"))
    run.namelist.write_text(as_yaml(namelist))
    clock = StepClock(experiment.time.start, experiment.time.calendar, experiment.time.step)
    archive = StateArchive(
        run.path / "snapshots", experiment.model.domain, experiment.model.variables, {}
    )
    state = experiment.state
    for number, step in enumerate(WINDOW.ends):
        then = replace(state, T=state.T + number, eta=jnp.full_like(state.eta, 0.25))
        moment = Moment(step, clock.seconds(step), clock.text(step), clock.label(step))
        archive.write(moment, named_leaves(then))
    return Nature(namelist, experiment, run.path)


def source(**keys):
    usual = {"errors": {"T": 0.1, "eta": 0.01}, "columns": 20, "noise": False}
    return SyntheticSource(name="floats", type="synthetic", **{**usual, **keys})


def built(nature, *sources, window=WINDOW):
    return build_observations(sources, nature.experiment, window, nature=nature)


def test_snapshots_are_observed_at_random_columns(nature):
    points = built(nature, source(depths=(40.0, 110.0)))
    assert points.count() == {"Jo.floats.T": 80, "Jo.floats.eta": 40}
    T, eta = (points.parts[f"Jo.floats.{name}"].placed for name in ("T", "eta"))
    expected = 15.0 * (1 - T.table.depth / 150.0) + T.moment
    np.testing.assert_allclose(T.table.value, expected, rtol=1e-12)
    np.testing.assert_allclose(eta.table.value, 0.25, rtol=1e-12)
    assert (T.table.error == 0.1).all() and (eta.table.error == 0.01).all()


def test_noise_has_the_size_that_it_is_said_to_have(nature):
    clear, noisy = (
        built(nature, source(columns=400, noise=noise)).parts["Jo.floats.T"].placed.table.value
        for noise in (False, True)
    )
    assert np.std(noisy - clear) == pytest.approx(0.1, rel=0.05)


def test_what_is_observed_can_be_saved_and_read_again(nature, tmp_path):
    path = tmp_path / "floats.nc"
    points = built(nature, source(every=72 * 1200.0, save=path))
    assert points.count() == {"Jo.floats.T": 80, "Jo.floats.eta": 20}
    table = read_table(path, Clock(nature.experiment.time.start), UNITS)
    assert len(table) == 100 and set(table.time) == {72 * 1200.0}


def test_a_snapshot_that_is_missing(nature):
    with pytest.raises(DataError, match="found no state of 2000-02-29 08:00:00 and 1 more"):
        built(nature, source(), window=Window.of(0, 72, 24))


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"errors": {"temp": 0.1}}, "errors: found 'temp'; expected one of "),
        ({"background_errors": {"TT": 1.0}}, "background_errors: found 'TT'; expected one of "),
        ({"save": Path("/nowhere/floats.nc")}, "save: found /nowhere/floats.nc, which cannot be"),
    ],
)
def test_what_cannot_be(nature, keys, expected):
    with pytest.raises(NamelistError) as caught:
        built(nature, source(**keys))
    (problem,) = caught.value.problems
    assert f"{problem.key}: {problem.message}".startswith(
        f"assimilation.observations[0].{expected}"
    )
