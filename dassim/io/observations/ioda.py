"""Files in the layout of IODA, of the JEDI project: groups of variables along ``Location``.

``MetaData`` holds latitude, longitude, dateTime and, below the surface, depthBelowWaterSurface or
depth; ``ObsValue``, ``ObsError`` and ``PreQC`` hold the observed variables by their names. Those of
:data:`SALINITY_OF` are temperatures in situ and practical salinities, and become what the model
holds; others are converted to its units.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from dassim.io.observations.reading import (
    Units,
    numbers,
    opened,
    quantity,
    require_one_shape,
    scale,
    spread,
    times,
)
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


def read_ioda(
    path: Path,
    clock: Clock,
    units: Units,
    *,
    names: Mapping[str, str] = NAMES,
    accept: tuple[int, ...] = (0,),
    teos10: bool = False,
) -> ObservationTable:
    """The variables among ``names``; good where PreQC, if there is any, is among ``accept``.

    In the units of the model; temperatures potential and salinities practical, with ``teos10``
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
            "x": quantity(where, "longitude", path, "degrees", units),
            "y": quantity(where, "latitude", path, "degrees", units),
        }
        below = next((name for name in DEPTHS if name in where.variables), None)
        count = len(columns["time"])
        depth = np.zeros(count) if below is None else quantity(where, below, path, "m", units)
        present = [name for name in names if name in observed.variables]
        if not present:
            raise ObservationError(
                f"{path}: found {', '.join(observed.variables) or 'nothing'} in ObsValue; expected "
                f"one of {', '.join(names)}; say what they are with names:"
            )
        _require_one_length(dataset, present, path)
        models = tuple(dict.fromkeys(names[name] for name in present))
        measured = {}
        in_model = {name: units.variables.get(names[name]) for name in present}
        for name in present:
            measured[name] = _measured(dataset, name, path, in_model[name], units, accept)
    pressure = pressure_from_depth(depth, columns["y"])
    parts = []
    for name in present:
        value, good, error = measured[name]
        if name in SALINITY_OF and in_model[name] == "degC":  # of water
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


def _require_one_length(dataset: Any, observed: Sequence[str], path: Path) -> None:
    where = ("dateTime", "longitude", "latitude", *DEPTHS)
    used = {"MetaData": where, **dict.fromkeys(("ObsValue", "ObsError", "PreQC"), observed)}
    places = [(group, name) for group, names in used.items() for name in names]
    shapes = {
        f"{group}/{name}": dataset[group][name].shape
        for group, name in places
        if _has(dataset, group, name)
    }
    require_one_shape(shapes, path)


def _measured(
    dataset: Any,
    name: str,
    path: Path,
    unit: str | None,
    units: Units,
    accept: tuple[int, ...],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values in ``unit``, whether they are good, and their errors."""
    factor, offset = scale(dataset["ObsValue"], name, path, unit, units)
    value = numbers(dataset["ObsValue"], name, path) * factor + offset
    good, error = np.ones(value.shape, bool), np.full(value.shape, np.nan)
    if _has(dataset, "PreQC", name):
        good = np.isin(numbers(dataset["PreQC"], name, path), accept)
    if _has(dataset, "ObsError", name):
        error = spread(dataset["ObsError"], name, path, unit, units, usual=factor)
    return value, good, error


def _has(dataset: Any, group: str, name: str) -> bool:
    return group in dataset.groups and name in dataset[group].variables
