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

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from dassim.assimilation.control import Control, ControlSpace, axpy, combination, sum_over_ranks
from dassim.assimilation.cost import FourDVar, control_shares
from dassim.assimilation.lanczos import Krylov, lanczos
from dassim.assimilation.lbfgs import Stop
from dassim.assimilation.tables import plain_table
from dassim.assimilation.tangent import increments, tangent_inputs, tangent_run
from dassim.simulation.adjoint import cost_and_gradient
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


@dataclass(frozen=True)
class OuterLoop:
    """One linearisation: cost and gradient there, inner iterations, and the step then taken."""

    value: float
    parts: Mapping[str, float]
    gradient_norm: float
    inner_iterations: int = 0
    residual: float = 1.0
    step: float = 0.0


@dataclass(frozen=True)
class IncrementalState:
    """Between two iterations: inside the inner problem where there is a ``krylov`` of it, else
    before the evaluation at ``control``. The last of ``loops`` is the current one."""

    control: Control
    loops: tuple[OuterLoop, ...] = ()
    krylov: Krylov | None = None

    def to_arrays(self) -> dict[str, np.ndarray]:
        """This rank's part as named arrays, for :meth:`from_arrays`."""
        arrays = named_leaves(self.control, "control")
        arrays["loops"] = np.array([_numbers(loop) for loop in self.loops]).reshape(-1, 5)
        for name in self.loops[0].parts if self.loops else ():
            arrays[f"parts.{name}"] = np.array([loop.parts[name] for loop in self.loops])
        if self.krylov is not None:
            arrays |= {f"krylov.{n}": a for n, a in self.krylov.to_arrays().items()}
        return {name: np.asarray(value) for name, value in arrays.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any], like: Control) -> IncrementalState:
        parts = {n.removeprefix("parts."): a for n, a in arrays.items() if n.startswith("parts.")}
        inner = {n.removeprefix("krylov."): a for n, a in arrays.items() if n.startswith("krylov.")}
        loops = []
        for i, (value, norm, count, *rest) in enumerate(np.asarray(arrays["loops"]).tolist()):
            here = {name: float(values[i]) for name, values in parts.items()}
            loops.append(OuterLoop(value, here, norm, int(count), *rest))
        return cls(
            tree_from_named(arrays, like, "control"),
            tuple(loops),
            Krylov.from_arrays(inner, like) if inner else None,
        )


@dataclass(frozen=True)
class IncrementalResult:
    """``krylov`` is that of the last linearisation: its Ritz pairs estimate analysis errors."""

    state: IncrementalState
    krylov: Krylov | None
    stop: Stop

    @property
    def control(self) -> Control:
        return self.state.control

    def __str__(self) -> str:
        columns = ["outer", "J", "|g|", "inner", "residual", "step"]
        rows = [[i, *_numbers(loop)] for i, loop in enumerate(self.state.loops)]
        return f"{plain_table(columns, rows)}\n{self.stop.value}"


@dataclass(frozen=True)
class Incremental:
    """The method: at most ``outer`` linearisations with ``inner`` iterations each.

    ``tolerance``: of the inner problem's relative residual. A step that does not lower the cost, or
    leads where it is not finite, is halved up to ``halvings`` times. ``seconds``: of one call.
    """

    objective: FourDVar
    outer: int = 3
    inner: int = 50
    tolerance: float = 1e-6
    gradient_reduction: float = 1e-6
    halvings: int = 5
    seconds: float | None = None

    def minimise(
        self,
        start: Control | IncrementalState,
        *,
        on_state: Callable[[IncrementalState], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> IncrementalResult:
        """Minimise from a control vector, or go on from a state.

        ``on_state`` sees the state after every evaluation, inner iteration and step.
        """
        state = start if isinstance(start, IncrementalState) else IncrementalState(start)
        begun, krylov, stop = clock(), state.krylov, None
        while stop is None:
            if state.krylov is None:
                state, stop = self._linearised(state)
            elif (inner := self._iterated(state, state.krylov)) is not None:
                state = replace(state, krylov=inner)
            else:
                state, stop = self._stepped(state, state.krylov)
            krylov = state.krylov or krylov
            if on_state is not None:
                on_state(state)
            if stop is None and self._overdue(clock() - begun):
                stop = Stop.WALL_CLOCK
        return IncrementalResult(state, krylov, stop)

    def _linearised(self, state: IncrementalState) -> tuple[IncrementalState, Stop | None]:
        """Cost and gradient at the control: the right-hand side of the next inner problem."""
        space, evaluation = self.objective.space, self.objective(state.control)
        shares = [float(share) for share in evaluation.shares.values()]
        norm2 = space.shares([evaluation.gradient], [evaluation.gradient])[0, 0]
        *parts, norm2 = space.sum(np.array([*shares, norm2])).tolist()
        if not (math.isfinite(sum(parts)) and math.isfinite(norm2)):
            return state, Stop.NON_FINITE
        named = dict(zip(evaluation.shares, parts, strict=True))
        loops = (*state.loops, OuterLoop(sum(parts), named, math.sqrt(norm2)))
        first, last = loops[0].gradient_norm, loops[-1].gradient_norm
        if last == 0.0 or (len(loops) > 1 and last <= self.gradient_reduction * first):
            return replace(state, loops=loops), Stop.GRADIENT
        if len(loops) > self.outer:
            return replace(state, loops=loops), Stop.ITERATIONS
        right = combination([-1.0], [evaluation.gradient])
        krylov = Krylov.of(right, math.sqrt(norm2))
        return IncrementalState(state.control, loops, krylov), None

    def _iterated(self, state: IncrementalState, krylov: Krylov) -> Krylov | None:
        """One inner iteration more; ``None`` where the inner problem is solved."""
        hessian = GaussNewton(self.objective, state.control)
        limit = min(self.inner, krylov.iterations + 1)
        longer, _ = lanczos(
            hessian, krylov, self.objective.space, iterations=limit, tolerance=self.tolerance
        )
        return longer if longer.iterations > krylov.iterations else None

    def _stepped(
        self, state: IncrementalState, krylov: Krylov
    ) -> tuple[IncrementalState, Stop | None]:
        """Along the inner solution: the first of 1, 1/2, 1/4, ... that does not raise the cost."""
        if krylov.iterations == 0:
            return state, Stop.NON_FINITE
        *before, loop = state.loops
        loop = replace(loop, inner_iterations=krylov.iterations, residual=krylov.residual)
        increment = krylov.solution()
        for i in range(self.halvings + 1):
            control = axpy(0.5**i, increment, state.control)
            shares = self.objective.shares(control).values()
            new = float(self.objective.space.sum(np.sum([float(share) for share in shares])))
            if math.isfinite(new) and new <= loop.value:
                return IncrementalState(control, (*before, replace(loop, step=0.5**i))), None
        return IncrementalState(state.control, (*before, loop)), Stop.LINE_SEARCH

    def _overdue(self, seconds: float) -> bool:
        """Whether any rank is out of time."""
        if self.seconds is None:
            return False
        return float(self.objective.space.sum(np.array(float(seconds > self.seconds)))) > 0


def _numbers(loop: OuterLoop) -> list[Any]:
    return [loop.value, loop.gradient_norm, loop.inner_iterations, loop.residual, loop.step]


@eqx.filter_jit
def _tangent_inputs(transform, control, direction):
    """The run's inputs at ``control`` with their increments along ``direction``."""

    def variable(control):
        inputs = transform.physical(control)
        return differentiable(inputs), inputs

    _, increment, base = jax.jvp(variable, (control,), (direction,), has_aux=True)
    return tangent_inputs(base, increment)


@eqx.filter_jit
def _product(space: ControlSpace, transform, terms, control, direction, increment):
    """The Hessian of the control terms along ``direction``, and the run's part pulled back."""

    def share(control):
        return sum(control_shares(space, terms, control).values(), start=jnp.zeros(()))

    _, of_terms = jax.jvp(jax.grad(share), (control,), (direction,))
    total = jax.tree.map(jnp.add, of_terms, transform.pull_back(control, increment))
    return Control(total.distributed, sum_over_ranks(space.domain, total.replicated))
