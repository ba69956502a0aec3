"""Identical twins: a model's own trajectory, observed, from which its start is recovered."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dassim.assimilation.control import Control
from dassim.assimilation.cost import (
    BackgroundTerm,
    FourDVar,
    ObservationCost,
    Observations,
    ObservationTerm,
)
from dassim.assimilation.transform import ControlTransform, Diagonal, Identity
from dassim.parallel import AbstractCommunicator
from dassim.simulation.adjoint import Run
from dassim.simulation.segments import RunInputs, Segment, SegmentData
from tests.models.lorenz import Lorenz96, LorenzState


def everything(state, where):
    """H: all unknowns."""
    return state.x


@dataclass(frozen=True)
class LorenzTwin:
    """Lorenz-96 over two segments of four steps, all unknowns observed after each.

    ``deviation``: of the observations' errors, 0 for perfect ones; ``spread``: of the background's.
    """

    comm: AbstractCommunicator
    n: int = 40
    deviation: float = 0.0
    spread: float = 1.0
    seed: int = 0

    @cached_property
    def model(self) -> Lorenz96:
        return Lorenz96.create(self.n, comm=self.comm)

    def _noise(self, *shape: int) -> np.ndarray:
        """The same numbers on every rank."""
        return np.random.default_rng([self.seed, len(shape)]).normal(size=shape)

    @cached_property
    def truth(self) -> LorenzState:
        return self.model.on_attractor()

    @cached_property
    def background(self) -> LorenzState:
        error = self.model.domain.local(self.spread * self._noise(1, self.n))
        return LorenzState(self.truth.x + error, self.truth.time)

    @cached_property
    def observations(self) -> jax.Array:
        """``(segment, step, 1, n)`` on this rank."""

        def step(state, _):
            state = self.model.step(self.model.parameters(), state)
            return state, state.x

        _, trajectory = jax.jit(lambda s: jax.lax.scan(step, s, None, length=8))(self.truth)
        noise = self.model.domain.local(self.deviation * self._noise(8, 1, self.n))
        return (trajectory + noise).reshape(2, 4, *self.truth.x.shape)

    def objective(self, **options: Any) -> FourDVar:
        """Perfect observations are fitted without a background."""

        def data(k):
            values = self.observations[k]
            weights = jnp.full_like(values, 1.0 / (self.deviation or 1.0))
            return SegmentData(steps={"Jo": Observations(values, weights)})

        cost = ObservationCost((ObservationTerm("Jo", everything),))
        run = Run(Segment(self.model, cost), (4, 4), data)
        inputs = RunInputs(self.model.parameters(), self.background)
        name = ("state.x",)
        if self.deviation == 0.0:
            return FourDVar(run, ControlTransform(inputs, Identity(), name), (), **options)
        root = Diagonal(Control({"state.x": jnp.asarray(self.spread)}))
        return FourDVar(run, ControlTransform(inputs, root, name), (BackgroundTerm(),), **options)
