"""Files that are whole or not there, and stay after the power fails."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

BUFFER = 1 << 20

REMOVED = ".removed-"
"""Begins the names of folders on their way out."""


class Seal(NamedTuple):
    """By which a file is known again."""

    bytes: int
    sha256: str


def sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(BUFFER))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            digest.update(buffer[:count])
    return digest.hexdigest()


def sealed(path: Path) -> Seal:
    """The seal of a file that is on disk when this returns; hashed while the disk works."""
    with ThreadPoolExecutor(1) as thread:
        digest = thread.submit(sha256_of, path)
        with path.open("rb") as file:
            os.fsync(file.fileno())
    return Seal(path.stat().st_size, digest.result())


def sync_folder(folder: Path) -> None:
    """Make the names in ``folder`` durable, where the file system can."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Replace the file by ``text``, wholly or not at all."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.write_text(text, encoding="utf-8")
    publish_file(unfinished, path)


def publish_file(unfinished: Path, path: Path) -> None:
    """Give the file ``unfinished`` the name ``path``, in place of what may have it."""
    with unfinished.open("rb") as file:
        os.fsync(file.fileno())
    unfinished.replace(path)
    sync_folder(path.parent)


def publish_folder(unfinished: Path, path: Path) -> None:
    """Give the folder ``unfinished`` the name ``path``, in place of what may have it."""
    sync_folder(unfinished)
    aside = _on_its_way_out(path) if path.exists() else None
    unfinished.rename(path)
    sync_folder(path.parent)
    if aside is not None:
        shutil.rmtree(aside, ignore_errors=True)


def remove_folder(path: Path) -> None:
    """Remove a folder; one that is half removed no longer has its name."""
    shutil.rmtree(_on_its_way_out(path), ignore_errors=True)


def _on_its_way_out(path: Path) -> Path:
    """The folder under the name of one on its way out, in place of what a killed run left there."""
    aside = path.with_name(f"{REMOVED}{path.name}")
    shutil.rmtree(aside, ignore_errors=True)
    return path.rename(aside)


def free_bytes(folder: Path) -> int:
    """Bytes that a user may still write under ``folder``."""
    return shutil.disk_usage(folder).free


@contextmanager
def plain_errors(path: Path) -> Iterator[None]:
    """Errors of files within ``path`` as OSErrors in the words of the system, without the details
    of libraries."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        number = getattr(error, "errno", None)
        place = getattr(error, "filename", None) or path
        raise OSError(f"{place}: {os.strerror(number) if number else error}") from error
