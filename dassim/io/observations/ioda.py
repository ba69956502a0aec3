"""Files in the layout of IODA, of the JEDI project: groups of variables along ``Location``.

``MetaData`` holds latitude, longitude, dateTime and, below the surface, depthBelowWaterSurface or
depth; ``ObsValue``, ``ObsError`` and ``PreQC`` hold the observed variables by their names.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np

from dassim.io.observations.reading import numbers, opened, times, variable
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

DEPTHS = ("depthBelowWaterSurface", "depth")
KELVIN = ("k", "kelvin")
ZERO_CELSIUS = 273.15


def read_ioda(
    path: Path, clock: Clock, *, names: Mapping[str, str] = NAMES, accept: tuple[int, ...] = (0,)
) -> ObservationTable:
    """The variables among ``names``; good where PreQC, if there is any, is among ``accept``.
    Kelvins become degrees Celsius."""
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
        parts = []
        for name in present:
            units = str(getattr(variable(observed, name, path), "units", "")).lower()
            part = {
                **columns,
                "depth": depth,
                "kind": np.full(count, models.index(names[name])),
                "value": numbers(observed, name, path) - ZERO_CELSIUS * (units in KELVIN),
                "error": np.full(count, np.nan),
                "good": np.ones(count, bool),
            }
            for column, group in (("error", "ObsError"), ("good", "PreQC")):
                if group in dataset.groups and name in dataset[group].variables:
                    part[column] = numbers(dataset[group], name, path)
            if part["good"].dtype != bool:
                part["good"] = np.isin(part["good"], accept)
            parts.append(part)
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return ObservationTable.build(models, "spherical", whole)
