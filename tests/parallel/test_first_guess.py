"""The cost of a namelist, its gradient, and the first iterations, on any number of ranks."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pytest

from dassim.assimilation.lbfgs import LBFGS
from dassim.assimilation.minimise import Criteria, minimise
from dassim.cli.twin import NATURE, build_twin, run_nature
from dassim.config import Namelist, NamelistWarning, load
from dassim.config.experiment import build_experiment
from dassim.parallel import SerialCommunicator, world
from dassim.simulation.signals import StopRequest
from dassim.simulation.timing import Stopwatch
from tests.models.namelists import PROJECT

pytestmark = [pytest.mark.ranks(2, 3, 4), pytest.mark.timeout(300)]

TWIN = PROJECT / "namelists" / "assimilation" / "double_gyre_small.yaml"
SMALLER = (
    "grid.nx=16",
    "grid.ny=16",
    "assimilation.window.start=80 min",
    "assimilation.window.length=40 min",
    "assimilation.data=[{every: 40 min, errors: {u: 1 cm s-1, v: 1 cm s-1, eta: 7 cm}, "
    "noise: true}]",
    "twin.forecast=40 min",
)
ITERATIONS = 5


def built(comm):
    namelist = load(TWIN, Namelist, overrides=SMALLER).namelist
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NamelistWarning)
        return namelist, build_experiment(namelist, comm)


@dataclass(frozen=True)
class Found:
    """The parts of the cost and the gradient on the whole grid at the first guess; the cost before
    each iteration and after the last."""

    parts: dict[str, float]
    gradient: dict[str, np.ndarray]
    costs: tuple[float, ...]


def minimised(folder, comm):
    namelist, experiment = built(comm)
    objective = build_twin(namelist, experiment, folder).objective
    space, domain, zero = objective.space, experiment.model.domain, objective.transform.zero()
    evaluation = objective(zero)
    parts = {name: float(space.sum(float(share))) for name, share in evaluation.shares.items()}
    leaves = evaluation.gradient.distributed
    gradient = {path: np.asarray(domain.gather(leaf)) for path, leaf in leaves.items()}
    criteria = Criteria(gradient_reduction=0.0, iterations=ITERATIONS)
    history = minimise(objective, zero, LBFGS(space), criteria).state.history
    return Found(parts, gradient, tuple(record.value for record in history))


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """What all ranks find together, and what one finds alone, from the same nature run."""
    comm, alone = world(), None
    folder = comm.bcast(tmp_path_factory.mktemp("twin") if comm.is_root else None)
    if comm.is_root:
        serial = SerialCommunicator()
        nature = folder / NATURE
        assert run_nature(*built(serial), nature, Stopwatch(), StopRequest()).finished
        alone = minimised(folder, serial)
    expected = comm.bcast(alone)
    return minimised(folder, comm), expected


def test_cost_and_gradient_of_the_double_gyre_are_those_of_one_rank(both):
    found, expected = both
    assert set(expected.parts) >= {"Jo.u", "Jo.v", "Jo.eta"} and min(expected.parts.values()) > 0.0
    assert found.parts == pytest.approx(expected.parts, rel=1e-12)
    assert set(found.gradient) == set(expected.gradient) == {"state.u", "state.v"}
    for path, whole in expected.gradient.items():
        atol = 1e-12 * np.abs(whole).max()
        np.testing.assert_allclose(found.gradient[path], whole, rtol=0, atol=atol)


def test_the_cost_of_the_double_gyre_falls_as_on_one_rank(both):
    found, expected = both
    assert len(found.costs) == len(expected.costs) == 1 + ITERATIONS
    assert expected.costs[-1] < 0.1 * expected.costs[0]
    assert found.costs == pytest.approx(expected.costs, rel=1e-8, abs=0.0)
