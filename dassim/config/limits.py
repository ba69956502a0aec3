"""Time steps beyond the limits of a model, as warnings of its namelist."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from dassim.config.errors import Problem, TimeStepWarning, mismatch
from dassim.config.points import first_point
from dassim.dynamics.stability import Limit


def too_long_steps(model: Any, limits: Iterable[Limit]) -> Iterator[TimeStepWarning]:
    """One for each of the ``limits`` of ``model`` that its time step is beyond. All ranks call this
    together, and find the same."""
    block = model.domain.block
    for limit in limits:
        if limit.ok:
            continue
        row, column = limit.where
        here = np.array(block.y)[:, None] == row, np.array(block.x) == column
        remedy = "shorten the step"
        if at_bare_pole(model, row):
            remedy = f"set physics.polar_filter, such as {{latitude: 60}}, or {remedy}"
        message = mismatch(
            f"{model.time_step:g} s",
            f"at most {limit.longest_step:.4g} s, because of {limit.term} at "
            f"{first_point(model.grid, (here[0] & here[1])[None])}: {limit.value:.3g} is beyond "
            f"the limit {limit.limit:.3g}",
            remedy,
        )
        yield TimeStepWarning(Problem(("time", "step"), message))


def at_bare_pole(model: Any, row: int) -> bool:
    """Whether the ``row`` of cells ends at a pole, where no filter lengthens the waves."""
    south, north = model.grid.horizontal.poles
    beside = (south and row == 0) or (north and row == model.domain.global_shape[0] - 1)
    return beside and getattr(model, "polar", None) is None
