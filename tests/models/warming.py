"""Water that warms at a rate: the least model with a grid on which it can be observed."""

from __future__ import annotations

import dataclasses

import equinox as eqx
import jax

from dassim.grid import Grid
from dassim.parallel import Domain
from tests.models.observed import VARIABLES

STEP = 100.0


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class WarmState:
    T: jax.Array
    eta: jax.Array


class Warming(eqx.Module):
    """Every step adds the parameter to T."""

    grid: Grid
    time_step: float = eqx.field(static=True, default=STEP)

    @property
    def domain(self) -> Domain:
        return self.grid.domain

    @property
    def variables(self):
        return VARIABLES

    def step(self, parameters, state):
        return WarmState(state.T + parameters, state.eta)
