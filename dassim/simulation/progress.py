"""How far a run is, as one line of text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from dassim.grid.measures import Measure


@dataclass(frozen=True)
class Progress:
    """Where a run is: its date, its step of how many, numbers in words, and how fast it goes.

    ``years_per_day``: simulated years per day of wall-clock time since the last line; 0 where there
    is none.
    """

    date: str
    step: int
    steps: int
    numbers: tuple[str, ...] = ()
    years_per_day: float = 0.0
    cells_per_second: float = 0.0
    seconds_left: float = 0.0

    def __str__(self) -> str:
        """
        >>> print(Progress("2000-01-02 00:00:00", 24, 48, ("speed 0.5 m s-1",), 12.3, 4e6, 61.0))
        2000-01-02 00:00:00  step 24/48  speed 0.5 m s-1  12.3 years/day  4 Mcells/s  0:01:01 left
        >>> print(Progress("2000-01-01 00:00:00", 0, 48))
        2000-01-01 00:00:00  step 0/48
        """
        speed = (
            f"{self.years_per_day:.3g} years/day",
            f"{self.cells_per_second / 1e6:.3g} Mcells/s",
            f"{timedelta(seconds=round(self.seconds_left))} left",
        )
        parts = (self.date, f"step {self.step}/{self.steps}", *self.numbers)
        return "  ".join(parts + (speed if self.years_per_day else ()))


def in_words(values: Mapping[str, float], measures: Mapping[str, Measure]) -> tuple[str, ...]:
    """The labelled ``measures`` with their values and units."""
    return tuple(
        f"{measure.label} {values[name]:.5g} {measure.units}".removesuffix(" 1")
        for name, measure in measures.items()
        if measure.label
    )


class Reporter(Protocol):
    """Tells people how a run goes. Rank 0 alone calls it."""

    def message(self, text: str) -> None: ...

    def tick(self, step: int, steps: int) -> None:
        """Called about once a second."""
        ...

    def progress(self, progress: Progress) -> None: ...


@dataclass(frozen=True)
class PlainReporter:
    """One line for each message and report."""

    write: Callable[[str], object] = print

    def message(self, text: str) -> None:
        self.write(text)

    def tick(self, step: int, steps: int) -> None:
        pass

    def progress(self, progress: Progress) -> None:
        self.write(str(progress))
