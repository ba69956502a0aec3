"""Air on levels of pressure, from a file."""

from __future__ import annotations

import netCDF4
import numpy as np

from dassim.atmosphere.primitive import PressureLevels
from dassim.config.errors import KeyPath, NamelistError, Problem, mismatch
from dassim.config.files import file_variable, variable_names
from dassim.config.points import first_point
from dassim.config.regridding import Regridded
from dassim.config.schema.atmosphere.primitive import FromPressureLevels
from dassim.config.units import UnitError, convert
from dassim.grid import Grid
from dassim.io.netcdf import LIBRARY

SECTION = ("initial",)
UNITS = {"geopotential": "m2 s-2", "T": "K", "u": "m s-1", "v": "m s-1", "q": "1"}


def air_on_pressure_levels(section: FromPressureLevels, grid: Grid) -> PressureLevels:
    """The air over this rank's cells, topmost level first. All ranks call this together, and
    NamelistError is raised on all."""
    columns: dict[str, np.ndarray] = {}
    pressures: dict[str, np.ndarray] = {}
    for name, unit in UNITS.items():
        variable = getattr(section, name)
        if variable is not None:
            key = (*SECTION, name)
            source = file_variable(section.file, variable, key, unit)
            whole = Regridded.onto(grid, source, key, complete=True)
            pressures[name] = _pressures(whole, key)
            columns[name] = np.asarray(grid.domain.local(whole))
            _require_values(columns[name], grid, variable, section, key)
    p = pressures["geopotential"]
    for name, other in pressures.items():
        if not np.array_equal(other, p):
            message = mismatch(
                f"{getattr(section, name)} on levels {other} in {section.file}",
                f"the levels of {section.geopotential}, {p}",
                "choose another variable",
            )
            raise NamelistError([Problem((*SECTION, name), message)])
    order = np.argsort(p)
    return PressureLevels(p[order], **{name: each[order] for name, each in columns.items()})


def _pressures(variable: Regridded, key: KeyPath) -> np.ndarray:
    """Pa, of the levels along the one dimension besides latitude and longitude."""
    if len(variable.shape) != 3:
        message = mismatch(
            f"{variable.name} along {', '.join(variable.dimensions)} in {variable.path}",
            "pressure, latitude and longitude",
            "extract one time",
        )
        raise NamelistError([Problem(key, message)])
    name = variable.dimensions[0]
    if name not in variable_names(variable.path, (*SECTION, "file")):
        message = mismatch(
            f"no variable {name} in {variable.path}", f"the pressure along {name}", "add it"
        )
        raise NamelistError([Problem(key, message)])
    with LIBRARY, netCDF4.Dataset(variable.path) as dataset:
        found = np.ma.filled(np.ma.masked_array(dataset[name][...], dtype=float), np.nan)
        units = getattr(dataset[name], "units", "hPa")
    try:
        p = found * convert(1.0, units, "Pa")
    except UnitError as error:
        message = mismatch(
            f"{name} in units '{units}'{error} in {variable.path}", "pressure", error.remedy
        )
        raise NamelistError([Problem(key, message)]) from None
    if not (p > 0).all() or len(np.unique(p)) != len(p) or len(p) < 2:
        message = mismatch(
            f"levels {found} of {variable.name} in {variable.path}",
            "at least 2 pressures, each once",
            "correct the file",
        )
        raise NamelistError([Problem(key, message)])
    return p


def _require_values(
    values: np.ndarray, grid: Grid, name: str, section: FromPressureLevels, key: KeyPath
) -> None:
    point = first_point(grid, ~np.isfinite(values))
    if point is not None:
        message = mismatch(
            f"no value of {name} at {point} in {section.file}",
            "a value at every point, below the ground too",
            "fill the file",
        )
        raise NamelistError([Problem(key, message)])
