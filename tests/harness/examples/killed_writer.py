"""Kill a process while it writes records, again and again: python -m ... FOLDER KILLS.

Prints for every kill how many files the process had closed, and how many of them are whole. The
file that it was writing may be lost: HDF5 has no journal. A run closes its files before a restart
counts, so that what a restart follows is safe.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import netCDF4
import numpy as np

from dassim.grid.variables import Variable
from dassim.io.collect import Collector
from dassim.io.geometry import Geometry
from dassim.io.mosaic import Region
from dassim.io.netcdf import finished_times
from dassim.io.part import PartFile
from dassim.io.stream import Clock, Stream
from dassim.parallel import SerialCommunicator

SHAPE = (4, 30, 40)
RECORDS = 2
"""Of each file."""
NAMES = ("a", "b", "c")


def values(name: str, record: int) -> np.ndarray:
    return np.random.default_rng([record, *name.encode()]).normal(size=SHAPE)


def path_of(folder: Path, number: int) -> Path:
    return folder / str(number) / "part_00000.nc"


def part(path: Path) -> PartFile:
    whole = Region((0, 0), SHAPE[1:])
    return PartFile(
        path,
        Stream("killed", NAMES, precision="float64"),
        {name: Variable(name, "c", "1", name) for name in NAMES},
        Geometry({"c": ("level", "row", "column")}),
        Collector(SerialCommunicator(), (whole,), 0, 1),
        dict.fromkeys(NAMES, SHAPE),
        SHAPE[1:],
        Clock(),
        {},
    )


def write(folder: Path, told: int) -> None:
    """Write files for ever; one byte to ``told`` after each."""
    for number in itertools.count():
        path_of(folder, number).parent.mkdir()
        file = part(path_of(folder, number))
        for record in range(RECORDS):
            file.append(record, record + 1.0, {name: values(name, record) for name in NAMES})
        file.close()
        os.write(told, b".")


def is_whole(path: Path) -> bool:
    if len(finished_times(path)) != RECORDS:
        return False
    with netCDF4.Dataset(path) as file:
        return all(
            np.array_equal(file[name][record], values(name, record))
            for name in NAMES
            for record in range(RECORDS)
        )


def kill_once(folder: Path) -> tuple[int, int]:
    """Files that the process had reported when it was killed, and those of them that are whole."""
    folder.mkdir(parents=True)
    hear, tell = os.pipe()
    child = os.fork()
    if child == 0:
        write(folder, tell)
    os.close(tell)
    assert os.read(hear, 1), "the process has ended by itself"
    time.sleep(random.uniform(0.0, 0.1))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    reported = 1
    while chunk := os.read(hear, 4096):
        reported += len(chunk)
    os.close(hear)
    return reported, sum(is_whole(path_of(folder, number)) for number in range(reported))


if __name__ == "__main__":
    random.seed(0)
    print(json.dumps([kill_once(Path(sys.argv[1]) / str(k)) for k in range(int(sys.argv[2]))]))
