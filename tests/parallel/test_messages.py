"""What a program sends, found without running it, and sent again alone."""

import jax
import jax.numpy as jnp

from dassim.parallel import Domain, world
from dassim.parallel.messages import messages, seconds_for


def program(domain):
    def step(_, x):
        wide = domain.exchange(x, 1)
        return x + domain.sum(jnp.sum(wide)) + jnp.mean(wide)

    def many(x):
        x = jax.lax.fori_loop(0, 3, step, x)
        return jax.jit(lambda y: jax.lax.fori_loop(0, 2, lambda i, z: step(i, step(i, z)), y))(x)

    return many


def test_messages_are_counted_with_their_loops():
    domain = Domain.create((6, 8), periodic=(False, True), layout=(world().size, 1))
    found = messages(program(domain), jnp.zeros(domain.shape))
    if world().size == 1:
        assert found == []
        return
    swaps, sums = (
        [m for m in found if m.equation.primitive.name == name]
        for name in ("neighbour_swap", "all_sum")
    )
    assert [m.times for m in swaps] == [m.times for m in sums] == [3, 2, 2]
    # Columns wrap around on the rank itself; rows of 8 + 2 points go to both sides.
    assert [m.bytes for m in swaps] == [2 * 10 * 8] * 3
    assert [m.bytes for m in sums] == [8] * 3


def test_they_are_sent_alone():
    domain = Domain.create((6, 8), layout=(world().size, 1))
    found = messages(program(domain), jnp.zeros(domain.shape))
    seconds = seconds_for(found, world())
    assert len(set(world().allgather(seconds))) == 1
    assert (seconds > 0) == (world().size > 1)


def test_a_loop_of_unknown_length_counts_once():
    domain = Domain.create((6, 8))

    def until_large(x):
        return jax.lax.while_loop(lambda y: y < 9, lambda y: y + domain.sum(y), x)

    found = messages(until_large, jnp.ones(()))
    assert [m.times for m in found] == ([1] if world().size > 1 else [])
