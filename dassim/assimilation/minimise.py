"""Run a minimiser on an objective until a criterion is met.

A minimiser is known by :class:`Minimiser`, and what it keeps between two evaluations by
:class:`Progress`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from dassim.assimilation.lanczos import Krylov
from dassim.assimilation.lbfgs import LBFGS, Evaluation, State, Stop
from dassim.assimilation.records import Record, table


class Progress(Protocol):
    """The state of a minimiser between two evaluations."""

    @property
    def point(self) -> Any:
        """The best control so far."""

    @property
    def history(self) -> tuple[Record, ...]:
        """The lines of the table."""
        ...

    @property
    def reached(self) -> Record:
        """The line of :attr:`point`."""
        ...

    @property
    def iterations(self) -> int: ...

    @property
    def evaluations(self) -> int: ...

    @property
    def seconds(self) -> float: ...

    @property
    def spectrum(self) -> Krylov | None:
        """What is known of the eigenvalues of the cost's Hessian."""

    def to_arrays(self) -> dict[str, np.ndarray]: ...


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
                    return Stop.BLOCKED if state.blocked else Stop.DECREASE
        if self.iterations is not None and state.iterations >= self.iterations:
            return Stop.ITERATIONS
        if self.evaluations is not None and state.evaluations >= self.evaluations:
            return Stop.EVALUATIONS
        return None


@dataclass(frozen=True)
class Result:
    """Where a minimisation ended, and why. ``state`` goes on if ``stop.resumable``."""

    state: Any
    stop: Stop

    @property
    def point(self) -> Any:
        return self.state.point

    @property
    def converged(self) -> bool:
        return self.stop.converged

    def __str__(self) -> str:
        return f"{table(self.state.history)}\n{self.stop.value}"


class Minimiser(Protocol):
    """A method with the criteria by which it ends."""

    def minimise(
        self,
        objective: Any,
        start: Any,
        *,
        seconds: float | None = None,
        on_state: Callable[[Any], None] | None = None,
        interrupted: Callable[[], bool] = lambda: False,
    ) -> Result:
        """From a point, or on from a state; ``seconds`` of wall-clock time for this call.
        ``on_state`` sees every state from which it can go on; ``interrupted``: whether this rank
        is asked to stop."""
        ...

    def restored(self, arrays: Mapping[str, Any], like: Any) -> Progress:
        """The state that its ``to_arrays`` wrote; ``like`` is a point."""
        ...


@dataclass(frozen=True)
class QuasiNewton:
    """:class:`LBFGS` with ``pairs`` remembered steps."""

    criteria: Criteria = field(default_factory=Criteria)
    pairs: int = 10

    def minimise(
        self,
        objective: Any,
        start: Any,
        *,
        seconds: float | None = None,
        on_state: Callable[[State], None] | None = None,
        interrupted: Callable[[], bool] = lambda: False,
    ) -> Result:
        return minimise(
            objective,
            start,
            LBFGS(objective.space, pairs=self.pairs),
            replace(self.criteria, seconds=seconds),
            on_evaluation=on_state,
            interrupted=interrupted,
        )

    def restored(self, arrays: Mapping[str, Any], like: Any) -> State:
        return State.from_arrays(arrays, like)


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
