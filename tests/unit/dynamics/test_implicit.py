"""Implicit vertical diffusion against exact solutions, other solvers and dense derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import solve_banded

from dassim.dynamics import implicit
from dassim.dynamics.implicit import implicit_diffusion, open_faces
from dassim.grid import Field, Span, StaggeringError

NZ, NY, NX = 7, 3, 4


def cells(data):
    return Field.at("c", data)


def faces(data):
    return Field(jnp.asarray(data), (Span("f", 1), Span("c"), Span("c")))


def column(data):
    """Levels without horizontal extent."""
    return Field(jnp.asarray(data)[:, None, None], (Span("c"), None, None))


@jax.jit
def diffuse(values, thickness, diffusivity, dt, sink):
    return implicit_diffusion(
        cells(values), cells(thickness), faces(diffusivity), dt, sink=cells(sink)
    ).data


def dense(values, thickness, diffusivity, dt, sink):
    """The same step with one dense matrix per column, differentiated by JAX."""
    difference = jnp.eye(NZ)[:-1] - jnp.eye(NZ)[1:]

    def one(values, h, kappa, r):
        conductance = dt * kappa / (0.5 * (h[1:] + h[:-1]))
        matrix = jnp.diag(h * (1 + dt * r)) + difference.T @ (conductance[:, None] * difference)
        return jnp.linalg.solve(matrix, h * values)

    return jax.vmap(jax.vmap(one, 1, 1), 2, 2)(values, thickness, diffusivity, sink)


@pytest.fixture
def arguments():
    rng = np.random.default_rng(1)
    return (
        jnp.asarray(rng.standard_normal((NZ, NY, NX))),
        jnp.asarray(rng.uniform(1.0, 10.0, (NZ, NY, NX))),
        jnp.asarray(10.0 ** rng.uniform(-4, 1, (NZ - 1, NY, NX))),
        jnp.asarray(50.0),
        jnp.asarray(rng.uniform(0.0, 1e-2, (NZ, NY, NX))),
    )


def random_directions(arguments, seed):
    rng = np.random.default_rng(seed)
    return tuple(jnp.asarray(rng.standard_normal(np.shape(a))) for a in arguments)


def relative(a, b):
    return max(
        float(jnp.max(jnp.abs(x - y)) / jnp.max(jnp.abs(y)))
        for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    )


# -- solutions ------------------------------------------------------------------------------------


def test_agrees_with_lapack(arguments):
    values, h, kappa, dt, sink = map(np.asarray, arguments)
    kappa = kappa * 1e3
    conductance = dt * kappa / (0.5 * (h[1:] + h[:-1]))
    got = diffuse(values, h, kappa, dt, sink)
    for j in range(NY):
        for i in range(NX):
            c = conductance[:, j, i]
            banded = np.zeros((3, NZ))
            banded[0, 1:] = banded[2, :-1] = -c
            banded[1] = h[:, j, i] * (1 + dt * sink[:, j, i])
            banded[1, :-1] += c
            banded[1, 1:] += c
            expected = solve_banded((1, 1), banded, h[:, j, i] * values[:, j, i])
            np.testing.assert_allclose(got[:, j, i], expected, rtol=1e-11)


def cosine_after(levels, steps, diffusivity=1e-2, depth=100.0, seconds=1e5):
    """The gravest insulated mode: computed, and exactly cos(pi z/H) exp(-kappa (pi/H)^2 t)."""
    h = np.full(levels, depth / levels)
    mode = np.cos(np.pi * (np.arange(levels) + 0.5) / levels)
    dt = seconds / steps

    @jax.jit
    def run(x):
        def step(_, x):
            return implicit_diffusion(x, column(h), diffusivity, dt)

        return jax.lax.fori_loop(0, steps, step, x)

    return run(column(mode)).data.ravel(), mode * np.exp(
        -diffusivity * (np.pi / depth) ** 2 * seconds
    )


def test_heat_equation_is_first_order_in_time():
    errors = [float(np.abs(np.subtract(*cosine_after(200, n))).max()) for n in (10, 20, 40)]
    order = np.log2(np.divide(errors[:-1], errors[1:]))
    assert np.all((order > 0.95) & (order < 1.1)), order


def test_heat_equation_is_second_order_in_depth():
    # One short step: the error in time is the same on every grid and is subtracted out.
    kappa, depth, dt = 1e-2, 100.0, 100.0

    def rate(levels):
        after, _ = cosine_after(levels, 1, kappa, depth, dt)
        mode = np.cos(np.pi * (np.arange(levels) + 0.5) / levels)
        return (mode[0] / after[0] - 1.0) / dt

    errors = [abs(float(rate(n)) - kappa * (np.pi / depth) ** 2) for n in (8, 16, 32)]
    order = np.log2(np.divide(errors[:-1], errors[1:]))
    assert np.all((order > 1.95) & (order < 2.05)), order


def test_content_is_conserved_for_any_diffusivity(arguments):
    values, h, kappa, dt, _ = arguments
    for scale in (1e-6, 1.0, 1e6):
        after = diffuse(values + 10.0, h, scale * kappa, dt, jnp.zeros_like(h))
        content = jnp.sum(h * after, axis=0) / jnp.sum(h * (values + 10.0), axis=0)
        np.testing.assert_allclose(content, 1.0, rtol=0, atol=1e-14)


def test_constants_stay_and_extrema_do_not_grow(arguments):
    values, h, kappa, dt, _ = arguments
    none = jnp.zeros_like(h)
    constant = diffuse(jnp.full_like(h, 35.0), h, 1e6 * kappa, dt, none)
    np.testing.assert_allclose(constant, 35.0, rtol=1e-15 * NZ)
    after = diffuse(values, h, kappa, dt, none)
    assert float(after.max()) < float(values.max())
    assert float(after.min()) > float(values.min())


def test_sink_decays_each_level_on_its_own(arguments):
    values, h, _, dt, sink = arguments
    got = diffuse(values, h, jnp.zeros((NZ - 1, NY, NX)), dt, sink)
    np.testing.assert_allclose(got, values / (1 + dt * sink), rtol=1e-14)


def test_sink_takes_what_it_says(arguments):
    values, h, kappa, dt, sink = arguments
    after = diffuse(values, h, kappa, dt, sink)
    lost = jnp.sum(h * (values - after), axis=0)
    np.testing.assert_allclose(lost, dt * jnp.sum(sink * h * after, axis=0), atol=1e-12)


def test_nothing_passes_a_closed_face(arguments):
    values, h, kappa, dt, _ = arguments
    wet = Field(jnp.full((1, NY, NX), 4), (None, Span("c"), Span("c")))
    open_kappa = open_faces(wet, NZ) * faces(kappa)
    got = implicit_diffusion(cells(values), cells(h), open_kappa, dt).data
    again = implicit_diffusion(cells(values.at[4:].set(99.0)), cells(h), open_kappa, dt).data
    np.testing.assert_array_equal(got[:4], again[:4])
    np.testing.assert_allclose(again[4:], 99.0, rtol=1e-15)
    assert relative(got[:4], values[:4]) > 0.1


def test_open_faces_are_those_above_a_wet_level():
    wet = Field(jnp.asarray([[[0, 1, 2, 3]]]), (None, Span("c"), Span("c")))
    expected = [[False, False, True, True], [False, False, False, True]]
    np.testing.assert_array_equal(open_faces(wet, 3).data[:, 0], expected)


def test_a_tree_of_values_shares_one_matrix(arguments):
    values, h, kappa, dt, _ = arguments
    tree = {"T": cells(values), "S": (cells(2.0 - values),)}
    got = implicit_diffusion(tree, cells(h), faces(kappa), dt)
    one = implicit_diffusion(tree["T"], cells(h), faces(kappa), dt)
    np.testing.assert_array_equal(got["T"].data, one.data)
    np.testing.assert_allclose(got["S"][0].data, 2.0 - one.data, rtol=1e-13)


@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_columns_solved_in_parts_are_the_same(rows, dtype, arguments, monkeypatch):
    """Two rows at a time do not divide three: the one in the middle is solved for twice."""
    values, *others = (array.astype(dtype) for array in arguments)

    def mixed(values, thickness, diffusivity, dt, sink):
        """With a sink that is the same everywhere, and a second right-hand side of one row."""
        row = Field(values[:, :1], (Span("c"), None, Span("c")))
        return implicit_diffusion(
            (row, cells(values)), cells(thickness), faces(diffusivity), dt, sink=sink[0, 0, 0]
        )

    def solved():
        def both(*each):
            return jax.value_and_grad(
                lambda *x: sum(jnp.sum(f.data**3) for f in mixed(*x)), (0, 2)
            )(*each)

        members = jnp.stack([values, 2.0 * values])
        return jax.jit(both)(values, *others), jax.vmap(lambda x: mixed(x, *others))(members)

    together = solved()
    monkeypatch.setattr(implicit, "IN_CACHE", rows * values[:, 0].nbytes)
    assert relative(solved(), together) < 10 * jnp.finfo(dtype).eps


def test_one_row_of_coefficients_serves_all(arguments):
    """Whichever of several right-hand sides comes first."""
    values, h, kappa, dt, _ = arguments
    first = (slice(None), slice(0, 1))
    row = Field(values[first], (Span("c"), None, Span("c")))
    thickness = Field(h[first], (Span("c"), None, Span("c")))
    diffusivity = Field(kappa[first], (Span("f", 1), None, Span("c")))
    one, all_rows = implicit_diffusion((row, cells(values)), thickness, diffusivity, dt)
    alone = implicit_diffusion(cells(values), thickness, diffusivity, dt)
    np.testing.assert_allclose(all_rows.data, alone.data, rtol=1e-14)
    for j in range(NY):
        np.testing.assert_allclose(one.data[:, j], all_rows.data[:, 0], rtol=1e-14)


def test_one_level_has_no_diffusion():
    x = implicit_diffusion(column([3.0]), column([10.0]), 1.0, 2.0, sink=0.25)
    assert x.data.ravel().tolist() == [2.0]


def test_covers_the_points_that_all_fields_cover(arguments):
    values, h, kappa, dt, _ = arguments

    def at_u(data, at, first, x):
        return Field(data, (Span(at, first), Span("c"), Span("f", x)))

    got = implicit_diffusion(
        at_u(values, "c", 0, -1), at_u(h, "c", 0, 0), at_u(kappa, "f", 1, 0), dt
    )
    assert got.spans == (Span("c"), Span("c"), Span("f", 0))
    assert got.data.shape == (NZ, NY, NX - 1)
    expected = diffuse(
        values[..., 1:], h[..., :-1], kappa[..., :-1], dt, jnp.zeros_like(h)[..., 1:]
    )
    np.testing.assert_array_equal(got.data, expected)


def test_uniform_coefficients_may_be_constant_along_axes(arguments):
    values, _, _, dt, _ = arguments
    h = column(np.linspace(1.0, 4.0, NZ))
    got = implicit_diffusion(cells(values), h, 1e-2, dt).data
    full = jnp.broadcast_to(h.data, values.shape)
    kappa = jnp.full((NZ - 1, NY, NX), 1e-2)
    np.testing.assert_allclose(got, diffuse(values, full, kappa, dt, 0 * full), rtol=1e-15)


@pytest.mark.parametrize("wrong", ["values on faces", "diffusivity on centres", "sink on faces"])
def test_fields_at_the_wrong_points_are_refused(wrong, arguments):
    values, h, kappa, dt, sink = arguments
    fields = {"values": cells(values), "diffusivity": faces(kappa), "sink": cells(sink)}
    if wrong.startswith("diffusivity"):
        fields["diffusivity"] = cells(values)
    else:
        fields[wrong.split()[0]] = faces(kappa)
    with pytest.raises(StaggeringError, match=r"implicit_diffusion: found .* expected"):
        implicit_diffusion(
            fields["values"], cells(h), fields["diffusivity"], dt, sink=fields["sink"]
        )


# -- derivatives ----------------------------------------------------------------------------------

ALL = (0, 1, 2, 3, 4)


def cost(step):
    return lambda *arguments: jnp.sum(step(*arguments) ** 3)


def test_gradient_equals_that_of_the_dense_solve(arguments):
    got = jax.jit(jax.grad(cost(diffuse), ALL))(*arguments)
    assert relative(got, jax.jit(jax.grad(cost(dense), ALL))(*arguments)) < 1e-12


def test_hessian_vector_product_equals_that_of_the_dense_solve(arguments):
    ahead = random_directions(arguments, 2)
    got = jax.jvp(jax.grad(cost(diffuse), ALL), arguments, ahead)[1]
    assert relative(got, jax.jvp(jax.grad(cost(dense), ALL), arguments, ahead)[1]) < 1e-12


def test_hessian_is_symmetric(arguments):
    a, b = random_directions(arguments, 3), random_directions(arguments, 4)

    def dot(x, y):
        return sum(float(jnp.vdot(p, q)) for p, q in zip(x, y, strict=True))

    def product(direction):
        return jax.jvp(jax.grad(cost(diffuse), ALL), arguments, direction)[1]

    forth, back = dot(a, product(b)), dot(b, product(a))
    assert abs(forth - back) < 1e-12 * abs(forth)


def test_reverse_mode_is_the_transpose_of_forward_mode(arguments):
    ahead = random_directions(arguments, 5)
    out, tangent = jax.jvp(diffuse, arguments, ahead)
    back = jnp.asarray(np.random.default_rng(6).standard_normal(out.shape))
    cotangents = jax.vjp(diffuse, *arguments)[1](back)
    left = float(jnp.vdot(back, tangent))
    right = sum(float(jnp.vdot(c, a)) for c, a in zip(cotangents, ahead, strict=True))
    assert abs(left - right) < 1e-12 * abs(left)


def test_taylor_remainder_is_second_order(arguments):
    directions = random_directions(arguments, 7)
    ahead = tuple(0.1 * jnp.abs(a) * d for a, d in zip(arguments, directions, strict=True))
    value, slope = jax.jvp(cost(diffuse), arguments, ahead)

    def remainder(step):
        moved = (a + step * d for a, d in zip(arguments, ahead, strict=True))
        return abs(float(cost(diffuse)(*moved) - value - step * slope))

    ratios = [remainder(s) / remainder(s / 2) for s in (1e-2, 5e-3)]
    assert np.all(np.abs(np.log2(ratios) - 2.0) < 0.05), ratios


def test_reverse_mode_adds_one_pair_of_sweeps(arguments):
    values, *rest = arguments

    def loops(function):
        return str(jax.jit(function).lower(values).compile().as_text()).count(" while(")

    def once(v):
        return diffuse(v, *rest)

    def reverse(v):
        return jax.grad(lambda v: jnp.sum(once(v) ** 3))(v)

    assert loops(once) == 2
    assert loops(reverse) == 4


def test_vmap_and_checkpoint(arguments):
    values, h, kappa, dt, sink = arguments
    many = jnp.stack([kappa, 2.0 * kappa])
    gradient = jax.grad(lambda k: jnp.sum(jax.checkpoint(diffuse)(values, h, k, dt, sink) ** 2))
    got = jax.vmap(gradient)(many)
    assert relative(got, jnp.stack([gradient(k) for k in many])) < 1e-13


def test_float32_stays_float32_with_finite_gradients(arguments):
    single = tuple(jnp.asarray(a, jnp.float32) for a in arguments)
    got = diffuse(*single)
    assert got.dtype == jnp.float32
    np.testing.assert_allclose(got, diffuse(*arguments), atol=1e-5)
    for gradient in jax.grad(cost(diffuse), ALL)(*single):
        assert gradient.dtype == jnp.float32
        assert bool(jnp.all(jnp.isfinite(gradient)))
