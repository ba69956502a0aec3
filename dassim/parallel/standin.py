"""One rank of many, computed on its own: to see what it would do before there are that many."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, NoReturn

from dassim.parallel.communicator import AbstractCommunicator


@dataclass(frozen=True)
class StandInCommunicator(AbstractCommunicator):
    """Rank ``rank`` of ``size``, whose fellows are all images of it.

    What it sends comes back as from them: halos hold its own opposite edges, sums are ``size``
    times its share. Programs are those of a real rank but for the messages, which go nowhere.
    """

    rank: int  # pyright: ignore[reportIncompatibleVariableOverride]
    size: int  # pyright: ignore[reportIncompatibleVariableOverride]

    @property
    def is_root(self) -> bool:
        return True

    def barrier(self) -> None:
        pass

    def bcast(self, value: Any, root: int = 0) -> Any:
        return value

    def gather(self, value: Any, root: int = 0) -> list[Any]:
        return [value] * self.size

    def allgather(self, value: Any) -> list[Any]:
        return [value] * self.size

    def split(self, colour: int) -> StandInCommunicator:
        return self

    @property
    def concurrent(self) -> bool:
        return True

    @property
    def same_in_later_runs(self) -> bool:
        return True

    def abort(self, code: int = 1) -> NoReturn:
        os._exit(code)
