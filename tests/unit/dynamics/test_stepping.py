"""Time steppers on a linear oscillation and on decay, whose amplification is known."""

from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dassim.dynamics.stepping import AdamsBashforth2, RungeKutta3


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Oscillator:
    x: Any
    time: Any = 0.0
    previous: Any = None


def advance_with(rate):
    def advance(base, at, dt):
        return replace(base, x=base.x + dt * rate * at.x, time=base.time + dt)

    return advance


def amplification(stepper, z, steps=200):
    state = stepper.start(Oscillator(jnp.asarray(1.0 + 0j)))
    step = jax.jit(lambda state: stepper.step(advance_with(z), state, 1.0))
    sizes = []
    for _ in range(steps):
        state = step(state)
        sizes.append(abs(state.x))
    return float(sizes[-1] / sizes[-2]), state


def test_runge_kutta_amplification():
    z = 0.1j
    factor, state = amplification(RungeKutta3(), z)
    assert factor == pytest.approx(abs(1 + z + z**2 / 2 + z**3 / 6), rel=1e-14)
    assert factor == pytest.approx(0.99999585, abs=5e-9)
    assert float(state.time) == pytest.approx(200.0)


def test_adams_bashforth_amplification():
    factor, _ = amplification(AdamsBashforth2(eps=0.1), 0.1j)
    assert factor == pytest.approx(0.99901561, abs=5e-9)


@pytest.mark.parametrize(
    "stepper", [RungeKutta3(), AdamsBashforth2(0.1), AdamsBashforth2(0.02), AdamsBashforth2(0.3)]
)
def test_stability_limits(stepper):
    """Just within the limits nothing grows; clearly beyond them it does."""
    for z, rotate in ((stepper.oscillation_limit, 1j), (stepper.decay_limit, -1.0)):
        assert amplification(stepper, 0.99 * z * rotate)[0] <= 1.0
        assert amplification(stepper, 1.15 * z * rotate)[0] > 1.0


@pytest.mark.parametrize(("stepper", "order"), [(RungeKutta3(), 3), (AdamsBashforth2(0.0), 2)])
def test_order(stepper, order):
    def error(steps):
        state = stepper.start(Oscillator(jnp.asarray(1.0 + 0j)))
        for _ in range(steps):
            state = stepper.step(advance_with(1j), state, 1.0 / steps)
        return abs(complex(state.x) - np.exp(1j))

    assert np.log2(error(20) / error(40)) > order - 0.1
