"""Streams of fields on their way to disk, in the background of the run.

::

    RUN/fields/STREAM/2000-01-01/part_00000.nc     records from that date on, one part of the grid
    RUN/fields/grid/part_00000.nc                  areas, edge lengths, depths

A folder holds the records of one period (month, year, ...) and is never opened again after
:meth:`FieldWriter.flush`: whatever happens to a run, records from before its last complete restart
lie in files that nothing touches.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import netCDF4
import numpy as np

from dassim.grid.variables import Variable
from dassim.io.collect import Collector
from dassim.io.durable import sync_folder
from dassim.io.geometry import Geometry
from dassim.io.netcdf import LIBRARY, OutputError, finished_times, make_durable, part_name
from dassim.io.part import PartFile
from dassim.io.stream import Clock, Stream
from dassim.parallel import Domain

TOLERANCE = 1e-3
"""Seconds within which two times are one."""


class FieldWriter:
    """Writes the records of one stream. All ranks make one together and call it alike.

    ``put`` hands a record over and returns while it is written; it waits only for the record
    before. An error of any rank's background thread is raised on all ranks by the next call.
    ``seconds_lost`` is the time that the run has waited in calls, ``bytes_written`` what this rank
    has written.
    """

    def __init__(
        self,
        folder: Path,
        stream: Stream,
        variables: Mapping[str, Variable],
        geometry: Geometry | None,
        domain: Domain,
        collector: Collector,
        clock: Clock,
        attributes: Mapping[str, Any],
    ):
        self.folder, self.stream, self.clock = folder, stream, clock
        self.seconds_lost, self.bytes_written = 0.0, 0
        self._variables, self._geometry, self._attributes = variables, geometry, attributes
        self._domain, self._collector = domain, collector
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"fields-{stream.name}")
        self._job: Future[int] | None = None
        self._part: PartFile | None = None
        self._period: tuple[int, ...] | None = None
        self._failure: str | None = None
        self._started = False

    @classmethod
    def open(
        cls,
        folder: Path | str,
        stream: Stream,
        geometry: Geometry,
        domain: Domain,
        attributes: Mapping[str, Any],
        *,
        variables: Mapping[str, Variable],
        clock: Clock | None = None,
    ) -> FieldWriter:
        """A writer into ``folder / stream.name``; nothing is created before the first record.

        ``geometry``: of this rank's block. ``variables``: metadata of at least those that the
        stream names. ``attributes``: global ones (title, source, history, ...).
        """
        missing = [name for name in stream.variables if name not in variables]
        if missing:
            raise ValueError(
                f"stream {stream.name}: found no variables {', '.join(missing)}; expected some of "
                f"{', '.join(variables)}"
            )
        chosen = {name: variables[name] for name in stream.variables}
        collector = Collector.create(domain, stream.writers)
        region = collector.geometry(geometry.cut(stream.levels))
        return cls(
            Path(folder) / stream.name,
            stream,
            chosen,
            region,
            domain,
            collector,
            clock or Clock(),
            attributes,
        )

    def __enter__(self) -> FieldWriter:
        return self

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if kind is None:
            self.close()
        else:
            self._thread.shutdown(wait=False, cancel_futures=True)

    # -- what a run calls -------------------------------------------------------------------------

    def put(self, start: float, end: float, fields: Mapping[str, Any]) -> None:
        """Hand over the record from ``start`` to ``end`` (s since the start; equal for a snapshot).

        ``fields``: this rank's owned points of all variables of the stream, all levels. The arrays
        may be given away or overwritten afterwards.
        """
        with self._counting_time():
            first = None if self._started else end if start == end else start
            self._agree(None if first is None else lambda: self._require_room(first))
            self._started = True
            record = {name: self._prepared(name, fields[name]) for name in self._variables}
            if self._domain.comm.concurrent:
                self._job = self._thread.submit(self._write, start, end, record)
            else:
                self._job = _done(lambda: self._write(start, end, record))

    def flush(self) -> None:
        """Return when all records stand on disk; later ones go to new files."""
        with self._counting_time():
            self._agree(self._close_part)

    def truncate_after(self, seconds: float, begun: float | None = None) -> None:
        """Remove records that end later than ``seconds``: a run resumes from there. ``begun``: when
        the mean began that is under way then, as ``seconds`` if not given. What begins with it or
        later has not been flushed before: it goes also where a killed run left it unreadable."""
        first = seconds if begun is None else begun

        def truncate() -> None:
            if self._domain.comm.is_root:
                self._truncate(seconds, first)

        with self._counting_time():
            self._agree(truncate)

    def close(self) -> None:
        """Flush and end the background thread."""
        try:
            self.flush()
        finally:
            self._thread.shutdown()

    # -- on the way -------------------------------------------------------------------------------

    @contextmanager
    def _counting_time(self) -> Iterator[None]:
        begin = time.perf_counter()
        try:
            yield
        finally:
            self.seconds_lost += time.perf_counter() - begin

    def _agree(self, action: Callable[[], None] | None = None) -> None:
        """Wait for the record before, do ``action``, and raise what went wrong on any rank."""
        try:
            if self._failure is None and self._job is not None:
                self.bytes_written += self._job.result()
            if self._failure is None and action is not None:
                action()
        except Exception as error:
            self._failure = f"{type(error).__name__}: {error}"
        self._job = None
        failures = self._domain.comm.allgather(self._failure)
        first = next((rank for rank, failure in enumerate(failures) if failure), None)
        if first is not None:
            self._failure = failures[first]
            raise OutputError(f"stream {self.stream.name}, rank {first}: {self._failure}")

    def _prepared(self, name: str, values: Any) -> jax.Array:
        """A copy of the chosen levels, in the precision of the files if that is the lower one."""
        array = values if isinstance(values, jax.Array) else jnp.asarray(np.array(values))
        if self.stream.levels is not None and self._variables[name].levels:
            array = array[np.asarray(self.stream.levels)]
        if array.dtype.itemsize > np.dtype(self.stream.precision).itemsize:
            array = array.astype(self.stream.precision)
        return jnp.copy(array) if array is values else array

    def _write(self, start: float, end: float, record: Mapping[str, jax.Array]) -> int:
        """Collect and write one record; bytes written. In the background."""
        failure: Exception | None = None
        region: dict[str, np.ndarray] = {}
        for name, array in record.items():
            try:
                own: np.ndarray | Exception = np.asarray(array)
            except Exception as error:
                own = failure = error
            # Every message is received, also after a failure: none of the group waits for ever.
            try:
                whole = self._collector.field(own)
            except Exception as error:
                failure = error
                continue
            if whole is not None:
                region[name] = whole
        if failure is not None:
            raise failure
        return self._append(start, end, region) if self._collector.writes else 0

    def _append(self, start: float, end: float, fields: Mapping[str, np.ndarray]) -> int:
        begin = end if start == end else start
        period = self.clock.period(begin, self.stream.file_per)
        path = self.folder / self.clock.label(begin) / part_name(self._collector.number)
        try:
            if self._part is None or period != self._period:
                self._close_part()
                shapes = {name: values.shape for name, values in fields.items()}
                self._part, self._period = self._new_part(path, shapes), period
            return self._part.append(start, end, fields)
        except (OSError, RuntimeError) as error:
            raise OutputError(_cannot_write(path, error)) from error

    def _new_part(self, path: Path, shapes: Mapping[str, tuple[int, ...]]) -> PartFile:
        assert self._geometry is not None, "only writers write"
        path.parent.mkdir(parents=True, exist_ok=True)
        return PartFile(
            path,
            self.stream,
            self._variables,
            self._geometry,
            self._collector,
            shapes,
            self._domain.global_shape,
            self.clock,
            self._attributes,
        )

    def _close_part(self) -> None:
        part, self._part = self._part, None
        if part is not None:
            part.close()

    # -- records of earlier runs ------------------------------------------------------------------

    def _folders(self) -> list[Path]:
        return sorted(path for path in self.folder.glob("*") if path.is_dir())

    def _require_room(self, seconds: float) -> None:
        """No records may stand where the first one of this run goes, or later."""
        if not self._domain.comm.is_root:
            return
        later = [f for f in self._folders() if self.clock.seconds(f.name) > seconds - TOLERANCE]
        if later:
            raise OutputError(
                f"found records of another run from {later[0].name} on in {self.folder}; expected "
                f"none from {self.clock.label(seconds)} on; resume that run, or choose another "
                f"folder"
            )

    def _truncate(self, seconds: float, begun: float) -> None:
        for folder in self._folders():
            parts = sorted(folder.glob("part_*.nc"))
            try:
                ends = [finished_times(path) for path in parts]
            except OutputError:
                if self.clock.seconds(folder.name) < begun - TOLERANCE:
                    raise
                ends = []
            kept = min((int((e <= seconds + TOLERANCE).sum()) for e in ends), default=0)
            if kept == 0:
                shutil.rmtree(folder)
            elif any(len(e) > kept for e in ends):
                for path in parts:
                    _keep_records(path, kept)


def _keep_records(path: Path, count: int) -> None:
    """Replace a file by one of its first ``count`` records alone."""
    shorter = path.with_name(f"{path.name}.new")
    with LIBRARY, netCDF4.Dataset(path) as source, netCDF4.Dataset(shorter, "w") as target:
        source.set_auto_maskandscale(False)
        target.setncatts({key: source.getncattr(key) for key in source.ncattrs()})
        for name, dimension in source.dimensions.items():
            target.createDimension(name, None if dimension.isunlimited() else len(dimension))
        for name, old in source.variables.items():
            given = set(old.ncattrs())
            fill: Any = old.getncattr("_FillValue") if "_FillValue" in given else None
            chunks: Any = None if old.chunking() == "contiguous" else old.chunking()
            new: Any = target.createVariable(
                name, old.dtype, old.dimensions, fill_value=fill, chunksizes=chunks
            )
            new.set_auto_maskandscale(False)
            new.setncatts({key: old.getncattr(key) for key in given - {"_FillValue"}})
            if "time" not in old.dimensions:
                new[...] = old[...]
                continue
            for record in range(count):
                new[record] = old[record]
    make_durable(shorter)
    shorter.replace(path)
    sync_folder(path.parent)


def _cannot_write(path: Path, error: Exception) -> str:
    """The message for a record that could not be written: the library's own says little."""
    place = next(parent for parent in path.parents if parent.exists())
    free = shutil.disk_usage(place).free
    if not os.access(place, os.W_OK):
        return (
            f"cannot write {path}: found {place} without permission to write; expected a folder of "
            f"yours; correct its permissions, or choose another"
        )
    return (
        f"cannot write {path} ({error}): found {free / 1e6:.3g} MB free on its file system; "
        f"expected room for the record; free some space, then resume the run"
    )


def _done(function: Callable[[], int]) -> Future[int]:
    future: Future[int] = Future()
    try:
        future.set_result(function())
    except Exception as error:
        future.set_exception(error)
    return future
