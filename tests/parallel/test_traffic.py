"""The messages of a real rank are those that a stand-in counts."""

import pytest

from dassim.config import Namelist, load
from dassim.config.experiment import build_experiment
from dassim.parallel import StandInCommunicator, world
from dassim.parallel.traffic import traffic
from tests.models.namelists import PROJECT


@pytest.mark.parametrize("stepper", ["runge_kutta_3", "adams_bashforth_2"])
def test_a_stand_in_sends_as_much_as_a_rank(stepper):
    overrides = ["grid.nx=24", "grid.ny=24", f"physics.stepper={{type: {stepper}}}"]
    path = PROJECT / "namelists" / "ocean" / "double_gyre.yaml"
    namelist = load(path, Namelist, overrides=overrides).namelist
    comm, counts = world(), []
    for ranks in (comm, StandInCommunicator(comm.rank, comm.size)):
        one = build_experiment(namelist, ranks)
        state = one.model.start(one.state)
        counts.append(traffic(one.model.domain, one.model.step, one.parameters, state))
    assert counts[0] == counts[1] and (sum(counts[0].swaps) > 0) == (comm.size > 1)
