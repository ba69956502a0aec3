"""Variables of netCDF files that a namelist names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from dassim.config.errors import KeyPath, NamelistError, Problem, mismatch, one_of, suggest
from dassim.config.units import UnitError, linear
from dassim.io.netcdf import LIBRARY


@dataclass(frozen=True)
class FileVariable:
    """A numeric variable of a netCDF file, sliced like an array; each piece opens the file.

    Pieces are float64 in the unit asked for, with ``fill`` where the file has no value.
    """

    path: Path
    name: str
    shape: tuple[int, ...]
    dimensions: tuple[str, ...] = ()
    factor: float = 1.0
    offset: float = 0.0
    fill: float = np.nan

    def __getitem__(self, index: Any) -> np.ndarray:
        with LIBRARY, netCDF4.Dataset(self.path) as dataset:
            piece = np.ma.masked_array(dataset[self.name][index], dtype=np.float64)
        return (piece * self.factor + self.offset).filled(self.fill)


def variable_names(path: Path, key: KeyPath) -> list[str]:
    """The variables in the file that ``key`` of the namelist names."""
    try:
        with LIBRARY, netCDF4.Dataset(path) as dataset:
            return list(dataset.variables)
    except OSError as error:
        found = f"{path}, which does not open ({error.strerror or error})"
        message = mismatch(found, "a netCDF file", "correct the path or convert the file")
        raise NamelistError([Problem(key, message)]) from None


def file_variable(
    path: Path, name: str, key: KeyPath, unit: str | None, fill: float = np.nan
) -> FileVariable:
    """The variable ``name`` that ``key`` of the namelist asks for, the file standing beside it in
    the key ``file``. Values in units of their own are converted to ``unit``."""
    names = variable_names(path, (*key[:-1], "file"))
    if name not in names:
        message = mismatch(f"no variable {name} in {path}", one_of(names), suggest(name, names))
        raise NamelistError([Problem(key, message)])
    with LIBRARY, netCDF4.Dataset(path) as dataset:
        variable = dataset[name]
        shape, dimensions = variable.shape, variable.dimensions
        units = getattr(variable, "units", None)
        kind = np.dtype(variable.dtype)
    if kind.kind not in "iuf":
        message = mismatch(f"{name} of type {kind.name} in {path}", "numbers", "choose another")
        raise NamelistError([Problem(key, message)])
    if unit is None or units is None:
        return FileVariable(path, name, shape, dimensions, fill=fill)
    try:
        factor, offset = linear(units, unit)
        return FileVariable(path, name, shape, dimensions, factor, offset, fill)
    except UnitError as error:
        found = f"{name} in units '{units}'{error}, in {path}"
        message = mismatch(found, f"units such as {unit}", error.remedy)
        raise NamelistError([Problem(key, message)]) from None
