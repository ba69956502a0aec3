"""The line search alone, on functions of one variable."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize._linesearch import scalar_search_wolfe1

from dassim.assimilation.linesearch import LineSearch, Outcome, Wolfe, advance, begin

# Functions 1 to 4 of More and Thuente (1994), section 5, and their derivatives.
FUNCTIONS = {
    "rational": (lambda a: -a / (a**2 + 2), lambda a: (a**2 - 2) / (a**2 + 2) ** 2),
    "quintic": (
        lambda a: (a + 0.004) ** 5 - 2 * (a + 0.004) ** 4,
        lambda a: 5 * (a + 0.004) ** 4 - 8 * (a + 0.004) ** 3,
    ),
    "quadratic": (lambda a: (a - 3) ** 2, lambda a: 2 * (a - 3)),
    "exponential": (lambda a: math.exp(a) - 9 * a, lambda a: math.exp(a) - 9),
}


def run(function, slope, step, wolfe):
    search = begin(wolfe, function(0.0), slope(0.0), step)
    outcome, tried = Outcome.SEARCHING, []
    while outcome is Outcome.SEARCHING:
        tried.append(search.step)
        search, outcome = advance(wolfe, search, function(search.step), slope(search.step))
    return search, outcome, tried


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("step", [1e-3, 0.1, 1.0, 10.0])
@pytest.mark.parametrize("wolfe", [Wolfe(), Wolfe(1e-3, 1e-1)])
def test_the_accepted_step_meets_the_strong_wolfe_conditions(name, step, wolfe):
    function, slope = FUNCTIONS[name]
    search, outcome, _ = run(function, slope, step, wolfe)
    assert outcome is Outcome.ACCEPTED
    a = search.step
    assert function(a) <= function(0.0) + wolfe.decrease * a * slope(0.0)
    assert abs(slope(a)) <= wolfe.curvature * abs(slope(0.0))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_steps_are_those_of_scipy(name):
    function, slope = FUNCTIONS[name]
    tried = []

    def recorded(a):
        tried.append(a)
        return function(a)

    scalar_search_wolfe1(
        recorded, slope, function(0.0), function(0.0) + 0.05, slope(0.0), 1e-3, 0.1, 1e10, 0.0
    )
    wolfe = Wolfe(1e-3, 0.1)
    first = min(1.0, 1.01 * 2 * 0.05 / -slope(0.0))
    assert tried[0] == pytest.approx(first)
    assert run(function, slope, tried[0], wolfe)[2] == pytest.approx(tried, rel=1e-12)


def test_a_search_goes_on_bitwise_from_its_numbers():
    function, slope = FUNCTIONS["quintic"]
    wolfe = Wolfe(1e-3, 1e-3)
    search, outcome = begin(wolfe, function(0.0), slope(0.0), 1e-3), Outcome.SEARCHING
    steps = []
    while outcome is Outcome.SEARCHING:
        search = LineSearch.from_numbers(np.array(search.numbers()))
        steps.append(search.step)
        search, outcome = advance(wolfe, search, function(search.step), slope(search.step))
    assert len(steps) > 4
    assert steps == run(function, slope, 1e-3, wolfe)[2]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_non_finite_step_is_a_tenth_of_the_way_back_to_the_best(bad):
    def function(a):
        return -a if a < 0.5 else bad

    search, outcome, tried = run(function, lambda a: -1.0, 1.0, Wolfe())
    assert tried == [1.0, pytest.approx(0.1)]
    assert outcome is Outcome.ACCEPTED and search.step == tried[-1]


def test_after_a_good_step_the_search_steps_back_towards_it():
    """1 is good but still steep, 5 is not finite: next comes 1 + 0.1 (5 - 1), nothing beyond."""
    _, outcome, tried = run(lambda a: -a if a < 3 else math.nan, lambda a: -1.0, 1.0, Wolfe())
    assert tried == [1.0, 5.0, pytest.approx(1.4)]
    assert outcome is Outcome.ACCEPTED


def test_a_finite_cost_with_a_gradient_that_is_not_counts_as_non_finite():
    slopes = iter([math.nan, -0.1])
    _, _, tried = run(lambda a: -a, lambda a: -1.0 if a == 0 else next(slopes), 1.0, Wolfe())
    assert tried == [1.0, pytest.approx(0.1)]


def test_non_finite_everywhere_fails_and_says_that_nothing_was_finite():
    search, outcome, tried = run(
        lambda a: 0.0 if a == 0 else math.nan, lambda a: -1.0, 1.0, Wolfe()
    )
    assert outcome is Outcome.FAILED and search.finite == 0
    assert len(tried) == Wolfe().trials


def test_out_of_trials_the_best_step_is_evaluated_once_more_and_taken():
    function, slope = FUNCTIONS["quintic"]
    _, outcome, tried = run(function, slope, 1e-3, Wolfe(1e-3, 1e-6, trials=4))
    assert outcome is Outcome.ACCEPTED
    assert tried[-1] in tried[:-1] and function(tried[-1]) == min(map(function, tried))


def test_a_direction_that_ascends_is_refused():
    with pytest.raises(ValueError, match="expected a finite positive step along a direction of d"):
        begin(Wolfe(), 1.0, 0.5, 1.0)
