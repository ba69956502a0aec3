"""``dassim verify-adjoint``, with a toy for the ocean, and with a derivative that is wrong."""

from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from dassim.config.experiment import Experiment
from dassim.parallel import SerialCommunicator
from tests.models.plate import Plate

OCEAN = Path(__file__).parents[1] / "config" / "data" / "ocean.yaml"


class Wrong(Plate):
    """What flows out through the southern wall has no derivative."""

    def step(self, parameters, state):
        state = super().step(parameters, state)
        edge = jax.lax.stop_gradient(state.T[:, :1])
        return type(state)(state.T.at[:, :1].set(edge), state.tracers, state.time)


class Still(Plate):
    """At rest: 0 everywhere, and it stays so."""

    def state(self, seed=0):
        return jax.tree.map(jnp.zeros_like, super().state(seed))


class Deaf(Plate):
    """Whatever it is told, the next state is the same."""

    def step(self, parameters, state):
        return jax.tree.map(jax.lax.stop_gradient, super().step(parameters, state))


class Unmoved(Plate):
    """How the parameter acts on the state has no derivative."""

    def step(self, parameters, state):
        return super().step(jax.tree.map(jax.lax.stop_gradient, parameters), state)


@pytest.fixture
def described(monkeypatch):
    def describe(kind):
        def build(namelist, comm=None):
            model = kind.create(comm=SerialCommunicator())
            return Experiment(
                namelist.name, model, model.parameters(), model.state(), namelist.time
            )

        monkeypatch.setattr("dassim.config.experiment.build_experiment", build)

    return describe


@pytest.fixture
def recovery(dassim, described, tmp_path):
    """The path of a namelist with an assimilation, and that of its data: the plate's own states."""
    described(Plate)
    time = "time: {duration: 60 min, step: 1 min}"
    snapshots = "snapshots: {every: 5 min}"
    (tmp_path / "nature.yaml").write_text(f"base: {OCEAN}\nname: nature\n{time}\n{snapshots}\n")
    assert dassim("run", tmp_path / "nature.yaml", "-o", tmp_path / "nature").code == 0
    section = """
  window: {start: 10 min, length: 30 min}
  data: [{every: 10 min, errors: {T: 0.1 K}}]
  control: {state: {T: 1 K}, parameters: {growth: 1e-3}}
  background: {type: uncorrelated}
  adjoint: {segment: 5 min}
"""
    path = tmp_path / "plate.yaml"
    path.write_text(f"base: {OCEAN}\n{time}\nassimilation:{section}")
    return path, tmp_path / "nature"


def test_all_tests_pass_for_a_right_model(dassim, described):
    described(Plate)
    result = dassim("verify-adjoint", OCEAN)
    assert (result.code, result.err) == (0, "")
    assert result.out.count("passed: ") == 4
    assert "12 steps of Plate" in result.out
    assert "Taylor test" in result.out
    assert "No section assimilation: the model alone is tested" in result.out
    assert "in memory and on disk" in result.out
    assert result.out.endswith("all tests passed\n")


def test_a_derivative_that_leaves_something_out_fails(dassim, described):
    described(Wrong)
    result = dassim("verify-adjoint", OCEAN)
    assert result.code == 1
    assert "FAILED: order 1.0" in result.out
    assert result.out.endswith("FAILED: not all tests passed\n")


def test_a_steady_state_at_rest_is_tested_as_far_as_it_goes_and_says_so(dassim, described):
    described(Still)
    result = dassim("verify-adjoint", OCEAN)
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(
        "Cost by the state: nothing\nnot by T, tracers.dye, even everywhere: give sizes in "
        "assimilation.control.state\n"
    )
    assert "no order to be seen; expected remainders that are round-off, at most 0.0e+00" in (
        result.out
    )
    assert "all vanish: the cost depends on nothing here" in result.out
    assert result.out.count("passed: ") == 4


def test_with_sizes_a_steady_state_is_tested_away_from_it(dassim, described, tmp_path):
    described(Still)
    path = tmp_path / "still.yaml"
    section = "{window: {length: 1 h}, data: [{errors: {T: 1 K}}], control: {state: {T: 1 K}}}"
    path.write_text(f"base: {OCEAN}\nassimilation: {section}\n")
    result = dassim("verify-adjoint", path)
    assert (result.code, result.err) == (0, "")
    assert "Cost by the state: T (1)\nnot by tracers.dye, even everywhere" in result.out
    assert "passed: order 2.0" in result.out or "passed: order 1.9" in result.out
    assert "vanish" not in result.out


def test_an_unknown_that_the_model_does_not_have_is_refused(dassim, described, tmp_path):
    described(Plate)
    path = tmp_path / "plate.yaml"
    section = "{window: {length: 1 h}, control: {state: {eta: 1 m}}}"
    path.write_text(f"base: {OCEAN}\nassimilation: {section}\n")
    result = dassim("verify-adjoint", path)
    assert result.code == 2
    assert "assimilation.control.state.eta: found 'eta'; expected T or tracers.dye" in result.err


def test_a_step_without_any_derivative_is_not_passed_in_silence(dassim, described):
    described(Deaf)
    result = dassim("verify-adjoint", OCEAN)
    assert result.code == 1
    assert "both vanish: the step depends on nothing that is differentiated" in result.out
    assert result.out.endswith("FAILED: not all tests passed\n")


def test_the_cost_of_the_namelist_is_tested_where_its_data_are(dassim, described, recovery):
    path, nature = recovery
    described(Plate)
    result = dassim("verify-adjoint", path, "--nature", nature)
    assert (result.code, result.err) == (0, "")
    assert "J (Jb, Jo.T) over 2 of 6 segments, 10 steps, by state.T, parameters.growth" in (
        result.out
    )
    assert "Dot-product test: B^(1/2)" in result.out
    assert "Dot-product test: departures by the control vector" in result.out
    assert "Taylor test: J by the control vector" in result.out
    assert result.out.count("passed: ") == 8
    assert result.out.endswith("all tests passed\n")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ((), "No run that the data come from: give --nature; the model alone is tested"),
        (("--nature", "nowhere"), "nowhere: found no such folder; expected that of a run"),
    ],
)
def test_without_its_data_the_model_alone_is_tested(dassim, described, recovery, options, why):
    described(Plate)
    result = dassim("verify-adjoint", recovery[0], *options)
    assert (result.code, result.err) == (0, "")
    assert why in result.out
    assert "Taylor test: J" not in result.out
    assert result.out.count("passed: ") == 5


def test_a_first_guess_that_nature_has_not_left_is_said(dassim, described, recovery):
    path, nature = recovery
    described(Plate)
    twin = "\ntwin: {first_guess: {type: noise, size: {T: 1 K}}}\n"
    late = path.read_text().replace("start: 10 min", "start: 12 min")
    path.write_text(late + twin)
    result = dassim("verify-adjoint", path, "--nature", nature)
    assert (result.code, result.err) == (0, "")
    assert "The data cannot be had: " in result.out
    assert "found no state of 2000-02-29 00:12:00 among " in result.out


def test_a_parameter_without_its_derivative_fails(dassim, described, recovery):
    path, nature = recovery
    described(Unmoved)
    result = dassim("verify-adjoint", path, "--nature", nature)
    assert result.code == 1
    assert "FAILED: orders of 2, or remainders that are round-off" in result.out
    assert "Taylor test: growth" in result.out
    _, own = result.out.split("Taylor test: J by the control vector")
    assert "FAILED: order " in own
    assert result.out.count("FAILED: ") == 4
