"""The benchmark of gradients: how it cuts a run into segments."""

from tools.benchmarks.adjoint import segment_length


def test_segments_divide_the_run_and_are_about_fifty_steps():
    assert [segment_length(steps) for steps in (25, 100, 400, 1600)] == [25, 50, 50, 50]
    assert segment_length(97) == 97
