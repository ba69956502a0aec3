"""What commands do alike on one rank and on many."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

if TYPE_CHECKING:
    from dassim.config import NamelistError
    from dassim.parallel import AbstractCommunicator

T = TypeVar("T")

BAD_INPUT = 2
"""Exit code for a namelist or an option that cannot be used."""


def agreed(comm: AbstractCommunicator, prepare: Callable[[], T]) -> T:
    """``prepare()`` on every rank, provided that it accepts the namelist on all.

    Otherwise the problems that the first refusing rank has are printed once and all ranks exit.
    A rank that refuses in the middle of ``prepare`` must not leave others in a message: it sends
    none, or all refuse at the same place. Errors of all ranks, as of files that do not belong, are
    raised on all. Any other error of a rank ends all.
    """
    from dassim.config import NamelistError
    from dassim.parallel import abort_on_error

    result, error = None, None
    with abort_on_error(comm):
        try:
            result = prepare()
        except NamelistError as refusal:
            error = refusal
        except (RuntimeError, OSError) as problem:
            if not _of_all_ranks(problem):
                raise
            error = problem
        refusals = [refusal for refusal in comm.allgather(error) if refusal is not None]
    if refusals:
        first = refusals[0]
        if not isinstance(first, NamelistError):
            raise first
        if comm.is_root:
            print_problems(first)
        leave(comm, BAD_INPUT)
    return result  # type: ignore[return-value]


def _of_all_ranks(error: Exception) -> bool:
    from dassim.simulation.run import OF_ALL_RANKS

    return isinstance(error, OF_ALL_RANKS)


def leave(comm: AbstractCommunicator, code: int) -> NoReturn:
    """End with an exit code on which all ranks agree.

    Launchers like srun may kill the other ranks as soon as one ends with another code than 0, and
    then tell of a signal. Where ``DASSIM_EXIT_CODE`` names a file, the code is written to it
    instead, and all ranks end with 0; if it can be written, which in a container it may not.
    """
    from dassim.parallel import AgreedExit

    file = os.environ.get("DASSIM_EXIT_CODE")
    written = file and comm.bcast(_written(Path(file), code) if comm.is_root else None)
    raise AgreedExit(0 if written else code)


def _written(file: Path, code: int) -> bool:
    try:
        file.write_text(f"{code}\n", encoding="utf-8")
    except OSError:
        return False
    return True


def print_problems(error: NamelistError) -> None:
    """All problems, one a line, on standard error; in colour on a terminal."""
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, highlight=False)
    for problem in error.problems:
        parts = (
            (str(problem.place) if problem.place else "", "cyan"),
            (problem.key, "bold"),
            (problem.message, ""),
        )
        line = Text(": ").join(Text(*part) for part in parts if part[0])
        console.print(line, soft_wrap=True)
