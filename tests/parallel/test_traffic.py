"""The messages of a real rank are those that a stand-in counts, and no more than they need be."""

import pytest

from dassim.parallel import StandInCommunicator, world
from dassim.parallel.traffic import Traffic, traffic
from tests.models.namelists import SMALLER, build

SMALL = ("grid.nx=24", "grid.ny=24")
CASES = {
    "runge_kutta_3": ("double_gyre", (*SMALL, "physics.stepper={type: runge_kutta_3}")),
    "adams_bashforth_2": ("double_gyre", (*SMALL, "physics.stepper={type: adams_bashforth_2}")),
    **{name: (name, SMALLER[name]) for name in ("galewsky", "held_suarez", "aquaplanet")},
}


def of_a_step(name, overrides, comm) -> Traffic:
    one = build(name, overrides, comm)
    state = one.model.start(one.state)
    return traffic(one.model.domain, one.model.step, one.parameters, state)


@pytest.mark.parametrize(("name", "overrides"), CASES.values(), ids=CASES)
@pytest.mark.ranks(1, 2)  # of three, the middle one has images that need fewer substeps
def test_a_stand_in_sends_as_much_as_a_rank(name, overrides):
    comm = world()
    real = of_a_step(name, overrides, comm)
    assert real == of_a_step(name, overrides, StandInCommunicator(comm.rank, comm.size))
    assert (sum(real.swaps) > 0) == (comm.size > 1)


@pytest.mark.parametrize(("name", "swaps"), {"galewsky": 1, "held_suarez": 8}.items())
@pytest.mark.ranks(2)
def test_a_stage_of_the_atmosphere_swaps_few_times(name, swaps):
    assert of_a_step(name, SMALLER[name], world()).swaps == (3 * swaps, 0)
