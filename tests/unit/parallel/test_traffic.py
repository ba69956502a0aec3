"""One rank of many on its own, and what it would send."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dassim.parallel import Domain, StandInCommunicator
from dassim.parallel.traffic import Traffic, traffic


def domain(layout=(2, 2), periodic=(True, True), shape=(8, 12)):
    ranks = layout[0] * layout[1]
    return Domain.create(
        shape, layout=layout, periodic=periodic, comm=StandInCommunicator(0, ranks)
    )


def fields(domain, count=2):
    return [jnp.arange(3.0 * np.prod(domain.shape)).reshape(3, *domain.shape)] * count


def test_a_block_sees_images_of_itself():
    part = domain()
    (owned,) = fields(part, 1)
    tiled = np.tile(owned, (1, 3, 3))[:, 4 - 2 : 8 + 2, 6 - 2 : 12 + 2]
    np.testing.assert_array_equal(part.exchange(owned, 2), tiled)
    assert part.sum(2.5) == 10.0 and part.max(2.5) == 2.5


def test_what_the_images_give_fits_blocks_of_other_sizes():
    part = domain((3, 1), shape=(8, 12))  # blocks of 3, 3 and 2 rows
    whole = part.gather(np.arange(3.0)[:, None] * np.ones(12))
    assert whole[:, 0].tolist() == [0, 1, 2, 0, 1, 2, 0, 1]


def test_a_wall_of_masks_is_dry():
    wet = domain(periodic=(False, False)).exchange(jnp.ones((4, 6), bool), 1)
    assert wet.dtype == bool and not wet[0].any() and not wet[:, 0].any()


def test_walls_stay_walls():
    part = domain(periodic=(False, True))
    (owned,) = fields(part, 1)
    halo = np.asarray(part.exchange(owned + 1, 1))
    assert not halo[:, 0].any() and halo[:, -1].all()


def test_exchanges_are_their_own_transpose():
    part = domain()
    key = jax.random.key(0)
    x = jax.random.normal(key, (3, *part.shape))
    y = jax.random.normal(key, (3, part.shape[0] + 2, part.shape[1] + 2))
    forward, transpose = jax.vjp(lambda x: part.exchange(x, 1), x)
    np.testing.assert_allclose(jnp.vdot(forward, y), jnp.vdot(x, *transpose(y)), rtol=1e-13)


@pytest.mark.parametrize(
    ("layout", "swaps", "points"),
    [
        ((2, 2), (1, 1), (2 * 3 * (6 + 2), 2 * 3 * 4)),
        ((2, 1), (1, 0), (2 * 3 * (12 + 2), 0)),
        ((1, 2), (0, 1), (0, 2 * 3 * 8)),
    ],
)
def test_one_exchange(layout, swaps, points):
    part = domain(layout)
    sent = traffic(part, lambda tree: part.exchange(tree, 1), fields(part))
    assert sent == Traffic(swaps, tuple(2 * 8 * n for n in points))


def linear_solve(operator, x):
    return jax.lax.custom_linear_solve(
        operator, x, lambda matvec, b: matvec(b), lambda vecmat, b: vecmat(b)
    )


def test_loops_branches_and_gradients_are_counted():
    part = domain()
    one = Traffic((1, 1), (2 * 8 * 3 * 8, 2 * 8 * 3 * 4))

    def step(x):
        return part.exchange(x, 1)[:, 1:-1, 1:-1] ** 2

    def run(x):
        return jax.lax.scan(lambda x, _: (jax.checkpoint(step)(x), None), x, length=5)[0]

    def cost(x):
        return part.sum(jnp.sum(run(x)))

    (x,) = fields(part, 1)
    assert traffic(part, jax.jit(run), x) == one.times(5)
    # forward, again on the way back, and the transpose of each
    assert traffic(part, jax.grad(cost), x) == one.times(15)._replace(sums=2)
    either = traffic(part, lambda x: jax.lax.cond(x[0, 0, 0] > 0, step, lambda x: x, x), x)
    assert either == one
    # a solver's program, not those of its transpose
    inside = traffic(
        part, lambda x: linear_solve(lambda y: part.exchange(y, 1)[:, 1:-1, 1:-1], x), x
    )
    assert inside == one
    endless = traffic(part, lambda x: jax.lax.while_loop(lambda x: x[0, 0, 0] > 0, step, x), x)
    assert endless == one._replace(open_ended=True)
