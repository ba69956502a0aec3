"""The files of all ranks and periods merged into one compressed file per variable and year.

::

    RUN/collated/STREAM/T_2000.nc

Every file is one task for dask: in processes of this machine, or on the workers of a cluster. A
task holds a few levels of one record in memory, whatever the size of the grid.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cftime
import netCDF4
import numpy as np
from dask.base import compute
from dask.delayed import delayed

from dassim.io.dataset import COLLATED, FIELDS, Period, choose, periods
from dassim.io.durable import sync_folder
from dassim.io.mosaic import assemble, horizontal_axis
from dassim.io.netcdf import LIBRARY, OutputError, make_durable

CHUNK = 2**22
"""Bytes of a compressed chunk at most."""


@dataclass(frozen=True)
class Task:
    """One file to make: some records of one variable."""

    variable: str
    path: Path
    records: tuple[tuple[Period, range], ...]
    compression: int
    memory: int
    """Bytes of values to hold at a time."""

    @property
    def count(self) -> int:
        return sum(len(records) for _, records in self.records)


@dataclass(frozen=True)
class Merged:
    """What has become of a task."""

    path: Path
    records: int
    bytes_read: int
    bytes_written: int


def plan(
    run: Path | str,
    stream: str | None = None,
    *,
    compression: int = 4,
    memory: int = 2**28,
) -> list[Task]:
    """One task for each variable and year of a stream. ``compression``: 0 (none) to 9 (zlib)."""
    chosen = choose(run, stream)
    found = periods(Path(run) / FIELDS / chosen)
    folder = Path(run) / COLLATED / chosen
    years: dict[int, list[tuple[Period, range]]] = {}
    for period in found:
        for year, records in _years(period):
            years.setdefault(year, []).append((period, records))
    return [
        Task(name, folder / f"{name}_{year:04d}.nc", tuple(records), compression, memory)
        for name in _fields(found[0])
        for year, records in years.items()
    ]


def merge(
    tasks: Sequence[Task], *, scheduler: str | None = None, workers: int | None = None
) -> list[Merged]:
    """Do ``tasks`` side by side: on the cluster whose ``scheduler`` has this address, else in
    ``workers`` processes (all cores if not given). Files that are complete already are left."""
    jobs = [delayed(merge_one)(task) for task in tasks]
    if scheduler is None:
        kind = "synchronous" if workers == 1 or len(tasks) == 1 else "processes"
        return list(compute(*jobs, scheduler=kind, num_workers=workers))
    from distributed import Client

    try:
        with Client(scheduler, timeout=20) as client:
            return list(client.gather(client.compute(jobs)))  # type: ignore[arg-type]
    except OSError as error:
        raise OutputError(
            f"found no dask scheduler at {scheduler} ({error}); expected an address such as "
            f"tcp://host:8786; start dask scheduler and dask worker, or leave the address out"
        ) from error


def merge_one(task: Task) -> Merged:
    """Write the file of ``task``; under its name once it is whole."""
    if _is_complete(task):
        return Merged(task.path, 0, 0, 0)
    unnamed = task.path.with_name(f"{task.path.name}.new")
    try:
        task.path.parent.mkdir(parents=True, exist_ok=True)
        read = _write(task, unnamed)
        make_durable(unnamed)
        unnamed.replace(task.path)
        sync_folder(task.path.parent)
    except (OSError, RuntimeError) as error:
        raise OutputError(
            f"cannot write {task.path} ({error}); expected room for it and readable fields; free "
            f"some space, or correct what is said"
        ) from error
    return Merged(task.path, task.count, read, task.path.stat().st_size)


def _write(task: Task, path: Path) -> int:
    """All records of ``task`` into the file ``path``; bytes of values."""
    read = 0
    with LIBRARY:
        target = netCDF4.Dataset(path, "w")
    try:
        _define(task, target)
        _copy_times(task, target)
        for record, (period, index) in enumerate(_each_record(task)):
            for levels, values in _slabs(task, period, index):
                with LIBRARY:
                    target[task.variable][(record, *levels)] = values
                read += values.nbytes
    finally:
        with LIBRARY:
            target.close()
    return read


# -- which records --------------------------------------------------------------------------------


def _fields(period: Period) -> list[str]:
    """Names of the variables with a time and a place."""
    return [
        name
        for name, (dims, *_) in period.parts[0].variables.items()
        if dims[0] == "time" and horizontal_axis(dims[-1]) == 1
    ]


def _years(period: Period) -> Iterator[tuple[int, range]]:
    """The years that records of a period belong to: a mean to that of its middle."""
    _, _, _, attributes = period.parts[0].variables["time"]
    dates = cftime.num2date(period.times(), attributes["units"], attributes["calendar"])
    years = np.array([date.year for date in np.atleast_1d(dates)])
    for year in np.unique(years):
        (index,) = np.nonzero(years == year)
        yield int(year), range(int(index[0]), int(index[-1]) + 1)


def _each_record(task: Task) -> Iterator[tuple[Period, int]]:
    for period, records in task.records:
        for index in records:
            yield period, index


def _is_complete(task: Task) -> bool:
    """Whether the file holds the task's records already."""
    if not task.path.exists():
        return False
    with LIBRARY, netCDF4.Dataset(task.path) as file:
        file.set_auto_maskandscale(False)
        return np.array_equal(np.asarray(file["time"][:]), _times(task, "time"))


# -- what a file holds ----------------------------------------------------------------------------


def _define(task: Task, target: netCDF4.Dataset) -> None:
    """Dimensions, coordinates, bounds and attributes of the file, and its coordinates' values."""
    period = task.records[0][0]
    first = period.parts[0]
    dims, dtype, _, attributes = first.variables[task.variable]
    shape = {"time": task.count, **_sizes(period, dims)}
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    own = first.common_attributes
    own["history"] = f"{now} dassim collate\n{own.get('history', '')}".rstrip()
    with LIBRARY:
        target.setncatts(own)
        for dimension in dims:
            target.createDimension(dimension, shape[dimension])
        for name in _companions(period, task.variable):
            of, kind, sizes, text = first.variables[name]
            for dimension, n in zip(of, sizes, strict=True):
                if dimension not in target.dimensions:
                    target.createDimension(dimension, n)
            variable = target.createVariable(name, kind, of)
            variable.setncatts(dict(text))
            if "time" not in of:
                variable[...] = period.fixed(name)
        options: dict[str, Any] = {"chunksizes": _chunk(tuple(shape.values()), dtype.itemsize)}
        if task.compression:
            options |= {"compression": "zlib", "complevel": task.compression, "shuffle": True}
        fill = attributes.get("_FillValue")
        field = target.createVariable(task.variable, dtype, dims, fill_value=fill, **options)
        field.setncatts({key: text for key, text in attributes.items() if key != "_FillValue"})
        target.set_auto_maskandscale(False)


def _sizes(period: Period, dims: Sequence[str]) -> dict[str, int]:
    first, sizes = period.parts[0], {}
    for dimension in dims[1:]:
        axis = horizontal_axis(dimension)
        for of, _, shape, _ in first.variables.values():
            if axis is None and dimension in of:
                sizes[dimension] = shape[of.index(dimension)]
        if axis is not None:
            sizes[dimension] = period.whole.shape[axis]
    return sizes


def _companions(period: Period, field: str) -> list[str]:
    """Coordinates and bounds that go with a field: those of its dimensions."""
    variables = period.parts[0].variables
    present = {*variables[field][0], "bnds", "corners_4"}
    fields = set(_fields(period))
    return [n for n, (dims, *_) in variables.items() if n not in fields and set(dims) <= present]


def _chunk(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """One record, one level, and no more of the plane than a chunk should hold."""
    ny, nx = shape[-2:]
    rows = max(1, min(ny, CHUNK // (nx * itemsize)))
    return (*[1] * (len(shape) - 2), rows, nx)


def _times(task: Task, name: str) -> np.ndarray:
    """Times of all records of the task, or their bounds."""
    return np.concatenate(
        [period.times(name)[records.start : records.stop] for period, records in task.records]
    )


def _copy_times(task: Task, target: netCDF4.Dataset) -> None:
    for name in ("time", "time_bnds"):
        if name in target.variables:
            values = _times(task, name)
            with LIBRARY:
                target[name][...] = values


def _slabs(
    task: Task, period: Period, index: int
) -> Iterator[tuple[tuple[slice, ...], np.ndarray]]:
    """One record in slabs of levels that fit the memory: where they go, and their values."""
    dims, dtype, shape, _ = period.parts[0].variables[task.variable]
    ny, nx = period.whole.shape
    step = max(1, task.memory // (2 * ny * nx * dtype.itemsize))
    regions = [part.region for part in period.parts]
    starts = range(0, shape[1], step) if len(dims) > 3 else (None,)
    for start in starts:
        levels = () if start is None else (slice(start, min(start + step, shape[1])),)
        parts = [part.piece(task.variable)[(index, *levels)] for part in period.parts]
        yield levels, assemble(parts, dims[1:], regions, period.whole)
