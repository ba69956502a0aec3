"""Costs with known answers, spread over ranks like an ocean's state."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from dassim.assimilation.control import Control
from dassim.assimilation.lbfgs import Evaluation
from dassim.parallel import Domain

PAIRS = (2, 5)  # ten Rosenbrock pairs on a grid of cells


def rosenbrock_start(domain: Domain) -> Control:
    """(-1.2, 1) in every pair."""
    return Control({"a": jnp.full(domain.shape, -1.2), "b": jnp.full(domain.shape, 1.0)})


def rosenbrock(domain: Domain) -> Callable[[Control], Evaluation]:
    """``sum 100 (b - a^2)^2 + (1 - a)^2``, least at (1, 1), in two parts."""

    def parts(control: Control) -> dict[str, jax.Array]:
        a, b = control.distributed["a"], control.distributed["b"]
        return {"valley": 100 * jnp.sum((b - a**2) ** 2), "slope": jnp.sum((1 - a) ** 2)}

    return evaluator(parts)


def evaluator(
    parts: Callable[[Control], dict[str, jax.Array]],
) -> Callable[[Control], Evaluation]:
    """The objective of local shares; for controls without a replicated part."""

    @jax.jit
    def evaluate(control: Control):
        def total(control):
            shares = parts(control)
            return sum(shares.values()), shares

        return jax.value_and_grad(total, has_aux=True)(control)

    def objective(control: Control) -> Evaluation:
        (_, shares), gradient = evaluate(control)
        return Evaluation(shares, gradient)

    return objective
