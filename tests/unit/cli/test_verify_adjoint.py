"""``dassim verify-adjoint``, with a toy for the ocean, and with a derivative that is wrong."""

from pathlib import Path

import jax
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


def test_all_tests_pass_for_a_right_model(dassim, described):
    described(Plate)
    result = dassim("verify-adjoint", OCEAN)
    assert (result.code, result.err) == (0, "")
    assert result.out.count("passed: ") == 4
    assert "12 steps of Plate" in result.out
    assert "Taylor test" in result.out
    assert "in memory and on disk" in result.out
    assert result.out.endswith("all tests passed\n")


def test_a_derivative_that_leaves_something_out_fails(dassim, described):
    described(Wrong)
    result = dassim("verify-adjoint", OCEAN)
    assert result.code == 1
    assert "FAILED: order 1.0" in result.out
    assert result.out.endswith("FAILED: not all tests passed\n")
