"""Checks that a derivative is the derivative, for any model and any objective.

* Taylor: ``|J(x + h d) - J(x) - h <g, d>|`` falls with ``h^2`` if and only if ``g`` is the
  gradient. Where rain sets in or temperatures are cut off the slope of ``J`` jumps, and what is
  left falls unevenly: there ``<g, d>`` has to agree with central differences, as far as they know,
  or to seven digits.
* Dot product: ``<F' dx, y> = <dx, F'^T y>``, with inner products over all ranks. On one rank's part
  alone it would hold for an adjoint that never sends a message back.
* Comparison: one gradient however it was computed.

Each returns a small result that says whether it passed and prints as a table.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from dassim.assimilation.control import (
    AbstractSpace,
    Control,
    ControlSpace,
    axpy,
    difference,
    joined,
    random_like,
    split,
    sum_over_ranks,
)
from dassim.assimilation.differences import TIMES, Comparison, Verdict, derivative
from dassim.assimilation.lbfgs import Evaluation
from dassim.assimilation.tables import plain_table
from dassim.parallel import Domain
from dassim.simulation.adjoint import Run, cost_and_gradient
from dassim.simulation.checkpoints import Schedule, Store
from dassim.simulation.model import Model
from dassim.simulation.segments import RunInputs

STEPS = tuple(10.0**-i for i in range(1, 9))

NEARBY = 1e-3
"""A step of a Taylor test at which all numbers of the model change."""

CLEAR = 30.0
"""Times its standard deviation: what is larger is no round-off."""

ROUND_OFF = 100 * float(np.finfo(float).eps)
"""Of the sum of the sizes of its terms: nearer than this, two sums of the same terms may not be.
In double precision, as the tolerances are."""

VAIN = 1e-9
"""Dot products that cancel so far that round-off is larger tell nothing, and fail."""

NOTHING = 1e-12
"""In SI units: an array of smaller numbers, as of rain where none falls, holds round-off alone."""

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
        return "not seen" if self.unseen else _word(self.passed)

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
        return f"{title}\n{table}\n{_verdict(self.passed, criterion)}"


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
        summary = f"Taylor tests: {self.name}\n{table}\n{_verdict(self.passed, criterion)}"
        return "\n\n".join([summary, *shown])


@dataclass(frozen=True)
class DotProductTest:
    """``forward = <F' dx, y>`` and ``adjoint = <dx, F'^T y>``; ``terms``: the sum of the sizes of
    what one of them adds up, which may cancel; of the one with more of it."""

    name: str
    forward: float
    adjoint: float
    tolerance: float = 1e-12
    terms: float = 0.0

    @property
    def size(self) -> float:
        return max(abs(self.forward), abs(self.adjoint))

    @property
    def difference(self) -> float:
        """Relative to the larger of the two; 0 where both vanish."""
        apart = abs(self.forward - self.adjoint)
        return apart / self.size if self.size else apart

    @property
    def bound(self) -> float:
        """Of the difference: the tolerance, and the round-off of terms that cancel."""
        round_off = ROUND_OFF * self.terms / self.size if self.size else 0.0
        return max(self.tolerance, min(self.tolerance + round_off, VAIN))

    @property
    def passed(self) -> bool:
        return self.difference <= self.bound

    def __str__(self) -> str:
        columns = ["<F' dx, y>", "<dx, F'^T y>", "difference"]
        table = plain_table(columns, [[self.forward, self.adjoint, self.difference]])
        vanish = self.forward == self.adjoint == 0.0
        note = "; both vanish: the step depends on nothing that is differentiated" if vanish else ""
        verdict = _verdict(self.passed, f"expected at most {self.bound:.1e}{note}")
        return f"Dot-product test: {self.name}\n{table}\n{verdict}"


@dataclass(frozen=True)
class GradientComparison:
    """Relative differences ``|g - g_0| / |g_0|`` of gradients from the first one, of length
    ``norm``; the differences themselves where that is 0."""

    names: tuple[str, ...]
    differences: tuple[float, ...]
    notes: tuple[str, ...]
    tolerance: float = 1e-13
    norm: float = 1.0

    @property
    def passed(self) -> bool:
        return all(difference <= self.tolerance for difference in self.differences)

    def __str__(self) -> str:
        rows = list(zip(self.names, self.differences, self.notes, strict=True))
        table = plain_table(["gradient", "difference", "took"], rows)
        note = "" if self.norm else "; all vanish: the cost depends on nothing here"
        return f"Gradients\n{table}\n{_verdict(self.passed, f'at most {self.tolerance:.0e}{note}')}"


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


def dot_product_test(
    name: str,
    function: Callable[[Control], Control],
    point: Control,
    domain: Domain,
    *,
    seed: int = 0,
    tolerance: float = 1e-12,
) -> DotProductTest:
    """Compare the tangent-linear and the adjoint of ``function`` at ``point`` on random vectors.

    They are the same vectors on every number of ranks, to round-off, and in proportion to what
    they change: were a viscosity of 1e-4 and a temperature of 300 changed alike, the sums would
    cancel to round-off of one and not see the other. The adjoint is the transpose of the same
    linearisation: where slopes change within a small range, as WENO's in a uniform field, those of
    two programs, whose values differ in the last place, may differ by 1e-10. What it keeps of the
    steps, gigabytes of a large model, goes into the programs as arguments, not as constants.
    """
    space = ControlSpace(domain)
    image, linear = jax.linearize(jax.jit(lambda x: function(x)), point)
    dx = jax.tree.map(jnp.multiply, random_like(domain, point, seed), sizes(domain, point))
    y = jax.tree.map(jnp.divide, random_like(domain, image, seed + 1), sizes(domain, image))
    tangent = jax.jit(lambda linear, dx: linear(dx))(linear, dx)

    @jax.jit
    def adjoint(linear: Callable[[Control], Control], y: Control) -> Control:
        share = jax.linear_transpose(lambda dx: space.share(linear(dx), y), dx)
        (gradient,) = share(jnp.ones(()))
        return Control(gradient.distributed, sum_over_ranks(domain, gradient.replicated))

    back = adjoint(linear, y)
    forward, backward = space.dot(tangent, y), space.dot(dx, back)
    terms = max(space.dot(size_of(a), size_of(b)) for a, b in ((tangent, y), (dx, back)))
    return DotProductTest(name, forward, backward, tolerance, terms)


def size_of(vector: Control) -> Control:
    return jax.tree.map(abs, vector)


def sizes(domain: Domain, control: Control) -> Control:
    """The root mean square of every array over all ranks; 1 where that is less than
    :data:`NOTHING`."""

    def size(squares: jax.Array, count: jax.Array | int) -> jax.Array:
        mean = squares / count
        return jnp.sqrt(jnp.where(mean > NOTHING**2, mean, 1.0))

    def whole(leaf: jax.Array) -> jax.Array:
        counted = jnp.stack([jnp.sum(leaf**2), jnp.full((), leaf.size, leaf.dtype)])
        return size(*domain.sum(counted))

    return Control(
        jax.tree.map(whole, control.distributed),
        jax.tree.map(lambda leaf: size(jnp.sum(leaf**2), leaf.size), control.replicated),
    )


def model_dot_product_test(
    model: Model,
    parameters: Any,
    state: Any,
    *,
    steps: int = 1,
    seed: int = 0,
    tolerance: float = 1e-12,
) -> DotProductTest:
    """:func:`dot_product_test` of ``steps`` steps, with respect to state and parameters."""
    variable, fixed = eqx.partition((parameters, state), eqx.is_inexact_array)
    domain = model.domain

    def function(x: Control) -> Control:
        parameters, state = eqx.combine(joined(x), fixed)
        end, _ = jax.lax.scan(
            lambda state, _: (model.step(parameters, state), None), state, length=steps
        )
        return split(domain, eqx.filter(end, eqx.is_inexact_array))

    name = f"{steps} step{'s' * (steps > 1)} of {type(model).__name__}"
    return dot_product_test(
        name, function, split(domain, variable), domain, seed=seed, tolerance=tolerance
    )


def compare_gradients(
    gradients: Mapping[str, Control],
    space: AbstractSpace,
    *,
    notes: Mapping[str, str] | None = None,
    tolerance: float = 1e-13,
) -> GradientComparison:
    """How far each gradient is from the first."""
    first, *_ = gradients.values()
    norm = math.sqrt(space.dot(first, first))

    def distance(gradient: Control) -> float:
        apart = difference(gradient, first)
        return math.sqrt(space.dot(apart, apart)) / (norm or 1.0)

    return GradientComparison(
        tuple(gradients),
        tuple(distance(gradient) for gradient in gradients.values()),
        tuple((notes or {}).get(name, "") for name in gradients),
        tolerance,
        norm,
    )


def compare_schedules(
    run: Run,
    inputs: RunInputs,
    schedules: Mapping[str, Schedule],
    disk: Store | None = None,
    *,
    tolerance: float = 1e-13,
) -> GradientComparison:
    """The gradient of ``run`` by state and parameters, by each schedule."""
    gradients, notes = {}, {}
    for name, schedule in schedules.items():
        result = cost_and_gradient(run, inputs, schedule, disk if schedule.uses_disk else None)
        share = split(run.domain, result.inputs)
        total = sum_over_ranks(run.domain, share.replicated)
        gradients[name] = Control(share.distributed, total)
        notes[name] = str(result.tally)
    return compare_gradients(gradients, ControlSpace(run.domain), notes=notes, tolerance=tolerance)


def _verdict(passed: bool, criterion: str) -> str:
    return f"{_word(passed)}: {criterion}"


def _word(passed: bool) -> str:
    return "passed" if passed else "FAILED"
