"""The tangent-linear of a run, as a run.

Its state is a state and an increment, its step is the derivative of the step: a model like any
other, for which segments, schedules and stores work as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from dassim.assimilation.cost import ObservationCost
from dassim.grid.variables import Variable
from dassim.parallel import Domain
from dassim.simulation.adjoint import Run
from dassim.simulation.model import Model
from dassim.simulation.segments import Parts, PathTerm, RunInputs, Segment


class Tangent(NamedTuple):
    """A tree and an increment of its floating-point arrays, with ``None`` for all others."""

    base: Any
    increment: Any


class TangentModel(eqx.Module):
    """A model and its tangent-linear; state and parameters are :class:`Tangent`.

    Derivatives are taken by increments only: the base trajectory is constant.
    """

    model: Model

    @property
    def domain(self) -> Domain:
        return self.model.domain

    @property
    def time_step(self) -> float:
        return self.model.time_step

    @property
    def variables(self) -> Mapping[str, Variable]:
        return self.model.variables

    def step(self, parameters: Tangent, state: Tangent) -> Tangent:
        return pushed(self.model.step, parameters, state)


class TangentMisfit(eqx.Module):
    """``|weights^(1/2) d(departures)|^2 / 2`` by kind of observation."""

    misfit: ObservationCost

    def __call__(self, state: Tangent, data: Any) -> Parts:
        departures, changes = pushed(lambda state: self.misfit.departures(state, data), state)
        weights = self.misfit.weights(departures)
        return {name: 0.5 * jnp.sum(weights[name] * changes[name] ** 2) for name in changes}


class TangentApply(eqx.Module):
    """What a segment's own inputs do to parameters and state, and its derivative."""

    apply: Callable[[Any, Any, Any], tuple[Any, Any]]

    def __call__(
        self, parameters: Tangent, inputs: Tangent, state: Tangent
    ) -> tuple[Tangent, Tangent]:
        base, increment = pushed(self.apply, parameters, inputs, state)
        return Tangent(base[0], increment[0]), Tangent(base[1], increment[1])


class TangentPath(eqx.Module):
    """The same term of the increments of a tangent-linear run: it is quadratic in a linear sum."""

    path: PathTerm

    def weights(self, steps: int) -> Any:
        return self.path.weights(steps)

    def sample(self, state: Tangent) -> Any:
        return self.path.sample(state.increment)

    def parts(self, total: Any) -> Parts:
        return self.path.parts(total)


def tangent_run(run: Run) -> Run:
    """The tangent-linear of ``run``, compared with nothing: its cost is that of increments."""
    segment, misfit = run.segment, run.segment.misfit
    if not isinstance(misfit, ObservationCost):
        raise TypeError(
            f"found a misfit {misfit}; incremental 4D-Var needs departures: an ObservationCost"
        )
    apply = None if segment.apply is None else TangentApply(segment.apply)
    path = None if segment.path is None else TangentPath(segment.path)
    tangent = Segment(
        TangentModel(segment.model), TangentMisfit(misfit), apply, segment.rematerialisation, path
    )
    return replace(run, segment=tangent)


def tangent_inputs(base: RunInputs, increment: RunInputs) -> RunInputs:
    """The tangent-linear run's inputs: each of the run's with its increment."""
    return RunInputs(
        Tangent(base.parameters, increment.parameters),
        Tangent(base.state, increment.state),
        tuple(map(Tangent, base.segments, increment.segments)),
    )


def increments(inputs: RunInputs) -> RunInputs:
    """The increments among the tangent-linear run's inputs (or its gradient by them)."""
    return RunInputs(
        inputs.parameters.increment,
        inputs.state.increment,
        tuple(segment.increment for segment in inputs.segments),
    )


def pushed(function: Callable[..., Any], *arguments: Tangent) -> Tangent:
    """``function`` of the bases and its derivative along the increments."""
    bases = tuple(argument.base for argument in arguments)
    variable, fixed = eqx.partition(bases, eqx.is_inexact_array)
    increments = tuple(argument.increment for argument in arguments)

    def split(variable):
        return eqx.partition(function(*eqx.combine(variable, fixed)), eqx.is_inexact_array)

    base, increment, rest = jax.jvp(
        split, (jax.lax.stop_gradient(variable),), (increments,), has_aux=True
    )
    return Tangent(eqx.combine(base, rest), increment)
