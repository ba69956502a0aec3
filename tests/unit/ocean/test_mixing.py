"""Mixing closures: their limits, their values at known Richardson numbers, their derivatives."""

from __future__ import annotations

import dataclasses

import equinox as eqx
import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dassim.dynamics.implicit import implicit_diffusion
from dassim.grid import Field, Span, levels
from dassim.grid.operators import avg_x_c2f
from dassim.ocean.mixing import (
    CombinedMixing,
    ConstantMixing,
    ConvectiveAdjustment,
    PacanowskiPhilander,
    shear_squared,
    surface_enhanced,
)
from tests.unit.ocean.basin import EOS, NX, NY, basin, seen

GRID = basin([10.0, 20.0, 30.0, 40.0])
Z = np.asarray(GRID.levels.z.c.data)


def owned(field):
    return np.asarray(jnp.broadcast_to(GRID.owned(field), (3, NY, NX)))


def temperature(n2):
    """A profile of stratification ``n2`` (s-2)."""
    return 10.0 + n2 / (EOS.gravity * EOS.alpha) * Z


# -- shear ----------------------------------------------------------------------------------------


def test_shear_of_a_linear_profile():
    view = seen(GRID, u=1e-3 * Z, v=-2e-3 * Z)
    np.testing.assert_allclose(owned(shear_squared(view)), 5e-6, rtol=1e-12)


def test_shear_follows_the_moving_levels():
    view = seen(GRID, u=1e-3 * Z, eta=10.0)  # levels 1.1 times as thick
    np.testing.assert_allclose(owned(shear_squared(view)), 1e-6 / 1.1**2, rtol=1e-12)


def test_shear_sees_alternating_flow():
    sign = np.asarray([1.0, -1.0, 1.0, -1.0])[:, None]  # v at successive faces along y
    view = seen(GRID, v=1e-3 * Z * sign)
    np.testing.assert_allclose(owned(shear_squared(view)), 1e-6, rtol=1e-12)


def test_no_shear_towards_the_rock_below_a_velocity():
    depth = np.full((NY, NX), 100.0)
    depth[:, 2] = 30.0  # a ridge, two levels deep: the velocities on its sides end there
    grid = basin([10.0, 20.0, 30.0, 40.0], depth)
    shear2 = np.asarray(grid.owned(shear_squared(seen(grid, u=1.0))))
    np.testing.assert_array_equal(shear2, 0.0)


# -- Pacanowski and Philander ---------------------------------------------------------------------


@pytest.mark.parametrize(("n2", "shear"), [(1e-5, 1e-2), (4e-5, 2e-3), (1e-6, 3e-3)])
def test_known_richardson_number(n2, shear):
    closure = PacanowskiPhilander(least_shear_squared=0.0)
    viscosity, diffusivity = closure(seen(GRID, u=shear * Z, T=temperature(n2)))
    ri = n2 / shear**2
    nu = 5e-3 / (1 + 5 * ri) ** 2 + 1e-4
    np.testing.assert_allclose(owned(viscosity), nu, rtol=1e-10)
    np.testing.assert_allclose(owned(diffusivity), nu / (1 + 5 * ri) + 1e-5, rtol=1e-10)


def test_unstable_and_neutral_water_mix_alike():
    closure = PacanowskiPhilander()
    for n2 in (0.0, -1e-5):
        viscosity, diffusivity = closure(seen(GRID, u=1e-3 * Z, T=temperature(n2)))
        np.testing.assert_allclose(owned(viscosity), 5.1e-3, rtol=1e-12)
        np.testing.assert_allclose(owned(diffusivity), 5.11e-3, rtol=1e-12)


def test_still_stratified_water_has_the_background_values():
    viscosity, diffusivity = PacanowskiPhilander()(seen(GRID, T=temperature(1e-4)))
    np.testing.assert_allclose(owned(viscosity), 1e-4, rtol=1e-4)
    np.testing.assert_allclose(owned(diffusivity), 1e-5, rtol=1e-3)


profile = st.lists(st.floats(-2.0, 2.0), min_size=4, max_size=4)


@jax.jit
def richardson_mixing(u, T, alpha):
    mixing = PacanowskiPhilander(alpha=alpha)(seen(GRID, u=u[:, None, None], T=T[:, None, None]))
    return tuple(GRID.owned(each)[:, 1, 1] for each in mixing)


@hypothesis.given(profile, profile)
@hypothesis.settings(max_examples=60)
def test_mixing_lies_between_its_limits_and_falls_with_stability(u, warmth):
    arrays = jnp.asarray(u), 10.0 + jnp.asarray(warmth)
    viscosity, diffusivity = richardson_mixing(*arrays, 5.0)
    assert np.all((viscosity >= 1e-4) & (viscosity <= 5.1e-3 * (1 + 1e-12)))
    assert np.all((diffusivity >= 1e-5) & (diffusivity <= viscosity + 1e-5 * (1 + 1e-12)))
    less = richardson_mixing(*arrays, 10.0)
    assert np.all(less[0] <= viscosity) and np.all(less[1] <= diffusivity)


# -- convection -----------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [None, 1e-6])
def test_only_unstable_water_convects(width):
    closure = ConvectiveAdjustment(diffusivity=2.0, viscosity=0.5, width=width)
    warm_below = np.asarray([10.0, 10.0, 12.0, 11.0])[:, None, None]  # neutral, unstable, stable
    viscosity, diffusivity = closure(seen(GRID, T=warm_below))
    np.testing.assert_array_equal(owned(diffusivity)[:, 0, 0], [0.0, 2.0, 0.0])
    np.testing.assert_array_equal(owned(viscosity)[:, 0, 0], [0.0, 0.5, 0.0])


def test_smooth_onset_of_convection():
    closure = ConvectiveAdjustment(diffusivity=1.0, width=1e-6)
    half = closure(seen(GRID, T=temperature(-5e-7))).diffusivity
    np.testing.assert_allclose(owned(half), 0.5, rtol=1e-9)


@pytest.mark.parametrize("width", [None, 1e-6])
def test_derivative_of_convection_is_that_of_the_scheme_as_it_runs(width):
    closure = ConvectiveAdjustment(diffusivity=1.0, width=width)
    view = seen(GRID, T=temperature(-3e-7))

    def at(n2):
        moved = Field(jnp.full_like(view.stratification.data, n2), view.stratification.spans)
        return closure(dataclasses.replace(view, stratification=moved)).diffusivity.data[0, 0, 0]

    slope = float(jax.grad(at)(-3e-7))
    finite_difference = float(at(-3e-7 + 1e-11) - at(-3e-7 - 1e-11)) / 2e-11
    assert slope == pytest.approx(finite_difference, rel=1e-4)
    assert slope == pytest.approx(0.0 if width is None else -6 * 0.3 * 0.7 * 1e6)


# -- constant, profiles, sums ---------------------------------------------------------------------


def test_constant_mixing_of_numbers_and_fields():
    column = surface_enhanced(GRID.levels, 5e-5)
    viscosity, diffusivity = ConstantMixing(1e-3, column)(seen(GRID))
    np.testing.assert_array_equal(owned(viscosity), 1e-3)
    np.testing.assert_array_equal(diffusivity.data, column.data)


def test_surface_enhanced_profile():
    got = surface_enhanced(levels([10.0] * 40), 5e-5, cells=5.0)
    assert got.spans == (Span("f", 1), None, None)
    np.testing.assert_allclose(got.data[4, 0, 0], 5e-5 * (1 + np.exp(-1.0)), rtol=1e-14)
    np.testing.assert_allclose(got.data[-1, 0, 0], 5e-5, rtol=1e-3)


def test_combined_mixing_is_the_sum():
    view = seen(GRID, u=1e-3 * Z, T=temperature(1e-6))
    parts = (ConstantMixing(1e-3, 2e-3), PacanowskiPhilander(), ConvectiveAdjustment())
    for got, *each in zip(
        CombinedMixing(parts)(view), *(part(view) for part in parts), strict=True
    ):
        np.testing.assert_allclose(owned(got), sum(owned(one) for one in each), rtol=1e-14)


def test_one_level_needs_no_mixing():
    grid = basin([100.0])
    for closure in (ConstantMixing(1.0, 1.0), PacanowskiPhilander(), ConvectiveAdjustment()):
        viscosity, diffusivity = CombinedMixing((closure, closure))(seen(grid, u=1.0))
        assert viscosity.data.shape == diffusivity.data.shape == (1, 1, 1)
    assert surface_enhanced(grid.levels, 1e-4).data.shape == (1, 1, 1)


# -- derivatives ----------------------------------------------------------------------------------

CLOSURES = {
    "richardson": PacanowskiPhilander(),
    "all": CombinedMixing(
        (
            ConstantMixing(1e-3, 1e-4),
            PacanowskiPhilander(),
            PacanowskiPhilander(exponent=1.5),
            ConvectiveAdjustment(),
            ConvectiveAdjustment(width=1e-6),
        )
    ),
}
each_closure = pytest.mark.parametrize("closure", CLOSURES.values(), ids=CLOSURES)


@eqx.filter_jit
def mixed(closure, u, T, grid=GRID):
    """``u`` and ``T`` after an hour of mixing by what the closure makes of them."""
    view = seen(grid, u=u, T=T)
    viscosity, diffusivity = closure(view)
    h = view.thickness
    after = (
        implicit_diffusion(view.u, h.u, avg_x_c2f(viscosity), 3600.0),
        implicit_diffusion(view.tracers["T"], h.c, diffusivity, 3600.0),
    )
    return tuple(grid.owned(field) for field in after)


@eqx.filter_jit
def gradient(closure, u, T, grid=GRID):
    """Of the sum of cubes, with respect to the closure's numbers, u and T."""

    def cost(inputs):
        return sum(jnp.sum(field**3) for field in mixed(*inputs, grid))

    return jax.grad(cost)((jax.tree.map(jnp.asarray, closure), u, T))


def moving_state(seed=0):
    """Neither at rest nor near the onset of convection."""
    rng = np.random.default_rng(seed)
    shape = (4, NY, NX)
    T = 10.0 + np.asarray([1.0, 2.0, 0.5, 0.0])[:, None, None]
    return jnp.asarray(0.1 * rng.standard_normal(shape)), T + 0.1 * jnp.asarray(rng.random(shape))


@each_closure
@pytest.mark.parametrize("dtype", [jnp.float64, jnp.float32])
def test_gradients_from_rest_are_finite(closure, dtype):
    grid = basin([10.0, 20.0, 30.0, 40.0], dtype=dtype)
    still, uniform = jnp.zeros((4, NY, NX), dtype), jnp.full((4, NY, NX), 10.0, dtype)
    closure = jax.tree.map(lambda number: jnp.asarray(number, dtype), closure)
    for leaf in jax.tree.leaves(gradient(closure, still, uniform, grid)):
        assert leaf.dtype == dtype
        assert np.all(np.isfinite(leaf))
    assert all(field.dtype == dtype for field in mixed(closure, still, uniform, grid))


@each_closure
def test_forward_and_reverse_mode_agree(closure):
    state, ahead = moving_state(), moving_state(1)
    out, tangent = jax.jvp(lambda u, T: mixed(closure, u, T), state, ahead)
    _, pullback = jax.vjp(lambda u, T: mixed(closure, u, T), *state)
    left = sum(float(jnp.vdot(a, b)) for a, b in zip(out, tangent, strict=True))
    right = sum(float(jnp.vdot(a, b)) for a, b in zip(pullback(out), ahead, strict=True))
    assert left == pytest.approx(right, rel=1e-12)


@each_closure
def test_taylor_remainder_is_second_order(closure):
    (u, T), (du, dT) = moving_state(), moving_state(1)
    dT = dT - 10.0

    def cost(step):
        return sum(jnp.sum(field**3) for field in mixed(closure, u + step * du, T + step * dT))

    value, slope = jax.jvp(cost, (0.0,), (1.0,))
    remainders = [abs(float(cost(s) - value - s * slope)) for s in (4e-4, 2e-4, 1e-4)]
    orders = np.log2(np.divide(remainders[:-1], remainders[1:]))
    assert np.all(np.abs(orders - 2.0) < 0.1), orders


@each_closure
def test_hessian_is_symmetric(closure):
    state, (a, b) = moving_state(), (moving_state(1), moving_state(2))

    def product(ahead):
        return jax.jvp(lambda u, T: gradient(closure, u, T)[1:], state, ahead)[1]

    forth = sum(float(jnp.vdot(x, y)) for x, y in zip(a, product(b), strict=True))
    back = sum(float(jnp.vdot(x, y)) for x, y in zip(b, product(a), strict=True))
    assert forth == pytest.approx(back, rel=1e-11)


def test_numbers_and_fields_of_a_closure_have_gradients():
    kappa = surface_enhanced(GRID.levels, 1e-2)
    of_closure = gradient(ConstantMixing(jnp.asarray(1e-3), kappa), *moving_state())[0]
    assert of_closure.diffusivity.data.shape == (3, 1, 1)
    assert np.all(np.asarray(of_closure.diffusivity.data) != 0.0)
    of_closure = gradient(PacanowskiPhilander(), *moving_state())[0]
    assert all(float(leaf) != 0.0 for leaf in jax.tree.leaves(of_closure))
