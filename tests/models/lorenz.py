"""Lorenz (1963), "Deterministic nonperiodic flow"; Lorenz (1996), "Predictability"."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from dassim.grid.variables import Variable
from dassim.parallel import Domain, SerialCommunicator


@partial(jax.tree_util.register_dataclass, data_fields=["x", "time"], meta_fields=[])
@dataclass(frozen=True)
class LorenzState:
    """``x (1, n)``: the unknowns along x; ``time``."""

    x: jax.Array
    time: jax.Array


VARIABLES = {"x": Variable("x", "c", "1", "unknowns", levels=False)}


class Lorenz63(eqx.Module):
    """Three unknowns on one rank; parameters ``sigma``, ``rho``, ``beta``."""

    domain: Domain = eqx.field(static=True, default=Domain.serial((1, 3)))
    time_step: float = eqx.field(static=True, default=0.01)

    @property
    def variables(self) -> dict[str, Variable]:
        return VARIABLES

    @staticmethod
    def parameters() -> dict[str, jax.Array]:
        return {"sigma": jnp.array(10.0), "rho": jnp.array(28.0), "beta": jnp.array(8.0 / 3.0)}

    def state(self, x: Any = (1.0, 3.0, 20.0)) -> LorenzState:
        return LorenzState(jnp.asarray(x, float).reshape(1, 3), jnp.zeros(()))

    def step(self, parameters: Any, state: LorenzState) -> LorenzState:
        def tendency(x):
            a, b, c = x[0]
            return jnp.stack(
                [
                    parameters["sigma"] * (b - a),
                    a * (parameters["rho"] - c) - b,
                    a * b - parameters["beta"] * c,
                ]
            )[None]

        return _runge_kutta_4(tendency, state, self.time_step)


class Lorenz96(eqx.Module):
    """``dx_i/dt = (x_{i+1} - x_{i-2}) x_{i-1} - x_i + F`` around a circle that ranks divide."""

    domain: Domain = eqx.field(static=True)
    time_step: float = eqx.field(static=True, default=0.05)

    @classmethod
    def create(cls, n: int = 40, **options: Any) -> Lorenz96:
        return cls(Domain.create((1, n), periodic=(False, True), minimum=2, **options))

    @property
    def variables(self) -> dict[str, Variable]:
        return VARIABLES

    @staticmethod
    def parameters(forcing: float = 8.0) -> dict[str, jax.Array]:
        return {"forcing": jnp.array(forcing)}

    def state(self, whole: Any) -> LorenzState:
        """This rank's part of the global ``(n,)`` unknowns."""
        return LorenzState(jnp.asarray(self.domain.local(np.asarray(whole)[None])), jnp.zeros(()))

    def step(self, parameters: Any, state: LorenzState) -> LorenzState:
        def tendency(x):
            wide = self.domain.exchange(x, (0, 2))
            n = x.shape[1]
            before2, before, after = (wide[:, o : o + n] for o in (0, 1, 3))
            return (after - before2) * before - x + parameters["forcing"]

        return _runge_kutta_4(tendency, state, self.time_step)

    def on_attractor(self, steps: int = 500) -> LorenzState:
        """A state after ``steps`` from rest with one unknown pushed.

        Every rank computes the whole: chaos makes another state of another order of rounding.
        """
        n = self.domain.global_shape[1]
        alone = Lorenz96.create(n, comm=SerialCommunicator())
        start = np.full(n, 8.0)
        start[0] += 0.01

        @jax.jit
        def run(state):
            return jax.lax.fori_loop(
                0, steps, lambda _, state: alone.step(alone.parameters(), state), state
            )

        return self.state(run(alone.state(start)).x[0])


def _runge_kutta_4(tendency: Callable, state: LorenzState, dt: float) -> LorenzState:
    k1 = tendency(state.x)
    k2 = tendency(state.x + dt / 2 * k1)
    k3 = tendency(state.x + dt / 2 * k2)
    k4 = tendency(state.x + dt * k3)
    return LorenzState(state.x + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4), state.time + dt)
