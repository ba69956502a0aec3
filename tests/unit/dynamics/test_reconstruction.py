"""Reconstruction against formulas written with loops, its accuracy, symmetry and derivatives."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dassim.dynamics.reconstruction import WENO, Centred, FluxLimited, Upwind, reconstruct
from dassim.dynamics.reconstruction.weights import SUBSTENCILS
from dassim.grid import Field, HaloError, Span
from dassim.grid.field import X, Y, Z
from tests.models.stencils import LIMITERS, SCHEMES, face_values

N = 14
NONLINEAR = (WENO(3), WENO(5), *(FluxLimited(limiter) for limiter in LIMITERS))
each_scheme = pytest.mark.parametrize("scheme", SCHEMES, ids=str)


def along(axis, values, at="c", start=0):
    """A field of lines of ``values (m, n)`` along ``axis``, ``m`` of them along another one."""
    spans = [None, None, None]
    spans[axis], spans[axis - 1] = Span(at, start), Span("c")
    shape = [1, 1, 1]
    shape[axis], shape[axis - 1] = values.shape[1], values.shape[0]
    data = jnp.asarray(values if axis > axis - 1 >= 0 else values.T)
    return Field(data.reshape(shape), tuple(spans))


def lines(field, axis):
    """``(m, n)`` again."""
    data = np.asarray(jnp.moveaxis(field.data, axis, -1))
    return data.reshape(-1, data.shape[-1])


def sample(seed=0, lines=8, n=N, dtype=float):
    """Values, velocities at the faces between them, and which of the values are wet."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(lines, n)) + 5 * (rng.random((lines, n)) < 0.2)
    wet = rng.random((lines, n)) < 0.8
    return values.astype(dtype), rng.normal(size=(lines, n - 1)).astype(dtype), wet


@partial(jax.jit, static_argnames=("axis", "scheme", "at"))
def between(values, velocity, wet, *, axis, scheme, at="c"):
    other, shift = ("f", 1) if at == "c" else ("c", 0)
    upward = -velocity if axis == Z else velocity
    return reconstruct(
        along(axis, values, at),
        axis,
        along(axis, upward, other, shift),
        scheme,
        None if wet is None else along(axis, wet, at),
    )


@each_scheme
@pytest.mark.parametrize("at", ["c", "f"])
@pytest.mark.parametrize("axis", [X, Y, Z])
def test_values_are_those_of_the_formulas(axis, at, scheme):
    """Next to dry points and, along z, at the ends, with either direction of the flow."""
    values, velocity, wet = sample()
    found = between(values, velocity, wet, axis=axis, scheme=scheme, at=at)
    first = 1 if at == "c" else 0
    inner = 0 if axis == Z else scheme.reach - 1
    assert found.spans[axis] == Span("f" if at == "c" else "c", first + inner)
    expected = np.array(
        [face_values(q, v, scheme, w) for q, v, w in zip(values, velocity, wet, strict=True)]
    )
    expected = expected[:, inner : expected.shape[1] - inner]
    np.testing.assert_allclose(lines(found, axis), expected, rtol=0, atol=1e-13)


@each_scheme
@pytest.mark.parametrize("levels", [2, 3, 4])
def test_few_levels_give_all_interior_faces(scheme, levels):
    values, velocity, _ = sample(n=levels)
    found = between(values, velocity, None, axis=Z, scheme=scheme)
    expected = [face_values(q, w, scheme) for q, w in zip(values, velocity, strict=True)]
    np.testing.assert_allclose(lines(found, Z), expected, rtol=0, atol=1e-13)


@each_scheme
def test_numbers_on_dry_points_away_from_the_face_do_not_matter(scheme):
    """Faces between two wet points see wet points only, and their derivatives too."""
    values, velocity, wet = sample()
    at_face = wet[:, 1:] & wet[:, :-1]

    def wet_faces(values):
        found = between(values, velocity, wet, axis=Z, scheme=scheme)
        return jnp.sum(along(Z, np.where(at_face, velocity, 0.0), "f", 1).data * found.data)

    huge = np.where(wet, values, 1e6)
    for function in (wet_faces, jax.grad(wet_faces)):
        np.testing.assert_array_equal(function(np.where(wet, values, 0.0)), function(huge))


@each_scheme
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_constant_comes_back_unchanged(scheme, dtype):
    values, velocity, wet = sample(dtype=dtype)
    for axis in (X, Z):
        found = between(np.full_like(values, 35.1), velocity, wet, axis=axis, scheme=scheme)
        assert found.data.dtype == dtype
        assert (np.asarray(found.data) == dtype(35.1)).all()


@each_scheme
@pytest.mark.parametrize("axis", [X, Y, Z])
def test_a_mirror_image_gives_the_mirror_image(axis, scheme):
    """Bit for bit, operation by operation. (A compiler may fuse multiplications with additions in
    one part of a loop only.)"""
    values, velocity, wet = sample(1)
    with jax.disable_jit():
        here, there = (
            between(*arguments, axis=axis, scheme=scheme)
            for arguments in (
                (values, velocity, wet),
                (values[:, ::-1], -velocity[:, ::-1], wet[:, ::-1]),
            )
        )
    np.testing.assert_array_equal(lines(here, axis), lines(there, axis)[:, ::-1])


@pytest.mark.parametrize("scheme", NONLINEAR, ids=str)
def test_the_field_may_be_scaled_and_shifted(scheme):
    """WENO: with its threshold in the same unit."""
    values, velocity, wet = sample(2)
    per_mille = (
        WENO(scheme.order, 1e3 * scheme.smooth_below) if isinstance(scheme, WENO) else scheme
    )
    one = between(values, velocity, wet, axis=X, scheme=scheme)
    other = between(1e3 * (values + 3.0), velocity, wet, axis=X, scheme=per_mille)
    np.testing.assert_allclose(other.data, 1e3 * (one.data + 3.0), rtol=0, atol=1e-10)


def test_a_field_constant_along_the_axis_is_its_own_reconstruction():
    depth_mean = Field(jnp.ones((1, 3, 3)), (None, Span("c"), Span("c")))
    assert reconstruct(depth_mean, Z, Field.constant(1.0), WENO(5)) is depth_mean


# -- accuracy -----------------------------------------------------------------------------------


def errors_at_faces(scheme, n, direction):
    """Reconstruction of ``exp(sin x)`` over one period from its cell averages, minus the truth."""
    faces = 2 * np.pi * np.arange(-3, n + 4) / n
    nodes, weights = np.polynomial.legendre.leggauss(8)
    half = np.pi / n
    averages = np.exp(np.sin(faces[:-1, None] + half * (1 + nodes))) @ weights / 2
    velocity = np.full((1, n + 5), float(direction))
    found = between(averages[None], velocity, None, axis=X, scheme=scheme)
    first = found.spans[X].start
    return lines(found, X)[0] - np.exp(np.sin(faces[first : first + found.data.shape[X]]))


def order(scheme, n, norm, direction=1):
    coarse, fine = (norm(errors_at_faces(scheme, m, direction)) for m in (n, 2 * n))
    return np.log2(coarse / fine)


def largest(errors):
    return abs(errors).max()


def mean(errors):
    return abs(errors).mean()


@pytest.mark.parametrize("direction", [-1, 1])
@pytest.mark.parametrize(
    ("scheme", "norm", "expected"),
    [
        (Centred(2), largest, 2),
        (Centred(4), largest, 4),
        (Upwind(3), largest, 3),
        (Upwind(5), largest, 5),
        (WENO(3), mean, 3),
        (WENO(3), largest, 2),  # at extrema
        (WENO(5), largest, 5),
        (WENO(5, 1e-20), largest, 5),  # at extrema too
        (FluxLimited("minmod"), mean, 2),
        (FluxLimited("van_leer"), mean, 2),
        (FluxLimited("superbee"), mean, 2),
        (FluxLimited("koren"), mean, 3),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_order_of_accuracy(scheme, norm, expected, direction):
    found = order(scheme, 128, norm, direction)
    assert abs(found - expected) < 0.2, found


# -- derivatives --------------------------------------------------------------------------------


def misfit(scheme, velocity, wet, values):
    """A smooth function of the reconstruction along x and z."""
    x, z = (between(values, velocity, wet, axis=axis, scheme=scheme).data for axis in (X, Z))
    return jnp.sum(jnp.sin(x)) + jnp.sum(jnp.sin(2 * z))


@pytest.mark.parametrize("order", [3, 5])
@pytest.mark.parametrize("size", [1e-6, 1e-4, 1.0, 1e4])
def test_slopes_are_those_of_plain_differentiation(order, size):
    stencils, eps = SUBSTENCILS[order], 1e-8
    differences = list(size * np.random.default_rng(3).normal(size=(order - 1, 500)))
    found = jax.jit(lambda d: stencils.slopes(eps, d))(differences)
    expected = jax.jit(jax.grad(lambda d: jnp.sum(stencils.value(eps, d))))(differences)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13 * np.abs(expected).max())


@each_scheme
def test_first_and_second_derivatives(scheme):
    """Taylor remainders of order 2 and 3, with the gradient and the Hessian in reverse mode."""
    values, velocity, wet = sample(4)
    direction = np.random.default_rng(5).normal(size=values.shape)
    cost = jax.jit(partial(misfit, scheme, velocity, wet))
    gradient = jax.grad(cost)
    slope, curvature = jax.jit(
        lambda v, d: [jnp.sum(d * g) for g in jax.jvp(gradient, (v,), (d,))]
    )(values, direction)
    steps = np.array([1e-3, 1e-4]) if isinstance(scheme, FluxLimited) else np.array([2e-4, 1e-4])
    first = np.array([cost(values + h * direction) - cost(values) - h * slope for h in steps])
    second = first - steps**2 / 2 * curvature
    assert_order(first, steps, 2)
    assert_order(second, steps, 3)


def assert_order(remainders, steps, expected):
    found = np.log(abs(remainders[0] / remainders[1])) / np.log(steps[0] / steps[1])
    assert found > expected - 0.1, found


@each_scheme
def test_forward_and_reverse_mode_agree(scheme):
    values, velocity, wet = sample(6)
    rng = np.random.default_rng(7)

    @jax.jit
    def products(values, x, y):
        def faces(v):
            return between(v, velocity, wet, axis=X, scheme=scheme).data

        result, tangent = jax.jvp(faces, (values,), (x,))
        (cotangent,) = jax.vjp(faces, values)[1](y[..., : result.shape[-1]].reshape(result.shape))
        return jnp.vdot(tangent, y[..., : result.shape[-1]]), jnp.vdot(x, cotangent)

    forward, reverse = products(
        values, rng.normal(size=values.shape), rng.normal(size=values.shape)
    )
    assert abs(forward - reverse) < 1e-13 * abs(forward)


@each_scheme
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_derivatives_are_finite(dtype, scheme):
    """Of first and second order, from fields that make careless formulas divide by zero."""
    values, velocity, wet = sample(dtype=dtype)
    velocity = velocity * (np.arange(N - 1) % 3 > 0).astype(dtype)

    @jax.jit
    def derivatives(v):
        return jax.jvp(jax.grad(partial(misfit, scheme, velocity, wet)), (v,), (values,))

    for start in (
        0 * values,
        0 * values + 35,
        0 * values + 10 * (np.arange(N) < N // 2),
        1e4 * values,
        1e-25 * values,
    ):
        for derivative in derivatives(start.astype(dtype)):
            assert derivative.dtype == dtype
            assert np.isfinite(derivative).all()


def test_at_a_uniform_field_weno_is_the_linear_scheme():
    """There the derivative is well defined: small perturbations count as smooth."""
    values, velocity, wet = sample(8)

    @partial(jax.jit, static_argnames="scheme")
    def change(start, scheme):
        def faces(v):
            return between(v, velocity, wet, axis=X, scheme=scheme).data

        return jax.jvp(faces, (start,), (values,))[1]

    for order in (3, 5):
        weno, linear = (change(0 * values + 20.0, s) for s in (WENO(order), Upwind(order)))
        np.testing.assert_allclose(weno, linear, rtol=0, atol=1e-13)


# -- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Centred(3), "Centred: order 3; expected one of 2, 4"),
        (lambda: Upwind(2), "Upwind: order 2; expected one of 3, 5"),
        (lambda: WENO(7), "WENO: order 7; expected one of 3, 5"),
        (lambda: WENO(5, 0.0), "WENO: found smooth_below 0.0; expected a positive difference"),
        (lambda: FluxLimited("mc"), "FluxLimited: limiter 'mc'; expected one of minmod, van_leer"),
    ],
)
def test_unknown_schemes_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_a_halo_too_narrow_is_refused():
    values, velocity, _ = sample(n=5)
    with pytest.raises(HaloError, match="wider halo"):
        between(values, velocity, None, axis=X, scheme=WENO(5))


def test_schemes_are_values():
    assert WENO(5) == WENO(5) != WENO(3)
    assert len({WENO(5), WENO(5), WENO(5, 1e-6), FluxLimited(), Upwind()}) == 4
