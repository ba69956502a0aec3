"""How far a run is, as one line of text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol


@dataclass(frozen=True)
class Progress:
    """Where a run is: its date, its step of how many, the model's numbers, and how fast it goes.

    ``years_per_day``: simulated years per day of wall-clock time since the last line.
    """

    date: str
    step: int
    steps: int
    values: Mapping[str, float] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    years_per_day: float = 0.0
    cells_per_second: float = 0.0
    seconds_left: float = 0.0

    def __str__(self) -> str:
        """
        >>> print(Progress("2000-01-02 00:00:00", 24, 48, {"maximum_speed": 0.5},
        ...     {"maximum_speed": "m s-1"}, 12.3, 4e6, 61.0))
        2000-01-02 00:00:00  step 24/48  maximum_speed 0.5 m s-1  12.3 years/day  4 Mcells/s
        0:01:01 left
        """
        numbers = [
            f"{name} {value:.5g}{_unit(self.units.get(name))}"
            for name, value in self.values.items()
        ]
        return "  ".join(
            [
                self.date,
                f"step {self.step}/{self.steps}",
                *numbers,
                f"{self.years_per_day:.3g} years/day",
                f"{self.cells_per_second / 1e6:.3g} Mcells/s",
                f"{timedelta(seconds=round(self.seconds_left))} left",
            ]
        )


def _unit(unit: str | None) -> str:
    return "" if unit in (None, "1") else f" {unit}"


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
