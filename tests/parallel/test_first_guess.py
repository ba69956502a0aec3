"""The cost of a namelist and its gradient, where a minimisation begins, on any number of ranks."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from dassim.cli.twin import NATURE, build_twin, run_nature
from dassim.config import Namelist, NamelistWarning, load
from dassim.config.experiment import build_experiment
from dassim.parallel import SerialCommunicator, world
from dassim.simulation.signals import StopRequest
from dassim.simulation.timing import Stopwatch
from tests.models.namelists import PROJECT

TWIN = PROJECT / "namelists" / "assimilation" / "double_gyre_small.yaml"
SMALLER = (
    "grid.nx=16",
    "grid.ny=16",
    "assimilation.window.start=80 min",
    "assimilation.window.length=40 min",
    "assimilation.data=[{every: 40 min, errors: {u: 1 cm s-1, v: 1 cm s-1, eta: 7 cm}}]",
    "twin.forecast=40 min",
)


def built(comm):
    namelist = load(TWIN, Namelist, overrides=SMALLER).namelist
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NamelistWarning)
        return namelist, build_experiment(namelist, comm)


def first_guess(folder, comm):
    """The parts of the cost, and the gradient on the whole grid."""
    namelist, experiment = built(comm)
    objective = build_twin(namelist, experiment, folder).objective
    evaluation = objective(objective.transform.zero())
    space, domain = objective.space, experiment.model.domain
    parts = {name: float(space.sum(float(share))) for name, share in evaluation.shares.items()}
    leaves = evaluation.gradient.distributed
    return parts, {path: np.asarray(domain.gather(leaf)) for path, leaf in leaves.items()}


@pytest.mark.ranks(2, 3)
@pytest.mark.timeout(300)
def test_cost_and_gradient_of_the_double_gyre_are_those_of_one_rank(folder):
    comm, alone = world(), None
    if comm.is_root:
        serial = SerialCommunicator()
        nature = folder / NATURE
        assert run_nature(*built(serial), nature, Stopwatch(), StopRequest()).finished
        alone = first_guess(folder, serial)
    parts, gradient = comm.bcast(alone)
    found, here = first_guess(folder, comm)
    assert set(parts) >= {"Jo.u", "Jo.v", "Jo.eta"} and min(parts.values()) > 0.0
    assert found == pytest.approx(parts, rel=1e-12)
    assert set(here) == set(gradient) == {"state.u", "state.v"}
    for path, whole in gradient.items():
        np.testing.assert_allclose(here[path], whole, rtol=0, atol=1e-12 * np.abs(whole).max())
