"""The layout of dassim's own files: one table, a CF discrete sampling geometry of points.

Dimension ``observation``; variables along it:

=============================  =====================================================================
``time``                       CF time, such as ``days since 2000-01-01``, with its calendar
``longitude``, ``latitude``    degrees; or ``x``, ``y`` in metres for grids on a plane
``depth``                      m, positive down; left out: the surface
``variable``                   integer; ``flag_values`` and ``flag_meanings`` name the variables of
                               the model: T, S, u, v, eta
``value``                      in the model's units: degC, 1e-3 (or g kg-1), m s-1, m
``error``                      standard deviation of the value's error, same unit; may be left out
``quality``                    0 is good; may be left out
=============================  =====================================================================

An attribute ``units`` of positions, depth, value or error says that they are in others, which are
converted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from dassim.io.durable import sync_folder
from dassim.io.netcdf import CONVENTIONS, LIBRARY, make_durable
from dassim.io.observations.reading import (
    Units,
    has_units,
    numbers,
    opened,
    quantity,
    require_one_shape,
    scale,
    times,
    variable,
)
from dassim.io.observations.table import Geometry, ObservationError, ObservationTable
from dassim.io.stream import Clock

POSITIONS: Mapping[Geometry, tuple[str, str]] = {
    "spherical": ("longitude", "latitude"),
    "cartesian": ("x", "y"),
}
ATTRIBUTES: Mapping[str, Mapping[str, Any]] = {
    "longitude": {"standard_name": "longitude", "units": "degrees_east"},
    "latitude": {"standard_name": "latitude", "units": "degrees_north"},
    "x": {"standard_name": "projection_x_coordinate", "units": "m"},
    "y": {"standard_name": "projection_y_coordinate", "units": "m"},
    "depth": {"standard_name": "depth", "units": "m", "positive": "down"},
    "value": {"long_name": "observed value, in the unit of its variable"},
    "error": {"long_name": "standard deviation of the value's error"},
    "quality": {"long_name": "quality"},
}


POSITION_UNITS: Mapping[Geometry, str] = {"spherical": "degrees", "cartesian": "m"}


def read_table(path: Path, clock: Clock, units: Units) -> ObservationTable:
    """All observations of a file in this layout."""
    with opened(path) as dataset:
        present = dataset.variables
        geometry: Geometry = "cartesian" if "x" in present else "spherical"
        places, unit = POSITIONS[geometry], POSITION_UNITS[geometry]
        x, y = (quantity(dataset, name, path, unit, units) for name in places)
        kind = variable(dataset, "variable", path)
        names, codes = _flags(kind, path)
        code = np.ma.filled(kind[...], -1)
        known = np.isin(code, codes)
        if not known.all():
            raise ObservationError(
                f"{path}: found variable = {code[~known][0]}, expected one of its flag_values "
                f"{codes.tolist()}; correct the file"
            )
        order = np.argsort(codes)
        columns = {
            "kind": order[np.searchsorted(codes[order], code)],
            "time": times(dataset, "time", path, clock),
            "x": x,
            "y": y,
            "value": numbers(dataset, "value", path),
        }
        if "depth" in present:
            columns["depth"] = quantity(dataset, "depth", path, "m", units)
        if "error" in present:
            columns["error"] = numbers(dataset, "error", path)
        if "quality" in present:
            columns["good"] = numbers(dataset, "quality", path) == 0
        require_one_shape({name: column.shape for name, column in columns.items()}, path)
        factor, offset = _scales(dataset, "value", path, names, columns["kind"], units)
        columns["value"] = columns["value"] * factor + offset
        if "error" in present:
            own = "error" if has_units(dataset, "error", path) else "value"
            factor, _ = _scales(dataset, own, path, names, columns["kind"], units)
            columns["error"] = columns["error"] * factor
    return ObservationTable.build(names, geometry, columns)


def write_table(
    path: Path,
    table: ObservationTable,
    clock: Clock,
    attributes: Mapping[str, Any] | None = None,
    more: Mapping[str, tuple[np.ndarray, str]] | None = None,
) -> None:
    """Write ``table`` in this layout, wholly or not at all; it reads back the same.

    ``more``: further columns by name, with their long names.
    """
    unfinished = path.with_name(f".{path.name}.unfinished")
    x, y = POSITIONS[table.geometry]
    with LIBRARY, netCDF4.Dataset(unfinished, "w") as dataset:
        dataset.setncatts({"Conventions": CONVENTIONS, "featureType": "point"})
        dataset.setncatts(dict(attributes or {}))
        dataset.createDimension("observation", len(table))

        def column(name: str, kind: str, values: np.ndarray, **others: Any) -> None:
            made = dataset.createVariable(name, kind, ("observation",), zlib=True)
            made.setncatts({**ATTRIBUTES.get(name, {}), **others})
            made[:] = values

        origin = clock.origin.strftime("%Y-%m-%d %H:%M:%S")
        column(
            "time",
            "f8",
            table.time,
            standard_name="time",
            units=f"seconds since {origin}",
            calendar=clock.calendar,
        )
        column(x, "f8", table.x)
        column(y, "f8", table.y)
        column("depth", "f8", table.depth)
        codes = np.arange(len(table.names), dtype="i2")
        column(
            "variable",
            "i2",
            table.kind,
            long_name="observed variable",
            flag_values=codes,
            flag_meanings=" ".join(table.names),
        )
        where = f"time {y} {x} depth"
        column("value", "f8", table.value, coordinates=where)
        column("error", "f8", table.error, coordinates=where)
        flags = np.arange(2, dtype="i1")
        column("quality", "i1", ~table.good, flag_values=flags, flag_meanings="good bad")
        for name, (values, text) in (more or {}).items():
            column(name, "f8", values, long_name=text, coordinates=where)
    make_durable(unfinished)
    unfinished.replace(path)
    sync_folder(path.parent)


def _scales(
    dataset: Any, name: str, path: Path, names: Sequence[str], kind: np.ndarray, units: Units
) -> np.ndarray:
    """Factors and offsets ``(2, n)`` that take the column ``name`` to the units of the model's
    variables, which are ``names[kind]``."""
    scales = np.tile([1.0, 0.0], (len(names), 1))
    for k in np.unique(kind):
        scales[k] = scale(dataset, name, path, units.variables.get(names[int(k)]), units)
    return scales[kind].T


def _flags(kind: Any, path: Path) -> tuple[tuple[str, ...], np.ndarray]:
    names = tuple(getattr(kind, "flag_meanings", "").split())
    codes = np.atleast_1d(getattr(kind, "flag_values", ()))
    if not names or len(names) != len(codes):
        raise ObservationError(
            f"{path}: found {len(codes)} flag_values and {len(names)} flag_meanings of variable; "
            f"expected as many of both, such as flag_values = 0, 1 and flag_meanings = 'T S'"
        )
    return names, codes
