"""Programs are compiled with the options that the compiler knows."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dassim.parallel import compilation, compiled


@pytest.fixture
def anew():
    compilation.compiler_options.cache_clear()
    yield
    compilation.compiler_options.cache_clear()


@compiled
def sums(scale, array, *, axis):
    """Along an axis."""
    return (scale * array**2).sum(axis) if isinstance(scale, int) else None


def test_a_program_is_the_function():
    array = np.arange(20.0).reshape(4, 5)
    np.testing.assert_allclose(sums(3, jnp.asarray(array), axis=0), (3 * array**2).sum(0))
    assert sums(3.5, jnp.asarray(array), axis=0) is None  # numbers that are no arrays are static
    assert sums.__doc__ == "Along an axis."


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="there are no options")
def test_sums_are_not_left_to_the_slow_library():
    assert compilation.compiler_options() == compilation.ON_CPU

    def program(**options):
        def total(a, b):
            return (a * b).sum(0)

        return jax.jit(total, **options).lower(jnp.ones((4, 64, 64)), jnp.ones((4, 64, 64)))

    assert "ynn" not in program(compiler_options=compilation.ON_CPU).compile().as_text()


def test_options_that_the_compiler_does_not_know_are_left_out(anew, monkeypatch):
    monkeypatch.setattr(compilation, "ON_CPU", {"xla_cpu_such_as_there_is_none": True})
    assert compilation.compiler_options() == {}
    assert compiled(lambda x: x + 1)(1) == 2


def test_the_options_reach_the_compiler(anew, monkeypatch):
    monkeypatch.setattr(compilation, "compiler_options", lambda: {"xla_no_such_option": True})
    with pytest.raises(jax.errors.JaxRuntimeError, match="xla_no_such_option"):
        compiled(lambda x: x + 1)(jnp.ones(3))


def test_modules_are_arguments_too():
    class Line(eqx.Module):
        slope: jax.Array
        name: str = eqx.field(static=True, default="line")

        def at(self, x):
            return self.slope * x

    assert compiled(Line(jnp.asarray(2.0)).at)(3.0) == 6.0


def test_a_program_may_be_part_of_another():
    @compiled
    def square(x):
        return x**2

    def twice(x):
        return 2 * square(x)

    x = jnp.asarray(3.0)
    assert jax.jit(twice)(x) == 18.0
    assert jax.grad(twice)(x) == jax.jit(jax.grad(twice))(x) == 12.0
