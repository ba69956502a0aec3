"""Records of a long series, some at a time: those around now, and in the background the next ones.

A window has the records that linear interpolation needs from one reload to the next, and always as
many of them, so that a compiled program takes one window as well as another.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np

Read = Callable[[Sequence[int]], np.ndarray]
"""The records of these numbers, ``(n, ...)``, for this rank. Called in a background thread."""


@dataclass(frozen=True)
class Series:
    """Records at ``times`` (s since the start, increasing), which repeat after ``period`` (s).

    ``reload`` (s) is the time between windows; window ``k`` serves from ``k reload`` on. Beyond
    ``end`` (s) nothing is asked for.
    """

    times: np.ndarray
    reload: float
    end: float
    period: float | None = None

    @cached_property
    def size(self) -> int:
        """Records in every window."""
        windows = range(max(1, math.ceil(self.end / self.reload)))
        return max(2, *(len(self._needed(window)) for window in windows))

    def number(self, seconds: float) -> int:
        """The window that serves from ``seconds`` on."""
        return math.floor(seconds / self.reload + 1e-9)

    def window(self, number: int) -> tuple[list[int], np.ndarray]:
        """Numbers of the records, and their times; the last one repeated to fill the window."""
        needed = self._needed(number)
        cycles, records = np.divmod(needed, len(self.times))
        times = self.times[records] + (self.period or 0.0) * cycles
        missing = self.size - len(needed)
        filled = [*records.tolist(), *[int(records[-1])] * missing]
        return filled, np.concatenate([times, times[-1] + 1.0 + np.arange(missing)])

    def _needed(self, number: int) -> np.ndarray:
        """From the last record before the window to the first one after it; of records that
        repeat, counted on through the periods."""
        first = self._place(number * self.reload, "right") - 1
        last = self._place((number + 1) * self.reload, "left")
        if self.period is None:
            first, last = np.clip([first, last], 0, len(self.times) - 1)
        return np.arange(first, last + 1)

    def _place(self, time: float, side: Literal["left", "right"]) -> int:
        """How many records lie before ``time``; side right: or at it. Negative where records
        repeat and as many lie between it and the first one."""
        cycle = 0 if self.period is None else math.floor((time - self.times[0]) / self.period)
        within = time - cycle * (self.period or 0.0)
        return cycle * len(self.times) + int(np.searchsorted(self.times, within, side=side))


@dataclass
class Windows:
    """Reads the windows of a ``series``, each once: this one when it is asked for, the next one
    meanwhile. ``bytes_read`` counts what ``read`` has returned."""

    series: Series
    read: Read
    bytes_read: int = 0
    _thread: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="forcing")
    )
    _coming: dict[int, Future[np.ndarray]] = field(default_factory=dict)
    _here: tuple[int, np.ndarray] | None = None

    def at(self, seconds: float) -> tuple[np.ndarray, np.ndarray]:
        """Values ``(n, ...)`` and times (s) of the window that serves from ``seconds`` on."""
        number = self.series.number(seconds)
        _, times = self.series.window(number)
        if self._here is None or self._here[0] != number:
            values = (self._coming.pop(number, None) or self._ask(number)).result()
            self.bytes_read += values.nbytes
            self._here = number, values
            self._coming.clear()
            if (number + 1) * self.series.reload < self.series.end:
                self._coming[number + 1] = self._ask(number + 1)
        return self._here[1], times

    def _ask(self, number: int) -> Future[np.ndarray]:
        records, _ = self.series.window(number)
        return self._thread.submit(self._filled, records)

    def _filled(self, records: list[int]) -> np.ndarray:
        """Each record read once."""
        wanted = list(dict.fromkeys(records))
        values = self.read(wanted)
        return values[[wanted.index(record) for record in records]]
