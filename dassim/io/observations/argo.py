"""Files of Argo floats: profiles ``(N_PROF, N_LEVELS)`` of temperature and salinity.

Read are JULD, LATITUDE, LONGITUDE, PRES, TEMP, PSAL and their flags ``*_QC``; of profiles in
delayed or adjusted mode (DATA_MODE D, A) the ``*_ADJUSTED`` values with their errors. Pressure
becomes depth, and temperature potential temperature. Argo user's manual, doi:10.13155/29825.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from dassim.io.observations.reading import (
    Units,
    letters,
    opened,
    quantity,
    scale,
    spread,
    times,
    variable,
)
from dassim.io.observations.seawater import (
    absolute_salinity,
    depth_from_pressure,
    model_temperature,
)
from dassim.io.observations.table import ObservationError, ObservationTable
from dassim.io.stream import Clock

GOOD = ("1", "2", "5", "8")
"""Flags: good, probably good, changed, estimated."""

UNMEASURED = (b"", b" ", b"9")
"""Flags of places in the table where nothing was measured."""

MEASURED = {"T": "TEMP", "S": "PSAL"}
UNITS = {"TEMP": "degC", "PSAL": "1e-3", "PRES": "dbar"}

OF_PROFILES = ("JULD", "JULD_QC", "LATITUDE", "LONGITUDE", "POSITION_QC", "DATA_MODE")
OF_LEVELS = ("", "_QC", "_ADJUSTED", "_ADJUSTED_QC", "_ADJUSTED_ERROR")


def read_argo(
    path: Path,
    clock: Clock,
    units: Units,
    *,
    accept: tuple[str, ...] = GOOD,
    teos10: bool = False,
) -> ObservationTable:
    """Potential temperature ``T`` and practical salinity ``S``, with ``teos10`` Conservative
    Temperature and Absolute Salinity.

    Good where all flags of the value, its pressure, its place and its time are among ``accept``.
    Other units than Argo's are converted. A level whose adjusted value is missing, since it is bad,
    is a row that is not a number.
    """
    with opened(path) as dataset:
        _require_profiles(dataset, path)
        latitude, longitude = (
            quantity(dataset, name, path, "degrees", units) for name in ("LATITUDE", "LONGITUDE")
        )
        time = times(dataset, "JULD", path, clock)
        usable = np.ones(time.shape, bool)
        for flag in ("JULD_QC", "POSITION_QC"):
            if flag in dataset.variables:
                usable &= _accepted(letters(dataset, flag, path), accept)
        names = tuple(name for name, measured in MEASURED.items() if measured in dataset.variables)
        read = {name: _measured(dataset, MEASURED[name], path, units, accept) for name in names}
        pressure, good_pressure, *_ = _measured(dataset, "PRES", path, units, accept)
    around = pressure.shape
    on_levels = {
        "time": time,
        "x": longitude,
        "y": latitude,
    }
    wide = {name: np.broadcast_to(each[:, None], around) for name, each in on_levels.items()}
    depth = depth_from_pressure(pressure, wide["y"])
    if "T" in read:
        salinity, good_salinity, *_ = read.get("S", (np.nan, False))
        value, good, error, measured = read["T"]
        value = model_temperature(value, salinity, good_salinity, pressure, teos10=teos10)
        read["T"] = value, good, error, measured
    if "S" in read and teos10:
        read["S"] = absolute_salinity(read["S"][0]), *read["S"][1:]
    parts = []
    for kind, name in enumerate(names):
        value, good, error, measured = read[name]
        all_good = good & good_pressure & usable[:, None]
        parts.append(
            {
                **wide,
                "depth": depth,
                "value": value,
                "error": error,
                "good": all_good,
                "kind": np.full(around, kind),
                "measured": measured,
            }
        )
    columns = {name: np.concatenate([part[name].ravel() for part in parts]) for name in parts[0]}
    measured = columns.pop("measured")
    return ObservationTable.build(names, "spherical", columns).take(measured)


def _require_profiles(dataset: Any, path: Path) -> None:
    """Refuse a file without positions, times or pressures, and columns that are not as long as
    there are profiles and levels of pressure."""
    for name in ("LATITUDE", "LONGITUDE", "JULD"):
        variable(dataset, name, path)
    around = variable(dataset, "PRES", path).shape
    levels = (f"{name}{of}" for name in ("PRES", "TEMP", "PSAL") for of in OF_LEVELS)
    expected = {**dict.fromkeys(OF_PROFILES, around[:1]), **dict.fromkeys(levels, around)}
    for name, shape in expected.items():
        found = dataset.variables[name].shape if name in dataset.variables else shape
        if found != shape or len(around) != 2:
            raise ObservationError(
                f"{path}: found {name} of shape {found} beside PRES of shape {around}; expected "
                f"columns (N_PROF,) and (N_PROF, N_LEVELS); correct the file"
            )


def _measured(
    dataset: Any, name: str, path: Path, units: Units, accept: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Values, whether they are good, their errors, and whether there was anything to measure,
    ``(N_PROF, N_LEVELS)``."""
    unit = UNITS[name]
    value, flag = quantity(dataset, name, path, unit, units), letters(dataset, f"{name}_QC", path)
    error = np.full(value.shape, np.nan)
    adjusted = f"{name}_ADJUSTED"
    if "DATA_MODE" in dataset.variables and adjusted in dataset.variables:
        better = np.isin(letters(dataset, "DATA_MODE", path), (b"D", b"A"))[:, None]
        value = np.where(better, quantity(dataset, adjusted, path, unit, units), value)
        flag = np.where(better, letters(dataset, f"{adjusted}_QC", path), flag)
        if f"{adjusted}_ERROR" in dataset.variables:
            usual, _ = scale(dataset, adjusted, path, unit, units)
            known = spread(dataset, f"{adjusted}_ERROR", path, unit, units, usual)
            error = np.where(better & (known > 0), known, np.nan)
    measured = np.isfinite(value) | ~np.isin(flag, UNMEASURED)
    return value, _accepted(flag, accept), error, measured


def _accepted(flags: np.ndarray, accept: tuple[str, ...]) -> np.ndarray:
    return np.isin(flags, [flag.encode() for flag in accept])
