"""One rank's failure ends every rank, with that rank's message."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from dassim.parallel.communicator import AbstractCommunicator


@contextmanager
def abort_on_error(comm: AbstractCommunicator, *, code: int = 1) -> Iterator[None]:
    """End all ranks with this rank's traceback when the body raises.

    Without it, the ranks that did not fail would wait for ever in their next message. On one rank
    the exception goes on its way. ``SystemExit`` of a rank is passed on as its exit code.
    """
    try:
        yield
    except BaseException as error:
        if comm.size == 1 or (isinstance(error, SystemExit) and not error.code):
            raise
        report = "".join(traceback.format_exception(error))
        labelled = "".join(f"[rank {comm.rank}] {line}\n" for line in report.splitlines())
        sys.stderr.write(labelled)
        sys.stderr.flush()
        exit_code = error.code if isinstance(error, SystemExit) else code
        comm.abort(exit_code if isinstance(exit_code, int) else code)
