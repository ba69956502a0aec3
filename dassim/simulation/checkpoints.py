"""Where the states of a long run are kept for its reverse sweep, and when.

The schedules are those of the ``checkpoint-schedules`` package: Griewank and Walther (2000) for one
kind of storage, Aupy et al. (2016) for memory with an unlimited disk, Herrmann and Pallez (2020)
for both limited.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import checkpoint_schedules as cs
import jax

from dassim.parallel import AbstractCommunicator, Domain
from dassim.parallel.agreement import RankError, on_every_rank
from dassim.simulation.errors import MAKE_ROOM, RunError


class Store(Protocol):
    """Named sets of arrays of this rank. What is read is bitwise what was written."""

    def write(self, name: str, arrays: Mapping[str, Any]) -> None:
        """Keep ``arrays`` under ``name``, wholly or not at all; an older entry is replaced."""
        ...

    def read(self, name: str) -> Mapping[str, Any]: ...

    def remove(self, name: str) -> None: ...

    def names(self) -> set[str]: ...

    def clear(self) -> None:
        """Remove all entries, and what is left of those that were not finished."""
        ...


@dataclass(frozen=True)
class MemoryStore:
    """Entries in memory: references to the arrays, which are immutable."""

    entries: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def write(self, name: str, arrays: Mapping[str, Any]) -> None:
        self.entries[name] = dict(arrays)

    def read(self, name: str) -> Mapping[str, Any]:
        return self.entries[name]

    def remove(self, name: str) -> None:
        del self.entries[name]

    def names(self) -> set[str]:
        return set(self.entries)

    def clear(self) -> None:
        self.entries.clear()


@dataclass(frozen=True)
class SharedStore:
    """The stores of all ranks: what one of them cannot write or read is the same RunError on all.

    All ranks write, read and clear together.
    """

    store: Store
    comm: AbstractCommunicator

    def write(self, name: str, arrays: Mapping[str, Any]) -> None:
        self._together(lambda: self.store.write(name, arrays), MAKE_ROOM)

    def read(self, name: str) -> Mapping[str, Any]:
        found: list[Mapping[str, Any]] = []
        again = "go on with --resume, which computes again what cannot be read"
        self._together(lambda: found.append(self.store.read(name)), again)
        return found[0]

    def remove(self, name: str) -> None:
        self.store.remove(name)

    def names(self) -> set[str]:
        return self.store.names()

    def clear(self) -> None:
        """No rank begins before all have come here."""
        self.comm.barrier()
        self.store.clear()

    def _together(self, action: Callable[[], None], advice: str) -> None:
        try:
            on_every_rank(self.comm, action)
        except RankError as error:
            raise RunError(f"{error}; {advice}") from error


@dataclass(frozen=True)
class Schedule:
    """How many states may be kept at a time in memory and on disk; ``None`` is without limit.

    Fewer states cost more recomputation, the least possible for their number. ``write_cost`` and
    ``read_cost``: of a state on disk, in units of one segment's forward run.
    """

    memory: int | None = None
    disk: int | None = 0
    write_cost: float = 0.1
    read_cost: float = 0.1

    def __post_init__(self):
        if self.memory == 0 and self.disk == 0:
            raise ValueError(
                "found room for no state in memory and for none on disk; the reverse sweep needs "
                "at least one: raise the memory budget, or give a folder"
            )

    @property
    def uses_disk(self) -> bool:
        return self.memory is not None and self.disk != 0

    def actions(self, segments: int) -> Iterator[Any]:
        """What to do, in order, to run ``segments`` segments forward and then back."""
        return iter(self._schedule(segments))

    def kept(self, segments: int) -> int:
        """States in memory at a time, at most."""
        enough = segments - 1
        return enough if self.memory is None else min(self.memory, enough)

    def advanced(self, segments: int) -> int:
        """How many segments are run forward, but for what running one back takes."""
        count = 0
        for action in self.actions(segments):
            if isinstance(action, cs.Forward):
                count += action.n1 - action.write_adj_deps - action.n0
            if isinstance(action, cs.EndReverse):
                break
        return count

    def _schedule(self, n: int) -> cs.CheckpointSchedule:
        enough, memory = n - 1, self.kept(n)
        if n == 1 or memory == enough or self.disk == 0:
            return cs.MultistageCheckpointSchedule(n, memory, 0)
        if memory == 0:
            return cs.MultistageCheckpointSchedule(n, 0, n if self.disk is None else self.disk)
        costs: dict[str, Any] = {"wd": self.write_cost, "rd": self.read_cost}
        if self.disk is None:
            return cs.DiskRevolve(n, memory, **costs)
        return cs.HRevolve(n, memory, self.disk, **costs)


IN_MEMORY = Schedule()


def states_within(domain: Domain, budget: float, state: Any) -> int:
    """How many states of the largest rank fit into ``budget`` bytes a rank; at least one."""
    return max(1, int(budget // bytes_of_state(domain, state)))


def bytes_of_state(domain: Domain, state: Any) -> int:
    """Of the rank that has most. All ranks call this together."""
    size = sum(leaf.nbytes for leaf in jax.tree.leaves(state))
    return max(domain.comm.allgather(size))
