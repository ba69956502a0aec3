"""A linear model ``x_{k+1} = M x_k`` on one rank, for which everything is known."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from dassim.grid.variables import Variable
from dassim.parallel import Domain
from tests.models.lorenz import VARIABLES, LorenzState


class LinearModel(eqx.Module):
    """``matrix (n, n)`` is the model; there are no parameters."""

    matrix: jax.Array
    time_step: float = eqx.field(static=True, default=1.0)

    @classmethod
    def rotating(cls, n: int, seed: int = 0) -> LinearModel:
        """A random rotation, slightly damped: every mode stays observable."""
        rotation, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(n, n)))
        return cls(jnp.asarray(0.95 * rotation))

    @property
    def domain(self) -> Domain:
        return Domain.serial((1, len(self.matrix)))

    @property
    def variables(self) -> dict[str, Variable]:
        return VARIABLES

    @staticmethod
    def parameters() -> dict[str, jax.Array]:
        return {}

    def state(self, x: Any) -> LorenzState:
        return LorenzState(jnp.asarray(x, float).reshape(1, -1), jnp.zeros(()))

    def step(self, parameters: Any, state: LorenzState) -> LorenzState:
        return LorenzState(state.x @ self.matrix.T, state.time + self.time_step)
