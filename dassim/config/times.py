"""Times of the records in a netCDF file, in seconds since the start of the run."""

from __future__ import annotations

import netCDF4
import numpy as np

from dassim.config.errors import KeyPath, NamelistError, Problem, mismatch
from dassim.config.schema.profiles import VolumeSeriesFromFile
from dassim.config.schema.run import Time
from dassim.config.units import UnitError, convert
from dassim.io.calendars import seconds_since_start
from dassim.io.netcdf import LIBRARY
from dassim.io.stream import Clock


def record_times(
    profile: VolumeSeriesFromFile, dimension: str, count: int, run: Time, key: KeyPath
) -> np.ndarray:
    """Seconds from the start of ``run`` to each of ``count`` records along ``dimension``.

    From the coordinate variable; without one, records divide the period evenly, each in the middle
    of its part.
    """
    with LIBRARY, netCDF4.Dataset(profile.file) as dataset:
        if dimension in dataset.variables:
            variable = dataset[dimension]
            numbers = np.ma.filled(np.ma.masked_array(variable[...], dtype=float), np.nan)
            units = getattr(variable, "units", "s")
            calendar = getattr(variable, "calendar", run.calendar)
        else:
            numbers, units, calendar = None, "", ""

    def refusal(found: str, expected: str, remedy: str) -> NamelistError:
        message = mismatch(f"{found} in {profile.file}", expected, remedy)
        return NamelistError([Problem((*key, "variable"), message)])

    if numbers is None:
        if profile.period is None:
            raise refusal(
                f"no times of the {count} records along {dimension}",
                f"a variable {dimension}",
                "add it, or write the period of a climatology",
            )
        return profile.period * (np.arange(count) + 0.5) / count
    try:
        times = _seconds(numbers, units, calendar, run)
    except (UnitError, ValueError) as error:
        found = f"times along {dimension} in units '{units}' and calendar {calendar} ({error})"
        expected = f"units such as 'days since 2000-01-01', in the calendar {run.calendar}"
        raise refusal(found, expected, "correct the file or time.calendar") from None
    if not (np.diff(times) > 0).all():
        raise refusal(f"times {numbers} along {dimension}", "times that grow", "sort the records")
    if profile.period is not None and times[-1] - times[0] >= profile.period:
        raise refusal(
            f"records over {times[-1] - times[0]:g} s",
            f"less than the period, {profile.period:g} s",
            "correct the period",
        )
    return times


def _seconds(numbers: np.ndarray, units: str, calendar: str, run: Time) -> np.ndarray:
    if " since " not in units:
        return numbers * convert(1.0, units, "s")
    return seconds_since_start(numbers, units, calendar, Clock(run.start, run.calendar))
