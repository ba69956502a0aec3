"""Bottom drag: where it acts, how strong it is, and its derivatives at rest."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dassim.dynamics.implicit import implicit_diffusion
from dassim.ocean.drag import BottomDrag, lowest_wet
from tests.unit.ocean.basin import NX, NY, basin, seen

THICKNESS = [10.0, 20.0, 30.0, 40.0]
FLAT = basin(THICKNESS)


def rates(drag, view):
    return tuple(np.asarray(view.grid.owned(rate)) for rate in drag(view))


def test_no_drag_is_no_rate():
    assert BottomDrag()(seen(FLAT)) == (0.0, 0.0)


def test_linear_drag_acts_on_the_lowest_level():
    for rate in rates(BottomDrag(linear=2e-3), seen(FLAT)):
        np.testing.assert_array_equal(rate[:3], 0.0)
        np.testing.assert_allclose(rate[3], 2e-3 / 40.0, rtol=1e-14)


def test_drag_knows_the_thickness_under_a_raised_surface():
    for rate in rates(BottomDrag(linear=2e-3), seen(FLAT, eta=10.0)):
        np.testing.assert_allclose(rate[3], 2e-3 / 44.0, rtol=1e-14)


def test_lowest_wet_level_over_topography():
    depth = np.full((NY, NX), 100.0)
    depth[:, 2], depth[:, 4] = 30.0, 0.0
    grid = basin(THICKNESS, depth)
    lowest = np.asarray(grid.owned(lowest_wet(grid.wet.c, 4)))[:, 1]
    expected = np.zeros((4, NX), bool)
    expected[3, [0, 1, 3]] = expected[1, 2] = True
    np.testing.assert_array_equal(lowest, expected)

    rate_u, _ = rates(BottomDrag(linear=1e-3), seen(grid))
    expected = np.zeros((4, NX))
    expected[3, 1], expected[1, [2, 3]] = 1e-3 / 40.0, 1e-3 / 20.0  # walls at u 0 and 4
    np.testing.assert_allclose(rate_u[:, 1], expected, rtol=1e-14)


def test_quadratic_drag_takes_the_speed_of_both_components():
    drag = BottomDrag(quadratic=2.5e-3, background_speed=1.2)
    for rate in rates(drag, seen(FLAT, u=0.3, v=-0.4)):
        np.testing.assert_allclose(rate[3], 2.5e-3 * 1.3 / 40.0, rtol=1e-14)
    upper = np.asarray([9.0, 9.0, 9.0, 0.0])[:, None, None]  # flow above the bottom does not count
    for rate in rates(drag, seen(FLAT, u=upper)):
        np.testing.assert_allclose(rate[3], 2.5e-3 * 1.2 / 40.0, rtol=1e-14)


def test_linear_and_quadratic_drag_add_up():
    for rate in rates(BottomDrag(linear=1e-3, quadratic=1e-2), seen(FLAT, u=0.6, v=0.8)):
        np.testing.assert_allclose(rate[3], (1e-3 + 1e-2) / 40.0, rtol=1e-14)


def slowed(coefficients, u, v):
    linear, quadratic = coefficients
    view = seen(FLAT, u=u, v=v)
    sink, _ = BottomDrag(linear, quadratic)(view)
    return FLAT.owned(implicit_diffusion(view.u, view.thickness.u, 0.0, 600.0, sink=sink))


def test_implicit_drag_takes_the_stress_at_the_bottom():
    u = np.full((4, NY, NX), 0.5)
    after = slowed((1e-3, 0.0), u, 0 * u)
    momentum_lost = np.sum(np.asarray(THICKNESS)[:, None, None] * (u - after), axis=0)
    np.testing.assert_allclose(momentum_lost, 600.0 * 1e-3 * after[3], rtol=1e-12)


@pytest.mark.parametrize("dtype", [jnp.float64, jnp.float32])
def test_derivatives_at_rest_are_finite(dtype):
    still = jnp.zeros((4, NY, NX), dtype)
    start = ((jnp.asarray(1e-3, dtype), jnp.asarray(2e-3, dtype)), still, still)

    def cost(inputs):
        return jnp.sum((slowed(*inputs) - 1.0) ** 2)

    first = jax.grad(cost)
    ahead = jax.tree.map(jnp.ones_like, start)
    second = jax.jit(lambda x: jax.jvp(first, (x,), (ahead,))[1])(start)
    for leaf in jax.tree.leaves((jax.jit(first)(start), second)):
        assert np.all(np.isfinite(leaf))


def test_taylor_remainder_is_second_order():
    rng = np.random.default_rng(0)
    u, v, du, dv = (jnp.asarray(rng.standard_normal((4, NY, NX))) for _ in range(4))

    @jax.jit
    def cost(step):
        coefficients = 1e-3 * (1 + step), 2e-2 * (1 - step)
        return jnp.sum(slowed(coefficients, u + step * du, v + step * dv) ** 2)

    value, slope = jax.jvp(cost, (0.0,), (1.0,))
    remainders = [abs(float(cost(s) - value - s * slope)) for s in (4e-3, 2e-3, 1e-3)]
    orders = np.log2(np.divide(remainders[:-1], remainders[1:]))
    assert np.all(np.abs(orders - 2.0) < 0.1), orders
