"""Incremental 4D-Var: Gauss-Newton steps, each a linear least-squares problem.

Courtier, Thepaut and Hollingsworth (1994), Q. J. R. Meteorol. Soc. 120.
The product of the Gauss-Newton Hessian ``I + G^T G`` with a vector is the gradient of the quadratic
cost ``|dv|^2 / 2 + |G dv|^2 / 2`` of the tangent-linear run. The tangent-linear model is a model
itself: its state is a state and an increment, its step is the derivative of the step. So it runs
through the same segments, schedules and stores.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from dassim.assimilation.control import Control, axpy, combination, sum_over_ranks
from dassim.assimilation.cost import FourDVar, ObservationCost
from dassim.assimilation.lanczos import Krylov, lanczos
from dassim.assimilation.lbfgs import Stop
from dassim.assimilation.tables import plain_table
from dassim.grid.variables import Variable
from dassim.parallel import Domain
from dassim.simulation.adjoint import Run, cost_and_gradient
from dassim.simulation.model import Model
from dassim.simulation.segments import Parts, RunInputs, Segment
from dassim.simulation.trees import differentiable


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
        return _pushed(self.model.step, parameters, state)


class TangentMisfit(eqx.Module):
    """``|weights^(1/2) d(departures)|^2 / 2`` by kind of observation."""

    misfit: ObservationCost

    def __call__(self, state: Tangent, data: Any) -> Parts:
        departures, changes = _pushed(lambda state: self.misfit.departures(state, data), state)
        weights = self.misfit.weights(departures)
        return {name: 0.5 * jnp.sum(weights[name] * changes[name] ** 2) for name in changes}


class TangentApply(eqx.Module):
    """What a segment's own inputs do to parameters and state, and its derivative."""

    apply: Callable[[Any, Any, Any], tuple[Any, Any]]

    def __call__(
        self, parameters: Tangent, inputs: Tangent, state: Tangent
    ) -> tuple[Tangent, Tangent]:
        base, increment = _pushed(self.apply, parameters, inputs, state)
        return Tangent(base[0], increment[0]), Tangent(base[1], increment[1])


def tangent_run(run: Run) -> Run:
    """The tangent-linear of ``run``, compared with nothing: its cost is that of increments."""
    segment, misfit = run.segment, run.segment.misfit
    if not isinstance(misfit, ObservationCost):
        raise TypeError(
            f"found a misfit {misfit}; incremental 4D-Var needs departures: an ObservationCost"
        )
    apply = None if segment.apply is None else TangentApply(segment.apply)
    tangent = Segment(
        TangentModel(segment.model), TangentMisfit(misfit), apply, segment.rematerialisation
    )
    return replace(run, segment=tangent)


@dataclass(frozen=True)
class GaussNewton:
    """The Hessian of ``objective`` at ``control`` without second derivatives of model and H.

    ``I + G^T W G``, symmetric and positive definite; ``W`` is the identity for a quadratic loss.
    The control terms' part is the identity: one background term is expected, or none.
    """

    objective: FourDVar
    control: Control

    def __call__(self, direction: Control) -> Control:
        objective = self.objective
        inputs = _tangent_inputs(objective.transform, self.control, direction)
        run = tangent_run(objective.run)
        found = cost_and_gradient(run, inputs, objective.schedule, objective.disk)
        scale = 1.0 if objective.terms else 0.0
        return _product(
            objective.space, objective.transform, self.control, direction, found.inputs, scale
        )


@dataclass(frozen=True)
class OuterLoop:
    """One linearisation: the cost before, inner iterations, their residual, and the step taken."""

    value: float
    parts: Mapping[str, float]
    gradient_norm: float
    inner_iterations: int = 0
    residual: float = 0.0
    step: float = 0.0


@dataclass(frozen=True)
class IncrementalResult:
    """``krylov`` is that of the last linearisation: its Ritz pairs estimate analysis errors."""

    control: Control
    loops: tuple[OuterLoop, ...]
    krylov: Krylov | None
    stop: Stop

    def __str__(self) -> str:
        columns = ["outer", "J", "|g|", "inner", "residual", "step"]
        rows = [
            [i, o.value, o.gradient_norm, o.inner_iterations, o.residual, o.step]
            for i, o in enumerate(self.loops)
        ]
        return f"{plain_table(columns, rows)}\n{self.stop.value}"


def incremental(
    objective: FourDVar,
    control: Control,
    *,
    outer: int = 3,
    inner: int = 50,
    tolerance: float = 1e-6,
    gradient_reduction: float = 1e-6,
    halvings: int = 5,
    on_outer: Callable[[OuterLoop, Control], None] | None = None,
) -> IncrementalResult:
    """Minimise ``objective`` from ``control`` by ``outer`` linearisations.

    ``tolerance``: relative residual of the inner problem. A step that does not lower the cost, or
    leads where it is not finite, is halved up to ``halvings`` times.
    """
    space = objective.space
    loops: list[OuterLoop] = []
    krylov: Krylov | None = None
    while True:
        evaluation = objective(control)
        shares = [np.asarray(share) for share in evaluation.shares.values()]
        norm2 = space.shares([evaluation.gradient], [evaluation.gradient])[0, 0]
        *parts, norm2 = space.sum(np.array([*shares, norm2], float)).tolist()
        value = sum(parts)
        if not (math.isfinite(value) and math.isfinite(norm2)):
            return IncrementalResult(control, tuple(loops), krylov, Stop.NON_FINITE)
        named = dict(zip(evaluation.shares, parts, strict=True))
        loop = OuterLoop(value, named, math.sqrt(norm2))
        first = loops[0].gradient_norm if loops else loop.gradient_norm
        stop = Stop.ITERATIONS if len(loops) >= outer else None
        if loop.gradient_norm <= gradient_reduction * first and (loops or norm2 == 0.0):
            stop = Stop.GRADIENT
        if stop is not None:
            loops.append(loop)
            return IncrementalResult(control, tuple(loops), krylov, stop)
        krylov, _ = lanczos(
            GaussNewton(objective, control),
            combination([-1.0], [evaluation.gradient]),
            space,
            iterations=inner,
            tolerance=tolerance,
        )
        step, control = _lowered(objective, control, krylov.solution(), value, halvings)
        loops.append(
            replace(loop, inner_iterations=krylov.iterations, residual=krylov.residual, step=step)
        )
        if on_outer is not None:
            on_outer(loops[-1], control)
        if step == 0.0:
            return IncrementalResult(control, tuple(loops), krylov, Stop.LINE_SEARCH)


def _lowered(
    objective: FourDVar, control: Control, increment: Control, value: float, halvings: int
) -> tuple[float, Control]:
    """The first of the steps 1, 1/2, 1/4, ... that lowers the cost; 0 where none does."""
    for i in range(halvings + 1):
        trial = axpy(0.5**i, increment, control)
        shares = objective.shares(trial).values()
        new = float(objective.space.sum(np.sum([np.asarray(share) for share in shares])))
        if math.isfinite(new) and new <= value:
            return 0.5**i, trial
    return 0.0, control


def _pushed(function: Callable[..., Any], *arguments: Tangent) -> Tangent:
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


@eqx.filter_jit
def _tangent_inputs(transform, control, direction):
    """Each of the run's inputs at ``control`` with its increment along ``direction``."""

    def variable(control):
        inputs = transform.physical(control)
        return differentiable(inputs), inputs

    _, increment, base = jax.jvp(variable, (control,), (direction,), has_aux=True)
    segments = map(Tangent, base.segments, increment.segments)
    return RunInputs(
        Tangent(base.parameters, increment.parameters),
        Tangent(base.state, increment.state),
        tuple(segments),
    )


@eqx.filter_jit
def _product(space, transform, control, direction, gradient, scale):
    increments = RunInputs(
        gradient.parameters.increment,
        gradient.state.increment,
        tuple(segment.increment for segment in gradient.segments),
    )
    pulled = transform.pull_back(control, increments)
    replicated = sum_over_ranks(space.domain, pulled.replicated)
    return axpy(scale, direction, Control(pulled.distributed, replicated))
