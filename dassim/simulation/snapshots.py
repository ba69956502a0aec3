"""States that a run has left at chosen times, for a cost that compares another run with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from dassim.io.restarts import Entry, RestartError, StateArchive
from dassim.parallel import Domain
from dassim.simulation.trees import named_leaves, tree_from_named

State = TypeVar("State")


@dataclass(frozen=True)
class StateSeries:
    """The states under a folder (``snapshots`` or ``restarts`` of a run), by their time step.

    Each rank reads its own part, on any number of ranks. All ranks call the methods together.
    """

    archive: StateArchive
    entries: Mapping[int, Entry]

    @classmethod
    def open(cls, folder: Path | str, domain: Domain) -> StateSeries:
        archive = StateArchive(Path(folder), domain)
        return cls(archive, {entry.step: entry for entry in archive.entries()})

    @property
    def steps(self) -> tuple[int, ...]:
        return tuple(self.entries)

    def seconds(self, step: int) -> float:
        """Time since the start of the run."""
        return self._entry(step).manifest.seconds

    def read(self, step: int, like: State, *, check: bool = True) -> State:
        """The state at ``step``, bitwise, as a tree with the structure of ``like``: a state of this
        rank, or part of one. ``check``: read all pieces first and refuse what has changed."""
        entry = self._entry(step)
        if check:
            _, problems = self.archive.examine(entry.folder.name)
            if problems:
                raise RestartError(f"{entry.folder} is damaged: {'; '.join(problems)}")
        leaves: dict[str, Any] = named_leaves(like)
        return tree_from_named(self.archive.read(entry, leaves), like)

    def _entry(self, step: int) -> Entry:
        if step not in self.entries:
            raise RestartError(
                f"{self.archive.folder}: found no state of step {step}; there are those of steps "
                f"{', '.join(map(str, self.entries)) or 'none'}"
            )
        return self.entries[step]
