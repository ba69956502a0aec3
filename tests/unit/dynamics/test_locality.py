"""What is compiled apart is stored, and is the same function."""

import jax
import jax.numpy as jnp
import pytest

from dassim.dynamics.locality import compiled_apart

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
