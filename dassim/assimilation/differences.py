"""The derivative of a number by finite differences, what they know of their own error, and what
they say of a derivative by other means."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

RATIO = 10.0
"""Of the squares of one step and the next smaller one."""

ROUND_OFF = 10 * float(np.finfo(float).eps)
"""Of a number that a run of some hundred steps ends in, relative. The transport of the coarse
channel after 14 days: 2e-15."""

MOST_STEPS = 10

TIMES = 3.0
"""An error is estimated by its size, not bounded; so many times it is a contradiction."""

VAGUE = 1e-2
"""Differences that are more uncertain than this, relative, tell nothing."""


@dataclass(frozen=True)
class Derivative:
    value: float
    error: float
    """An estimate, absolute: of bends, of kinks, of round-off."""


class Verdict(enum.Enum):
    """Of finite differences on a derivative."""

    AGREES = enum.auto()
    CONTRADICTS = enum.auto()
    UNKNOWN = enum.auto()


@dataclass(frozen=True)
class Comparison:
    """A derivative by adjoint and by differences: at one point, ``index`` in the whole array, or
    along a direction, without one."""

    name: str
    index: tuple[int, ...]
    adjoint: float
    differences: float
    error: float
    """What the differences know of their own error, absolute."""

    @property
    def apart(self) -> float:
        """Relative to the larger of the two."""
        return self._relative(self.adjoint - self.differences)

    @property
    def uncertain(self) -> float:
        """The error of the differences, relative."""
        return self._relative(self.error)

    def verdict(self, tolerance: float) -> Verdict:
        """Whether the two agree within ``tolerance``, or :data:`TIMES` the differences' error; an
        adjoint of 0, to which no difference is relative, agrees with what may be 0."""
        if not math.isfinite(self.error):
            return Verdict.UNKNOWN
        if self.adjoint == 0 and abs(self.differences) <= TIMES * self.error:
            return Verdict.AGREES
        if not self.uncertain <= VAGUE:
            return Verdict.UNKNOWN
        near = self.apart <= max(tolerance, TIMES * self.uncertain)
        return Verdict.AGREES if near else Verdict.CONTRADICTS

    def _relative(self, error: float) -> float:
        size = max(abs(self.adjoint), abs(self.differences))
        if size == 0.0:
            return math.inf if error else 0.0
        return abs(error) / size


def derivative(
    number: Callable[[float], float], middle: float, scale: float, step: float
) -> Derivative:
    """``d number(x) / dx`` at 0, where the number is ``middle``: by central differences of a step
    larger than ``step``, of ``step``, and of smaller ones where the number bends.

    Their errors are even powers of the step; each is extrapolated from all larger ones (Ridders
    1982, Adv. Eng. Softw. 4, 75). An extrapolation is as uncertain as it is far from the two that
    it was made from, and at least as the round-off of numbers of the size ``scale`` makes it. Steps
    become smaller while the first exceeds the second; the least uncertain result counts. (Larger
    steps than needed may lie beyond a bend, and know nothing of it.)

    At a kink, such as where a flow that turns changes what is upstream, the slopes on either side
    differ as steps tend to nothing: by half of that the result is uncertain.
    """
    best = Derivative(math.nan, math.inf)
    larger, larger_turn, larger_kink = [], math.nan, math.inf
    step *= RATIO**0.5
    for _ in range(MOST_STEPS):
        above, below = number(step), number(-step)
        turn = (above - 2 * middle + below) / (2 * step)
        row, bends = _extrapolated((above - below) / (2 * step), larger)
        if not math.isfinite(row[0]):
            row = []  # too far: begin with smaller steps
        elif larger:
            round_off = ROUND_OFF * scale / step
            kink = abs(turn + (turn - larger_turn) / (RATIO**0.5 - 1))  # at no step at all
            least = int(np.argmin(bends))
            error = float(np.max([bends[least], kink, round_off]))  # NaN, if one is
            best = min(best, Derivative(row[1 + least], error), key=lambda each: each.error)
            falls = round_off < kink < 0.5 * larger_kink
            if bends[least] <= round_off and not falls:
                break
            larger_kink = kink
        larger, larger_turn, step = row, turn, step / RATIO**0.5
    return best


def _extrapolated(slope: float, larger: list[float]) -> tuple[list[float], list[float]]:
    """The slope of one step and its extrapolations from those of ``larger`` ones, of 2nd, 4th, ...
    order; how far each of these is from the two that it was made from."""
    row, bends = [slope], []
    for order, coarse in enumerate(larger, start=1):
        fine = row[-1]
        row.append(fine + (fine - coarse) / (RATIO**order - 1))
        bends.append(max(abs(row[-1] - fine), abs(row[-1] - coarse)))
    return row, bends


def step_for(scale: float, slope: float, magnitude: float, uncertain: float) -> float:
    """The step by which round-off makes a derivative of about ``slope``, of a number of the size
    ``scale`` by one of the size ``magnitude``, ``uncertain``, relative; at most a hundredth of
    ``magnitude``."""
    largest = 0.01 * magnitude
    if ROUND_OFF * scale >= uncertain * abs(slope) * largest:
        return largest
    return max(ROUND_OFF * scale / (uncertain * abs(slope)), ROUND_OFF * magnitude / uncertain)
