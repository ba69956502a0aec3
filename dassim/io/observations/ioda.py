"""Files in the layout of IODA, of the JEDI project: groups of variables along ``Location``.

``MetaData`` holds latitude, longitude, dateTime and, below the surface, depthBelowWaterSurface or
depth; ``ObsValue``, ``ObsError`` and ``PreQC`` hold the observed variables by their names. Those of
:data:`NAMES` are temperatures in situ and practical salinities, and become what the model holds;
others are taken as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from dassim.io.observations.reading import numbers, opened, times, variable
from dassim.io.observations.seawater import (
    absolute_salinity,
    model_temperature,
    pressure_from_depth,
)
from dassim.io.observations.table import ObservationError, ObservationTable
from dassim.io.stream import Clock

NAMES: Mapping[str, str] = MappingProxyType(
    {
        "waterTemperature": "T",
        "seaSurfaceTemperature": "T",
        "salinity": "S",
        "seaSurfaceSalinity": "S",
        "absoluteDynamicTopography": "eta",
        "waterZonalVelocity": "u",
        "waterMeridionalVelocity": "v",
    }
)
"""Variables of the model by the names in files."""

SALINITY_OF = {
    "waterTemperature": "salinity",
    "seaSurfaceTemperature": "seaSurfaceSalinity",
}
"""Practical salinities beside temperatures in situ."""

DEPTHS = ("depthBelowWaterSurface", "depth")
KELVIN = ("k", "kelvin")
ZERO_CELSIUS = 273.15


def read_ioda(
    path: Path,
    clock: Clock,
    *,
    names: Mapping[str, str] = NAMES,
    accept: tuple[int, ...] = (0,),
    teos10: bool = False,
) -> ObservationTable:
    """The variables among ``names``; good where PreQC, if there is any, is among ``accept``.

    Kelvins become degrees Celsius; temperatures potential and salinities practical, with ``teos10``
    conservative and absolute.
    """
    with opened(path) as dataset:
        missing = [name for name in ("MetaData", "ObsValue") if name not in dataset.groups]
        if missing:
            raise ObservationError(
                f"{path}: found no group {missing[0]}; expected the groups MetaData and ObsValue "
                f"of an IODA file; correct the file or its format"
            )
        where, observed = dataset["MetaData"], dataset["ObsValue"]
        columns = {
            "time": times(where, "dateTime", path, clock),
            "x": numbers(where, "longitude", path),
            "y": numbers(where, "latitude", path),
        }
        below = next((name for name in DEPTHS if name in where.variables), None)
        count = len(columns["time"])
        depth = np.zeros(count) if below is None else numbers(where, below, path)
        present = [name for name in names if name in observed.variables]
        if not present:
            raise ObservationError(
                f"{path}: found {', '.join(observed.variables) or 'nothing'} in ObsValue; expected "
                f"one of {', '.join(names)}; say what they are with names:"
            )
        models = tuple(dict.fromkeys(names[name] for name in present))
        measured = {name: _measured(dataset, name, path, accept) for name in present}
    pressure = pressure_from_depth(depth, columns["y"])
    parts = []
    for name in present:
        value, good, error = measured[name]
        if name in SALINITY_OF:
            salinity, good_salinity, _ = measured.get(SALINITY_OF[name], (np.nan, False, np.nan))
            value = model_temperature(value, salinity, good_salinity, pressure, teos10=teos10)
        elif name in SALINITY_OF.values() and teos10:
            value = absolute_salinity(value)
        kind = np.full(count, models.index(names[name]))
        parts.append(
            {**columns, "depth": depth, "kind": kind, "value": value, "error": error, "good": good}
        )
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return ObservationTable.build(models, "spherical", whole)


def _measured(
    dataset: Any, name: str, path: Path, accept: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values, whether they are good, and their errors."""
    units = str(getattr(variable(dataset["ObsValue"], name, path), "units", "")).lower()
    value = numbers(dataset["ObsValue"], name, path) - ZERO_CELSIUS * (units in KELVIN)

    def of(group: str) -> np.ndarray | None:
        there = group in dataset.groups and name in dataset[group].variables
        return numbers(dataset[group], name, path) if there else None

    error, flags = of("ObsError"), of("PreQC")
    good = np.ones(value.shape, bool) if flags is None else np.isin(flags, accept)
    return value, good, np.full(value.shape, np.nan) if error is None else error
