"""The verdict on a derivative, by what finite differences know."""

import math

import pytest

from dassim.assimilation.objectives import Comparison


@pytest.mark.parametrize(
    ("differences", "error", "agrees"),
    [
        (2.00001, 1e-7, True),
        (2.001, 1e-7, False),
        (2.001, 1e-2, True),
        (2.02, 1e-2, True),
        (2.1, 1e-2, False),
        (math.nan, math.inf, False),
        (2.0, math.inf, False),
    ],
)
def test_a_derivative_agrees_within_the_tolerance_or_what_differences_know(
    differences, error, agrees
):
    assert Comparison("T", (0, 0), 2.0, differences, error).agrees(1e-5) is agrees


def test_nothing_agrees_with_nothing():
    nothing = Comparison("T", (0, 0), 0.0, 0.0, 1e-14)
    assert nothing.apart == 0.0 and nothing.agrees(1e-5)
