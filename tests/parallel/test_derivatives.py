"""Derivatives through halo exchanges and global sums, against one rank and against each other."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dassim.parallel import Domain, world
from tests.parallel.oracle import (
    WALLS_AND_WRAPS,
    assert_same,
    block_of,
    every_domain,
    gathered,
)

pytestmark = pytest.mark.ranks(1, 2, 3, 4)

SHAPE = (9, 11)


@pytest.fixture(scope="module")
def comm():
    return world()


def random_state(seed, *lead):
    rng = np.random.default_rng(seed)
    return {
        "eta": rng.normal(size=(*lead, *SHAPE)),
        "theta": rng.normal(size=(*lead, 2, *SHAPE)),
    }


def owned(whole, domain):
    return jax.tree.map(lambda leaf: jnp.asarray(block_of(leaf, domain)), whole)


def adjoint_mismatch(domain, width):
    """|<A x, y> - <x, A^T y>| over |A x| |y|, for halo values y that differ from rank to rank."""

    def exchange(x):
        return domain.exchange(x, width)

    @jax.jit
    def both_sides(x, y):
        ax, transpose = jax.vjp(exchange, x)
        (aty,) = transpose(y)
        return domain.dot(ax, y), domain.dot(x, aty), domain.dot(ax, ax) * domain.dot(y, y)

    x = owned(random_state(1), domain)
    rng = np.random.default_rng([2, domain.comm.rank])
    y = jax.tree.map(lambda a: jnp.asarray(rng.normal(size=a.shape)), jax.eval_shape(exchange, x))
    left, right, scale = both_sides(x, y)
    return abs(left - right) / np.sqrt(scale)


@pytest.mark.parametrize("periodic", WALLS_AND_WRAPS)
def test_transpose_is_the_adjoint_over_all_ranks(comm, periodic):
    for domain in every_domain(comm, SHAPE, periodic, width=3):
        assert adjoint_mismatch(domain, (2, 3)) <= 1e-14, domain


def blur(domain, state):
    """A nonlinear step that looks two points away, diagonally too, and feels a global sum."""
    ny, nx = domain.shape
    near = domain.exchange(state, 2)

    def corner(leaf, j, i):
        return leaf[..., j : j + ny, i : i + nx]

    total = domain.sum(jnp.sum(jnp.tanh(state["eta"]))) / np.prod(SHAPE)

    def advance(leaf, near):
        stencil = jnp.tanh(corner(near, 0, 0)) - jnp.sin(corner(near, 4, 3)) * corner(near, 1, 2)
        return 0.8 * leaf + 0.1 * stencil + 0.05 * total * leaf

    return jax.tree.map(advance, state, near)


def share_of_cost(domain, state):
    """This rank's share of a cost after 2 x 3 rematerialised steps."""

    @jax.checkpoint
    def segment(state, _):
        return jax.lax.scan(lambda s, _: (blur(domain, s), None), state, None, length=3)

    final, _ = jax.lax.scan(segment, state, None, length=2)
    return sum(jnp.sum(leaf**2 + jnp.cos(leaf)) for leaf in jax.tree.leaves(final))


@jax.jit(static_argnums=0)
def every_derivative(domain, states, directions):
    """For each member, and for the first alone: value, gradient, slope, Hessian times direction."""

    def derivatives(state, direction):
        value_and_gradient = jax.value_and_grad(lambda s: share_of_cost(domain, s))
        (value, gradient), (slope, hvp) = jax.jvp(value_and_gradient, (state,), (direction,))
        return domain.sum(value), domain.sum(slope), gradient, hvp

    first = jax.tree.map(lambda members: members[0], (states, directions))
    return derivatives(*first), jax.vmap(derivatives)(states, directions)


def test_derivatives_equal_those_of_one_rank(comm):
    """Layouts of one row and of one column put ranks on both sides of walls and of wraps."""
    periodic = (False, True)
    states, directions = random_state(1, 3), random_state(2, 3)
    alone, vmapped = every_derivative(Domain.serial(SHAPE, periodic=periodic), states, directions)
    assert_same(jax.tree.map(lambda members: members[0], vmapped), alone, 1e-12, "vmap")
    for domain in every_domain(comm, SHAPE, periodic, width=2):
        found = every_derivative(domain, owned(states, domain), owned(directions, domain))
        whole = tuple(
            (*derivatives[:2], *gathered(domain, derivatives[2:])) for derivatives in found
        )
        assert_same(whole, (alone, vmapped), 1e-12, domain)


def test_gradient_is_that_of_finite_differences(comm):
    """One rank could be wrong too: a central difference along one direction."""
    domain = Domain.create(SHAPE, periodic=(True, False), minimum=2, comm=comm)
    state, direction = owned(random_state(1), domain), owned(random_state(2), domain)
    share = jax.jit(lambda s: share_of_cost(domain, s))

    def cost(step):
        return domain.sum(share(jax.tree.map(lambda s, d: s + step * d, state, direction)))

    slope = domain.dot(jax.jit(jax.grad(share))(state), direction)
    np.testing.assert_allclose(slope, (cost(1e-5) - cost(-1e-5)) / 2e-5, rtol=1e-8)


def messages(function, *arguments):
    """Calls of MPI's sendrecv in the compiled program."""
    compiled = jax.jit(function).lower(*arguments).compile().as_text()
    return compiled.count('custom_call_target="mpi_sendrecv_ffi"')


def divided_axes(domain):
    return sum(p > 1 for p in domain.decomposition.layout)


def test_members_of_an_ensemble_share_one_message_per_direction(comm):
    """Under vmap, with several fields, forward and backward: two messages per divided axis. What is
    linear is not computed again for its cotangent."""

    def there(domain, members):
        return jax.vmap(lambda state: domain.exchange(state, 2))(members)

    def there_and_back(domain, members):
        return jax.vjp(partial(there, domain), members)[1](there(domain, members))

    for domain in every_domain(comm, SHAPE, (True, True), width=2):
        members, one_way = owned(random_state(3, 4), domain), 2 * divided_axes(domain)
        assert messages(partial(there, domain), members) == one_way, domain
        assert messages(partial(there_and_back, domain), members) == 2 * one_way, domain


def test_fields_of_one_dtype_share_a_message_and_other_dtypes_add_one(comm):
    for domain in every_domain(comm, SHAPE, (True, True), width=2):
        fields = [jnp.ones(domain.shape)] * 3 + [jnp.ones(domain.shape, jnp.float32)] * 2
        swap = partial(domain.exchange, width=1)
        assert messages(swap, fields) == 2 * 2 * divided_axes(domain), domain
