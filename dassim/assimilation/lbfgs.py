"""The limited-memory BFGS method on vectors that are spread over ranks.

Nocedal (1980), "Updating quasi-Newton matrices with limited storage", Math. Comput. 35, with a
More-Thuente line search. The two-loop recursion runs on coefficients: all inner products among the
pairs ``s_i, y_i`` and the gradient stand in one small Gram matrix (Chen et al. 2014, "Large-scale
L-BFGS using MapReduce"), so an iteration sends one message for its inner products, and one for
each cost. Every decision is taken on such sums, so all ranks take the same branch.

The method asks for an evaluation and is told its result, and its state between the two is a record
of arrays and numbers: saved and read back, it goes on bitwise.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from dassim.assimilation.control import AbstractSpace, axpy, combination, difference
from dassim.assimilation.linesearch import LineSearch, Outcome, Wolfe, advance, begin
from dassim.assimilation.records import Record, records_from_arrays, records_to_arrays
from dassim.simulation.trees import named_leaves, tree_from_named


@dataclass(frozen=True)
class Evaluation:
    """A cost and its gradient at one point.

    ``shares``: this rank's share of each part of the cost; the cost is the sum over parts and
    ranks. ``gradient``: this rank's part of the whole gradient, complete.
    """

    shares: Mapping[str, Any]
    gradient: Any


class Stop(enum.Enum):
    """Why a minimisation ended."""

    GRADIENT = "the gradient is reduced as asked"
    DECREASE = "the cost no longer decreases"
    ITERATIONS = "the iterations are used up"
    EVALUATIONS = "the evaluations are used up"
    WALL_CLOCK = "continue me: the time is used up"
    BLOCKED = "the cost is not finite further on, and up to there it no longer decreases"
    LINE_SEARCH = "no step along the steepest descent lowers the cost"
    HALVINGS = "no part of the inner solution lowers the cost; the tangent-linear holds no further"
    NON_FINITE = "the cost is not finite wherever it was tried"

    @property
    def converged(self) -> bool:
        return self in (Stop.GRADIENT, Stop.DECREASE)

    @property
    def resumable(self) -> bool:
        """Whether the same state goes on when it is given more time or a higher limit."""
        return self in (Stop.ITERATIONS, Stop.EVALUATIONS, Stop.WALL_CLOCK)


@dataclass(frozen=True)
class State:
    """All that the method keeps between two evaluations.

    It waits for the evaluation at :attr:`trial`. ``s`` and ``y`` hold the pairs, oldest first;
    ``gram`` the inner products among ``s_1 ... s_k, y_1 ... y_k, gradient``. Before the first
    evaluation there is neither gradient nor search. ``blocked``: whether the search that ended at
    ``point`` met costs that are not finite.
    """

    point: Any
    gradient: Any = None
    direction: Any = None
    search: LineSearch | None = None
    s: tuple[Any, ...] = ()
    y: tuple[Any, ...] = ()
    gram: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    evaluations: int = 0
    seconds: float = 0.0
    history: tuple[Record, ...] = ()
    blocked: bool = False

    @property
    def trial(self) -> Any:
        """The point to evaluate next."""
        if self.search is None:
            return self.point
        return axpy(self.search.step, self.direction, self.point)

    @property
    def iterations(self) -> int:
        return max(0, len(self.history) - 1)

    @property
    def reached(self) -> Record:
        """The line of :attr:`point`; after the first evaluation."""
        return self.history[-1]

    @property
    def spectrum(self) -> None:
        """The method knows no eigenvalues of the Hessian."""

    def to_arrays(self) -> dict[str, np.ndarray]:
        """This rank's part as named arrays, for :meth:`from_arrays`."""
        arrays = named_leaves(self.point, "point")
        if self.search is not None:
            arrays |= named_leaves(self.gradient, "gradient")
            arrays |= named_leaves(self.direction, "direction")
            arrays["search"] = self.search.numbers()
        for i, (s, y) in enumerate(zip(self.s, self.y, strict=True)):
            arrays |= named_leaves(s, f"s.{i}") | named_leaves(y, f"y.{i}")
        arrays |= {name: getattr(self, name) for name in ("gram", "evaluations", "seconds")}
        arrays["blocked"] = self.blocked
        arrays |= records_to_arrays(self.history)
        return {name: np.asarray(value) for name, value in arrays.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any], like: Any) -> State:
        """The state that :meth:`to_arrays` wrote; ``like`` is a vector of the same shapes."""

        def read(prefix: str) -> Any:
            return tree_from_named(arrays, like, prefix)

        gram = np.array(arrays["gram"], float)
        pairs = range(max(0, len(gram) - 1) // 2)
        started = "search" in arrays
        return cls(
            point=read("point"),
            gradient=read("gradient") if started else None,
            direction=read("direction") if started else None,
            search=LineSearch.from_numbers(arrays["search"]) if started else None,
            s=tuple(read(f"s.{i}") for i in pairs),
            y=tuple(read(f"y.{i}") for i in pairs),
            gram=gram,
            evaluations=int(arrays["evaluations"]),
            seconds=float(arrays["seconds"]),
            history=records_from_arrays(arrays),
            blocked=bool(arrays["blocked"]),
        )


@dataclass(frozen=True)
class LBFGS:
    """The method. ``pairs``: how many it remembers; ``curvature``: least cosine of ``s`` and ``y``
    of a pair that is remembered."""

    space: AbstractSpace
    pairs: int = 10
    wolfe: Wolfe = field(default_factory=Wolfe)
    curvature: float = 1e-12

    def start(self, point: Any) -> State:
        """A state that asks for the evaluation at ``point``."""
        return State(point)

    def tell(
        self, state: State, evaluation: Evaluation, seconds: float = 0.0, overdue: bool = False
    ) -> tuple[State, Stop | None]:
        """The state after the evaluation at ``state.trial``, and why to stop, if so.

        ``seconds``: total time so far. ``overdue``: whether this rank has run out of time.
        """
        state = replace(state, evaluations=state.evaluations + 1, seconds=seconds)
        parts, slope, anyone_overdue = self._cost(state, evaluation, overdue)
        if state.search is None:
            state, stop = self._first(state, evaluation, parts, slope)
        else:
            state, stop = self._next(state, state.search, evaluation, parts, slope)
        return state, stop or (Stop.WALL_CLOCK if anyone_overdue else None)

    def _cost(
        self, state: State, evaluation: Evaluation, overdue: bool
    ) -> tuple[dict[str, float], float, bool]:
        """Parts of the cost, and the slope along the direction (at first: ``|g|^2``)."""
        along = evaluation.gradient if state.search is None else state.direction
        slope = self.space.shares([evaluation.gradient], [along])[0, 0]
        shares = [float(share) for share in evaluation.shares.values()]
        *parts, slope, late = self.space.sum(np.array([*shares, slope, float(overdue)])).tolist()
        return dict(zip(evaluation.shares, parts, strict=True)), slope, late > 0

    def _first(
        self, state: State, evaluation: Evaluation, parts: dict[str, float], norm2: float
    ) -> tuple[State, Stop | None]:
        if not (math.isfinite(sum(parts.values())) and math.isfinite(norm2)):
            return state, Stop.NON_FINITE
        record = Record(
            0, state.evaluations, sum(parts.values()), math.sqrt(norm2), 0.0, state.seconds, parts
        )
        state = replace(state, gradient=evaluation.gradient, history=(record,))
        if norm2 == 0.0:
            return state, Stop.GRADIENT
        return self._descend(replace(state, gram=np.array([[norm2]]))), None

    def _next(
        self,
        state: State,
        search: LineSearch,
        evaluation: Evaluation,
        parts: dict[str, float],
        slope: float,
    ) -> tuple[State, Stop | None]:
        value = sum(parts.values())
        search, outcome = advance(self.wolfe, search, value, slope)
        if outcome is Outcome.SEARCHING:
            return replace(state, search=search), None
        if outcome is Outcome.ACCEPTED:
            return self._accept(state, search, evaluation, parts)
        if state.s:
            return self._descend(replace(state, s=(), y=(), gram=state.gram[-1:, -1:])), None
        stop = Stop.LINE_SEARCH if search.finite else Stop.NON_FINITE
        return replace(state, search=search), stop

    def _accept(
        self, state: State, search: LineSearch, evaluation: Evaluation, parts: dict[str, float]
    ) -> tuple[State, Stop | None]:
        point = axpy(search.step, state.direction, state.point)
        s, y = difference(point, state.point), difference(evaluation.gradient, state.gradient)
        basis = [*state.s, *state.y, s, y, evaluation.gradient]
        gram = _bordered(state.gram, self.space.products(basis[-3:], basis))

        k = len(state.s)
        ss, sy, yy = gram[2 * k, 2 * k], gram[2 * k, 2 * k + 1], gram[2 * k + 1, 2 * k + 1]
        oldest = 1 if k == self.pairs else 0
        if sy > self.curvature * math.sqrt(ss * yy):
            kept = [*range(oldest, k), 2 * k, *range(k + oldest, 2 * k), 2 * k + 1, 2 * k + 2]
            pairs = (*state.s[oldest:], s), (*state.y[oldest:], y)
        else:
            kept = [*range(2 * k), 2 * k + 2]
            pairs = state.s, state.y
        norm = math.sqrt(gram[-1, -1])
        record = Record(
            state.iterations + 1,
            state.evaluations,
            sum(parts.values()),
            norm,
            search.step,
            state.seconds,
            parts,
        )
        state = replace(
            state,
            point=point,
            gradient=evaluation.gradient,
            s=pairs[0],
            y=pairs[1],
            gram=gram[np.ix_(kept, kept)],
            history=(*state.history, record),
            blocked=search.finite < search.trials,
        )
        return (state, Stop.GRADIENT) if norm == 0.0 else (self._descend(state), None)

    def _descend(self, state: State) -> State:
        """``state`` with a new direction and a search along it."""
        coefficients = descent_coefficients(state.gram)
        slope = float(state.gram[-1] @ coefficients)
        if not slope < 0.0:
            state = replace(state, s=(), y=(), gram=state.gram[-1:, -1:])
            coefficients, slope = np.array([-1.0]), -float(state.gram[0, 0])
        step = 1.0 if state.s else min(1.0, 1.0 / math.sqrt(-slope))
        return replace(
            state,
            direction=combination(coefficients.tolist(), [*state.s, *state.y, state.gradient]),
            search=begin(self.wolfe, state.history[-1].value, slope, step),
        )


def descent_coefficients(gram: np.ndarray) -> np.ndarray:
    """Coefficients of ``-H g`` in the basis ``s_1 ... s_k, y_1 ... y_k, g``, from its Gram matrix.

    ``H`` is the BFGS matrix of the pairs, from ``s_k.y_k / y_k.y_k`` times the identity on.
    """
    k = (len(gram) - 1) // 2
    coefficients = np.zeros(2 * k + 1)
    coefficients[-1] = 1.0
    alpha = np.zeros(k)
    for i in reversed(range(k)):
        alpha[i] = gram[i] @ coefficients / gram[i, k + i]
        coefficients[k + i] -= alpha[i]
    if k:
        coefficients *= gram[k - 1, 2 * k - 1] / gram[2 * k - 1, 2 * k - 1]
    for i in range(k):
        coefficients[i] += alpha[i] - gram[k + i] @ coefficients / gram[i, k + i]
    return -coefficients


def _bordered(gram: np.ndarray, products: np.ndarray) -> np.ndarray:
    """Inner products among the old pairs (``gram`` without the old gradient) and three new vectors.

    ``products``: the three (rows) with the pairs and themselves (columns).
    """
    old = len(gram) - 1
    bordered = np.zeros((old + 3, old + 3))
    bordered[:old, :old] = gram[:old, :old]
    bordered[old:, :] = products
    bordered[:, old:] = products.T
    return bordered
