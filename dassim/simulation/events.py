"""At which time steps something happens: regularly, by the calendar, or at chosen steps."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count, takewhile
from typing import Protocol

from dassim.simulation.clock import Clock


class Schedule(Protocol):
    """Steps at which something is due. Step 0, the start, is none of them."""

    def due(self, step: int) -> bool: ...

    def next_after(self, step: int) -> int | None:
        """The first step later than ``step`` at which it is due, if any."""
        ...

    def count(self, end: int) -> int:
        """At how many steps up to ``end`` it is due."""
        ...


@dataclass(frozen=True)
class Every:
    """Multiples of ``steps``, from step ``first`` to step ``last``."""

    steps: int
    first: int = 0
    last: int | None = None

    def __post_init__(self):
        if self.steps < 1:
            raise ValueError(f"found every {self.steps} steps, expected at least 1")

    def due(self, step: int) -> bool:
        return step > 0 and self.next_after(step - 1) == step

    def next_after(self, step: int) -> int | None:
        start = max(step + 1, self.first, 1)
        following = -(-start // self.steps) * self.steps
        return None if self.last is not None and following > self.last else following

    def count(self, end: int) -> int:
        last = end if self.last is None else min(end, self.last)
        return max(0, last // self.steps - (max(self.first, 1) - 1) // self.steps)


@dataclass(frozen=True)
class At:
    """The chosen ``steps``, in increasing order."""

    steps: tuple[int, ...]

    def due(self, step: int) -> bool:
        place = bisect_left(self.steps, step)
        return step > 0 and place < len(self.steps) and self.steps[place] == step

    def next_after(self, step: int) -> int | None:
        place = bisect_right(self.steps, max(step, 0))
        return self.steps[place] if place < len(self.steps) else None

    def count(self, end: int) -> int:
        return max(0, bisect_right(self.steps, end) - bisect_right(self.steps, 0))


NEVER = At(())


def months(every: int, clock: Clock, end: int) -> At:
    """The steps up to ``end`` with which a month of the calendar begins, each ``every``-th month,
    counted from that of the clock's start.

    Raises ValueError for a month that begins between two steps.

    >>> months(1, Clock("2000-01-15", "noleap", 86400.0), 60).steps
    (17, 45)
    """
    dates = (clock.month(number) for number in count(every, every))
    within = takewhile(lambda date: clock.position(date) <= end, dates)
    return At(tuple(clock.step(date) for date in within))


def next_event(schedules: Iterable[Schedule], step: int, end: int) -> int:
    """The first step later than ``step`` at which anything is due, ``end`` at the latest."""
    following = (schedule.next_after(step) for schedule in schedules)
    return min([end, *(due for due in following if due is not None)])


def due_until(schedule: Schedule, end: int) -> Iterator[int]:
    """The steps up to ``end`` at which it is due."""
    step = schedule.next_after(0)
    while step is not None and step <= end:
        yield step
        step = schedule.next_after(step)
