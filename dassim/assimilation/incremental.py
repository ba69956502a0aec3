"""Incremental 4D-Var: Gauss-Newton steps, each a linear least-squares problem.

Courtier, Thepaut and Hollingsworth (1994), Q. J. R. Meteorol. Soc. 120. The product of the
Gauss-Newton Hessian ``I + G^T G`` with a vector is the gradient of the quadratic cost
``|dv|^2 / 2 + |G dv|^2 / 2`` of the tangent-linear run. The inner problems are solved by Lanczos,
whose Ritz pairs estimate the errors of the analysis.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dassim.assimilation.control import Control, ControlSpace, axpy, combination, sum_over_ranks
from dassim.assimilation.cost import FourDVar, control_shares
from dassim.assimilation.lanczos import Krylov, lanczos
from dassim.assimilation.lbfgs import Stop
from dassim.assimilation.minimise import Result
from dassim.assimilation.records import Record, records_from_arrays, records_to_arrays
from dassim.assimilation.tangent import increments, tangent_inputs, tangent_run
from dassim.parallel import compiled
from dassim.simulation.adjoint import cost, cost_and_gradient
from dassim.simulation.trees import differentiable, named_leaves, tree_from_named


@dataclass(frozen=True)
class GaussNewton:
    """The Hessian of ``objective`` at ``control`` without second derivatives of model and H.

    ``I + G^T W G`` with a background term; ``W`` is the identity for a quadratic loss.
    """

    objective: FourDVar
    control: Control

    def __call__(self, direction: Control) -> Control:
        objective = self.objective
        found = cost_and_gradient(
            tangent_run(objective.run),
            _tangent_inputs(objective.transform, self.control, direction),
            objective.schedule,
            objective.disk,
        )
        return _product(
            objective.space,
            objective.transform,
            objective.terms,
            self.control,
            direction,
            increments(found.inputs),
        )

    def misfit(self, direction: Control) -> float:
        """``<G d, W G d>`` for the run's part ``G^T W G``, by the tangent-linear alone."""
        inputs = _tangent_inputs(self.objective.transform, self.control, direction)
        parts = cost(tangent_run(self.objective.run), inputs)
        return 2.0 * float(self.objective.space.sum(np.array(sum(parts.values()))))


@dataclass(frozen=True)
class IncrementalState:
    """Between two iterations. ``history`` has a line for every linearisation and one for every
    inner iteration.

    ``krylov``: the inner problem at ``control``, none before the first evaluation there;
    ``earlier``: that of the linearisation before, until ``krylov`` has learnt something; ``step``:
    the part of an inner solution that led to ``control``.
    """

    control: Control
    history: tuple[Record, ...] = ()
    krylov: Krylov | None = None
    earlier: Krylov | None = None
    step: float = 0.0
    evaluations: int = 0
    seconds: float = 0.0

    @property
    def point(self) -> Control:
        """The best control so far."""
        return self.control

    @property
    def iterations(self) -> int:
        return max(0, len(self.history) - 1)

    @property
    def loops(self) -> tuple[Record, ...]:
        """The lines of the linearisations."""
        return tuple(record for record in self.history if record.of_cost)

    @property
    def reached(self) -> Record:
        """The line of :attr:`control`; after the first evaluation."""
        return self.loops[-1]

    @property
    def spectrum(self) -> Krylov | None:
        """The newest inner problem with Ritz pairs."""
        begun = self.krylov is not None and self.krylov.iterations > 0
        return self.krylov if begun else self.earlier

    def to_arrays(self) -> dict[str, np.ndarray]:
        """This rank's part as named arrays, for :meth:`from_arrays`."""
        arrays = named_leaves(self.control, "control") | records_to_arrays(self.history)
        arrays |= {name: getattr(self, name) for name in ("step", "evaluations", "seconds")}
        for name, krylov in (("krylov", self.krylov), ("earlier", self.earlier)):
            if krylov is not None:
                arrays |= {f"{name}.{n}": array for n, array in krylov.to_arrays().items()}
        return {name: np.asarray(value) for name, value in arrays.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any], like: Control) -> IncrementalState:
        """The state that :meth:`to_arrays` wrote; ``like`` is a vector of the same shapes."""

        def krylov(name: str) -> Krylov | None:
            inner = {
                key.removeprefix(f"{name}."): array
                for key, array in arrays.items()
                if key.startswith(f"{name}.")
            }
            return Krylov.from_arrays(inner, like) if inner else None

        return cls(
            tree_from_named(arrays, like, "control"),
            records_from_arrays(arrays),
            krylov("krylov"),
            krylov("earlier"),
            float(arrays["step"]),
            int(arrays["evaluations"]),
            float(arrays["seconds"]),
        )


Clock = Callable[[], float]


@dataclass(frozen=True)
class Incremental:
    """The method: at most ``outer`` linearisations with ``inner`` iterations each.

    ``tolerance``: of the inner problem's relative residual; ``gradient_reduction``: of the cost's
    gradient, where it ends. A step that does not lower the cost, or leads where it is not finite,
    is halved up to ``halvings`` times.
    """

    outer: int = 3
    inner: int = 50
    tolerance: float = 1e-6
    gradient_reduction: float = 1e-6
    halvings: int = 5

    def restored(self, arrays: Mapping[str, Any], like: Control) -> IncrementalState:
        return IncrementalState.from_arrays(arrays, like)

    def minimise(
        self,
        objective: FourDVar,
        start: Control | IncrementalState,
        *,
        seconds: float | None = None,
        on_state: Callable[[IncrementalState], None] | None = None,
        interrupted: Callable[[], bool] = lambda: False,
        clock: Clock = time.monotonic,
    ) -> Result:
        """Minimise from a control vector, or go on from a state.

        ``seconds``: of this call; what would, by the longest iteration so far, end later is not
        begun. ``on_state`` sees the state after every evaluation, inner iteration and step.
        ``interrupted``: whether this rank is asked to stop; all stop after the iteration.
        """
        state = start if isinstance(start, IncrementalState) else IncrementalState(start)
        begun, earlier, longest = clock(), state.seconds, 0.0
        stop = self._met(state)
        while stop is None:
            before = clock()
            state, stop = self._next(objective, state, lambda: earlier + clock() - begun)
            now = clock()
            state = replace(state, seconds=earlier + now - begun)
            longest = max(longest, now - before)
            overdue = seconds is not None and now - begun + longest > seconds
            late = objective.space.sum(np.array(float(overdue or interrupted())))
            stop = stop or self._met(state) or (Stop.WALL_CLOCK if late > 0 else None)
            if on_state is not None:
                on_state(state)
        return Result(state, stop)

    def _met(self, state: IncrementalState) -> Stop | None:
        """Why to stop at a linearisation that has just been made, if so."""
        if state.krylov is None or state.krylov.iterations:
            return None
        first, last = state.loops[0].gradient_norm, state.loops[-1].gradient_norm
        reduced = len(state.loops) > 1 and last <= self.gradient_reduction * first
        if last == 0.0 or reduced:
            return Stop.GRADIENT
        return Stop.ITERATIONS if len(state.loops) > self.outer else None

    def _next(
        self, objective: FourDVar, state: IncrementalState, elapsed: Clock
    ) -> tuple[IncrementalState, Stop | None]:
        if state.krylov is None:
            return self._linearised(objective, state, elapsed)
        longer = self._iterated(objective, state, state.krylov)
        if longer is None:
            return self._stepped(objective, state, state.krylov)
        start = state.reached
        record = Record(
            len(state.history),
            state.evaluations + 1,
            float(start.value - longer.decrease),
            float(longer.residual * longer.norm),
            0.0,
            elapsed(),
            dict.fromkeys(start.parts, math.nan),
            start.outer,
            longer.iterations,
        )
        state = replace(state, krylov=longer, earlier=None, evaluations=record.evaluations)
        return replace(state, history=(*state.history, record)), None

    def _linearised(
        self, objective: FourDVar, state: IncrementalState, elapsed: Clock
    ) -> tuple[IncrementalState, Stop | None]:
        """Cost and gradient at the control: the right-hand side of the next inner problem."""
        space, evaluation = objective.space, objective(state.control)
        state = replace(state, evaluations=state.evaluations + 1)
        shares = [float(share) for share in evaluation.shares.values()]
        norm2 = space.shares([evaluation.gradient], [evaluation.gradient])[0, 0]
        *parts, norm2 = space.sum(np.array([*shares, norm2])).tolist()
        if not (math.isfinite(sum(parts)) and math.isfinite(norm2)):
            return state, Stop.NON_FINITE
        record = Record(
            len(state.history),
            state.evaluations,
            sum(parts),
            math.sqrt(norm2),
            state.step,
            elapsed(),
            dict(zip(evaluation.shares, parts, strict=True)),
            len(state.loops),
            0,
        )
        right = combination([-1.0], [evaluation.gradient])
        krylov = Krylov.of(right, record.gradient_norm)
        return replace(state, history=(*state.history, record), krylov=krylov), None

    def _iterated(
        self, objective: FourDVar, state: IncrementalState, krylov: Krylov
    ) -> Krylov | None:
        """One inner iteration more; ``None`` where the inner problem is solved."""
        hessian = GaussNewton(objective, state.control)
        limit = min(self.inner, krylov.iterations + 1)
        longer, _ = lanczos(
            hessian, krylov, objective.space, iterations=limit, tolerance=self.tolerance
        )
        return longer if longer.iterations > krylov.iterations else None

    def _stepped(
        self, objective: FourDVar, state: IncrementalState, krylov: Krylov
    ) -> tuple[IncrementalState, Stop | None]:
        """Along the inner solution: the first of 1, 1/2, 1/4, ... that does not raise the cost."""
        if krylov.iterations == 0:
            return state, Stop.NON_FINITE
        increment, evaluations = krylov.solution(), state.evaluations
        for i in range(self.halvings + 1):
            control = axpy(0.5**i, increment, state.control)
            shares = objective.shares(control).values()
            new = float(objective.space.sum(np.sum([float(share) for share in shares])))
            evaluations += 1
            if math.isfinite(new) and new <= state.reached.value:
                return (
                    replace(
                        state,
                        control=control,
                        krylov=None,
                        earlier=krylov,
                        step=0.5**i,
                        evaluations=evaluations,
                    ),
                    None,
                )
        return replace(state, evaluations=evaluations), Stop.HALVINGS


@compiled
def _tangent_inputs(transform, control, direction):
    """The run's inputs at ``control`` with their increments along ``direction``."""

    def variable(control):
        inputs = transform.physical(control)
        return differentiable(inputs), inputs

    _, increment, base = jax.jvp(variable, (control,), (direction,), has_aux=True)
    return tangent_inputs(base, increment)


@compiled
def _product(space: ControlSpace, transform, terms, control, direction, increment):
    """The Hessian of the control terms along ``direction``, and the run's part pulled back."""

    def share(control):
        return sum(control_shares(space, terms, control).values(), start=jnp.zeros(()))

    _, of_terms = jax.jvp(jax.grad(share), (control,), (direction,))
    total = jax.tree.map(jnp.add, of_terms, transform.pull_back(control, increment))
    return Control(total.distributed, sum_over_ranks(space.domain, total.replicated))
