"""Preconditioned conjugate gradients for operators spread over ranks, differentiable.

One global reduction per iteration: the form of Chronopoulos and Gear (1989, J. Comput. Appl.
Math. 25, 153-168), which updates ``s = A p`` by recurrence and so needs its inner products all at
the same place. Every decision is taken on reduced numbers, so all ranks take the same one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

Vector = Any
Operator = Callable[[Vector], Vector]
Dots = Callable[..., jax.Array]


class Solution(NamedTuple):
    """``x``, how many iterations it took, and the norm of the last residual over that of the
    right-hand side (as the recurrence has it)."""

    x: Vector
    iterations: jax.Array
    residual: jax.Array


def local_dots(*pairs: tuple[Vector, Vector]) -> jax.Array:
    """Inner products of ``pairs`` of trees on this rank."""

    def dot(a, b):
        return sum(jax.tree.leaves(jax.tree.map(jnp.vdot, a, b)))

    return jnp.stack([dot(a, b) for a, b in pairs])


def conjugate_gradients(
    operator: Operator,
    rhs: Vector,
    *,
    preconditioner: Operator = lambda residual: residual,
    dots: Dots = local_dots,
    tolerance: float = 1e-12,
    max_iterations: int = 1000,
) -> Solution:
    """Solve ``operator(x) = rhs`` from ``x = 0`` until ``|residual| <= tolerance |rhs|``.

    ``rhs`` is a tree of arrays; ``operator`` and ``preconditioner`` (an approximate inverse) are
    linear, symmetric and positive definite in the inner product of ``dots``, which takes any
    number of pairs and returns their products in one array. ``tolerance`` below the arithmetic's
    precision counts as that precision.

    Derivatives, forward and reverse of any order, are those of the exact solution:
    ``A dx = d rhs - dA x``, solved in the same way; arrays that ``operator`` closes over count.
    Iterations and residual have none. Over ranks the reverse holds for costs that are sums of the
    ranks' shares.

    >>> solution = conjugate_gradients(lambda x: 2 * x, jnp.array([2.0, 4.0]))
    >>> solution.x.tolist(), int(solution.iterations)
    ([1.0, 2.0], 1)
    """

    def solve(operator, rhs):
        x, iterations, residual = _iterate(
            operator, rhs, preconditioner, dots, tolerance, max_iterations
        )
        return x, (iterations, residual)

    x, (iterations, residual) = jax.lax.custom_linear_solve(
        operator, rhs, solve, symmetric=True, has_aux=True
    )
    return Solution(x, iterations, residual)


class _State(NamedTuple):
    """Iterate, residual, search direction and its image, and what the last reduction gave.

    ``z = preconditioner(r)``, ``Az = operator(z)``; ``rz``, ``zaz``, ``rr`` are inner products.
    """

    iteration: jax.Array
    x: Vector
    r: Vector
    p: Vector
    Ap: Vector
    z: Vector
    Az: Vector
    rz: jax.Array
    zaz: jax.Array
    rr: jax.Array
    last_rz: jax.Array
    last_step: jax.Array


def _iterate(operator, rhs, preconditioner, dots, tolerance, max_iterations):
    def precondition(r):
        z = preconditioner(r)
        Az = operator(z)
        return z, Az, dots((r, z), (z, Az), (r, r))

    zero = jax.tree.map(jnp.zeros_like, rhs)
    z, Az, (rz, zaz, rr) = precondition(rhs)
    infinite = jnp.full_like(rz, jnp.inf)
    start = _State(
        jnp.asarray(0), zero, rhs, zero, zero, z, Az, rz, zaz, rr,
        last_rz=infinite, last_step=infinite,
    )  # fmt: skip
    goal = max(tolerance, float(jnp.finfo(rr.dtype).eps)) ** 2 * rr

    def unfinished(s):
        return (s.rr > goal) & (s.iteration < max_iterations)

    def iterate(s):
        turn = s.rz / s.last_rz
        step = s.rz / (s.zaz - turn * s.rz / s.last_step)
        p, Ap = _axpy(turn, s.p, s.z), _axpy(turn, s.Ap, s.Az)
        r = _axpy(-step, Ap, s.r)
        z, Az, (rz, zaz, rr) = precondition(r)
        return _State(
            s.iteration + 1, _axpy(step, p, s.x), r, p, Ap, z, Az, rz, zaz, rr,
            last_rz=s.rz, last_step=step,
        )  # fmt: skip

    end = jax.lax.while_loop(unfinished, iterate, start)
    relative = jnp.sqrt(jnp.where(rr > 0, end.rr, 0.0) / jnp.where(rr > 0, rr, 1.0))
    return end.x, end.iteration, relative


def _axpy(a, x, y):
    """``a x + y``."""
    return jax.tree.map(lambda x, y: a * x + y, x, y)


def jacobi(diagonal: Vector) -> Operator:
    """Division by the operator's diagonal."""
    return lambda residual: jax.tree.map(jnp.divide, residual, diagonal)


def chebyshev(
    operator: Operator, diagonal: Vector, lowest: Any, highest: Any, degree: int
) -> Operator:
    """``degree`` Chebyshev iterations for ``operator``, scaled by its ``diagonal``, without a
    single reduction.

    ``lowest``, ``highest``: bounds of the eigenvalues of ``operator / diagonal`` (the same on all
    ranks). Takes ``degree`` applications of the operator; 0 is :func:`jacobi` up to a factor.
    Source: Saad, 2003: Iterative Methods for Sparse Linear Systems, algorithm 12.1.
    """
    scaled = jacobi(diagonal)
    centre, half_width = 0.5 * (highest + lowest), 0.5 * (highest - lowest)

    def precondition(residual):
        z = step = jax.tree.map(lambda r: r / centre, scaled(residual))
        ratio = half_width / centre
        for _ in range(degree):
            factor = 1 / (2 * centre - half_width * ratio)
            following = half_width * factor
            left = _axpy(-1.0, operator(z), residual)
            correction = jax.tree.map(lambda r: 2 * factor * r, scaled(left))  # noqa: B023
            step = _axpy(following * ratio, step, correction)
            z = jax.tree.map(jnp.add, z, step)
            ratio = following
        return z

    return precondition
