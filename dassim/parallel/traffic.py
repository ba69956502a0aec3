"""How many messages a compiled program sends, and how many bytes, counted without running it."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any, NamedTuple

from dassim.parallel.domain import Domain
from dassim.parallel.messages import Message, messages
from dassim.parallel.primitives import all_sum_p


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
    found = messages(function, *arguments)
    return reduce(Traffic.plus, (_of(domain, message) for message in found), Traffic())


def _of(domain: Domain, message: Message) -> Traffic:
    equation, size = message.equation, message.bytes
    if equation.primitive is all_sum_p:
        once = Traffic(sums=1)
    elif equation.params["neighbours"] == domain.neighbours[1]:
        once = Traffic((0, 1), (0, size))
    else:
        once = Traffic((1, 0), (size, 0))
    return once.times(message.times)._replace(open_ended=message.open_ended)
