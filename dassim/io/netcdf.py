"""What is common to all netCDF files of fields."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import netCDF4
import numpy as np

if TYPE_CHECKING:
    from dassim.grid.variables import Variable
    from dassim.io.geometry import Geometry

CONVENTIONS = "CF-1.11"

LIBRARY = threading.RLock()
"""Held while the netCDF library is called: it serves one thread of a process at a time."""

CHUNK = 2**26
"""Bytes of a chunk at most."""

KINDS = {"float32": "f4", "float64": "f8"}


DAY = 86400.0


class OutputError(OSError):
    """Fields could not be written or read; the message says which, and what to do."""


def fill_value(precision: str) -> Any:
    """What stands where there is land."""
    return np.dtype(precision).type(netCDF4.default_fillvals[KINDS[precision]])


def describe(variable: Variable) -> dict[str, str]:
    """CF attributes of a variable."""
    named = {"standard_name": variable.standard_name} if variable.standard_name else {}
    scale = {"units_metadata": "temperature: on_scale"} if variable.units in ("degC", "K") else {}
    return {**named, "long_name": variable.long_name, "units": variable.units, **scale}


def write_coordinates(
    dataset: netCDF4.Dataset, geometry: Geometry, sizes: Mapping[str, int]
) -> None:
    """Dimensions of these ``sizes``, with the coordinates and bounds that they have."""
    for name, size in sizes.items():
        dataset.createDimension(name, size)
    for name, coordinate in geometry.coordinates_of(sizes).items():
        variable = dataset.createVariable(name, "f8", coordinate.dims)
        variable.setncatts(dict(coordinate.attributes))
        variable[...] = coordinate.values
        if coordinate.bounds is None:
            continue
        ends = f"corners_{coordinate.bounds.shape[-1]}" if coordinate.values.ndim > 1 else "bnds"
        if ends not in dataset.dimensions:
            dataset.createDimension(ends, coordinate.bounds.shape[-1])
        variable.bounds = f"{name}_bnds"
        bounds = dataset.createVariable(variable.bounds, "f8", (*coordinate.dims, ends))
        bounds[...] = coordinate.bounds


def chunk_of(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Of one record of this shape: whole rows of as many levels as :data:`CHUNK` holds."""
    sizes, budget = [], max(1, CHUNK // itemsize)
    for n in reversed(shape):
        size = max(1, min(n, budget))
        sizes.append(size)
        budget = max(1, budget // size)
    return (1, *reversed(sizes))


def make_durable(path: Path) -> None:
    """Wait until a file stands on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def part_name(number: int) -> str:
    """Of the file that holds one part of the grid."""
    return f"part_{number:05d}.nc"


def finished_times(path: Path) -> np.ndarray:
    """End (s since the start of the run) of every finished record of a file.

    Raises OutputError for a file that cannot be read.
    """
    try:
        with LIBRARY, netCDF4.Dataset(path) as dataset:
            dataset.set_auto_maskandscale(False)
            times = np.asarray(dataset["time"][:], float)
            ends = times
            if "time_bnds" in dataset.variables:
                ends = np.asarray(dataset["time_bnds"][:, 1], float)
    except (OSError, RuntimeError, IndexError) as error:
        raise OutputError(
            f"found {path} unreadable ({error}); expected a netCDF file of fields; restore it, or "
            f"remove its folder and run that time again"
        ) from error
    unfinished = ~(np.abs(times) < 0.5 * fill_value("float64"))
    count = int(np.argmax(unfinished)) if unfinished.any() else len(times)
    return ends[:count] * DAY
