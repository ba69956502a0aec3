"""A step length that meets the strong Wolfe conditions, by the method of More and Thuente.

More and Thuente (1994), "Line search algorithms with guaranteed sufficient decrease", ACM Trans.
Math. Softw. 20. The interpolation is SciPy's ``DCSRCH``. Here its variables live in an immutable
record of plain numbers, so that a search can be saved between any two evaluations and goes on
bitwise; and an evaluation may be non-finite, after which the search steps back towards the best
step known and does not go that far again (Gilbert and Lemarechal 1989, M1QN3).
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize._dcsrch import DCSRCH

# DCSRCH's variables: everything it keeps from one call to the next.
# fmt: off
_VARIABLES = (
    "stage", "brackt", "ginit", "gtest", "gx", "gy", "finit", "fx", "fy",
    "stx", "sty", "stmin", "stmax", "width", "width1",
)
# fmt: on


class Outcome(enum.Enum):
    SEARCHING = "searching"
    ACCEPTED = "accepted"
    FAILED = "failed"


@dataclass(frozen=True)
class Wolfe:
    """Conditions on a step ``a`` along a direction of slope ``phi'(0) < 0``.

    ``phi(a) <= phi(0) + decrease a phi'(0)`` and ``|phi'(a)| <= curvature |phi'(0)|``.
    A bracket narrower than ``width`` of its end stops the search, as do ``trials`` evaluations.
    """

    decrease: float = 1e-4
    curvature: float = 0.9
    width: float = 1e-14
    trials: int = 20
    step_back: float = 0.1


@dataclass(frozen=True)
class LineSearch:
    """A search that waits for ``phi(step)`` and ``phi'(step)``."""

    step: float
    largest: float
    trials: int
    finite: int
    last: bool
    variables: tuple[float, ...]

    @property
    def best(self) -> float:
        """The best step so far; 0 before any has lowered ``phi``."""
        return self.variables[_VARIABLES.index("stx")]

    @property
    def start(self) -> float:
        """``phi(0)``."""
        return self.variables[_VARIABLES.index("finit")]

    @property
    def slope(self) -> float:
        """``phi'(0)``."""
        return self.variables[_VARIABLES.index("ginit")]

    def numbers(self) -> np.ndarray:
        """The whole record, for :meth:`from_numbers`."""
        head = (self.step, self.largest, self.trials, self.finite, self.last)
        return np.array([*head, *self.variables], float)

    @classmethod
    def from_numbers(cls, numbers: np.ndarray) -> LineSearch:
        step, largest, trials, finite, last, *variables = (float(number) for number in numbers)
        return cls(step, largest, int(trials), int(finite), bool(last), tuple(variables))


def begin(wolfe: Wolfe, value: float, slope: float, step: float) -> LineSearch:
    """A search from ``phi(0) = value``, ``phi'(0) = slope < 0`` that first tries ``step``."""
    largest = 1e10 * step
    search = DCSRCH(None, None, wolfe.decrease, wolfe.curvature, wolfe.width, 0.0, largest)
    _, _, _, task = search._iterate(step, value, slope, b"START")
    if not task.startswith(b"FG"):
        raise ValueError(
            f"found a first step of {step} and a slope of {slope}; expected a finite positive "
            f"step along a direction of descent ({task.decode()})"
        )
    return LineSearch(step, largest, 0, 0, False, _read(search))


def advance(
    wolfe: Wolfe, search: LineSearch, value: float, slope: float
) -> tuple[LineSearch, Outcome]:
    """The search after ``phi(search.step) = value`` and ``phi'(search.step) = slope``.

    An accepted step meets both conditions, or, where the method can do no better, lowers ``phi``
    sufficiently. A non-finite step is never accepted.
    """
    finite = math.isfinite(value) and math.isfinite(slope)
    search = replace(search, trials=search.trials + 1, finite=search.finite + finite)
    if search.last:
        better = finite and value < search.start
        return search, Outcome.ACCEPTED if better else Outcome.FAILED
    if not finite:
        return _stepped_back(wolfe, search)
    method = _restored(wolfe, search)
    step, _, _, task = method._iterate(search.step, value, slope, b"FG")
    if task.startswith(b"FG"):
        return _limited(wolfe, replace(search, step=float(step), variables=_read(method)))
    enough = value <= search.start + wolfe.decrease * search.step * search.slope
    return search, Outcome.ACCEPTED if enough else Outcome.FAILED


def _stepped_back(wolfe: Wolfe, search: LineSearch) -> tuple[LineSearch, Outcome]:
    step = search.best + wolfe.step_back * (search.step - search.best)
    outwards = search.step > search.best
    largest = min(search.largest, step) if outwards else search.largest
    return _limited(wolfe, replace(search, step=step, largest=largest))


def _limited(wolfe: Wolfe, search: LineSearch) -> tuple[LineSearch, Outcome]:
    """Out of trials, the best step is evaluated once more and taken."""
    if search.trials < wolfe.trials:
        return search, Outcome.SEARCHING
    if search.best == 0.0:
        return search, Outcome.FAILED
    return replace(search, step=search.best, last=True), Outcome.SEARCHING


def _read(search: DCSRCH) -> tuple[float, ...]:
    return tuple(float(getattr(search, name)) for name in _VARIABLES)


def _restored(wolfe: Wolfe, search: LineSearch) -> DCSRCH:
    method = DCSRCH(None, None, wolfe.decrease, wolfe.curvature, wolfe.width, 0.0, search.largest)
    for name, value in zip(_VARIABLES, search.variables, strict=True):
        setattr(method, name, value)
    return method
