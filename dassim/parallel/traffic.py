"""How many messages a compiled program sends, and how many bytes, counted without running it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import reduce
from typing import Any, NamedTuple

import jax
from jax.extend import core

from dassim.parallel.domain import Domain
from dassim.parallel.primitives import all_sum_p, neighbour_swap_p


class Traffic(NamedTuple):
    """What one rank sends: ``swaps`` with its neighbours along y and x (two messages each),
    ``bytes`` along y and x, and global ``sums`` (not extremes, which no step needs).
    ``open_ended``: whether some of it is in a loop whose length only the data tell, counted once.
    """

    swaps: tuple[float, float] = (0, 0)
    bytes: tuple[float, float] = (0, 0)
    sums: float = 0
    open_ended: bool = False

    def times(self, n: float) -> Traffic:
        return Traffic(
            (n * self.swaps[0], n * self.swaps[1]),
            (n * self.bytes[0], n * self.bytes[1]),
            n * self.sums,
            self.open_ended,
        )

    def plus(self, other: Traffic) -> Traffic:
        return Traffic(
            (self.swaps[0] + other.swaps[0], self.swaps[1] + other.swaps[1]),
            (self.bytes[0] + other.bytes[0], self.bytes[1] + other.bytes[1]),
            self.sums + other.sums,
            self.open_ended or other.open_ended,
        )


def traffic(domain: Domain, function: Callable[..., Any], *arguments: Any) -> Traffic:
    """What a rank of ``domain`` sends in ``function(*arguments)``; arguments may be shapes."""
    return _of_program(domain, jax.make_jaxpr(function)(*arguments).jaxpr)


def _of_program(domain: Domain, program: Any) -> Traffic:
    return _total(_of_equation(domain, equation) for equation in program.eqns)


def _total(parts: Iterable[Traffic]) -> Traffic:
    return reduce(Traffic.plus, parts, Traffic())


def _of_equation(domain: Domain, equation: Any) -> Traffic:
    if equation.primitive is neighbour_swap_p:
        along_x = equation.params["neighbours"] == domain.neighbours[1]
        size = sum(x.aval.size * x.aval.dtype.itemsize for x in equation.invars)
        return Traffic((0, 1), (0, size)) if along_x else Traffic((1, 0), (size, 0))
    if equation.primitive is all_sum_p:
        return Traffic(sums=1)
    if equation.primitive.name == "custom_linear_solve":
        return _of_program(domain, equation.params["jaxprs"].solve.jaxpr)
    inside = [_of_program(domain, program) for program in _programs(equation.params)]
    if equation.primitive.name == "cond":
        return max(inside, key=lambda branch: sum(branch.bytes), default=Traffic())
    total = _total(inside)
    if equation.primitive.name == "scan":
        return total.times(equation.params["length"])
    endless = equation.primitive.name == "while" and total != Traffic()
    return total._replace(open_ended=total.open_ended or endless)


def _programs(parameters: dict[str, Any]) -> list[Any]:
    """The programs that an equation runs."""
    leaves = jax.tree.leaves(
        list(parameters.values()),
        is_leaf=lambda x: isinstance(x, core.Jaxpr | core.ClosedJaxpr),
    )
    return [
        leaf.jaxpr if isinstance(leaf, core.ClosedJaxpr) else leaf
        for leaf in leaves
        if isinstance(leaf, core.Jaxpr | core.ClosedJaxpr)
    ]
