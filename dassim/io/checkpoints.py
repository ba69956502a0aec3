"""Sets of arrays in one HDF5 file each, in a folder per rank: bitwise, and whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from dassim.io.durable import publish_file, sync_folder

SUFFIX = ".h5"


@dataclass(frozen=True)
class FolderStore:
    """This rank's entries under ``folder``. Number types are kept: float64 stays float64.

    A file gets its name when it is complete, so a run that is killed while writing leaves the
    entry as it was before. ``durable``: it stays after the power fails, too; writing then takes
    as long as the disk.
    """

    folder: Path
    rank: int = 0
    durable: bool = False

    @property
    def own(self) -> Path:
        """The folder of this rank."""
        return Path(self.folder) / f"rank_{self.rank:05d}"

    def write(self, name: str, arrays: Mapping[str, Any]) -> None:
        self._make_folder()
        path = self._path(name)
        unfinished = path.with_name(path.name + ".unfinished")
        with h5py.File(unfinished, "w") as file:
            for key, array in arrays.items():
                file.create_dataset(key, data=np.asarray(array))
        if self.durable:
            publish_file(unfinished, path)
        else:
            unfinished.replace(path)

    def read(self, name: str) -> dict[str, np.ndarray]:
        path = self._path(name)
        if not path.exists():
            raise FileNotFoundError(
                f"found no {path}; there are {', '.join(sorted(self.names())) or 'no entries'}"
            )
        with h5py.File(path, "r") as file:
            return {key: np.asarray(dataset) for key, dataset in file.items()}

    def remove(self, name: str) -> None:
        self._path(name).unlink()

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
