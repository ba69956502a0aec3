"""At which time steps something happens: regularly, or at chosen steps."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol


class Schedule(Protocol):
    """Steps at which something is due. Step 0, the start, is none of them."""

    def due(self, step: int) -> bool: ...

    def next_after(self, step: int) -> int | None:
        """The first step later than ``step`` at which it is due, if any."""
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


NEVER = At(())


def next_event(schedules: Iterable[Schedule], step: int, end: int) -> int:
    """The first step later than ``step`` at which anything is due, ``end`` at the latest."""
    following = (schedule.next_after(step) for schedule in schedules)
    return min([end, *(due for due in following if due is not None)])
