"""Whether the derivatives of a configuration are its derivatives: all checks on a few steps."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from dassim.assimilation.checks import (
    DotProductTest,
    GradientComparison,
    TaylorTest,
    compare_schedules,
    model_dot_product_test,
    random_like,
    taylor_test,
)
from dassim.assimilation.control import Control
from dassim.assimilation.cost import (
    FourDVar,
    ObservationCost,
    Observations,
    ObservationTerm,
    physical,
)
from dassim.assimilation.data import WholeVariable
from dassim.assimilation.scores import point_weights
from dassim.assimilation.transform import ControlTransform, Diagonal
from dassim.parallel import Domain
from dassim.simulation.adjoint import Run
from dassim.simulation.checkpoints import Schedule, Store
from dassim.simulation.model import Model
from dassim.simulation.segments import RunInputs, Segment, SegmentData
from dassim.simulation.trees import named_leaves

Check = TaylorTest | DotProductTest | GradientComparison

SHARE = 0.1
"""Of a variable's spread: by how much it is taken to be wrong where nothing else is known."""


BESIDE = ("previous.", "fluxes.")
"""Begin the names of what is no variable: what a time stepper remembers of earlier steps, and what
a step tells besides, on which nothing depends."""


@dataclass(frozen=True)
class Setting:
    """``segments`` of ``steps`` steps from ``state``, and by how much each leaf of the state may be
    wrong (``sizes``)."""

    model: Model
    parameters: Any
    state: Any
    sizes: dict[str, float]
    steps: int = 4
    segments: int = 3
    seed: int = 0


def checks(setting: Setting, disk: Store | None = None) -> Iterator[Check]:
    """Dot products of the model's step, the Taylor test of a cost by the state, and the gradient by
    every kind of schedule. All ranks call this together."""
    model, seed = setting.model, setting.seed
    count = setting.steps * setting.segments
    for steps in (1, count):
        yield model_dot_product_test(
            model, setting.parameters, setting.state, steps=steps, seed=seed, tolerance=1e-10
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
    )
    inputs = physical(objective.transform, point)  # at the state itself a steady one costs nothing
    yield compare_schedules(objective.run, inputs, schedules(disk), disk, tolerance=1e-12)


def coverage(setting: Setting) -> str:
    """By which variables of the state the cost is differentiated, and by which not."""
    missing = [name for name in _fields(setting.state) if name not in setting.sizes]
    sizes = ", ".join(f"{name} ({size:.3g})" for name, size in setting.sizes.items())
    text = f"Cost by the state: {sizes or 'nothing'}"
    if not missing:
        return text
    return (
        f"{text}\nnot by {', '.join(missing)}, even everywhere: give sizes in "
        f"assimilation.control.state"
    )


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


def _fields(state: Any) -> dict[str, Any]:
    """The variables of ``state``."""
    return {
        name: leaf
        for name, leaf in named_leaves(state).items()
        if np.ndim(leaf) >= 2 and not name.startswith(BESIDE)
    }
