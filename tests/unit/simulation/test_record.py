"""What run.json says of a session."""

import pytest

from dassim.simulation.clock import Clock
from dassim.simulation.record import STEPS, Tally, figures
from dassim.simulation.timing import Stopwatch


def split(halo, seconds=6.0, steps=4):
    stopwatch = Stopwatch({STEPS: seconds})
    return figures(Tally(steps=steps, halo=halo), {}, stopwatch, Clock())["of_steps"]


def test_messages_and_arithmetic_share_the_time_of_the_steps():
    found = split(halo=0.25)
    assert (found["halo"], found["compute"]) == (1.0, 5.0)
    assert found["method"].startswith("estimate: the messages of a step, sent by themselves")


@pytest.mark.parametrize("halo", [None, 2.0])
def test_nothing_is_said_where_messages_take_no_time_of_their_own(halo):
    found = split(halo)
    assert (found["halo"], found["compute"]) == (None, None)
    assert found["method"].startswith("none: ranks outnumber cores, or ")
