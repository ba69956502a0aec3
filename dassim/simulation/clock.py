"""Time steps as seconds since the start and as dates of a calendar."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

import cftime

FORMS = ("%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S")
DAYS_PER_YEAR = {"360_day": 360.0, "noleap": 365.0, "all_leap": 366.0, "julian": 365.25}
SECONDS_PER_DAY = 86400.0


@dataclass(frozen=True)
class Clock:
    """Steps of ``time_step`` seconds from the date ``start`` of a CF ``calendar``.

    >>> clock = Clock("2000-02-28", "360_day", 86400.0)
    >>> clock.text(3), clock.label(3)
    ('2000-03-01 00:00:00', '2000-03-01T00-00-00')
    """

    start: str = "0001-01-01"
    calendar: str = "standard"
    time_step: float = 1.0

    def seconds(self, step: int) -> float:
        """Since the start."""
        return step * self.time_step

    def date(self, step: int) -> cftime.datetime:
        return self._origin + timedelta(microseconds=round(self.seconds(step) * 1e6))

    def month(self, number: int) -> cftime.datetime:
        """When the ``number``-th month after that of the start begins."""
        years, month = divmod(self._origin.month - 1 + number, 12)
        return cftime.datetime(self._origin.year + years, month + 1, 1, calendar=self.calendar)

    def position(self, date: cftime.datetime) -> float:
        """How many steps lie between the start and a date, to the millionth."""
        return round((date - self._origin).total_seconds() / self.time_step, 6)

    def step(self, date: cftime.datetime) -> int:
        """The step that begins at a date. Raises ValueError for a date between two steps."""
        position = self.position(date)
        if not position.is_integer():
            raise ValueError(f"{date} lies between two steps")
        return int(position)

    def text(self, step: int) -> str:
        """The date for people: ``2000-01-31 12:00:00``."""
        date = self.date(step)
        fraction = f".{date.microsecond:06d}" if date.microsecond else ""
        return (
            f"{date.year:04d}-{date.month:02d}-{date.day:02d} "
            f"{date.hour:02d}:{date.minute:02d}:{date.second:02d}{fraction}"
        )

    def label(self, step: int) -> str:
        """The date as part of a file's name."""
        return self.text(step).replace(" ", "T").replace(":", "-")

    def years(self, steps: float) -> float:
        return steps * self.time_step / (SECONDS_PER_DAY * self.days_per_year)

    @property
    def days_per_year(self) -> float:
        return DAYS_PER_YEAR.get(self.calendar, 365.2425)

    @cached_property
    def _origin(self) -> cftime.datetime:
        for form in FORMS:
            try:
                return cftime.datetime.strptime(self.start, form, calendar=self.calendar)
            except ValueError:
                continue
        raise ValueError(
            f"start: found '{self.start}'; expected a date of the {self.calendar} calendar such as "
            f"2000-01-31 or 2000-01-31T12:00:00"
        )
