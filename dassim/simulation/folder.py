"""The folder of a run: what lies where in it, and whose it is."""

from __future__ import annotations

import csv
import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from dassim.io.durable import plain_errors, sync_folder, write_text
from dassim.parallel import AbstractCommunicator
from dassim.parallel.agreement import RankError, on_root
from dassim.simulation.errors import RefusedError, RunError


@dataclass(frozen=True)
class RunFolder:
    """``namelist.yaml`` with SI values and defaults, ``run.json``, ``log.csv``, ``restarts/``,
    ``snapshots/``, ``fields/``, where a recovery has left them ``parameters/`` that take the place
    of the namelist's, and, of a run that failed, ``diagnosis/``."""

    path: Path

    @property
    def namelist(self) -> Path:
        return self.path / "namelist.yaml"

    @property
    def record(self) -> Path:
        return self.path / "run.json"

    @property
    def log(self) -> Path:
        return self.path / "log.csv"

    @property
    def restarts(self) -> Path:
        return self.path / "restarts"

    @property
    def snapshots(self) -> Path:
        return self.path / "snapshots"

    @property
    def parameters(self) -> Path:
        return self.path / "parameters"

    @property
    def fields(self) -> Path:
        return self.path / "fields"

    @property
    def diagnosis(self) -> Path:
        return self.path / "diagnosis"

    def read_record(self) -> dict[str, Any]:
        """What ``run.json`` says; nothing where there is none."""
        with suppress(OSError, ValueError):
            return json.loads(self.record.read_text())
        return {}

    def write_record(self, record: Mapping[str, Any]) -> None:
        write_text(self.record, json.dumps(record, indent=1) + "\n")


@contextmanager
def claimed(
    folder: RunFolder,
    namelist: str,
    comm: AbstractCommunicator,
    *,
    resume: bool,
    difference: Callable[[str], str | None] = lambda _: None,
) -> Iterator[None]:
    """Have ``folder`` to this run alone while the body runs.

    ``difference(other)``: in what a namelist found there differs from ``namelist`` so that the
    run cannot go on, if in anything. Raises RunError on all ranks for a folder that holds another
    run, is in use, or cannot be written.
    """
    lock: list[Any] = []
    is_new: list[bool] = []

    def claim() -> None:
        with _writable(folder.path):
            folder.path.mkdir(parents=True, exist_ok=True)
            lock.append((folder.path / ".lock").open("w"))
        _lock(lock[0].fileno(), folder.path)
        if not resume and (folder.namelist.exists() or folder.restarts.exists()):
            raise RunError(
                f"{folder.path}: found a run; go on with it by --resume, or choose another "
                f"folder by --folder"
            )
        if folder.namelist.exists():
            changed = difference(folder.namelist.read_text(encoding="utf-8"))
            if changed is not None:
                raise RunError(
                    f"{folder.path}: found a run of another namelist: {changed}; resume it with "
                    f"its own namelist, or choose another folder by --folder"
                )
        is_new.append(not folder.namelist.exists())
        with _writable(folder.path):
            write_text(folder.namelist, namelist)

    try:
        try:
            on_root(comm, claim, kinds=(OSError, RunError))
        except RankError as error:
            raise RunError(str(error)) from error
        try:
            yield
        except (SystemExit, RefusedError):  # before anything has run
            if is_new == [True] and not folder.record.exists():
                folder.namelist.unlink(missing_ok=True)
            raise
    finally:
        for file in lock:
            file.close()


def set_aside(folder: RunFolder) -> Path:
    """Give ``folder``, with all that is in it, the first free one of the names NAME.1, NAME.2, ...;
    where it then is. One rank alone calls this. Raises RunError where a run is in progress, OSError
    where the folder cannot get another name."""
    with plain_errors(folder.path):
        lock = (folder.path / ".lock").open("w")
    with lock:
        _lock(lock.fileno(), folder.path)
        with plain_errors(folder.path):
            names = (folder.path.with_name(f"{folder.path.name}.{n}") for n in count(1))
            aside = next(path for path in names if not path.exists())
            folder.path.rename(aside)
            sync_folder(aside.parent)
    return aside


@contextmanager
def _writable(path: Path) -> Iterator[None]:
    try:
        with plain_errors(path):
            yield
    except OSError as error:
        raise OSError(f"{error}; choose a folder that can be written, by --folder") from error


def _lock(descriptor: int, path: Path) -> None:
    """Refuse a folder in which another process runs; not every file system can tell."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise RunError(
            f"{path}: found a run in progress; wait for its end, or choose another folder by "
            f"--folder"
        ) from None
    except OSError:
        return


class Log:
    """The lines of ``log.csv``, one for each report."""

    def __init__(self, path: Path, columns: list[str]):
        self.path, self.columns = path, columns

    def start(self, step: int) -> None:
        """Keep the lines up to ``step``, and the header."""
        kept = []
        if step and self.path.exists():
            with self.path.open(newline="") as file:
                lines = list(csv.reader(file))
            if lines and lines[0] == self.columns:
                whole = [line for line in lines[1:] if len(line) == len(self.columns)]
                kept = [line for line in whole if line[0].isdigit() and int(line[0]) <= step]
        rows = [",".join(row) for row in [self.columns, *kept]]
        write_text(self.path, "\n".join(rows) + "\n")

    def add(self, values: list[Any]) -> None:
        with self.path.open("a") as file:
            file.write(",".join(map(str, values)) + os.linesep)
