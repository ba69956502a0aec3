"""The fields of a run as one lazy xarray dataset, over all parts and all records."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import dask.array as da
import netCDF4
import numpy as np
import xarray as xr
from dask.base import tokenize

from dassim.io.mosaic import Region, assemble, horizontal_axis
from dassim.io.netcdf import LIBRARY, OutputError, finished_times, part_name

FIELDS, GRID, COLLATED = "fields", "grid", "collated"
"""Folders in the folder of a run."""

CHUNK = 2**24
"""Bytes of a record below which several records of a file make one chunk."""

WAITS = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Seconds between attempts to read files that a run may be writing."""

JOINED: Mapping[str, Any] = {
    "data_vars": "minimal",
    "coords": "minimal",
    "compat": "override",
    "join": "override",
    "combine_attrs": "override",
}
"""How files of one stream follow each other: what has no time is the same in all."""

GREGORIAN = 1583
"""First whole year of the Gregorian calendar."""

PLACEMENT = ("part", "parts", "region_start", "region_shape", "global_shape")
"""Attributes of a file that concern its part of the grid alone."""


def open_run(run: Path | str, stream: str | None = None) -> xr.Dataset:
    """The fields of one ``stream`` of the run in the folder ``run``, with the grid's metrics.

    Lazy: files are read when values are computed (dask). Land is NaN. Fields that ``dassim
    collate`` has merged are taken from there where the original files are gone.
    """
    chosen = choose(run, stream)
    merged = Path(run) / COLLATED / chosen
    source = Path(run) / FIELDS / chosen
    raw = _collated(merged) if not _folders(source) and merged.is_dir() else open_stream(source)
    whole = _with_grid(raw, Path(run) / FIELDS / GRID)
    return xr.decode_cf(whole, decode_times=_dates(whole), decode_coords="all")


def streams(run: Path | str) -> list[str]:
    """Names of the streams in the folder ``run``."""
    folders = [path for kind in (FIELDS, COLLATED) for path in (Path(run) / kind).glob("*")]
    return sorted({path.name for path in folders if path.is_dir() and path.name != GRID})


def choose(run: Path | str, stream: str | None) -> str:
    """The name of the stream to look at: the only one where none is named."""
    known = streams(run)
    if stream in known:
        return stream
    if not known:
        raise OutputError(
            f"found no fields in {run}; expected the folder of a run with {FIELDS}/STREAM/; "
            f"correct the path, or write an output section in the namelist"
        )
    if stream is not None:
        raise OutputError(
            f"found no stream {stream} in {run}; expected one of {', '.join(known)}; correct its "
            f"name"
        )
    if len(known) > 1:
        raise OutputError(
            f"found the streams {', '.join(known)} in {run}; expected one; name it: stream"
        )
    return known[0]


# -- files ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Piece:
    """A variable of one file, read when it is sliced; goes to other processes as it is."""

    path: Path
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __getitem__(self, key: Any) -> np.ndarray:
        with LIBRARY, netCDF4.Dataset(self.path) as dataset:
            dataset.set_auto_maskandscale(False)
            return np.asarray(dataset[self.name][key])


@dataclass(frozen=True)
class Header:
    """What a file says of itself: its part of the grid, its variables, its attributes."""

    path: Path
    attributes: Mapping[str, Any]
    variables: Mapping[str, tuple[tuple[str, ...], np.dtype, tuple[int, ...], Mapping[str, Any]]]

    @classmethod
    def read(cls, path: Path) -> Header:
        try:
            with LIBRARY, netCDF4.Dataset(path) as file:
                return cls(
                    path,
                    {key: file.getncattr(key) for key in file.ncattrs()},
                    {
                        name: (
                            variable.dimensions,
                            np.dtype(variable.dtype),
                            variable.shape,
                            {key: variable.getncattr(key) for key in variable.ncattrs()},
                        )
                        for name, variable in file.variables.items()
                    },
                )
        except (OSError, RuntimeError) as error:
            raise OutputError(
                f"found {path} unreadable ({error}); expected a netCDF file of fields; restore it, "
                f"or run that time again"
            ) from error

    @cached_property
    def region(self) -> Region:
        (y, x), (ny, nx) = self.attributes["region_start"], self.attributes["region_shape"]
        return Region((int(y), int(x)), (int(ny), int(nx)))

    @property
    def parts(self) -> int:
        return int(self.attributes["parts"])

    @property
    def common_attributes(self) -> dict[str, Any]:
        """Those that do not concern the part alone."""
        return {key: text for key, text in self.attributes.items() if key not in PLACEMENT}

    def piece(self, name: str) -> Piece:
        _, dtype, shape, _ = self.variables[name]
        return Piece(self.path, name, shape, dtype)

    def values(self, name: str) -> np.ndarray:
        return self.piece(name)[...]


def headers(folder: Path, like: Sequence[Header] = ()) -> list[Header]:
    """Those of all parts in ``folder``; ``like``, moved there, where its first part is the same.

    So the files of a long run are not opened one by one.
    """
    missing = _missing_parts(folder)
    if missing:
        raise OutputError(
            f"found no {', '.join(missing)} in {folder}; expected all parts of the grid; restore "
            f"them, or run that time again"
        )
    first = Header.read(folder / part_name(0))
    if like and (like[0].parts, like[0].region) == (first.parts, first.region):
        return [
            Header(folder / part_name(number), header.attributes, header.variables)
            for number, header in enumerate(like)
        ]
    return [first, *(Header.read(folder / part_name(n)) for n in range(1, first.parts))]


def _missing_parts(folder: Path) -> list[str]:
    """Files that the first part of ``folder`` says there are, and that are not there."""
    count = Header.read(folder / part_name(0)).parts
    names = [part_name(number) for number in range(count)]
    return [name for name in names if not (folder / name).exists()]


@dataclass(frozen=True)
class Period:
    """Records that share files: ``count`` finished ones, in all ``parts``."""

    parts: tuple[Header, ...]
    count: int

    @property
    def whole(self) -> Region:
        return Region.around([part.region for part in self.parts])

    def fixed(self, name: str) -> np.ndarray:
        """A variable without a time axis, put together."""
        values = [part.values(name) for part in self.parts]
        dims = self.parts[0].variables[name][0]
        return assemble(values, dims, [part.region for part in self.parts], self.whole)

    def times(self, name: str = "time") -> np.ndarray:
        """Times, or their bounds, of the finished records, as they stand in the files."""
        return self.parts[0].values(name)[: self.count]


def periods(source: Path) -> list[Period]:
    """The finished records of the stream in the folder ``source``, in the order of time."""
    folders = _folders(source)
    if not folders:
        raise OutputError(
            f"found no records in {source}; expected folders such as 2000-01-01 with "
            f"{part_name(0)}; run the model until its first record"
        )
    found: list[Period] = []
    parts: list[Header] = []
    for folder in folders:
        # Only the last files may be unfinished: a writer never comes back to earlier ones.
        period = _newest(folder, parts) if folder == folders[-1] else _period(folder, parts)
        if period is not None:
            parts = list(period.parts)
            if period.count:
                found.append(period)
    if not found:
        raise OutputError(
            f"found no finished record in {source}; expected one at least; run the model on"
        )
    times = np.concatenate([period.times() for period in found])
    if not (np.diff(times) > 0).all():
        day = float(times[1:][np.diff(times) <= 0][0])
        raise OutputError(
            f"found records in {source} that do not follow each other, the one of day {day:g} and "
            f"the one before; expected those of one run; remove the folders of the other one"
        )
    return found


def _period(folder: Path, like: Sequence[Header]) -> Period:
    """What ``folder`` holds, all parts as many records as the first one."""
    parts = headers(folder, like)
    return Period(tuple(parts), len(finished_times(parts[0].path)))


def _newest(folder: Path, like: Sequence[Header]) -> Period | None:
    """The records of ``folder`` that all parts have; ``None`` where a part is missing.

    A file cannot be read for the moment in which a run writes a record to it.
    """
    for wait in WAITS:
        try:
            return _newest_now(folder, like)
        except OutputError:
            time.sleep(wait)
    return _newest_now(folder, like)


def _newest_now(folder: Path, like: Sequence[Header]) -> Period | None:
    if _missing_parts(folder):
        return None
    parts = headers(folder, like)
    return Period(tuple(parts), min(len(finished_times(part.path)) for part in parts))


def _folders(source: Path) -> list[Path]:
    """Folders of records, in the order of time."""
    return sorted(path for path in source.glob("*") if (path / part_name(0)).exists())


# -- datasets -------------------------------------------------------------------------------------


def open_stream(source: Path) -> xr.Dataset:
    """All records of the stream in the folder ``source``, as they stand in the files."""
    pieces = [_dataset(period) for period in periods(source)]
    return pieces[0] if len(pieces) == 1 else xr.concat(pieces, "time", **JOINED)


def _dataset(period: Period) -> xr.Dataset:
    """The fields of one period, lazy; coordinates in memory."""
    first = period.parts[0]
    made: dict[str, xr.Variable] = {}
    for name, (dims, _, _, attributes) in first.variables.items():
        if [horizontal_axis(dimension) for dimension in dims[-2:]] == [0, 1]:
            data: Any = _lazy(period, name)
        else:
            data = period.times(name) if "time" in dims else period.fixed(name)
        made[name] = xr.Variable(dims, data, attributes)
    coordinates = {name: v for name, v in made.items() if v.dims == (name,)}
    fields = {name: v for name, v in made.items() if name not in coordinates}
    return xr.Dataset(fields, coordinates, first.common_attributes)


def _lazy(period: Period, name: str) -> da.Array:
    """The parts of a field side by side."""
    rows: dict[int, dict[int, da.Array]] = {}
    for part in period.parts:
        dims, dtype, shape, _ = part.variables[name]
        chunks = shape
        if "time" in dims:
            records = max(1, CHUNK // max(1, int(np.prod(shape[1:])) * dtype.itemsize))
            shape = (period.count, *shape[1:])
            chunks = (min(records, period.count), *shape[1:])
        piece: Any = Piece(part.path, name, shape, dtype)
        y, x = part.region.start
        rows.setdefault(y, {})[x] = da.from_array(
            piece,
            chunks=chunks,  # type: ignore[arg-type]
            name=f"{name}-{_token(piece)}",
            asarray=False,
            meta=np.empty((0,) * len(shape), dtype),
        )
    bands = [rows[y] for y in sorted(rows)]
    return da.concatenate(
        [da.concatenate([row[x] for x in sorted(row)], axis=-1) for row in bands], axis=-2
    )


def _token(piece: Piece) -> str:
    return tokenize(str(piece.path), piece.name, piece.shape, piece.path.stat().st_mtime_ns)


def _dates(raw: xr.Dataset) -> xr.coders.CFDatetimeCoder:
    """NumPy's dates where they are those of the calendar, else cftime's: before the Gregorian
    calendar, and on calendars of models."""
    year = int(raw["time"].attrs["units"].split(" since ")[1].split("-")[0])
    return xr.coders.CFDatetimeCoder(use_cftime=True if year < GREGORIAN else None)


def _with_grid(raw: xr.Dataset, folder: Path) -> xr.Dataset:
    """``raw`` with the metrics of the grid, where there are any, as coordinates."""
    if not (folder / part_name(0)).exists():
        return raw
    grid = _dataset(Period(tuple(headers(folder)), 0))
    if "depth" in raw.dims:  # of which a stream may have a part
        grid = grid.sel(depth=raw["depth"])
    fields = [name for name in grid.data_vars if not str(name).endswith("_bnds")]
    present = [name for name in fields if set(grid[name].dims) <= set(raw.dims)]
    return raw.assign_coords({name: grid[name].variable for name in present})


def _collated(folder: Path) -> xr.Dataset:
    """The merged files of a stream: one variable and year each."""
    files: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("*_*.nc")):
        files.setdefault(path.stem.rpartition("_")[0], []).append(path)
    if not files:
        raise OutputError(
            f"found no files in {folder}; expected those of dassim collate; run it again"
        )
    options: Mapping[str, Any] = {
        "decode_cf": False,
        "chunks": {"time": 1},
        "combine": "nested",
        "concat_dim": "time",
        **JOINED,
    }
    variables = [xr.open_mfdataset(paths, **options) for paths in files.values()]
    return xr.merge(variables, compat="override", join="exact", combine_attrs="override")
