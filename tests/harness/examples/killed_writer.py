"""Kill a process while it writes records, again and again: python -m ... FOLDER KILLS.

Prints for every kill how many records the process had written and how many can be read.
"""

from __future__ import annotations

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
NAMES = ("a", "b", "c")


def values(name: str, record: int) -> np.ndarray:
    return np.random.default_rng([record, *name.encode()]).normal(size=SHAPE)


def write(folder: Path, told: int) -> None:
    """Append records for ever; one byte to ``told`` after each."""
    whole = Region((0, 0), SHAPE[1:])
    part = PartFile(
        folder / "part_00000.nc",
        Stream("killed", NAMES, precision="float64"),
        {name: Variable(name, "c", "1", name) for name in NAMES},
        Geometry({"c": ("level", "row", "column")}),
        Collector(SerialCommunicator(), (whole,), 0, 1),
        dict.fromkeys(NAMES, SHAPE),
        SHAPE[1:],
        Clock(),
        {},
    )
    record = 0
    while True:
        part.append(record, record + 1.0, {name: values(name, record) for name in NAMES})
        os.write(told, b".")
        record += 1


def kill_once(folder: Path) -> tuple[int, int]:
    """Records that the process had reported when it was killed, and those that read back whole."""
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
    path = folder / "part_00000.nc"
    count = len(finished_times(path))
    with netCDF4.Dataset(path) as file:
        whole = [all(np.array_equal(file[n][k], values(n, k)) for n in NAMES) for k in range(count)]
    return reported, sum(whole)


if __name__ == "__main__":
    random.seed(0)
    print(json.dumps([kill_once(Path(sys.argv[1]) / str(k)) for k in range(int(sys.argv[2]))]))
