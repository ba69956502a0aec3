"""One netCDF file of a stream: the records of a period, on one part of the grid.

A file gets its name with its first record, and is synchronised to disk after each: a run that is
killed leaves what was written before. A record without a time has not been finished.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from dassim.grid.variables import Variable
from dassim.io.collect import Collector
from dassim.io.durable import sync_folder
from dassim.io.geometry import Geometry
from dassim.io.netcdf import (
    CONVENTIONS,
    DAY,
    KINDS,
    LIBRARY,
    chunk_of,
    describe,
    fill_value,
    make_durable,
    write_coordinates,
)
from dassim.io.stream import Clock, Stream

EARTHLY = ("standard", "proleptic_gregorian", "julian")
"""Calendars of real dates."""


class PartFile:
    """An open file that records are appended to."""

    def __init__(
        self,
        path: Path,
        stream: Stream,
        variables: Mapping[str, Variable],
        geometry: Geometry,
        collector: Collector,
        shapes: Mapping[str, tuple[int, ...]],
        global_shape: tuple[int, int],
        clock: Clock,
        attributes: Mapping[str, Any],
    ):
        self.path = path
        self._unnamed = path.with_name(f"{path.name}.new")
        self._means = stream.kind == "mean"
        self._fill = fill_value(stream.precision)
        self._masks = {name: geometry.mask_of(v) for name, v in variables.items()}
        with LIBRARY:
            self._dataset = netCDF4.Dataset(self._unnamed, "w")
            self._dataset.Conventions = CONVENTIONS
            self._dataset.setncatts(dict(attributes))
            self._dataset.setncatts(placement(collector, global_shape) | {"stream": stream.name})
            self._define(stream, variables, geometry, shapes, clock)

    def _define(
        self,
        stream: Stream,
        variables: Mapping[str, Variable],
        geometry: Geometry,
        shapes: Mapping[str, tuple[int, ...]],
        clock: Clock,
    ) -> None:
        dataset = self._dataset
        if geometry.metrics:
            dataset.external_variables = "cell_area"
        dataset.createDimension("time", None)
        time = dataset.createVariable("time", "f8", ("time",), chunksizes=(512,))
        time.setncatts(time_attributes(clock))
        if self._means:
            time.bounds = "time_bnds"
            dataset.createDimension("bnds", 2)
            dataset.createVariable("time_bnds", "f8", ("time", "bnds"), chunksizes=(512, 2))
        dims = {name: geometry.dims_of(variable) for name, variable in variables.items()}
        sizes = {
            dimension: n
            for name in variables
            for dimension, n in zip(dims[name], shapes[name], strict=True)
        }
        write_coordinates(dataset, geometry, sizes)
        for name, variable in variables.items():
            made = dataset.createVariable(
                name,
                KINDS[stream.precision],
                ("time", *dims[name]),
                fill_value=self._fill,
                chunksizes=chunk_of(shapes[name], np.dtype(stream.precision).itemsize),
            )
            made.setncatts(describe(variable))
            made.cell_methods = "time: mean" if self._means else "time: point"
            if geometry.metrics and variable.location == "c":
                made.cell_measures = "area: cell_area"
            if auxiliary := geometry.auxiliary(dims[name]):
                made.coordinates = " ".join(auxiliary)
        dataset.set_auto_maskandscale(False)

    def append(self, start: float, end: float, fields: Mapping[str, np.ndarray]) -> int:
        """Write one record, the time last; the number of bytes. ``start``, ``end`` in seconds."""
        with LIBRARY:
            record = len(self._dataset.dimensions["time"])
            written = 0
            for name, values in fields.items():
                mask = self._masks[name]
                filled = values if mask is None else np.where(mask, values, self._fill)
                self._dataset[name][record] = filled
                written += filled.size * self._dataset[name].dtype.itemsize
            middle = 0.5 * (start + end) if self._means else end
            if self._means:
                self._dataset["time_bnds"][record] = np.array([start, end]) / DAY
            self._dataset["time"][record] = middle / DAY
            self._dataset.sync()
        if record == 0:
            self._unnamed.replace(self.path)
        return written

    def close(self) -> None:
        """Close the file once it stands on disk."""
        with LIBRARY:
            self._dataset.close()
        make_durable(self.path)
        for folder in self.path.parents[:3]:  # of the date, the stream, all streams
            sync_folder(folder)


def time_attributes(clock: Clock) -> dict[str, str]:
    """Of the time axis. Days all have 86400 s; calendars that know leap seconds must say so."""
    leaps = {"units_metadata": "leap_seconds: none"} if clock.calendar in EARTHLY else {}
    return {
        "standard_name": "time",
        "long_name": "time",
        "units": clock.units,
        "calendar": clock.calendar,
        "axis": "T",
        **leaps,
    }


def placement(collector: Collector, global_shape: tuple[int, int]) -> dict[str, Any]:
    """Attributes that say which part of the grid a file holds, (y, x)."""
    region = collector.region
    return {
        "part": np.int32(collector.number),
        "parts": np.int32(collector.count),
        "region_start": np.array(region.start, np.int32),
        "region_shape": np.array(region.shape, np.int32),
        "global_shape": np.array(global_shape, np.int32),
    }
