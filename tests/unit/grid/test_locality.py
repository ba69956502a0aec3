"""What is compiled apart is stored, and is the same function."""

import jax
import jax.numpy as jnp
import pytest

from dassim.grid import Field, Span
from dassim.grid.locality import compiled_apart, on_levels

X = jnp.linspace(-1.0, 2.0, 12)


def ramp(x):
    return jnp.where(x > 0.0, x, 0.1 * x) ** 2


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="for compilers of CPUs")
def test_it_is_one_call_into_which_all_inside_is_merged():
    program = jax.jit(lambda x: jnp.diff(compiled_apart(ramp, x)))
    assert program.lower(X).compile().as_text().count(" call(") == 1


def test_values_and_derivatives_are_those_of_the_function():
    def cost(function, x):
        return jnp.sum(jnp.diff(function(x)) ** 2)

    for derivative in (jax.value_and_grad, jax.hessian):
        apart = jax.jit(derivative(lambda x: cost(lambda y: compiled_apart(ramp, y), x)))(X)
        plain = jax.jit(derivative(lambda x: cost(ramp, x)))(X)
        assert jax.tree.all(jax.tree.map(lambda a, b: jnp.allclose(a, b, rtol=1e-14), apart, plain))


SURFACE, LEVELS = jnp.arange(1.0, 7.0).reshape(1, 2, 3), jnp.arange(24.0).reshape(4, 2, 3)


def along_levels(x):
    return jnp.sum(jnp.sin(on_levels(x, len(LEVELS)) * LEVELS))


def test_what_is_repeated_on_levels_has_the_derivatives_of_a_broadcast():
    def broadcast(x):
        return jnp.sum(jnp.sin(x * LEVELS))

    for derivative in (jax.grad, jax.hessian, lambda f: jax.jvp(f, (SURFACE,), (SURFACE,))):
        ours, plain = derivative(along_levels), derivative(broadcast)
        if callable(ours):
            ours, plain = ours(SURFACE), plain(SURFACE)
        assert jax.tree.all(jax.tree.map(lambda a, b: jnp.allclose(a, b, rtol=1e-13), ours, plain))


@pytest.mark.parametrize("axis", [0, 3])
def test_members_are_repeated_each(axis):
    members = jnp.stack([SURFACE, 2.0 * SURFACE], axis)
    gradients = jax.vmap(jax.grad(along_levels), in_axes=axis)(members)
    for member, gradient in zip((SURFACE, 2.0 * SURFACE), gradients, strict=True):
        assert jnp.allclose(gradient, jax.grad(along_levels)(member), rtol=1e-13)


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="for compilers of CPUs")
def test_fields_without_levels_are_summed_apart_from_what_is_summed():
    levels = Field(LEVELS, (Span("c"), Span("c"), Span("c")))

    def cost(surface):
        return jnp.sum(jnp.sin((Field(surface, (None, Span("c"), Span("c"))) * levels).data))

    text = jax.jit(jax.grad(cost)).lower(SURFACE).compile().as_text()
    assert text.count(" call(") == 1
