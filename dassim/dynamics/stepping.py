"""Time steppers: how often, from where and over what time a model is advanced within a step.

All build on one function of the model, ``advance(base, at, dt)``: the state ``base`` moved over
``dt`` seconds by the tendencies found at the state ``at``. States are frozen dataclasses with a
field ``previous``, which holds what a multi-step scheme must remember, else ``None``.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from dassim.parallel import received

Advance = Callable[[Any, Any, Any], Any]


class AbstractTimeStepper(eqx.Module):
    """One time step of a state, for any model.

    ``oscillation_limit`` and ``decay_limit``: the largest ``|omega| dt`` of an undamped wave and
    the largest ``lambda dt`` of a decaying mode for which steps stay stable.
    """

    @property
    @abc.abstractmethod
    def oscillation_limit(self) -> float: ...

    @property
    @abc.abstractmethod
    def decay_limit(self) -> float: ...

    @abc.abstractmethod
    def start(self, state: Any) -> Any:
        """``state``, with what :meth:`step` needs besides the physical fields."""

    @abc.abstractmethod
    def step(self, advance: Advance, state: Any, dt: Any) -> Any:
        """``state`` one time step ``dt`` (s) later."""


class RungeKutta3(AbstractTimeStepper):
    """Three stages over ``dt/3, dt/2, dt``, each from the state at the start of the step.

    Wicker & Skamarock (2002, Mon. Wea. Rev. 130, 2088). Amplification ``1 + z + z^2/2 + z^3/6`` of
    a linear tendency: third order there, second order otherwise; stable to ``|z| = 1.73`` on the
    imaginary axis and -2.51 on the real one. Needs nothing but the physical state.
    """

    @property
    def oscillation_limit(self) -> float:
        return 3**0.5

    @property
    def decay_limit(self) -> float:
        return 2.5127

    def start(self, state: Any) -> Any:
        return replace(state, previous=None)

    def step(self, advance: Advance, state: Any, dt: Any) -> Any:
        # A stage is recomputed on the way back: to stack what all three keep takes far longer.
        @partial(jax.checkpoint, prevent_cse=False, policy=received)
        def stage(at, fraction):
            return advance(state, at, fraction * dt), None

        end, _ = jax.lax.scan(stage, state, jnp.asarray([1 / 3, 1 / 2, 1.0]))
        return end


class AdamsBashforth2(AbstractTimeStepper):
    """Quasi-second-order Adams-Bashforth: tendencies at ``(3/2 + eps) x^n - (1/2 + eps) x^(n-1)``.

    For linear tendencies the same as extrapolating tendencies. Extrapolating the state instead
    keeps fluxes conservative and uniform tracers uniform on levels that move. ``eps`` damps the
    computational mode, and makes waves decay up to ``omega dt = 2 sqrt(eps / (1 + eps)) / (1 + 2
    eps)``: 0.5 for eps = 0.1, none for eps = 0. The first step is a forward Euler step.
    """

    eps: float = eqx.field(static=True, default=0.1)

    @property
    def oscillation_limit(self) -> float:
        return 2 * (self.eps / (1 + self.eps)) ** 0.5 / (1 + 2 * self.eps)

    @property
    def decay_limit(self) -> float:
        return 1 / (1 + self.eps)

    def start(self, state: Any) -> Any:
        now = replace(state, previous=None)
        return replace(now, previous=now)

    def step(self, advance: Advance, state: Any, dt: Any) -> Any:
        now = replace(state, previous=None)
        ahead = jax.tree.map(
            lambda x, before: x + (0.5 + self.eps) * (x - before), now, state.previous
        )
        return replace(advance(now, ahead, dt), previous=now)
