"""What observations say against a trajectory: one forward run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import equinox as eqx

from dassim.assimilation.cost import ObservationCost
from dassim.simulation.adjoint import Run
from dassim.simulation.segments import RunInputs


def departures(run: Run, inputs: RunInputs) -> Iterator[dict[str, Any]]:
    """``(H(x) - y) / sigma`` by term at the end of each segment of ``run``, on this rank.

    All ranks go through them together.
    """
    misfit, state = run.segment.misfit, inputs.state
    if not isinstance(misfit, ObservationCost):
        raise TypeError(f"found a misfit {misfit}; departures need an ObservationCost")
    for k, steps in enumerate(run.lengths):
        state = run.segment.advance(steps, inputs.parameters, inputs.of_segment(k), state)
        yield _departures(misfit, state, run.data(k).end or {})


@eqx.filter_jit
def _departures(misfit: ObservationCost, state: Any, data: Any) -> dict[str, Any]:
    return misfit.departures(state, data)
