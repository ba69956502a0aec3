"""From the control vector to what a run starts from and depends on: x = x_b + B^(1/2) v.

``v`` is without units and has unit variance where ``B`` is the covariance of background errors, so
the background term of the cost is ``|v|^2 / 2`` and the problem is preconditioned by ``B``.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from dassim.assimilation.control import Control
from dassim.simulation.segments import RunInputs
from dassim.simulation.trees import named_leaves, replace_leaves


class AbstractRoot(eqx.Module):
    """``B^(1/2)``: linear, from control vectors to increments in physical units."""

    @abc.abstractmethod
    def apply(self, control: Control) -> Control:
        """The increment ``B^(1/2) v``; traceable and differentiable."""

    @abc.abstractmethod
    def inverse(self, increment: Control) -> Control:
        """The control vector ``B^(-1/2) (x - x_b)`` of an increment."""

    def zero(self, increment: Control) -> Control:
        """The control vector of no increment, where increments look like ``increment``."""
        return jax.tree.map(jnp.zeros_like, increment)

    def spread(self, increment: Control) -> Control:
        """Standard deviations of increments, the root of the diagonal of ``B``, shaped like
        ``increment``; of those unknowns only for which it is known without computing ``B``."""
        return Control()


class Identity(AbstractRoot):
    """Increments themselves are the control; for pure misfit, without a background term."""

    def apply(self, control: Control) -> Control:
        return control

    def inverse(self, increment: Control) -> Control:
        return increment


class Diagonal(AbstractRoot):
    """Uncorrelated errors of standard ``deviations``, shaped like the increments or broadcast to
    them. Where a deviation is zero (on land) the background stays."""

    deviations: Control

    def apply(self, control: Control) -> Control:
        return jax.tree.map(jnp.multiply, self.deviations, control)

    def inverse(self, increment: Control) -> Control:
        def divided(deviation, x):
            known = deviation == 0
            return jnp.where(known, 0.0, x / jnp.where(known, 1.0, deviation))

        return jax.tree.map(divided, self.deviations, increment)

    def spread(self, increment: Control) -> Control:
        return jax.tree.map(
            lambda size, x: jnp.broadcast_to(size, jnp.shape(x)), self.deviations, increment
        )


class ControlTransform(eqx.Module):
    """Which leaves of a run's inputs are sought, and how far from the ``background`` they may be.

    ``distributed`` and ``replicated`` name them by their dotted paths in :class:`RunInputs`:
    ``state.T``, ``parameters.drag``, ``segments.3.stress``. Increments are dictionaries by these
    names. What a multi-step time stepper remembers of the state, its leaf ``previous``, moves with
    it: tendencies stay as they are.
    """

    background: RunInputs
    root: AbstractRoot
    distributed: tuple[str, ...] = eqx.field(static=True, default=())
    replicated: tuple[str, ...] = eqx.field(static=True, default=())

    def __check_init__(self):
        leaves = named_leaves(self.background)
        for name in (*self.distributed, *self.replicated):
            if name not in leaves:
                raise ValueError(
                    f"found {name!r} in the control, expected one of {', '.join(leaves)}"
                )

    def zero(self) -> Control:
        """The control vector of the background."""
        return self.root.zero(self.increment_of(self.background))

    def physical(self, control: Control) -> RunInputs:
        """``x_b + B^(1/2) v``, with the background for all that is not sought."""
        increment = self.root.apply(control)
        leaves = named_leaves(self.background)
        new = {
            place: leaves[place] + change
            for part in (increment.distributed, increment.replicated)
            for name, change in part.items()
            for place in (name, *_remembered(name, leaves))
        }
        return replace_leaves(self.background, new)

    def control(self, physical: RunInputs) -> Control:
        """``B^(-1/2) (x - x_b)``."""
        first, other = self.increment_of(physical), self.increment_of(self.background)
        return self.root.inverse(jax.tree.map(jnp.subtract, first, other))

    def pull_back(self, control: Control, gradient: RunInputs) -> Control:
        """The derivative by the control of a cost whose derivative by the inputs is ``gradient``.

        On each rank its share, not yet summed for replicated unknowns.
        """
        _, pull = jax.vjp(self.root.apply, control)
        leaves, of_increment = named_leaves(gradient), self.increment_of(gradient)
        moved = {
            name: sum((leaves[place] for place in _remembered(name, leaves)), start=leaf)
            for name, leaf in of_increment.distributed.items()
        }
        (of_control,) = pull(Control(moved, of_increment.replicated))
        return of_control

    def increment_of(self, inputs: RunInputs) -> Control:
        """The sought leaves of ``inputs`` (or of its gradient) by their names."""
        leaves = named_leaves(inputs)
        return Control(
            {name: leaves[name] for name in self.distributed},
            {name: leaves[name] for name in self.replicated},
        )

    def variance(self, reductions: Any) -> Control:
        """``sum_i weight_i (B^(1/2) w_i)^2`` for pairs ``(weight, w)``: variances in physical
        units that directions ``w`` of the control take part in."""
        total = jax.tree.map(jnp.zeros_like, self.increment_of(self.background))
        for weight, vector in reductions:
            spread = self.root.apply(vector)
            total = jax.tree.map(lambda t, s, weight=weight: t + weight * s**2, total, spread)
        return total


def _remembered(name: str, leaves: Mapping[str, Any]) -> tuple[str, ...]:
    """Where a multi-step time stepper remembers the leaf ``name`` of the state, if it does."""
    place = f"state.previous.{name.removeprefix('state.')}"
    return (place,) if name.startswith("state.") and place in leaves else ()
