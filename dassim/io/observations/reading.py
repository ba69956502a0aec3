"""What the readers of all layouts share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from dassim.io.calendars import seconds_since_start
from dassim.io.netcdf import LIBRARY
from dassim.io.observations.table import ObservationError
from dassim.io.stream import Clock


@dataclass(frozen=True)
class Units:
    """What the units of files become.

    ``variables``: units of the model's variables by name; those left out are taken as they are.
    ``linear``: factor and offset from a unit to another; of units that it does not know, or of
    another kind, it raises a ValueError whose message follows "units 'kg'".
    """

    variables: Mapping[str, str]
    linear: Callable[[str, str], tuple[float, float]]


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


def has_units(group: Any, name: str, path: Path) -> bool:
    """Whether the variable says what its units are."""
    return bool(str(getattr(variable(group, name, path), "units", "")).strip())


def scale(group: Any, name: str, path: Path, unit: str | None, units: Units) -> tuple[float, float]:
    """Factor and offset that take its values to ``unit``: 1 and 0 where this is ``None``, or where
    it has no units of its own. Raises ObservationError for units that do not convert."""
    if unit is None or not has_units(group, name, path):
        return 1.0, 0.0
    written = str(group.variables[name].units)
    try:
        return units.linear(written, unit)
    except ValueError as error:
        raise ObservationError(
            f"found {name} in units '{written}'{error} in {_where(group, path)}; expected units "
            f"such as {unit}; correct its values, or its attribute units"
        ) from None


def quantity(group: Any, name: str, path: Path, unit: str | None, units: Units) -> np.ndarray:
    """Its values in ``unit``, NaN where missing."""
    factor, offset = scale(group, name, path, unit, units)
    return numbers(group, name, path) * factor + offset


def spread(
    group: Any, name: str, path: Path, unit: str | None, units: Units, usual: Any = 1.0
) -> np.ndarray:
    """Standard deviations in ``unit``, NaN where missing; ``usual``: the factor of those without
    units of their own."""
    own = has_units(group, name, path)
    return numbers(group, name, path) * (scale(group, name, path, unit, units)[0] if own else usual)


def require_one_shape(shapes: Mapping[str, tuple[int, ...]], path: Path) -> None:
    """Refuse columns of unequal ``shapes``."""
    if len(set(shapes.values())) > 1:
        raise ObservationError(
            f"{path}: found columns of shapes {shapes}; expected one length; correct the file"
        )


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
