"""What a twin is refused for before its nature runs, and before the recovery begins."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax.numpy as jnp
import pytest

from dassim.assimilation.data import DataError, StateData, examined, states_at
from dassim.assimilation.recovery import Recovery
from dassim.assimilation.window import Window
from dassim.cli.twin import build_twin
from dassim.config import NamelistError
from dassim.config.assimilation import build_clock
from dassim.config.data import open_run, state_of_run
from dassim.config.experiment import Experiment, build_experiment
from dassim.config.schema.assimilation import StateOfRun
from dassim.config.text import as_yaml
from dassim.config.twin import require_known, truth_of_twin, wrong_first_guess
from dassim.io.restarts import Moment, StateArchive
from dassim.parallel import SerialCommunicator
from dassim.simulation.folder import RunFolder
from dassim.simulation.trees import named_leaves
from tests.models.plate import Plate
from tests.unit.config.ocean import SERIAL, ocean

TWIN = "twin={first_guess: {type: noise, size: {T: 1 K}}, forecast: 1 h}"
DATA = "data: [{errors: {T: 0.1 K}}]"
SECTION = "assimilation={{window: {{start: 1 h, length: 2 h}}, adjoint: {{segment: 1 h}}, {}}}"
SOUGHT = "control: {state: {T: 1 K}}"


def described(*parts: str, twin: str = TWIN) -> Any:
    return ocean("time.step=20 min", SECTION.format(", ".join([SOUGHT, *parts])), twin)


# -- before nature runs ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def water():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return build_experiment(ocean("time.step=20 min"), SERIAL)


SYNTHETIC = "observations: [{{name: floats, type: synthetic, columns: 5, {}}}]"
MISSING = "observations: [{name: floats, type: table, daily: /nowhere/%Y-%m-%d.nc}]"
CORRELATED = "background: {{type: correlated, {}}}"


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (MISSING, "observations[0].daily: found no 2000-02-29.nc in /nowhere"),
        (SYNTHETIC.format("errors: {TT: 1}"), "observations[0].errors: found 'TT'"),
        (
            SYNTHETIC.format("errors: {T: 1}, background_errors: {TT: 1}"),
            "observations[0].background_errors: found 'TT'",
        ),
        (CORRELATED.format("variables: {TT: {}}"), "background.variables.TT: found 'TT'"),
        (
            CORRELATED.format("balance: {salinity: true}"),
            "background.balance.salinity: found S not",
        ),
    ],
)
def test_observations_and_backgrounds_that_cannot_be(water, part, expected):
    with pytest.raises(NamelistError) as caught:
        require_known(described(part), water)
    (problem,) = caught.value.problems
    assert f"{problem.key}: {problem.message}".startswith(f"assimilation.{expected}")


def test_what_can_be_is_not_refused(water):
    known = (DATA, SYNTHETIC.format("errors: {T: 1, eta: 0.1}"))
    error = "control: {state: {T: 1 K}, model_error: {S: 0.1}}"
    correlated = CORRELATED.format("variables: {T: {deviation: 2.0}, S: {horizontal: none}}")
    section = SECTION.format(", ".join([error, correlated, *known]))
    require_known(ocean("time.step=20 min", section, TWIN), water)


# -- before the recovery begins -------------------------------------------------------------------


@pytest.fixture
def plate():
    model = Plate.create(comm=SerialCommunicator())
    time = described(DATA).time
    return Experiment("plate", model, model.parameters(), model.state(), time)


@pytest.fixture
def nature(plate, tmp_path):
    """``nature(steps)``: the folder of a run of the plate with snapshots at ``steps`` of 20 min."""

    def left(*steps: int, **change: Any) -> Path:
        run = RunFolder(tmp_path)
        run.namelist.write_text(as_yaml(described(DATA)))
        archive = StateArchive(run.path / "snapshots", plate.model.domain, {}, {})
        clock = build_clock(plate)
        for step in steps:
            moment = Moment(step, clock.seconds(step), clock.text(step), clock.label(step))
            archive.write(moment, named_leaves(replace(plate.state, **change)))
        return run.path

    return left


def test_a_first_guess_that_nature_has_not_left_is_refused(plate, nature):
    with pytest.raises(DataError, match=r"found no state of 2000-02-29 01:00:00 among 1"):
        wrong_first_guess(described(DATA), plate, nature(6))
    other = "twin={first_guess: {type: other_time, at: 5 h}}"
    with pytest.raises(DataError, match=r"found no state of 2000-02-29 05:00:00 among 2"):
        wrong_first_guess(described(DATA, twin=other), plate, nature(3, 6))


def test_a_first_guess_is_a_state_of_nature(plate, nature):
    found = wrong_first_guess(described(DATA), plate, nature(3))
    assert 0.5 < float(jnp.std(found.T - plate.state.T)) < 1.5


def test_a_first_guess_that_is_damaged_is_refused(plate, nature):
    folder = nature(3)
    (piece,) = (folder / "snapshots").glob("*/rank_00000.h5")
    piece.write_bytes(piece.read_bytes()[:-1])
    with pytest.raises(DataError, match="is damaged"):
        wrong_first_guess(described(DATA), plate, folder)


def test_a_truth_without_the_end_of_the_forecast_is_refused(plate, nature):
    with pytest.raises(DataError, match=r"found no state of 2000-02-29 04:00:00 among 3"):
        truth_of_twin(described(DATA), plate, nature(3, 6, 9), ("T",))
    truth = truth_of_twin(described(DATA), plate, nature(12), ("T",))
    assert truth.errors(plate.state, 12) == {"T": 0.0}


def test_a_state_that_a_run_has_not_left_is_named_by_its_date(plate, nature):
    section = StateOfRun(run=nature(3), at=1234567200.0)
    with pytest.raises(DataError, match=r"found no state of 2039-04-13 \d\d:\d\d:00, 1234567200 s"):
        state_of_run(section, 0.0, described(DATA), plate)


def test_data_that_are_not_finite_are_refused(plate, nature):
    T = plate.state.T.at[0, 2, :3].set(jnp.nan)
    window = Window.of(0, 6, 3)
    for steps, change in (((3,), {}), ((6,), {"T": T})):
        nature(*steps, **change)
    series = open_run(nature(), "snapshots", described(DATA), plate.model.domain)
    weights = {"T": jnp.ones_like(T)}
    entries = states_at(series, window.ends, build_clock(plate), weights)
    source = StateData(series, entries, weights, {"T": "Jo.T"})
    with pytest.raises(DataError, match=r"T02-00-00: found 3 values of T that are not finite"):
        examined(source)
    examined(replace(source, entries={3: entries[3]}))


# -- scores ---------------------------------------------------------------------------------------


def test_what_is_observed_is_scored(monkeypatch):
    points: Any = SimpleNamespace(parts={"Jo.tides.eta": SimpleNamespace(leaf="eta")})
    nothing: Any = None
    recovery = Recovery(nothing, Window.of(0, 2, 1), nothing, points=points)
    monkeypatch.setattr("dassim.config.twin.wrong_first_guess", lambda *_: None)
    monkeypatch.setattr("dassim.config.assimilation.build_recovery", lambda *_, **__: recovery)
    monkeypatch.setattr("dassim.config.twin.truth_of_twin", lambda *given: given[-1])
    control = "control: {parameters: {drag: 1.0e-3}}"
    namelist = ocean("time.step=20 min", SECTION.format(f"{control}, {DATA}"), TWIN)
    assert build_twin(namelist, nothing, Path()).truth == ("T", "eta")
