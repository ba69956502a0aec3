"""One rank's failure ends every rank, with that rank's message."""

from __future__ import annotations

import array
import fcntl
import os
import stat
import sys
import termios
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from dassim.parallel.communicator import AbstractCommunicator

SECONDS_TO_FORWARD = 0.2
"""What a launcher gets to pass on what it has read from a rank."""


class AgreedExit(SystemExit):
    """An end with a code on which all ranks agree: each ends by itself."""


@contextmanager
def abort_on_error(comm: AbstractCommunicator, *, code: int = 1) -> Iterator[None]:
    """End all ranks with this rank's traceback when the body raises.

    Without it, the ranks that did not fail would wait for ever in their next message. On one rank
    the exception goes on its way. ``SystemExit`` of a rank is passed on as its exit code; with
    code 0, or as an :class:`AgreedExit`, it ends this rank alone, and the others have to end by
    themselves.
    """
    try:
        yield
    except AgreedExit:
        raise
    except BaseException as error:
        if comm.size == 1 or (isinstance(error, SystemExit) and not error.code):
            raise
        _tell(error, comm.rank)
        exit_code = error.code if isinstance(error, SystemExit) else code
        comm.abort(exit_code if isinstance(exit_code, int) else code)


def abort_when_uncaught(comm: AbstractCommunicator) -> None:
    """From now on an exception that nobody catches ends all ranks with this rank's traceback.

    A hook other than Python's own that stands in ``sys.excepthook`` is called first. Python calls
    no hook for ``SystemExit``: a rank that may leave by ``sys.exit`` alone needs
    :func:`abort_on_error`.
    """
    earlier = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if earlier is not sys.__excepthook__:
            earlier(kind, error, trace)
        _tell(error, comm.rank)
        comm.abort()

    sys.excepthook = hook


def _tell(error: BaseException, rank: int) -> None:
    """The traceback on standard error, every line with the rank."""
    report = "".join(traceback.format_exception(error))
    sys.stderr.write("".join(f"[rank {rank}] {line}\n" for line in report.splitlines()))
    sys.stderr.flush()


def hand_over(*streams: TextIO, patience: float = 5.0) -> None:
    """Flush ``streams`` and give the launcher time to read the pipes among them, at most about
    ``patience`` seconds: it drops what it has not passed on when a rank aborts."""
    for stream in streams:
        stream.flush()
    last = time.monotonic() + patience
    pipes = [descriptor for stream in streams for descriptor in _pipe(stream)]
    while any(_unread(pipe) for pipe in pipes) and time.monotonic() < last:
        time.sleep(0.01)
    if pipes:
        time.sleep(SECONDS_TO_FORWARD)


def _pipe(stream: TextIO) -> tuple[int, ...]:
    """The descriptor of ``stream`` if it is a pipe."""
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError, AttributeError):  # closed, or replaced by an object in memory
        return ()
    return (descriptor,) if stat.S_ISFIFO(os.fstat(descriptor).st_mode) else ()


def _unread(pipe: int) -> int:
    """Bytes that nobody has read from ``pipe`` yet."""
    count = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, count)
    return count[0]
