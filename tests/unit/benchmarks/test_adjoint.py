"""The benchmark of gradients: how it cuts a run into segments."""

from dassim.simulation.segments import Rematerialisation
from tools.benchmarks.adjoint import kept, segment_length


def test_segments_divide_the_run_and_are_about_fifty_steps():
    assert [segment_length(steps) for steps in (25, 100, 400, 1600)] == [25, 50, 50, 50]
    assert segment_length(97) == 97
    assert segment_length(1600, 100) == 100


def test_what_is_kept_is_said_in_words():
    assert kept(Rematerialisation(), 0) == "states of blocks of steps"
    assert (
        kept(Rematerialisation(blocks=False), 3) == "the state after every step, 3 states on disk"
    )
    assert kept(Rematerialisation(blocks=False, steps=False), 0) == "all of every step"
