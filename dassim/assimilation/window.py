"""The time over which data are compared with a run."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate


@dataclass(frozen=True)
class Window:
    """Segments of ``lengths`` time steps, one after the other from the step ``first`` on.

    A step's number counts from the start of the experiment, which is not that of the window.

    >>> window = Window.of(first=100, steps=30, segment=10)
    >>> window.lengths, window.ends, window.last
    ((10, 10, 10), (110, 120, 130), 130)
    """

    first: int
    lengths: tuple[int, ...]

    @classmethod
    def of(cls, first: int, steps: int, segment: int) -> Window:
        """``steps`` in segments of ``segment``, of which the last may be shorter."""
        count, rest = divmod(steps, segment)
        return cls(first, (segment,) * count + ((rest,) if rest else ()))

    @cached_property
    def ends(self) -> tuple[int, ...]:
        """The last step of every segment: when data are compared with the run."""
        return tuple(accumulate(self.lengths, initial=self.first))[1:]

    @property
    def last(self) -> int:
        return self.ends[-1]

    @property
    def steps(self) -> int:
        return self.last - self.first
