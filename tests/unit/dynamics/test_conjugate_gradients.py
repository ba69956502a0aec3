"""Conjugate gradients against dense linear algebra: answers, derivatives, and how they end."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dassim.dynamics.conjugate_gradients import chebyshev, conjugate_gradients, jacobi

N = 12


def positive_matrix(n: int = N, condition: float = 1e3, seed: int = 0) -> jax.Array:
    rng = np.random.default_rng(seed)
    basis, _ = np.linalg.qr(rng.standard_normal((n, n)))
    return jnp.asarray(basis * np.geomspace(1.0, condition, n) @ basis.T)


def vector(seed: int, n: int = N) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).standard_normal(n))


def symmetric(matrix: jax.Array) -> jax.Array:
    return 0.5 * (matrix + matrix.T)


@jax.jit
def solve(matrix, rhs):
    return conjugate_gradients(partial(jnp.matmul, symmetric(matrix)), rhs, tolerance=1e-14)


@jax.jit
def dense_solve(matrix, rhs):
    return jnp.linalg.solve(symmetric(matrix), rhs)


def assert_close(found, expected, relative):
    scale = np.abs(expected).max()
    assert np.abs(np.asarray(found) - np.asarray(expected)).max() <= relative * scale


def test_it_solves_a_dense_system():
    matrix, rhs = positive_matrix(), vector(1)
    solution = solve(matrix, rhs)
    assert_close(solution.x, jnp.linalg.solve(matrix, rhs), 1e-10)
    assert solution.residual <= 1e-14
    assert N <= solution.iterations <= 3 * N  # N but for round-off


def test_the_answer_comes_after_as_many_iterations_as_there_are_eigenvalues():
    diagonal = jnp.asarray([1.0, 5.0, 20.0])[jnp.arange(N) % 3]
    solution = conjugate_gradients(lambda x: diagonal * x, vector(2), tolerance=1e-12)
    assert solution.iterations == 3
    assert_close(solution.x, vector(2) / diagonal, 1e-12)


def test_vectors_may_be_trees():
    matrix, rhs = positive_matrix(), vector(1)

    def operator(tree):
        image = matrix @ jnp.concatenate([tree["a"], tree["b"].ravel()])
        return {"a": image[:4], "b": image[4:].reshape(2, 4)}

    solution = conjugate_gradients(operator, {"a": rhs[:4], "b": rhs[4:].reshape(2, 4)})
    found = jnp.concatenate([solution.x["a"], solution.x["b"].ravel()])
    assert_close(found, jnp.linalg.solve(matrix, rhs), 1e-9)


def test_no_right_hand_side_no_iteration():
    solution = conjugate_gradients(partial(jnp.matmul, positive_matrix()), jnp.zeros(N))
    assert solution.iterations == 0
    assert solution.residual == 0
    assert not solution.x.any()


def test_it_stops_at_the_greatest_number_of_iterations_and_says_how_far_it_came():
    matrix, rhs = positive_matrix(), vector(1)
    solution = conjugate_gradients(partial(jnp.matmul, matrix), rhs, max_iterations=3)
    assert solution.iterations == 3
    residual = jnp.linalg.norm(rhs - matrix @ solution.x) / jnp.linalg.norm(rhs)
    assert_close(solution.residual, residual, 1e-10)
    assert residual > 1e-3


def test_not_a_number_ends_it():
    rhs = vector(1).at[2].set(jnp.nan)
    solution = conjugate_gradients(partial(jnp.matmul, positive_matrix()), rhs)
    assert solution.iterations == 0
    solution = conjugate_gradients(
        partial(jnp.matmul, positive_matrix().at[0, 0].set(jnp.nan)), vector(1)
    )
    assert solution.iterations <= 1


def test_a_tolerance_below_the_precision_counts_as_the_precision():
    matrix, rhs = positive_matrix(condition=10.0).astype("float32"), vector(1).astype("float32")
    solution = conjugate_gradients(partial(jnp.matmul, matrix), rhs, tolerance=1e-15)
    assert solution.x.dtype == jnp.float32
    assert solution.iterations <= 3 * N
    assert_close(solution.x, jnp.linalg.solve(matrix, rhs), 1e-5)


def test_an_exact_preconditioner_needs_one_iteration():
    diagonal = jnp.geomspace(1.0, 1e6, N)
    solution = conjugate_gradients(
        lambda x: diagonal * x, vector(1), preconditioner=jacobi(diagonal)
    )
    assert solution.iterations == 1


def laplace(x):
    """One-dimensional diffusion with a little decay; diagonal 2.01."""
    padded = jnp.pad(x, 1)
    return 2.01 * x - padded[2:] - padded[:-2]


def test_chebyshev_takes_over_the_reductions():
    n = 200
    spread = 2 / 2.01
    iterations = []
    for degree in (0, 1, 3):
        preconditioner = chebyshev(laplace, jnp.full(n, 2.01), 1 - spread, 1 + spread, degree)
        solution = conjugate_gradients(laplace, vector(3, n), preconditioner=preconditioner)
        assert_close(laplace(solution.x), vector(3, n), 1e-11)
        iterations.append(int(solution.iterations))
    assert iterations[1] < 0.7 * iterations[0]
    assert iterations[2] < 0.4 * iterations[0]


def test_chebyshev_is_the_best_polynomial_between_its_bounds():
    """1 - lambda p(lambda) is the shifted Chebyshev polynomial, largest 1/T(sigma)."""
    lowest, highest, degree = 0.5, 3.0, 4
    eigenvalues = jnp.linspace(lowest, highest, 1001)
    inverse = chebyshev(lambda x: eigenvalues * x, jnp.ones(1001), lowest, highest, degree)
    left = 1 - eigenvalues * inverse(jnp.ones(1001))
    sigma = (highest + lowest) / (highest - lowest)
    assert_close(jnp.abs(left).max(), 1 / np.cosh((degree + 1) * np.arccosh(sigma)), 1e-10)


def test_chebyshev_of_a_single_eigenvalue_is_the_inverse():
    for degree in (0, 3):
        inverse = chebyshev(lambda x: 4.0 * x, jnp.full(N, 4.0), 1.0, 1.0, degree)
        assert_close(inverse(vector(1)), vector(1) / 4, 1e-15)


# -- derivatives --------------------------------------------------------------------------------


def cost(solver, matrix, rhs):
    return jnp.sum(jnp.sin(solver(matrix, rhs)))


def costs():
    return (partial(cost, lambda a, b: solve(a, b).x), partial(cost, dense_solve))


@pytest.fixture
def problem():
    return positive_matrix(condition=30.0), vector(1)


@pytest.fixture
def direction():
    return jnp.asarray(np.random.default_rng(5).standard_normal((N, N))), vector(6)


def test_forward_derivatives_with_respect_to_operator_and_right_hand_side(problem, direction):
    found, expected = (jax.jvp(jax.jit(cost), problem, direction)[1] for cost in costs())
    assert_close(found, expected, 1e-11)


def test_reverse_derivatives_with_respect_to_operator_and_right_hand_side(problem):
    found, expected = (jax.jit(jax.grad(cost, (0, 1)))(*problem) for cost in costs())
    for one, other in zip(found, expected, strict=True):
        assert_close(one, other, 1e-11)


def test_second_derivatives(problem, direction):
    def hessian_product(cost):
        return jax.jit(lambda x, d: jax.jvp(jax.grad(cost, (0, 1)), x, d)[1])(problem, direction)

    found, expected = map(hessian_product, costs())
    for one, other in zip(found, expected, strict=True):
        assert_close(one, other, 1e-10)


def test_derivatives_go_through_scan_and_checkpoint(problem):
    matrix, rhs = problem

    def repeated(solver):
        @jax.checkpoint
        def step(x, _):
            return 10 * solver(matrix, x) + rhs, None

        return jax.jit(jax.grad(lambda x: jnp.sum(jax.lax.scan(step, x, None, length=3)[0] ** 2)))

    found = repeated(lambda a, b: solve(a, b).x)(rhs)
    assert_close(found, repeated(dense_solve)(rhs), 1e-10)


def test_many_right_hand_sides_at_once(problem):
    matrix, _ = problem
    many = jnp.stack([vector(seed) for seed in range(4)])
    found = jax.vmap(lambda rhs: solve(matrix, rhs).x)(many)
    assert_close(found, jnp.linalg.solve(matrix, many.T).T, 1e-11)
