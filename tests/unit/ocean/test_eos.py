"""Equations of state against the source's check value, the GSW library and exact derivatives."""

from __future__ import annotations

import equinox as eqx
import gsw
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dassim.grid import Field, levels
from dassim.ocean import teos10
from dassim.ocean.eos import TEOS10, LinearEOS

EQUATIONS = [TEOS10(), LinearEOS()]
each_equation = pytest.mark.parametrize("eos", EQUATIONS, ids=["teos10", "linear"])


@pytest.fixture(scope="module")
def funnel():
    """T, S and p (dbar) throughout the oceanographic funnel (McDougall et al. 2003)."""
    rng = np.random.default_rng(0)
    S, T, p = (rng.uniform(a, b, 20000) for a, b in ((0, 42), (-2, 40), (0, 8000)))
    inside = gsw.infunnel(S, T, p).astype(bool)
    return T[inside], S[inside], p[inside]


# -- values ---------------------------------------------------------------------------------------


def test_check_value_of_roquet_et_al():
    at = (10.0, 30.0, -1000.0)
    eos = TEOS10()
    assert float(eos.density(*at)) == pytest.approx(1027.45140, abs=5e-6)
    assert float(eos.profile(-1000.0)) == pytest.approx(4.59763035, abs=5e-9)
    assert float(eos.expansion(*at)) == pytest.approx(0.179646281, abs=5e-10)
    # The source rounds the coefficients of the contraction apart from those of density.
    assert float(eos.contraction(*at)) == pytest.approx(0.765555368, abs=5e-9)


def test_no_digit_of_the_coefficients_is_mistyped():
    # Both polynomials are the sum of their coefficients where s = t = zeta = 1.
    T, S, z = 40.0, 40.0 * 35.16504 / 35.0 - 32.0, -1e4
    assert float(teos10.profile(z)) == pytest.approx(41.5892192237529, abs=4e-14)
    assert float(teos10.anomaly(T, S, z)) + 1026.0 == pytest.approx(995.3164631807849, abs=1e-9)


def test_density_is_that_of_gsw_to_the_fit_of_the_polynomial(funnel):
    T, S, p = funnel
    error = np.asarray(TEOS10().density(T, S, -p)) - gsw.rho(S, T, p)
    assert np.abs(error).max() < 2e-3
    assert error.std() < 5e-4


def test_slopes_are_those_of_gsw_to_the_fit_of_the_polynomial(funnel):
    T, S, p = funnel
    rho, alpha, beta = gsw.rho_alpha_beta(S, T, p)
    eos = TEOS10()
    np.testing.assert_allclose(eos.expansion(T, S, -p), rho * alpha, atol=1e-3)
    np.testing.assert_allclose(eos.contraction(T, S, -p), rho * beta, atol=5e-4)


def test_linear_density_and_its_slopes():
    eos = LinearEOS(alpha=2e-4, beta=8e-4, T0=5.0, S0=34.0, reference_density=1000.0)
    assert float(eos.density(6.0, 36.0, -500.0)) == pytest.approx(1000.0 - 0.2 + 1.6)
    assert float(eos.expansion(6.0, 36.0, 0.0)) == pytest.approx(0.2)
    assert float(eos.contraction(6.0, 36.0, 0.0)) == pytest.approx(0.8)


@each_equation
def test_buoyancy_is_that_of_the_density_less_its_profile(eos):
    T, S, z = jnp.asarray([2.0, 25.0]), jnp.asarray([34.0, 37.0]), jnp.asarray([-4000.0, -10.0])
    excess = eos.density(T, S, z) - eos.profile(z) - eos.reference_density
    expected = -eos.gravity * excess / eos.reference_density
    np.testing.assert_allclose(eos.buoyancy(T, S, z), expected, rtol=1e-10)


def test_another_reference_density_leaves_the_density_alone():
    at = (10.0, 35.0, -100.0)
    other = TEOS10(reference_density=1000.0)
    assert float(other.density(*at)) == pytest.approx(float(TEOS10().density(*at)), rel=1e-14)
    assert float(other.buoyancy(*at)) < float(TEOS10().buoyancy(*at)) - 0.2


@each_equation
def test_fields_and_arrays_give_the_same(eos):
    T = np.random.default_rng(1).uniform(0.0, 20.0, (3, 2, 2))
    z = levels([10.0, 20.0, 30.0]).z.c
    for name in ("density", "buoyancy", "expansion", "contraction"):
        function = getattr(eos, name)
        field = function(Field.at("c", T), Field.at("c", 35.0 + 0 * T), z)
        assert field.spans == Field.at("c", T).spans
        np.testing.assert_allclose(field.data, function(T, 35.0 + 0 * T, z.data), rtol=1e-15)


# -- stability ------------------------------------------------------------------------------------


def column(values):
    return Field.at("c", jnp.asarray(values)[:, None, None])


def test_linear_stratification_has_its_frequency():
    eos = LinearEOS(alpha=2e-4, beta=8e-4)
    vertical = levels([10.0, 20.0, 30.0, 10.0])
    z = vertical.z.c.data[:, 0, 0]
    n2 = eos.buoyancy_and_stratification(column(10 + 0.01 * z), column(35 - 0.002 * z), vertical)[1]
    assert (n2.spans[0].at, n2.spans[0].start, n2.data.shape[0]) == ("f", 1, 3)
    np.testing.assert_allclose(n2.data, 9.81 * (2e-4 * 0.01 + 8e-4 * 0.002), rtol=1e-10)


def test_frequency_is_that_of_gsw():
    S = np.asarray([34.0, 34.5, 34.8, 34.9, 34.7])
    T = np.asarray([20.0, 15.0, 8.0, 4.0, 2.0])
    vertical = levels([100.0, 200.0, 400.0, 800.0, 1000.0])
    depth = -np.asarray(vertical.z.c.data)[:, 0, 0]
    face = -np.asarray(vertical.z.f.data)[1:-1, 0, 0]
    eos = TEOS10()
    got = eos.buoyancy_and_stratification(column(T), column(S), vertical)[1].data[:, 0, 0]
    jump = gsw.rho(S[1:], T[1:], face) - gsw.rho(S[:-1], T[:-1], face)
    expected = eos.gravity / eos.reference_density * jump / np.diff(depth)
    np.testing.assert_allclose(got, expected, rtol=2e-3)


@each_equation
def test_well_mixed_water_is_neutral_at_any_depth(eos):
    vertical = levels([500.0] * 8)
    n2 = jax.jit(lambda T, S: eos.buoyancy_and_stratification(T, S, vertical)[1])
    np.testing.assert_array_equal(n2(column([3.0] * 8), column([34.9] * 8)).data, 0.0)


def test_stability_is_that_at_the_face():
    # Thermobaricity: cold, fresh water over warm, salty water is light at the surface only.
    for depth, sign in ((10.0, 1.0), (4000.0, -1.0)):
        vertical = levels([2 * depth - 10.0, 10.0, 10.0])
        T, S = column([0.0, -1.5, 1.0]), column([30.0, 34.6, 34.9])
        n2 = TEOS10().buoyancy_and_stratification(T, S, vertical)[1].data[1, 0, 0]
        assert np.sign(n2) == sign


@each_equation
def test_one_level_has_no_stability(eos):
    n2 = eos.buoyancy_and_stratification(column([3.0]), column([35.0]), levels([100.0]))[1]
    assert n2.data.shape == (0, 1, 1)


# -- derivatives ----------------------------------------------------------------------------------


@each_equation
def test_slopes_are_derivatives_of_density(eos):
    at = (10.0, 30.0, -1000.0)
    along = jax.grad(eos.density, (0, 1))(*at)
    assert float(along[0]) == pytest.approx(-float(eos.expansion(*at)), rel=1e-13)
    assert float(along[1]) == pytest.approx(float(eos.contraction(*at)), rel=1e-13)


def test_all_derivatives_are_those_of_the_polynomial_as_published():
    def published(T, S, z):
        s = jnp.sqrt((S + 32.0) / (40.0 * 35.16504 / 35.0))
        t, zeta = T / 40.0, -z / 1e4
        r = sum(
            c * s**i * t**j * zeta**k
            for k, rows in enumerate(teos10._ANOMALY)
            for j, row in enumerate(rows)
            for i, c in enumerate(row)
        )
        return r - 1026.0

    at, all_three = (12.0, 33.0, -2500.0), (0, 1, 2)
    count = sum(len(row) for rows in teos10._ANOMALY for row in rows) + len(teos10._PROFILE)
    assert count == 52 + 6
    close = {"rtol": 1e-8, "atol": 1e-13}

    def derivative(order, function):
        return jax.jit(order(function, all_three))(*at)

    np.testing.assert_allclose(teos10.anomaly(*at), published(*at), rtol=1e-11)
    for order in (jax.grad, jax.jacfwd, jax.hessian):
        got, expected = (derivative(order, f) for f in (teos10.anomaly, published))
        np.testing.assert_allclose(got, expected, **close)
    for slope in (0, 1):

        def of_slope(*at, slope=slope):
            return teos10.expansion_and_contraction(*at)[slope]

        def of_published(*at, slope=slope):
            return jax.grad(published, slope)(*at) * (-1.0, 1.0)[slope]

        got, expected = (derivative(jax.hessian, f) for f in (of_slope, of_published))
        np.testing.assert_allclose(got, expected, **close)


@each_equation
def test_forward_and_reverse_mode_agree_through_the_stability(eos):
    rng = np.random.default_rng(2)
    vertical = levels([50.0, 100.0, 400.0, 1000.0])
    T, S, dT, dS = (jnp.asarray(rng.uniform(0.0, 1.0, (4, 2, 3))) for _ in range(4))

    @jax.jit
    def n2(T, S):
        fields = Field.at("c", 20.0 * T), Field.at("c", 34.0 + S)
        return eos.buoyancy_and_stratification(*fields, vertical)[1].data

    out, ahead = jax.jvp(n2, (T, S), (dT, dS))
    back = jax.vjp(n2, T, S)[1](out)
    left, right = jnp.vdot(out, ahead), jnp.vdot(back[0], dT) + jnp.vdot(back[1], dS)
    assert float(left) == pytest.approx(float(right), rel=1e-12)


def test_coefficients_of_the_linear_equation_have_gradients():
    gradient = eqx.filter_grad(lambda eos: eos.buoyancy(12.0, 34.0, 0.0))(
        jax.tree.map(jnp.asarray, LinearEOS())
    )
    assert float(gradient.alpha) == pytest.approx(9.81 * 2.0)
    assert float(gradient.beta) == pytest.approx(9.81 * 1.0)
    assert float(gradient.T0) == pytest.approx(-9.81 * 1.67e-4)


@pytest.mark.parametrize("S", [0.0, -5.0, -16.0, -32.0, -1e3])
def test_any_salinity_has_finite_values_and_derivatives(S):
    eos = TEOS10()
    assert np.isfinite(float(eos.density(0.0, S, -10.0)))
    for order in (jax.grad, jax.hessian):
        assert np.all(np.isfinite(order(eos.buoyancy, (0, 1, 2))(0.0, S, -10.0)))


def test_below_the_least_salinity_density_is_constant():
    eos = TEOS10()
    assert float(eos.density(5.0, -20.0, 0.0)) == float(eos.density(5.0, -16.0, 0.0))
    assert float(jax.grad(eos.buoyancy, 1)(5.0, -20.0, 0.0)) == 0.0
    assert float(eos.contraction(5.0, -20.0, 0.0)) == 0.0


def test_reverse_mode_keeps_two_arrays_per_evaluation():
    T = jnp.ones((4, 5))
    _, pullback = jax.vjp(jax.jit(lambda T, S: TEOS10().buoyancy(T, S, -10.0)), T, 35 * T)
    assert sum(np.shape(leaf) == T.shape for leaf in jax.tree.leaves(pullback)) == 2


@each_equation
def test_float32_stays_float32_and_is_accurate(eos, funnel):
    exact = [np.asarray(a, np.float32) for a in (funnel[0], funnel[1], -funnel[2])]
    single = eos.buoyancy(*exact)
    assert single.dtype == jnp.float32
    double = eos.buoyancy(*(a.astype(float) for a in exact))
    assert float(jnp.abs(single - double).max()) < 7e-8  # m s-2, of 7e-6 kg m-3
    assert jax.grad(lambda T: eos.buoyancy(T, *exact[1:]).sum())(exact[0]).dtype == jnp.float32


@each_equation
def test_vmap(eos):
    T, S = jnp.linspace(0.0, 30.0, 5), jnp.linspace(30.0, 37.0, 5)
    gradient = jax.grad(eos.buoyancy, (0, 1))
    got = jax.vmap(lambda T, S: gradient(T, S, -100.0))(T, S)
    each = [gradient(t, s, -100.0) for t, s in zip(T, S, strict=True)]
    np.testing.assert_allclose(np.stack(got, 1), np.asarray(each), rtol=1e-12)
