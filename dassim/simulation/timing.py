"""Where the wall-clock time of a run goes, and what it gets done."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Stopwatch:
    """Seconds spent in each named part of the run."""

    seconds: dict[str, float] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        begin = time.monotonic()
        try:
            yield
        finally:
            self.add(name, time.monotonic() - begin)

    def add(self, name: str, seconds: float) -> None:
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self.started


@dataclass(frozen=True)
class Pace:
    """How many steps to take until ranks look up: about as many as fit into ``seconds``.

    >>> pace = Pace(1.0).after(steps=1, took=0.01)
    >>> pace.steps(1000), pace.after(8, 0.08).steps(1000)
    (8, 64)
    """

    seconds: float = 1.0
    at_most: int = 1

    def steps(self, left: int) -> int:
        return max(1, min(self.at_most, left))

    def after(self, steps: int, took: float) -> Pace:
        fit = int(self.seconds * steps / took) if took > 0 else 8 * steps
        return Pace(self.seconds, max(1, min(fit, 8 * max(steps, self.at_most))))
