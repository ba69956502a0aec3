"""Dates of files in seconds since the start of a run."""

from __future__ import annotations

import cftime
import numpy as np

from dassim.io.stream import Clock

SAME_CALENDAR = {
    "gregorian": "standard",
    "proleptic_gregorian": "standard",
    "365_day": "noleap",
    "366_day": "all_leap",
}
"""Other names for calendars, and those that agree for today's dates."""

SECONDS = {"day": 86400.0, "hour": 3600.0, "minute": 60.0, "second": 1.0, "millisecond": 1e-3}
SHORT = {"d": "day", "h": "hour", "hr": "hour", "min": "minute", "sec": "second", "s": "second"}
"""Units of time by their names without the plural's s, and other names for them."""


def same_calendar(one: str, other: str) -> bool:
    return _plain(one) == _plain(other)


def seconds_since_start(numbers: np.ndarray, units: str, calendar: str, clock: Clock) -> np.ndarray:
    """CF times ``numbers`` in ``units`` such as ``days since 1950-01-01``, in seconds since the
    start of the run; not a number where they are not.

    Raises ValueError for units and calendars that do not fit.

    >>> seconds_since_start(np.array([1.5]), "days since 1999-12-31", "gregorian",
    ...                     Clock("2000-01-01")).tolist()
    [43200.0]
    """
    if not same_calendar(calendar, clock.calendar):
        raise ValueError(f"the run's is {clock.calendar}")
    unit, since, date = units.partition(" since ")
    unit = unit.strip().lower()
    seconds = SECONDS.get(SHORT.get(unit, unit.removesuffix("s")))
    if not since or seconds is None:
        raise ValueError("which are no times since a date")
    base = cftime.num2date(0.0, f"days since {date}", clock.calendar)
    offset = base - clock.origin
    whole = offset.days * 86400.0 + offset.seconds + 1e-6 * offset.microseconds
    return np.asarray(numbers, float) * seconds + whole


def _plain(calendar: str) -> str:
    return SAME_CALENDAR.get(calendar.lower(), calendar.lower())
