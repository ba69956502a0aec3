"""Derivatives by finite differences, of numbers that bend and round as wanted."""

import numpy as np
import pytest

from dassim.assimilation.differences import derivative, smallest_step


def steps_of(number, smallest):
    """The derivative, and the steps that were taken for it."""
    tried = []

    def counted(x):
        tried.append(abs(x))
        return number(x)

    return derivative(counted, number(0.0), smallest), sorted({float(f"{x:.3g}") for x in tried})


def test_what_does_not_bend_takes_two_steps():
    found, tried = steps_of(lambda x: 1e3 + 2 * x, 1e-4)
    assert found.value == pytest.approx(2.0, abs=found.error)
    assert tried == [1e-4, 3.16e-4]


@pytest.mark.parametrize(
    "number",
    [lambda x: np.sin(x), lambda x: np.exp(x), lambda x: np.tanh(1e3 * x) / 1e3],
    ids=["sine", "exponential", "saturates"],
)
def test_the_error_is_below_its_estimate_and_this_is_small(number):
    found = derivative(number, number(0.0), 1e-2)
    assert abs(found.value - 1.0) <= found.error < 1e-7


def test_smaller_steps_are_taken_where_a_limiter_bends():
    found, tried = steps_of(lambda x: 2 * min(x, 2e-3), 0.1)
    assert found.value == pytest.approx(2.0, rel=1e-6)
    assert tried[0] < 1e-3


def test_round_off_of_a_large_number_is_told():
    rng = np.random.default_rng(0)
    noise = 5 * np.finfo(float).eps
    found, tried = steps_of(lambda x: 100 * (1 + noise * rng.normal()) + np.sin(1e4 * x), 1e-5)
    assert abs(found.value / 1e4 - 1) < found.error / 1e4 < 1e-7
    assert tried[0] > 1e-7  # smaller steps know nothing


def test_steps_begin_as_small_as_round_off_allows():
    """What bends at 1e-5 is not seen by steps of 1e-3 and more."""
    number = lambda x: 3.0 + x + 1e-9 * np.tanh(1e5 * x)  # noqa: E731
    step = smallest_step(3.0, 1.0, 1e-7)
    assert step == pytest.approx(3 * 10 * 2.2e-16 / 1e-7, rel=0.01)
    assert derivative(number, 3.0, step).value == pytest.approx(1.0001, rel=1e-7)
    assert derivative(number, 3.0, 1e-2).value == pytest.approx(1.0, rel=1e-6)


def test_a_cusp_has_no_derivative_that_is_certain():
    found = derivative(lambda x: np.sign(x) * abs(x) ** 0.5, 0.0, 1.0)
    assert found.error > 0.1 * abs(found.value)


def test_at_a_kink_the_result_is_uncertain_by_half_the_jump_of_the_slope():
    found = derivative(lambda x: 5.0 + 3 * x + 0.1 * abs(x) + x**2, 5.0, 1e-3)
    assert found.value == pytest.approx(3.0)
    assert found.error == pytest.approx(0.1, rel=1e-3)
    smooth = derivative(lambda x: 5.0 + 3 * x + 100 * x**2, 5.0, 1e-3)
    assert smooth.error < 1e-8
