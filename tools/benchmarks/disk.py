"""What ranks do with files, one action after the other in every turn, and bare h5py beside it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from dassim.parallel import AbstractCommunicator
from dassim.parallel.timing import slowest_seconds
from tools.benchmarks import record

BARE, ON_DISK = "bare h5py", "bare h5py, on disk"
"""Actions, and references of what is measured: not waiting for the disk, and waiting."""


@contextmanager
def common_folder(comm: AbstractCommunicator, within: Path) -> Iterator[Path]:
    """A new folder in ``within``, the same for all ranks; it goes at the end."""
    folder = comm.bcast(Path(tempfile.mkdtemp(dir=within)) if comm.is_root else None)
    try:
        yield folder
    finally:
        if comm.is_root:
            shutil.rmtree(folder, ignore_errors=True)


def bare_writes(
    folder: Path, rank: int, arrays: Mapping[str, np.ndarray], records: int = 1
) -> dict[str, Callable[[], object]]:
    """The actions that write these ``arrays`` so many times into a file of this rank."""

    def write(wait: bool) -> None:
        folder.mkdir(exist_ok=True)
        path = folder / f"{rank}.h5"
        with h5py.File(path, "w") as file:
            for number in range(records):
                for name, array in arrays.items():
                    file[f"{number}/{name}"] = array
        if wait:
            with path.open("rb") as file:
                os.fsync(file.fileno())

    return {BARE: lambda: write(wait=False), ON_DISK: lambda: write(wait=True)}


def in_turns(
    actions: Mapping[str, Callable[[], object]],
    goes: Mapping[str, Path],
    comm: AbstractCommunicator,
    repetitions: int,
) -> dict[str, tuple[float, float]]:
    """Seconds of the slowest rank for each action, and their spread; the first turn is not counted.

    ``goes``: folders that are removed after these actions, before the next begins.
    """
    seconds: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(repetitions + 1):
        for name, action in actions.items():
            seconds[name].append(slowest_seconds(action, comm))
            if comm.is_root and name in goes:
                shutil.rmtree(goes[name])
    return {name: record.median(times[1:]) for name, times in seconds.items()}
