"""Run a minimiser on an objective until a criterion is met."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dassim.assimilation.lbfgs import LBFGS, Evaluation, State, Stop
from dassim.assimilation.records import Record, table


@dataclass(frozen=True)
class Criteria:
    """When to stop. ``None``, and a ``gradient_reduction`` of 0: never for that reason.

    ``gradient_reduction``: ``|g| / |g_0|``; ``relative_decrease``: decrease of the cost in one
    iteration over the cost; 0 stops where round-off leaves no decrease, which is where the point
    is known to the square root of round-off; ``seconds``: of this call. An evaluation that would,
    by the longest one so far, end after ``seconds`` is not begun.
    """

    gradient_reduction: float = 1e-6
    relative_decrease: float = 0.0
    iterations: int | None = 100
    evaluations: int | None = None
    seconds: float | None = None

    def met(self, state: State) -> Stop | None:
        if state.history:
            first, last = state.history[0], state.history[-1]
            if last.gradient_norm <= self.gradient_reduction * first.gradient_norm:
                return Stop.GRADIENT
            if state.iterations:
                before = state.history[-2].value
                scale = max(abs(before), abs(last.value))
                if before - last.value <= self.relative_decrease * scale:
                    return Stop.DECREASE
        if self.iterations is not None and state.iterations >= self.iterations:
            return Stop.ITERATIONS
        if self.evaluations is not None and state.evaluations >= self.evaluations:
            return Stop.EVALUATIONS
        return None


@dataclass(frozen=True)
class Result:
    """Where a minimisation ended, and why. ``state`` goes on if ``stop.resumable``."""

    state: State
    stop: Stop

    @property
    def point(self) -> Any:
        return self.state.point

    @property
    def converged(self) -> bool:
        return self.stop.converged

    def __str__(self) -> str:
        return f"{table(self.state.history)}\n{self.stop.value}"


def minimise(
    objective: Callable[[Any], Evaluation],
    start: Any,
    method: LBFGS,
    criteria: Criteria,
    *,
    on_iteration: Callable[[Record, State], None] | None = None,
    on_evaluation: Callable[[State], None] | None = None,
    interrupted: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.monotonic,
) -> Result:
    """Minimise ``objective`` from a point, or go on from a :class:`State`.

    ``on_iteration`` sees every new line of the table, ``on_evaluation`` every new state: whoever
    wants to be able to resume after any evaluation saves it there. ``interrupted``: whether this
    rank is asked to stop; all stop after the evaluation.
    """
    state = start if isinstance(start, State) else method.start(start)
    begun, earlier, longest = clock(), state.seconds, 0.0
    stop = criteria.met(state)
    while stop is None:
        before = clock()
        evaluation = objective(state.trial)
        now = clock()
        longest = max(longest, now - before)
        overdue = criteria.seconds is not None and now - begun + longest > criteria.seconds
        overdue = overdue or interrupted()
        lines = len(state.history)
        state, stop = method.tell(state, evaluation, earlier + now - begun, overdue)
        stop = criteria.met(state) or stop if stop in (None, Stop.WALL_CLOCK) else stop
        if on_evaluation is not None:
            on_evaluation(state)
        if on_iteration is not None and len(state.history) > lines:
            on_iteration(state.history[-1], state)
    return Result(state, stop)
