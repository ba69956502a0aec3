"""Time series of forcing."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dassim.dynamics.series import TimeSeries


@pytest.mark.parametrize("time", [-5.0, 0.0, 3.0, 10.0, 17.5, 30.0, 99.0])
def test_linear_and_constant_outside(time):
    series = TimeSeries(jnp.asarray([1.0, 3.0, -1.0]), jnp.asarray([0.0, 10.0, 30.0]))
    assert float(series.at(time)) == pytest.approx(np.interp(time, [0, 10, 30], [1, 3, -1]))


@pytest.mark.parametrize("time", [-5.0, 0.0, 15.0, 345.0, 350.0, 359.0, 360.0, 1000.0, 1080.0])
def test_periodic(time):
    times, values = np.array([15.0, 105.0, 195.0, 285.0]), np.array([0.0, 1.0, 0.5, -1.0])
    series = TimeSeries(jnp.asarray(values), jnp.asarray(times), period=360.0)
    expected = np.interp(time, times, values, period=360.0)
    assert float(eqx.filter_jit(series.at)(time)) == pytest.approx(expected, abs=1e-14)


def test_differentiable_in_the_values():
    times = jnp.asarray([0.0, 10.0])
    slope = jax.grad(lambda v: TimeSeries(v, times).at(2.5))(jnp.asarray([1.0, 2.0]))
    np.testing.assert_allclose(slope, [0.75, 0.25])


def test_one_record_holds_at_all_times():
    series = TimeSeries(jnp.asarray([2.0]), jnp.asarray([5.0]))
    assert [float(series.at(time)) for time in (0.0, 5.0, 9.0)] == [2.0, 2.0, 2.0]
