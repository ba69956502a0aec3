"""A linear model with Gaussian errors, and the answers of linear algebra."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np

from dassim.assimilation.control import Control
from dassim.assimilation.cost import FourDVar, ObservationCost, Observations, ObservationTerm
from dassim.assimilation.transform import AbstractRoot, ControlTransform
from dassim.simulation.adjoint import Run
from dassim.simulation.segments import RunInputs, Segment, SegmentData
from tests.models.linear import LinearModel


class DenseRoot(AbstractRoot):
    """``B^(1/2)`` as a matrix ``(n, n)``, its lower Cholesky factor."""

    matrix: jax.Array

    def apply(self, control: Control) -> Control:
        return Control({name: x @ self.matrix.T for name, x in control.distributed.items()})

    def inverse(self, increment: Control) -> Control:
        inverse = jnp.linalg.inv(self.matrix)
        return Control({name: x @ inverse.T for name, x in increment.distributed.items()})

    def spread(self, increment: Control) -> Control:
        sizes = jnp.sqrt(jnp.sum(self.matrix**2, axis=1))
        return Control(dict.fromkeys(increment.distributed, sizes[None]))


def observed(state, where):
    """``H x``."""
    return where @ state.x[0]


@dataclass(frozen=True)
class LinearGaussian:
    """``x_{k+1} = M x_k`` from ``x_0 ~ N(x_b, B)``, ``y_k = H_k x_k + N(0, R)`` for k = 1 ... K.

    Two kinds of observations: ``Jo.a`` after every step, ``Jo.b`` after every second.
    """

    n: int = 9
    steps: int = 6
    p: int = 4

    @cached_property
    def model(self) -> LinearModel:
        return LinearModel.rotating(self.n, seed=1)

    @cached_property
    def _rng(self) -> np.random.Generator:
        return np.random.default_rng(2)

    @cached_property
    def background(self) -> np.ndarray:
        return self._rng.normal(size=self.n)

    @cached_property
    def root(self) -> np.ndarray:
        """Lower Cholesky factor of B: errors with a correlation length, growing along x."""
        i = np.arange(self.n)
        correlation = np.exp(-(((i[:, None] - i) / 2.0) ** 2)) + 1e-3 * np.eye(self.n)
        deviations = 0.5 + 0.2 * i
        return np.linalg.cholesky(correlation * np.outer(deviations, deviations))

    @cached_property
    def operators(self) -> np.ndarray:
        """H of every step, ``(steps, p, n)``."""
        return np.random.default_rng(3).normal(size=(self.steps, self.p, self.n))

    @cached_property
    def deviations(self) -> np.ndarray:
        """Of observation errors, ``(steps, p)``; infinite where there is no observation."""
        values = np.random.default_rng(4).uniform(0.3, 0.8, size=(self.steps, self.p))
        values[::2, self.p // 2 :] = np.inf
        return values

    @cached_property
    def values(self) -> np.ndarray:
        """Observations of a truth drawn from the background's distribution, ``(steps, p)``."""
        rng = np.random.default_rng(5)
        x = self.background + self.root @ rng.normal(size=self.n)
        values = np.empty((self.steps, self.p))
        for k in range(self.steps):
            x = np.asarray(self.model.matrix) @ x
            noise = np.where(np.isinf(self.deviations[k]), 0.0, self.deviations[k])
            values[k] = self.operators[k] @ x + noise * rng.normal(size=self.p)
        return values

    # -- what 4D-Var is given ---------------------------------------------------------------------

    def objective(self, **options) -> FourDVar:
        half = self.p // 2

        def some(k, part):
            return Observations(
                jnp.asarray(self.values[k, part]),
                jnp.asarray(1.0 / self.deviations[k, part]),
                jnp.asarray(self.operators[k][part]),
            )

        def data(k):
            kinds = {"Jo.a": some(k, slice(0, half))}
            if k % 2:
                kinds["Jo.b"] = some(k, slice(half, None))
            return SegmentData(end=kinds)

        terms = (ObservationTerm("Jo.a", observed), ObservationTerm("Jo.b", observed))
        run = Run(Segment(self.model, ObservationCost(terms)), (1,) * self.steps, data)
        background = RunInputs({}, self.model.state(self.background))
        root = DenseRoot(jnp.asarray(self.root))
        return FourDVar(run, ControlTransform(background, root, ("state.x",)), **options)

    # -- what linear algebra says -----------------------------------------------------------------

    @property
    def used(self) -> np.ndarray:
        return np.isfinite(self.deviations).ravel()

    @cached_property
    def whole_operator(self) -> np.ndarray:
        """From ``x_0`` to all observations, ``(number, n)``."""
        rows, power = [], np.eye(self.n)
        for k in range(self.steps):
            power = np.asarray(self.model.matrix) @ power
            rows.append(self.operators[k] @ power)
        return np.concatenate(rows)[self.used]

    @property
    def covariance(self) -> np.ndarray:
        return self.root @ self.root.T

    @property
    def innovation(self) -> np.ndarray:
        return self.values.ravel()[self.used] - self.whole_operator @ self.background

    @property
    def innovation_covariance(self) -> np.ndarray:
        errors = np.diag(self.deviations.ravel()[self.used] ** 2)
        return self.whole_operator @ self.covariance @ self.whole_operator.T + errors

    @property
    def least_cost(self) -> float:
        return 0.5 * self.innovation @ np.linalg.solve(self.innovation_covariance, self.innovation)

    @property
    def hessian(self) -> np.ndarray:
        """In the control vector: ``I + L^T G^T R^-1 G L``."""
        g = self.whole_operator @ self.root / self.deviations.ravel()[self.used][:, None]
        return np.eye(self.n) + g.T @ g

    @cached_property
    def smoothed(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and covariance of ``x_0`` given all: Kalman filter and Rauch-Tung-Striebel."""
        m = np.asarray(self.model.matrix)
        mean, cov = self.background, self.covariance
        filtered = [(mean, cov)]
        for k in range(self.steps):
            mean, cov = m @ mean, m @ cov @ m.T
            use = np.isfinite(self.deviations[k])
            h, r = self.operators[k][use], np.diag(self.deviations[k][use] ** 2)
            gain = cov @ h.T @ np.linalg.inv(h @ cov @ h.T + r)
            mean = mean + gain @ (self.values[k][use] - h @ mean)
            cov = (np.eye(self.n) - gain @ h) @ cov
            filtered.append((mean, cov))
        mean, cov = filtered[-1]
        for before_mean, before_cov in reversed(filtered[:-1]):
            forecast = m @ before_cov @ m.T
            gain = before_cov @ m.T @ np.linalg.inv(forecast)
            mean = before_mean + gain @ (mean - m @ before_mean)
            cov = before_cov + gain @ (cov - forecast) @ gain.T
        return mean, cov
