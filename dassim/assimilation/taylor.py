"""Whether a gradient is the gradient: ``|J(x + h d) - J(x) - h <g, d>|`` falls with ``h^2`` if and
only if ``g`` is.

Where rain sets in or temperatures are cut off the slope of ``J`` jumps, and what is left falls
unevenly: there ``<g, d>`` has to agree with central differences, as far as they know, or to seven
digits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dassim.assimilation.control import AbstractSpace, axpy
from dassim.assimilation.differences import TIMES, Comparison, Verdict, derivative
from dassim.assimilation.lbfgs import Evaluation
from dassim.assimilation.tables import plain_table, verdict, word

STEPS = tuple(10.0**-i for i in range(1, 9))

NEARBY = 1e-3
"""A step of a Taylor test at which all numbers of the model change."""

CLEAR = 30.0
"""Times its standard deviation: what is larger is no round-off."""

KNOWN = 1e-3
"""Central differences that are less certain than this, relative, do not stand for an order of 2."""

NEAR_ENOUGH = 1e-7
"""As far, relative, a slope may be from central differences however well they claim to be known:
their error is itself an estimate."""


@dataclass(frozen=True)
class TaylorTest:
    """``remainders`` of the first-order Taylor expansion at ``steps``; below ``floor`` they are
    round-off of the cost. ``name``: of what is differentiated, and by what. ``comparison``: of the
    slope with central differences, where no order of 2 is seen."""

    steps: tuple[float, ...]
    remainders: tuple[float, ...]
    floor: float
    name: str = ""
    comparison: Comparison | None = None

    @property
    def orders(self) -> list[float | None]:
        """Order of each remainder from the one before; ``None`` where round-off blurs it."""
        orders: list[float | None] = [None]
        for i in range(1, len(self.steps)):
            before, here = self.remainders[i - 1], self.remainders[i]
            clear = math.isfinite(before) and math.isfinite(here) and min(before, here) > self.floor
            ratio = self.steps[i - 1] / self.steps[i]
            orders.append(math.log(before / here) / math.log(ratio) if clear else None)
        return orders

    @property
    def order(self) -> float | None:
        """The order at the smallest steps that round-off does not blur."""
        clear = [order for order in self.orders if order is not None]
        return clear[-1] if clear else None

    @property
    def passed(self) -> bool:
        return self.smooth or self.by_differences

    @property
    def smooth(self) -> bool:
        """Whether the order is 2, or all remainders after the first are round-off."""
        if self.order is None:
            round_off = all(remainder <= self.floor for remainder in self.remainders[1:])
            return round_off and math.isfinite(self.floor)
        return abs(self.order - 2.0) < 0.1

    @property
    def by_differences(self) -> bool:
        """Whether it passes by central differences, which know their error to :data:`KNOWN`."""
        found = self.comparison
        if self.smooth or found is None:
            return False
        return TIMES * found.uncertain <= KNOWN and found.verdict(NEAR_ENOUGH) is Verdict.AGREES

    @property
    def unseen(self) -> bool:
        """Whether it passes by remainders that are all round-off, and show no order."""
        return self.smooth and self.order is None

    @property
    def word(self) -> str:
        if self.by_differences:
            return "differences"
        return "not seen" if self.unseen else word(self.passed)

    def __str__(self) -> str:
        rows = list(zip(self.steps, self.remainders, self.orders, strict=True))
        table = plain_table(["step", "remainder", "order"], rows)
        criterion = f"order {self.order}, expected 2"
        if self.order is None:
            criterion = (
                f"no order to be seen; expected remainders that are round-off, at most "
                f"{self.floor:.1e} after the first"
            )
        if self.comparison is not None:
            criterion += (
                f"; or a slope no further from central differences than {NEAR_ENOUGH:.0e} or "
                f"{TIMES:g} times their error, at most {KNOWN:.0e}: {self.comparison.apart:.1e} "
                f"apart, these uncertain by {self.comparison.uncertain:.1e}"
            )
        title = f"Taylor test: {self.name}" if self.name else "Taylor test"
        return f"{title}\n{table}\n{verdict(self.passed, criterion)}"


@dataclass(frozen=True)
class TaylorTests:
    """One test for each of many things that a cost is differentiated by. In one test of all, a
    wrong derivative by what matters little would not be seen."""

    name: str
    tests: tuple[TaylorTest, ...]

    @property
    def passed(self) -> bool:
        return all(test.passed for test in self.tests)

    def __str__(self) -> str:
        rows = [(test.name, test.remainders[0], test.order, test.word) for test in self.tests]
        table = plain_table(["by", "largest remainder", "order", ""], rows)
        shown = [str(test) for test in self.tests if not test.smooth]
        criterion = "orders of 2, or remainders that are round-off"
        if others := sum(test.by_differences for test in self.tests):
            criterion += f"; {others} of {len(self.tests)} by central differences"
        if unseen := sum(test.unseen for test in self.tests):
            criterion += f"; {unseen} of {len(self.tests)} not seen"
        summary = f"Taylor tests: {self.name}\n{table}\n{verdict(self.passed, criterion)}"
        return "\n\n".join([summary, *shown])


def taylor_test(
    objective: Callable[[Any], Evaluation],
    point: Any,
    direction: Any,
    space: AbstractSpace,
    *,
    shares: Callable[[Any], Mapping[str, Any]] | None = None,
    steps: Sequence[float] = STEPS,
    name: str = "",
) -> TaylorTest:
    """Compare ``objective`` along ``direction`` with its gradient at ``point``.

    ``shares``: the cost without its gradient, if that is cheaper. A step at which the cost is not
    finite is shown and not judged. Where the order is not 2, central differences of smaller and
    smaller steps are taken as well, beginning near :data:`NEARBY`.
    """

    def value(step: float) -> float:
        x = axpy(step, direction, point)
        parts = objective(x).shares if shares is None else shares(x)
        return float(space.sum(np.sum([np.asarray(part) for part in parts.values()])))

    here, slope = value(0.0), space.dot(objective(point).gradient, direction)
    remainders = [abs(value(h) - here - h * slope) for h in steps]
    floor = max(100 * np.finfo(float).eps * abs(here), CLEAR * round_off(value))
    test = TaylorTest(tuple(steps), tuple(remainders), floor, name)
    if test.smooth or not (math.isfinite(here) and math.isfinite(slope)):
        return test
    found = derivative(value, here, max(abs(here), abs(slope)), NEARBY)
    return replace(test, comparison=Comparison(name, (), slope, found.value, found.error))


def round_off(value: Callable[[float], float]) -> float:
    """The standard deviation of the error of ``value(step)`` near ``NEARBY``, from what remains of
    its fourth differences, in which smooth functions vanish; 0 where it is not finite.

    The smaller of two places: a kink of the function (a temperature that is cut off) near one of
    them is not taken for round-off.
    """

    def near(place: float) -> float:
        values = np.array([value(place * (1.0 + 0.05 * k)) for k in range(-4, 5)])
        if not np.isfinite(values).all():
            return 0.0
        return float(np.sqrt(np.mean(np.diff(values, 4) ** 2) / math.comb(8, 4)))

    return min(near(NEARBY), near(2.0 * NEARBY))
