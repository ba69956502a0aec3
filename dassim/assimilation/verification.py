"""Whether the derivatives of a configuration are its derivatives: all checks on a few steps."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from dassim.assimilation.control import Control, axpy, random_like
from dassim.assimilation.cost import (
    FourDVar,
    ObservationCost,
    Observations,
    ObservationTerm,
    physical,
)
from dassim.assimilation.data import WholeVariable
from dassim.assimilation.dot_products import (
    DotProductTest,
    dot_product_test,
    model_dot_product_test,
)
from dassim.assimilation.gradients import GradientComparison, compare_schedules
from dassim.assimilation.incremental import GaussNewton
from dassim.assimilation.recovery import Recovery
from dassim.assimilation.scores import point_weights
from dassim.assimilation.taylor import TaylorTest, TaylorTests, taylor_test
from dassim.assimilation.transform import ControlTransform, Diagonal
from dassim.parallel import Domain
from dassim.simulation.adjoint import Run
from dassim.simulation.checkpoints import Schedule, Store
from dassim.simulation.model import Model
from dassim.simulation.segments import RunInputs, Segment, SegmentData
from dassim.simulation.trees import differentiable, named_leaves

Check = TaylorTest | TaylorTests | DotProductTest | GradientComparison

SHARE = 0.1
"""Of a variable's spread, or of a parameter's value: by how much it is taken to be wrong where
nothing else is known."""

NEAR = 0.1
"""Of the errors of the background: how far from it the cost of a configuration is tested."""

STEPS = tuple(10.0**-i for i in range(1, 7))
"""Of Taylor tests over long runs, where round-off grows."""

ONE_STEP = 1e-12
"""Of the dot product over one step, relative: round-off, which random vectors that are almost
orthogonal make larger, here to 1e-13 at full size."""

TOLERANCE = 1e-10
"""Of dot products over many steps, relative: each step's round-off grows with the perturbation that
carries it. Twelve steps of the models at full size give 1e-13 to 1e-12; a window has hundreds."""

BESIDE = ("previous.", "fluxes.")
"""Begin the names of what is no variable: what a time stepper remembers of earlier steps, and what
a step tells besides, on which nothing depends."""


@dataclass(frozen=True)
class Setting:
    """``segments`` of ``steps`` steps from ``state``, and by how much each leaf of the state may be
    wrong (``sizes``), and those of the parameters for which it is known (``uncertain``)."""

    model: Model
    parameters: Any
    state: Any
    sizes: dict[str, float]
    uncertain: Mapping[str, float] = field(default_factory=dict)
    steps: int = 4
    segments: int = 3
    seed: int = 0


def checks(setting: Setting, disk: Store | None = None) -> Iterator[Check]:
    """Dot products of the model's step, Taylor tests of a cost by the state and by each parameter,
    and the gradient by every kind of schedule. All ranks call this together."""
    model, seed = setting.model, setting.seed
    count = setting.steps * setting.segments
    for steps, tolerance in ((1, ONE_STEP), (count, TOLERANCE)):
        yield model_dot_product_test(
            model, setting.parameters, setting.state, steps=steps, seed=seed, tolerance=tolerance
        )
    objective = distance_from_start(setting)
    zero = objective.transform.zero()
    point = random_like(model.domain, zero, seed + 1)
    yield taylor_test(
        objective,
        point,
        random_like(model.domain, zero, seed + 2),
        objective.space,
        shares=objective.shares,
        name="the cost by the state",
    )
    inputs = physical(objective.transform, point)  # at the state itself a steady one costs nothing
    tests = tuple(parameter_tests(setting, objective.run, inputs))
    if tests:
        yield TaylorTests("the cost by each parameter", tests)
    yield compare_schedules(objective.run, inputs, schedules(disk), disk)


def cost_checks(objective: FourDVar, seed: int = 0) -> Iterator[Check]:
    """Of a configuration's own cost by its control vector, near the first guess: dot products of
    ``B^(1/2)`` and of the departures, and the Taylor test. All ranks call this together."""
    domain, zero = objective.run.domain, objective.transform.zero()
    random = random_like(domain, zero, seed + 3)
    point, direction = axpy(NEAR, random, zero), random_like(domain, zero, seed + 4)
    root = objective.transform.root.apply
    yield dot_product_test("B^(1/2)", root, point, domain, seed=seed, tolerance=TOLERANCE)
    hessian = GaussNewton(replace(objective, terms=()), point)
    yield DotProductTest(
        "departures by the control vector, y = F' dx",
        hessian.misfit(direction),
        objective.space.dot(direction, hessian(direction)),
        TOLERANCE,
    )
    yield taylor_test(
        objective,
        point,
        direction,
        objective.space,
        shares=objective.shares,
        steps=STEPS,
        name="J by the control vector",
    )


def beginning(recovery: Recovery) -> FourDVar:
    """The cost over as few segments of the window as have data of all its terms; over all where
    segments have corrections."""
    objective, run = recovery.objective, recovery.objective.run
    if objective.transform.background.segments:
        return objective
    awaited = {name for name, count in recovery.counts.items() if count}
    number = 0
    while awaited and number < len(run.lengths):
        data = run.data(number).end or {}
        here = {name for name in awaited if np.any(np.asarray(data[name].weights))}
        awaited -= set().union(*run.domain.comm.allgather(here))
        number += 1
    return replace(objective, run=replace(run, lengths=run.lengths[:number]))


def parameter_tests(setting: Setting, run: Run, inputs: RunInputs) -> Iterator[TaylorTest]:
    """The Taylor test of the cost of ``run`` at ``inputs`` by every parameter."""
    domain = run.domain
    for number, (name, size) in enumerate(_parameter_sizes(setting).items()):
        one = {f"parameters.{name}": size}
        both = (one, {}) if np.shape(size)[-2:] == domain.shape else ({}, one)
        transform = ControlTransform(inputs, Diagonal(Control(*both)), *map(tuple, both))
        objective = FourDVar(run, transform, ())
        zero = objective.transform.zero()
        yield taylor_test(
            objective,
            zero,
            random_like(domain, zero, setting.seed + 5 + number),
            objective.space,
            shares=objective.shares,
            name=name,
        )


def coverage(setting: Setting) -> str:
    """By which variables of the state and which parameters the cost is differentiated, and by which
    not."""
    missing = [name for name in _fields(setting.state) if name not in setting.sizes]
    sizes = ", ".join(f"{name} ({size:.3g})" for name, size in setting.sizes.items())
    lines = [f"Cost by the state: {sizes or 'nothing'}"]
    if missing:
        lines.append(
            f"not by {', '.join(missing)}, even everywhere: give sizes in "
            f"assimilation.control.state"
        )
    covered = _parameter_sizes(setting)
    lines.append(f"by parameters: {', '.join(covered) or 'nothing'}")
    zero = [
        name for name in named_leaves(differentiable(setting.parameters)) if name not in covered
    ]
    if zero:
        lines.append(
            f"not by {', '.join(zero)}, 0 everywhere: give sizes in assimilation.control.parameters"
        )
    return "\n".join(lines)


def schedules(disk: Store | None) -> dict[str, Schedule]:
    known = {"all states in memory": Schedule(), "one state in memory": Schedule(memory=1)}
    if disk is not None:
        known["states on disk"] = Schedule(memory=0, disk=None)
        known["in memory and on disk"] = Schedule(memory=1, disk=None)
    return known


def distance_from_start(setting: Setting) -> FourDVar:
    """``|x - x_0|^2 / 2`` after every segment, each variable in the unit of its size."""
    model, leaves = setting.model, named_leaves(setting.state)
    wet = point_weights(model, {leaf: leaves[leaf] for leaf in setting.sizes})
    data = {
        leaf: Observations(leaves[leaf], (wet[leaf] > 0) / size)
        for leaf, size in setting.sizes.items()
    }
    misfit = ObservationCost(
        tuple(ObservationTerm(leaf, WholeVariable(leaf)) for leaf in setting.sizes)
    )
    run = Run(
        Segment(model, misfit),
        (setting.steps,) * setting.segments,
        lambda k: SegmentData(end=data),
    )
    deviations = {f"state.{leaf}": size * (wet[leaf] > 0) for leaf, size in setting.sizes.items()}
    transform = ControlTransform(
        RunInputs(setting.parameters, setting.state),
        Diagonal(Control(deviations)),
        tuple(deviations),
    )
    return FourDVar(run, transform, ())


def sizes_of(model: Model, state: Any) -> dict[str, float]:
    """A share of the spread of each variable of ``state``; of those that do not vary none."""
    domain: Domain = model.domain
    fields = _fields(state)
    weights = point_weights(model, fields)
    sizes = {}
    for name, leaf in fields.items():
        w = weights[name]
        shares = jnp.stack([jnp.sum(w), jnp.sum(w * leaf), jnp.sum(w * leaf**2)])
        total, first, second = np.asarray(domain.sum(shares))
        spread = math.sqrt(max(0.0, second / total - (first / total) ** 2))
        if spread > 1e-9 * math.sqrt(second / total):
            sizes[name] = SHARE * spread
    return sizes


def _parameter_sizes(setting: Setting) -> dict[str, Any]:
    """By how much each parameter is changed; without those that are 0 everywhere, if no size is
    known. All ranks call this together."""
    domain: Domain = setting.model.domain
    sizes = {}
    for name, leaf in named_leaves(differentiable(setting.parameters)).items():
        if name in setting.uncertain:
            sizes[name] = jnp.full_like(leaf, setting.uncertain[name])
        elif any(domain.comm.allgather(bool(jnp.any(leaf != 0)))):
            sizes[name] = SHARE * jnp.abs(leaf)
    return sizes


def _fields(state: Any) -> dict[str, Any]:
    """The variables of ``state``."""
    return {
        name: leaf
        for name, leaf in named_leaves(state).items()
        if np.ndim(leaf) >= 2 and not name.startswith(BESIDE)
    }
