"""Derivatives by finite differences, of numbers that bend and round as wanted."""

import math

import numpy as np
import pytest

from dassim.assimilation.differences import ROUND_OFF, derivative, step_for


def steps_of(number, step, scale=None):
    """The derivative, and the steps that were taken for it."""
    tried = []

    def counted(x):
        tried.append(abs(x))
        return number(x)

    middle = number(0.0)
    found = derivative(counted, middle, scale or abs(middle), step)
    return found, sorted({float(f"{x:.3g}") for x in tried})


def test_what_does_not_bend_takes_two_steps():
    found, tried = steps_of(lambda x: 1e3 + 2 * x, 1e-4)
    assert found.value == pytest.approx(2.0, abs=found.error) and found.error < 1e-7
    assert tried == [1e-4, 3.16e-4]


@pytest.mark.parametrize(
    "number",
    [lambda x: np.sin(x), lambda x: np.exp(x), lambda x: x + np.cos(30 * x) - x**4],
    ids=["sine", "exponential", "even"],
)
def test_the_error_is_below_its_estimate_and_this_is_small(number):
    found, _ = steps_of(number, 1e-2, 1.0)
    assert abs(found.value - 1.0) <= found.error < 1e-7


def test_smaller_steps_are_taken_where_a_limiter_bends():
    found, tried = steps_of(lambda x: 2 * min(x, 2e-3), 0.1, 1.0)
    assert found.value == pytest.approx(2.0, rel=1e-6) and found.error < 1e-6
    assert tried[0] < 1e-3


def test_smaller_steps_are_taken_where_larger_ones_blow_up():
    found, _ = steps_of(lambda x: math.sin(x) if abs(x) < 1e-2 else math.nan, 0.1, 1.0)
    assert found.value == pytest.approx(1.0, abs=1e-6) and found.error < 1e-6
    assert steps_of(lambda x: math.nan if x else 0.0, 0.1, 1.0)[0].error == math.inf


@pytest.mark.parametrize("total", [100.0, 1e-6, 0.0], ids=["large", "cancels", "zero"])
def test_round_off_is_told(total):
    """Of what cancels, that of its parts."""
    rng = np.random.default_rng(0)
    noise = 0.3 * ROUND_OFF * 100
    for _ in range(100):
        found, tried = steps_of(lambda x: total + noise * rng.normal() + np.sin(x), 1e-5, 100.0)
        assert abs(found.value - 1) < 3 * found.error < 1e-6
        assert tried[0] > 1e-7  # smaller steps know nothing


def test_steps_begin_as_small_as_round_off_allows():
    """What bends at 1e-5 is not seen by steps of 1e-3 and more."""

    def number(x):
        return 3.0 + x + 1e-9 * np.tanh(1e5 * x)

    step = step_for(3.0, 1.0, 1.0, 1e-7)
    assert step == pytest.approx(3 * ROUND_OFF / 1e-7)
    assert steps_of(number, step)[0].value == pytest.approx(1.0001, rel=1e-7)
    assert steps_of(number, 1e-2)[0].value == pytest.approx(1.0, rel=1e-6)


@pytest.mark.parametrize(
    ("scale", "slope", "magnitude", "step"),
    [
        (1.0, 0.0, 300.0, 3.0),  # nothing to measure
        (1.0, 1e-320, 300.0, 3.0),
        (0.0, 0.0, 300.0, 3.0),
        (1.0, 1e-12, 300.0, 3.0),  # no more than a hundredth of what is changed
        (1e-9, 1.0, 300.0, 300 * ROUND_OFF / 1e-5),  # no less than its own round-off
    ],
)
def test_steps_stay_within_what_is_changed(scale, slope, magnitude, step):
    assert step_for(scale, slope, magnitude, 1e-5) == pytest.approx(step)


def test_a_cusp_has_no_derivative_that_is_certain():
    found, _ = steps_of(lambda x: np.sign(x) * abs(x) ** 0.5, 1.0, 1.0)
    assert found.error > 0.1 * abs(found.value)


def test_at_a_kink_the_result_is_uncertain_by_half_the_jump_of_the_slope():
    found, tried = steps_of(lambda x: 5.0 + 3 * x + 0.1 * abs(x) + x**2, 1e-3)
    assert found.value == pytest.approx(3.0)
    assert found.error == pytest.approx(0.1, rel=1e-2)
    assert len(tried) == 3  # it does not fall
    smooth, _ = steps_of(lambda x: 5.0 + 3 * x + 100 * x**2, 1e-3)
    assert smooth.error < 1e-8
