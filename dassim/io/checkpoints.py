"""Sets of arrays in one HDF5 file each, in a folder per rank: bitwise, and whole or not at all."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from dassim.io.durable import plain_errors, publish_file, sync_folder
from dassim.io.onepass import new_hdf5

SUFFIX, UNFINISHED = ".h5", ".unfinished"
CHECKSUM = "crc32"
"""Attribute of a file: the checksum of its arrays."""


@dataclass(frozen=True)
class FolderStore:
    """This rank's entries under ``folder``. Number types are kept: float64 stays float64.

    A file gets its name when it is complete, so a run that is killed while writing leaves the
    entry as it was before. ``durable``: it stays after the power fails, too; writing then takes
    as long as the disk. What cannot be written, or is not read as it was written, is an OSError.
    """

    folder: Path
    rank: int = 0
    durable: bool = False

    @property
    def own(self) -> Path:
        """The folder of this rank."""
        return Path(self.folder) / f"rank_{self.rank:05d}"

    def write(self, name: str, arrays: Mapping[str, Any]) -> None:
        path = self._path(name)
        unfinished = path.with_name(path.name + UNFINISHED)
        on_host = {key: np.asarray(array) for key, array in arrays.items()}
        try:
            with plain_errors(path):
                self._make_folder()
                with new_hdf5(unfinished) as file:
                    file.attrs[CHECKSUM] = _checksum(on_host)
                    for key, array in on_host.items():
                        file.create_dataset(key, data=array)
                if self.durable:
                    publish_file(unfinished, path)
                else:
                    unfinished.replace(path)
        except OSError:
            with suppress(OSError):
                unfinished.unlink()  # on a full disk it takes room
            raise

    def read(self, name: str) -> dict[str, np.ndarray]:
        path = self._path(name)
        if not path.exists():
            raise FileNotFoundError(
                f"found no {path}; there are {', '.join(sorted(self.names())) or 'no entries'}"
            )
        with plain_errors(path), h5py.File(path, "r") as file:
            expected = file.attrs.get(CHECKSUM)
            arrays = {key: np.asarray(dataset) for key, dataset in file.items()}
        if _checksum(arrays) != expected:
            raise OSError(f"{path}: found other numbers than were written")
        return arrays

    def remove(self, name: str) -> None:
        self._path(name).unlink()

    def clear(self) -> None:
        for end in (SUFFIX, SUFFIX + UNFINISHED):
            for path in self.own.glob(f"*{end}"):
                path.unlink()

    def names(self) -> set[str]:
        if not self.own.is_dir():
            return set()
        return {path.name.removesuffix(SUFFIX) for path in self.own.glob(f"*{SUFFIX}")}

    def _make_folder(self) -> None:
        if not self.own.is_dir():
            self.own.mkdir(parents=True, exist_ok=True)
            if self.durable:
                sync_folder(self.own.parent)

    def _path(self, name: str) -> Path:
        return self.own / f"{name}{SUFFIX}"


def _checksum(arrays: Mapping[str, np.ndarray]) -> int:
    """Of names and bytes, in the order of names."""
    value = 0
    for name in sorted(arrays):
        value = zlib.crc32(name.encode(), value)
        contents = np.ascontiguousarray(arrays[name]).reshape(-1).view(np.uint8)
        value = zlib.crc32(contents.data, value)
    return value
