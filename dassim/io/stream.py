"""What a run writes together, and when: streams of fields, dates of their records."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

import cftime

Kind = Literal["mean", "snapshot"]
Period = Literal["day", "month", "year", "run"]

DATE_FORMS = ("%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S")


@dataclass(frozen=True)
class Stream:
    """Fields that go to the same files at the same times; see the ``output`` section.

    ``levels`` are the indices to write (``None``: all), ``writers`` how many ranks write for all
    (``None``: each rank its own block), ``file_per`` the period whose records share a file.
    """

    name: str
    variables: tuple[str, ...]
    kind: Kind = "mean"
    levels: tuple[int, ...] | None = None
    precision: Literal["float32", "float64"] = "float32"
    writers: int | None = None
    file_per: Period = "month"


@dataclass(frozen=True)
class Clock:
    """Dates of seconds since the ``start`` of a run, in a ``calendar`` of the CF conventions.

    >>> clock = Clock("2000-02-28", "noleap")
    >>> clock.label(86400.0), clock.label(90000.0), clock.seconds("2000-03-01")
    ('2000-03-01', '2000-03-01T010000', 86400.0)
    """

    start: str = "0001-01-01"
    calendar: str = "standard"

    @property
    def origin(self) -> cftime.datetime:
        return self._parsed(self.start, DATE_FORMS)

    @property
    def units(self) -> str:
        """Of the time axis: days since the start."""
        return f"days since {self.origin.strftime('%Y-%m-%d %H:%M:%S')}"

    def date(self, seconds: float) -> cftime.datetime:
        """To the nearest millisecond."""
        return self.origin + timedelta(milliseconds=round(1e3 * seconds))

    def label(self, seconds: float) -> str:
        """The date for names of folders: sorts by time, with the hour where it is not midnight."""
        date = self.date(seconds)
        at_midnight = (date.hour, date.minute, date.second) == (0, 0, 0)
        return date.strftime("%Y-%m-%d" if at_midnight else "%Y-%m-%dT%H%M%S")

    def seconds(self, label: str) -> float:
        """Seconds from the start to the date of a ``label``."""
        date = self._parsed(label, ("%Y-%m-%d", "%Y-%m-%dT%H%M%S"))
        return (date - self.origin).total_seconds()

    def period(self, seconds: float, per: Period) -> tuple[int, ...]:
        """The day, month or year that a time lies in."""
        date = self.date(seconds)
        parts = {"day": 3, "month": 2, "year": 1, "run": 0}
        return (date.year, date.month, date.day)[: parts[per]]

    def _parsed(self, text: str, forms: tuple[str, ...]) -> cftime.datetime:
        for form in forms:
            try:
                return cftime.datetime.strptime(text, form, calendar=self.calendar)
            except ValueError:
                continue
        raise ValueError(f"found '{text}'; expected a date of the {self.calendar} calendar")
