"""The cost of strong-constraint 4D-Var and its gradient by the control vector.

``J(v) = sum of terms in v  +  sum over segments and observation terms of loss((H(x) - y) / sigma)``

Each rank computes its share: of the control vector the points it owns (replicated unknowns on the
first rank), of the observations those it was given. J is the sum over ranks.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from dassim.assimilation.control import AbstractSpace, Control, ControlSpace, sum_over_ranks
from dassim.assimilation.lbfgs import Evaluation
from dassim.assimilation.transform import ControlTransform
from dassim.parallel import compiled
from dassim.simulation.adjoint import Run, cost, cost_and_gradient
from dassim.simulation.checkpoints import IN_MEMORY, Schedule, Store
from dassim.simulation.segments import Parts, RunInputs

# -- terms in the control -------------------------------------------------------------------------


class AbstractControlTerm(eqx.Module):
    """A term of the cost that depends on the control vector directly."""

    name: eqx.AbstractVar[str]

    @abc.abstractmethod
    def share(self, space: AbstractSpace, control: Control) -> jax.Array:
        """This rank's share."""


class BackgroundTerm(AbstractControlTerm):
    """``Jb = |v|^2 / 2``: the distance from the background, in its own standard deviations."""

    name: str = eqx.field(static=True, default="Jb")

    def share(self, space: AbstractSpace, control: Control) -> jax.Array:
        return 0.5 * space.share(control, control)


# -- terms in the trajectory ----------------------------------------------------------------------


class AbstractLoss(eqx.Module):
    """What a departure, in standard deviations, costs."""

    @abc.abstractmethod
    def of(self, departure: jax.Array) -> jax.Array:
        """Elementwise."""

    @abc.abstractmethod
    def weight(self, departure: jax.Array) -> jax.Array:
        """Of a quadratic loss with the same slope: ``d loss / d departure / departure``."""


class Quadratic(AbstractLoss):
    """``d^2 / 2``: Gaussian errors."""

    def of(self, departure: jax.Array) -> jax.Array:
        return 0.5 * departure**2

    def weight(self, departure: jax.Array) -> jax.Array:
        return jnp.ones_like(departure)


class Huber(AbstractLoss):
    """``d^2 / 2`` up to ``|d| = threshold``, linear beyond: some observations are outliers."""

    threshold: float = eqx.field(static=True, default=3.0)

    def of(self, departure: jax.Array) -> jax.Array:
        inside = jnp.clip(departure, -self.threshold, self.threshold)
        return inside * (departure - 0.5 * inside)

    def weight(self, departure: jax.Array) -> jax.Array:
        return self.threshold / jnp.maximum(jnp.abs(departure), self.threshold)


class Observations(NamedTuple):
    """Observations of one kind that this rank owns, at one time.

    ``weights``: one over the standard deviation of their errors; 0 where there is none: padded to
    one length, all segments share a compilation. ``where``: what the observation operator needs to
    find them. A rank without observations of a kind that others have holds arrays of length 0,
    since operators may exchange halos and all ranks run the same program.
    """

    values: jax.Array
    weights: jax.Array
    where: Any = None


class ObservationTerm(eqx.Module):
    """Departures of one kind of observations, ``(H(x) - y) / sigma``, and what they cost.

    ``operator(state, where)``: H, the model's equivalents of the observations.
    """

    name: str = eqx.field(static=True)
    operator: Callable[[Any, Any], jax.Array]
    loss: AbstractLoss = Quadratic()

    def departures(self, state: Any, observations: Observations) -> jax.Array:
        model = self.operator(state, observations.where)
        return (model - observations.values) * observations.weights


class ObservationCost(eqx.Module):
    """The misfit of a run's segments: every term on the data of its name, where there are any."""

    terms: tuple[ObservationTerm, ...]

    def __call__(self, state: Any, data: Mapping[str, Observations]) -> Parts:
        departures = self.departures(state, data)
        return {
            term.name: jnp.sum(term.loss.of(departures[term.name]))
            for term in self.terms
            if term.name in departures
        }

    def departures(self, state: Any, data: Mapping[str, Observations]) -> dict[str, jax.Array]:
        return {
            term.name: term.departures(state, data[term.name])
            for term in self.terms
            if term.name in data
        }

    def weights(self, departures: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
        """Weights of the departures in the Gauss-Newton approximation."""
        return {
            term.name: term.loss.weight(departures[term.name])
            for term in self.terms
            if term.name in departures
        }


# -- the objective --------------------------------------------------------------------------------


@dataclass(frozen=True)
class FourDVar:
    """The objective of a minimiser: cost and gradient of a control vector.

    ``schedule`` and ``disk`` say how the reverse sweep of ``run`` keeps its states.
    """

    run: Run
    transform: ControlTransform
    terms: tuple[AbstractControlTerm, ...] = (BackgroundTerm(),)
    schedule: Schedule = IN_MEMORY
    disk: Store | None = None

    @property
    def space(self) -> ControlSpace:
        return ControlSpace(self.run.domain)

    def __call__(self, control: Control) -> Evaluation:
        inputs = physical(self.transform, control)
        found = cost_and_gradient(self.run, inputs, self.schedule, self.disk)
        parts, gradient = _of_control(self.space, self.transform, self.terms, control, found.inputs)
        return Evaluation({**parts, **found.parts}, gradient)

    def shares(self, control: Control) -> dict[str, Any]:
        """The cost's parts without their gradient."""
        parts = _term_shares(self.space, self.terms, control)
        return {**parts, **cost(self.run, physical(self.transform, control))}


@compiled
def physical(transform: ControlTransform, control: Control) -> RunInputs:
    """:meth:`ControlTransform.physical`, compiled."""
    return transform.physical(control)


@compiled
def _of_control(space, transform, terms, control, gradient):
    """The control terms' shares, and the whole gradient by the control."""

    def share(control):
        parts = control_shares(space, terms, control)
        return sum(parts.values(), start=jnp.zeros(())), parts

    of_terms, parts = jax.grad(share, has_aux=True)(control)
    of_run = transform.pull_back(control, gradient)
    total = jax.tree.map(jnp.add, of_terms, of_run)
    replicated = sum_over_ranks(space.domain, total.replicated)
    return parts, Control(total.distributed, replicated)


@compiled
def _term_shares(space, terms, control):
    return control_shares(space, terms, control)


def control_shares(
    space: AbstractSpace, terms: tuple[AbstractControlTerm, ...], control: Control
) -> Parts:
    """This rank's shares of the control terms."""
    return {term.name: term.share(space, control) for term in terms}
