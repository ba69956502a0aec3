"""What the readers of all layouts share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from dassim.io.calendars import seconds_since_start
from dassim.io.netcdf import LIBRARY
from dassim.io.observations.table import ObservationError
from dassim.io.stream import Clock


@contextmanager
def opened(path: Path) -> Iterator[netCDF4.Dataset]:
    """The file, and every error in its reading as an ObservationError."""
    try:
        with LIBRARY, netCDF4.Dataset(path) as dataset:
            yield dataset
    except ObservationError:
        raise
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ObservationError(
            f"found {path}, which does not open ({reason}); expected a netCDF file of "
            f"observations; correct the path or restore the file"
        ) from error


def variable(group: Any, name: str, path: Path) -> Any:
    """The variable ``name`` of a dataset or group."""
    if name not in group.variables:
        raise ObservationError(
            f"found no {name} in {_where(group, path)}; there are "
            f"{', '.join(group.variables) or 'no variables'}; correct the file or its format"
        )
    return group.variables[name]


def numbers(group: Any, name: str, path: Path) -> np.ndarray:
    """Its values, NaN where missing."""
    found = variable(group, name, path)
    if np.dtype(found.dtype).kind not in "iuf":
        raise ObservationError(
            f"found {name} of type {found.dtype} in {_where(group, path)}; expected numbers"
        )
    return np.ma.filled(np.ma.masked_array(found[...], dtype=float), np.nan)


def letters(group: Any, name: str, path: Path) -> np.ndarray:
    """Flags that are single letters, a blank where missing."""
    found = variable(group, name, path)
    found.set_auto_chartostring(False)
    return np.ma.filled(found[...], b" ").astype("S1")


def times(group: Any, name: str, path: Path, clock: Clock) -> np.ndarray:
    """Seconds since the start of the run."""
    found = variable(group, name, path)
    units, calendar = getattr(found, "units", ""), getattr(found, "calendar", "standard")
    try:
        return seconds_since_start(numbers(group, name, path), units, calendar, clock)
    except ValueError as error:
        raise ObservationError(
            f"{path}: found {name} in units '{units}' and calendar {calendar} ({error}); expected "
            f"units such as 'days since 2000-01-01', in the calendar {clock.calendar}; correct "
            f"the file or time.calendar"
        ) from None


def _where(group: Any, path: Path) -> str:
    name = group.path.strip("/")
    return f"{path}, group {name}" if name else str(path)
