"""Global sums, dots and extrema, and their derivatives under the convention that a cost is the
sum over ranks of local shares."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dassim.parallel import Domain
from tests.parallel.oracle import block_of

SHAPE = (7, 9)


@pytest.fixture(scope="module")
def domain():
    return Domain.create(SHAPE)


@pytest.fixture(scope="module")
def whole():
    return np.random.default_rng(5).normal(size=(3, *SHAPE))


@pytest.fixture(scope="module")
def owned(domain, whole):
    return jnp.asarray(block_of(whole, domain))


def test_reductions_over_owned_points_equal_those_of_the_global_array(domain, whole, owned):
    found = jax.jit(
        lambda x: {
            "sum": domain.sum(jnp.sum(x, axis=(1, 2))),
            "max": domain.max(jnp.max(x)),
            "min": domain.min(jnp.min(x)),
            "dot": domain.dot({"a": x, "b": 2 * x}, {"a": x, "b": x}),
            "any": domain.max(jnp.any(x > 2.3)),
            "all": domain.min(jnp.all(x > -2.3)),
            "count": domain.sum(jnp.sum(x > 0)),
        }
    )(owned)
    expected = {
        "sum": whole.sum(axis=(1, 2)),
        "max": whole.max(),
        "min": whole.min(),
        "dot": 3 * (whole**2).sum(),
        "any": (whole > 2.3).any(),
        "all": (whole > -2.3).all(),
        "count": (whole > 0).sum(),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-13, err_msg=name)
        np.testing.assert_array_equal(
            domain.comm.allgather(np.asarray(found[name])),
            [np.asarray(found[name])] * domain.comm.size,
            err_msg=f"{name} differs between ranks",
        )


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_numbers_unknown_to_mpi_are_refused_on_any_number_of_ranks(domain, dtype):
    x = jnp.ones(domain.shape, dtype)
    for send in (lambda x: domain.exchange(x, 1), domain.sum, domain.max, domain.min):
        with pytest.raises(TypeError, match=rf"found an array of {x.dtype.name}; expected one of"):
            send(x)


def test_what_has_no_sum_or_no_order_is_refused_on_any_number_of_ranks(domain):
    with pytest.raises(TypeError, match="found an array of bool"):
        domain.sum(jnp.ones(2, bool))
    with pytest.raises(TypeError, match="found an array of complex"):
        domain.max(jnp.ones(2, complex))


def test_what_is_not_the_owned_points_of_a_rank_is_not_gathered(domain):
    last = domain.comm.size - 1
    part = np.zeros(domain.shape)
    with pytest.raises(ValueError, match=rf"found an array of shape \(1, \d\) on rank {last};"):
        domain.gather(part[:1] if domain.comm.rank == last else part)


def test_a_number_that_is_no_array_yet_can_be_reduced(domain):
    assert domain.sum(1) == domain.comm.size
    assert domain.max(domain.comm.rank) == domain.comm.size - 1
    assert domain.min(domain.comm.rank) == 0


def test_derivatives_of_a_sum_inside_a_model(domain, whole, owned):
    """Shares w_r S^2 of rank r, with S the global sum of sin: gradient 2 S cos(x) sum(w)."""
    weight = 1.0 + domain.comm.rank
    weights = sum(range(1, domain.comm.size + 1))

    def share(x):
        return weight * domain.sum(jnp.sum(jnp.sin(x))) ** 2

    v = jnp.asarray(block_of(np.random.default_rng(6).normal(size=whole.shape), domain))

    @jax.jit
    def derivatives(x):
        gradient = jax.grad(share)
        return (
            gradient(x),
            jax.jvp(gradient, (x,), (v,))[1],
            jax.vmap(gradient)(jnp.stack([x, 2 * x]))[0],
            jax.jvp(share, (x,), (v,))[1],
        )

    gradient, hvp, first_member, slope = derivatives(owned)
    total = np.sin(whole).sum()
    expected = 2 * weights * total * np.cos(owned)
    along = domain.dot(jnp.cos(owned), v)
    np.testing.assert_allclose(gradient, expected, rtol=1e-12)
    np.testing.assert_allclose(first_member, expected, rtol=1e-12)
    np.testing.assert_allclose(slope, weight * 2 * total * along, rtol=1e-12)
    np.testing.assert_allclose(
        hvp, 2 * weights * (along * np.cos(owned) - total * np.sin(owned) * v), rtol=1e-11
    )


def test_transpose_of_a_sum_is_a_sum(domain):
    """Every rank's cotangent counts: 1 + 2 + ... + size, on every rank."""
    _, transpose = jax.vjp(lambda x: domain.sum(x), jnp.zeros(2))
    (cotangent,) = transpose(jnp.full(2, 1.0 + domain.comm.rank))
    np.testing.assert_array_equal(cotangent, sum(range(1, domain.comm.size + 1)))


def test_extrema_are_constants_under_differentiation(domain, owned):
    """A limiter scaled by a global maximum: only the explicit factor has a slope."""

    def share(x):
        return jnp.sum(x * domain.max(jnp.max(x)) - domain.min(jnp.min(x)))

    scan = jax.jit(
        jax.grad(
            lambda x: jax.lax.scan(
                jax.checkpoint(lambda s, _: (s + share(x), None)), 0.0, None, length=2
            )[0]
        )
    )
    highest = domain.max(jnp.max(owned))
    np.testing.assert_allclose(scan(owned), jnp.full(owned.shape, 2 * highest), rtol=1e-14)
    np.testing.assert_array_equal(
        jax.vmap(lambda x: domain.max(jnp.max(x)))(owned),
        [domain.max(jnp.max(level)) for level in owned],
    )


def test_host_and_compiled_messages_do_not_mix(domain):
    """Programs still under way when the host talks: both keep their own order."""

    @jax.jit
    def busy(x):
        return jax.lax.scan(lambda s, _: (domain.sum(jnp.sin(s)), None), x, None, length=200)[0]

    busy(jnp.ones(5000)).block_until_ready()
    results = []
    for attempt in range(5):
        results.append(busy(jnp.full(5000, 1.0 + attempt)))
        told = domain.comm.allgather((domain.comm.rank, attempt))
        assert told == [(rank, attempt) for rank in range(domain.comm.size)]
    assert all(np.isfinite(result).all() for result in results)
    if domain.comm.size > 1:
        assert domain.comm.device_mpi != domain.comm.mpi
