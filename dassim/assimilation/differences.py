"""The derivative of a number by finite differences, with what they know of their own error."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

RATIO = 10.0
"""Of the squares of one step and the next smaller one."""

ROUND_OFF = 10 * float(np.finfo(float).eps)
"""Of a number that a run of some hundred steps ends in, relative. The transport of the coarse
channel after 14 days: 2e-15."""

AT_LEAST, AT_MOST = 2, 10
"""Steps."""


@dataclass(frozen=True)
class Derivative:
    value: float
    error: float
    """An estimate, absolute: of bends, and of round-off."""


def derivative(number: Callable[[float], float], middle: float, smallest: float) -> Derivative:
    """``d number(x) / dx`` at 0, where the number is ``middle``: by central differences of
    ``smallest`` and a larger step, and of smaller ones where the number bends.

    Their errors are even powers of the step; each is extrapolated from all larger ones (Ridders
    1982, Adv. Eng. Softw. 4, 75). An extrapolation is as uncertain as it is far from the two that
    it was made from, and at least as round-off makes it; beyond ``smallest``, steps are taken while
    the first exceeds the second, and the least uncertain result counts. (Larger steps may lie
    beyond a bend, and know nothing of it.)

    At a kink, such as where a flow that turns changes what is upstream, the slopes on either side
    differ as steps tend to nothing: by half of that the result is uncertain.
    """
    best, larger, larger_turn = Derivative(math.nan, math.inf), [], math.nan
    step = smallest * RATIO ** (0.5 * (AT_LEAST - 1))
    for taken in range(1, AT_MOST + 1):
        above, below = number(step), number(-step)
        turn = (above - 2 * middle + below) / (2 * step)
        row, bends = _extrapolated((above - below) / (2 * step), larger)
        if taken >= AT_LEAST:
            round_off = ROUND_OFF * abs(middle) / step
            kink = abs(turn + (turn - larger_turn) / (RATIO**0.5 - 1))  # at no step at all
            least = int(np.argmin(bends))
            error = max(bends[least], kink, round_off)
            best = min(best, Derivative(row[1 + least], error), key=lambda each: each.error)
            if not bends[least] > round_off:
                break
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


def smallest_step(total: float, slope: float, uncertain: float) -> float:
    """The step by which round-off makes a derivative of about ``slope``, of a number of the size
    of ``total``, ``uncertain``, relative."""
    return ROUND_OFF * abs(total) / (uncertain * abs(slope)) if total and slope else math.inf
