"""One rank of many, computed on its own: to see what it would do before there are that many."""

from __future__ import annotations

from dataclasses import dataclass

from dassim.parallel.communicator import AbstractLoneCommunicator


@dataclass(frozen=True)
class StandInCommunicator(AbstractLoneCommunicator):
    """Rank ``rank`` of ``size``, whose fellows are all images of it.

    What it sends comes back as from them: halos hold its own opposite edges, sums are ``size``
    times its share. Programs are those of a real rank but for the messages, which go nowhere.
    """

    rank: int  # pyright: ignore[reportIncompatibleVariableOverride]
    size: int  # pyright: ignore[reportIncompatibleVariableOverride]

    @property
    def is_root(self) -> bool:
        return True
