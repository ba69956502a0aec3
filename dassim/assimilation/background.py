"""The root of the background error covariance: ``B^(1/2) = K Sigma C^(1/2)``.

``C`` are correlations of each variable's errors (:mod:`dassim.assimilation.correlation`), ``Sigma``
their standard deviations, ``K`` adds balanced parts (:mod:`dassim.assimilation.balance`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from dassim.assimilation.balance import AbstractBalance
from dassim.assimilation.control import Control
from dassim.assimilation.correlation import Correlation
from dassim.assimilation.transform import AbstractRoot


class VariableErrors(eqx.Module):
    """Errors of one sought variable: ``deviation``, a number or shaped like the variable, in its
    unit, and a ``correlation`` between points, if there is one."""

    deviation: jax.Array
    correlation: Correlation | None = None

    def root(self, x: jax.Array) -> jax.Array:
        correlated = x if self.correlation is None else self.correlation.root(x)
        return self.deviation * correlated

    def inverse_root(self, x: jax.Array) -> jax.Array:
        """Zero where the deviation is."""
        known = self.deviation == 0
        x = jnp.where(known, 0.0, x / jnp.where(known, 1.0, self.deviation))
        return x if self.correlation is None else self.correlation.inverse_root(x)


class BackgroundRoot(AbstractRoot):
    """``K Sigma C^(1/2)`` of increments by name.

    ``inverse`` undoes ``apply`` on wet points; control vectors are zero elsewhere. All ranks call
    both together.
    """

    distributed: dict[str, VariableErrors]
    replicated: dict[str, VariableErrors]
    balances: tuple[AbstractBalance, ...] = ()

    def apply(self, control: Control) -> Control:
        increments = self._each("root", control)
        distributed = increments.distributed
        for balance in self.balances:
            distributed = _combined(jnp.add, distributed, balance.additions(distributed))
        return Control(distributed, increments.replicated)

    def inverse(self, increment: Control) -> Control:
        distributed = increment.distributed
        for balance in reversed(self.balances):
            distributed = _combined(jnp.subtract, distributed, balance.additions(distributed))
        return self._each("inverse_root", Control(distributed, increment.replicated))

    def spread(self, increment: Control) -> Control:
        """Correlations have unit variance. What a balance adds to is left out."""
        balanced = {
            name
            for balance in self.balances
            for name in jax.eval_shape(balance.additions, increment.distributed)
        }

        def part(errors: dict[str, VariableErrors], values: dict[str, Any]) -> dict[str, Any]:
            return {
                name: jnp.broadcast_to(errors[name].deviation, jnp.shape(value))
                for name, value in values.items()
                if name not in balanced
            }

        return Control(
            part(self.distributed, increment.distributed),
            part(self.replicated, increment.replicated),
        )

    def _each(self, method: str, control: Control) -> Control:
        def part(errors: dict[str, VariableErrors], values: dict[str, Any]) -> dict[str, Any]:
            return {name: getattr(errors[name], method)(value) for name, value in values.items()}

        return Control(
            part(self.distributed, control.distributed), part(self.replicated, control.replicated)
        )


def _combined(
    operation: Callable[[Any, Any], Any], increments: dict[str, Any], others: dict[str, Any]
) -> dict[str, Any]:
    """``increments``, those among ``others`` combined with them; others that are not sought stay
    as they are in the background."""
    return {
        name: operation(value, others[name]) if name in others else value
        for name, value in increments.items()
    }
