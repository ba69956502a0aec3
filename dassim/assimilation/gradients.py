"""One gradient however it was computed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from dassim.assimilation.control import (
    AbstractSpace,
    Control,
    ControlSpace,
    difference,
    split,
    sum_over_ranks,
)
from dassim.assimilation.tables import plain_table, verdict
from dassim.simulation.adjoint import Run, cost_and_gradient
from dassim.simulation.checkpoints import Schedule, Store
from dassim.simulation.segments import RunInputs


@dataclass(frozen=True)
class GradientComparison:
    """Relative differences ``|g - g_0| / |g_0|`` of gradients from the first one, of length
    ``norm``; the differences themselves where that is 0."""

    names: tuple[str, ...]
    differences: tuple[float, ...]
    notes: tuple[str, ...]
    tolerance: float = 1e-13
    norm: float = 1.0

    @property
    def passed(self) -> bool:
        return all(difference <= self.tolerance for difference in self.differences)

    def __str__(self) -> str:
        rows = list(zip(self.names, self.differences, self.notes, strict=True))
        table = plain_table(["gradient", "difference", "took"], rows)
        note = "" if self.norm else "; all vanish: the cost depends on nothing here"
        return f"Gradients\n{table}\n{verdict(self.passed, f'at most {self.tolerance:.0e}{note}')}"


def compare_gradients(
    gradients: Mapping[str, Control],
    space: AbstractSpace,
    *,
    notes: Mapping[str, str] | None = None,
    tolerance: float = 1e-13,
) -> GradientComparison:
    """How far each gradient is from the first."""
    first, *_ = gradients.values()
    norm = math.sqrt(space.dot(first, first))

    def distance(gradient: Control) -> float:
        apart = difference(gradient, first)
        return math.sqrt(space.dot(apart, apart)) / (norm or 1.0)

    return GradientComparison(
        tuple(gradients),
        tuple(distance(gradient) for gradient in gradients.values()),
        tuple((notes or {}).get(name, "") for name in gradients),
        tolerance,
        norm,
    )


def compare_schedules(
    run: Run,
    inputs: RunInputs,
    schedules: Mapping[str, Schedule],
    disk: Store | None = None,
    *,
    tolerance: float = 1e-13,
) -> GradientComparison:
    """The gradient of ``run`` by state and parameters, by each schedule."""
    gradients, notes = {}, {}
    for name, schedule in schedules.items():
        result = cost_and_gradient(run, inputs, schedule, disk if schedule.uses_disk else None)
        share = split(run.domain, result.inputs)
        total = sum_over_ranks(run.domain, share.replicated)
        gradients[name] = Control(share.distributed, total)
        notes[name] = str(result.tally)
    return compare_gradients(gradients, ControlSpace(run.domain), notes=notes, tolerance=tolerance)
