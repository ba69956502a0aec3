"""An HDF5 file written and hashed in one pass over the arrays.

HDF5 lays out the file first; the arrays then go straight to their places, while a thread hashes
them. The hash is that of the file, as ``sha256sum`` gives it.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from dassim.io.durable import Seal

SMALL = 1 << 16
"""Arrays of fewer bytes are left to HDF5."""


class Extent(NamedTuple):
    """An array's bytes, and where in the file they go."""

    offset: int
    content: memoryview


def write_file(
    path: Path,
    arrays: Mapping[str, Any],
    attributes: Mapping[str, Mapping[str, Any]],
    of_file: Mapping[str, Any],
) -> Seal:
    """Write ``arrays`` by name, with their ``attributes`` and those ``of_file``; the seal of the
    file, which is on disk when this returns."""
    extents = sorted(_laid_out(path, arrays, attributes, of_file))
    digest = hashlib.sha256()
    with path.open("r+b", buffering=0) as file, ThreadPoolExecutor(1) as hasher:
        at, hashed = 0, []
        for extent in extents:
            hashed.append(hasher.submit(digest.update, _between(file, at, extent.offset)))
            hashed.append(hasher.submit(digest.update, extent.content))
            _write(file, extent.content)
            at = extent.offset + len(extent.content)
        size = file.seek(0, os.SEEK_END)
        hashed.append(hasher.submit(digest.update, _between(file, at, size)))
        os.fsync(file.fileno())
        for done in hashed:
            done.result()
    return Seal(size, digest.hexdigest())


@contextmanager
def new_hdf5(path: Path, **options: Any) -> Iterator[h5py.File]:
    """A new HDF5 file. What goes wrong with it is raised when HDF5 has let go of it: HDF5 keeps a
    file that it cannot write, and crashes with it at the end of the program."""
    with _Patient(path, "w+") as plain:
        with h5py.File(plain, "w", **options) as file:
            yield file
        if plain.failure is not None:
            raise plain.failure


class _Patient(io.FileIO):
    """Keeps the first error of its writes, and takes what comes after without writing it."""

    failure: OSError | None = None

    def write(self, content: Any) -> int:
        left = memoryview(content)
        try:
            while left and self.failure is None:
                left = left[super().write(left) :]
        except OSError as error:
            self.failure = error
        return len(content)


def _laid_out(
    path: Path,
    arrays: Mapping[str, Any],
    attributes: Mapping[str, Mapping[str, Any]],
    of_file: Mapping[str, Any],
) -> list[Extent]:
    """Make the file but for the contents of large arrays."""
    extents = []
    with new_hdf5(path) as file:
        file.attrs.update(of_file)
        for name, values in arrays.items():
            array = np.ascontiguousarray(values).reshape(np.shape(values))
            if array.nbytes < SMALL:
                file[name] = array
            else:
                extents.append(_reserve(file, name, array))
            file[name].attrs.update(attributes[name])
    return extents


def _reserve(file: h5py.File, name: str, array: np.ndarray) -> Extent:
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_layout(h5py.h5d.CONTIGUOUS)
    properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    properties.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    kind = h5py.h5t.py_create(array.dtype, logical=True)
    space = h5py.h5s.create_simple(array.shape)
    properties.set_obj_track_times(False)
    dataset = h5py.h5d.create(file.id, name.encode(), kind, space, properties)
    return Extent(dataset.get_offset(), memoryview(array.reshape(-1).view(np.uint8).data))


def _between(file: Any, start: int, end: int) -> bytes:
    """What HDF5 has written there; the file is left at ``end``."""
    file.seek(start)
    content = file.read(end - start)
    if len(content) != end - start:
        raise OSError(f"found {len(content)} bytes at {start}, expected {end - start}")
    return content


def _write(file: Any, content: memoryview) -> None:
    """In pieces as large as the system takes: much faster than in small ones."""
    while content:
        content = content[file.write(content) :]
