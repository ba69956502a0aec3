"""Host-side actions that may fail on one rank: either all go on, or all raise the same error."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from dassim.parallel.communicator import AbstractCommunicator

T = TypeVar("T")
SHOWN = 3
"""Ranks whose messages an error shows."""


class RankError(RuntimeError):
    """What kept one or more ranks from an action, raised on every rank alike."""


def on_every_rank(
    comm: AbstractCommunicator,
    action: Callable[[], T],
    kinds: tuple[type[Exception], ...] = (OSError,),
) -> list[T]:
    """Every rank's ``action()`` in rank order, on every rank.

    An error of one of ``kinds`` on any rank is raised as a RankError on all. ``action`` sends no
    messages.
    """
    result, problem = None, None
    try:
        result = action()
    except kinds as error:
        problem = str(error) or type(error).__name__
    outcomes = comm.allgather((result, problem))
    problems = [f"rank {rank}: {why}" for rank, (_, why) in enumerate(outcomes) if why is not None]
    if problems:
        more = f"; and {len(problems) - SHOWN} more ranks" if len(problems) > SHOWN else ""
        raise RankError("; ".join(problems[:SHOWN]) + more)
    return [result for result, _ in outcomes]


def on_root(
    comm: AbstractCommunicator,
    action: Callable[[], T],
    kinds: tuple[type[Exception], ...] = (OSError,),
) -> T:
    """``action()`` of rank 0, on every rank; its error is raised as a RankError on all."""
    outcome = None
    if comm.is_root:
        try:
            outcome = action(), None
        except kinds as error:
            outcome = None, str(error) or type(error).__name__
    result, problem = comm.bcast(outcome)
    if problem is not None:
        raise RankError(problem)
    return result
