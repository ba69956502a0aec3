"""What a minimisation leaves on disk on its way: its state after every evaluation, its table."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from dassim.assimilation.minimise import Minimiser, Progress
from dassim.io.durable import plain_errors, write_text
from dassim.parallel import AbstractCommunicator
from dassim.parallel.agreement import RankError, on_root
from dassim.simulation.checkpoints import SharedStore, Store
from dassim.simulation.errors import MAKE_ROOM, RunError

T = TypeVar("T")
PREFIX = "evaluation."
FIRST = f"{PREFIX}{1:06d}"
RANKS, IDENTITY = "ranks", "identity."
"""In each checkpoint: the number of ranks that wrote it, what the cost's data were."""
SAME_RANKS = "a recovery goes on with the number and the layout of ranks that it began with"


@dataclass(frozen=True)
class Checkpoints:
    """The newest state of a minimiser, in ``store``, of which each rank has its own.

    ``identity``: of this rank's data, by name; states of a cost with other data are refused. All
    ranks call the methods together. Killed between any two instructions, all ranks have one state
    in common: none removes an older one before all have the new one.
    """

    store: Store
    comm: AbstractCommunicator
    identity: Mapping[str, bytes] = field(default_factory=dict)

    def save(self, state: Progress) -> None:
        name = f"{PREFIX}{state.evaluations:06d}"
        arrays = {**state.to_arrays(), RANKS: np.asarray(self.comm.size)}
        arrays |= {f"{IDENTITY}{of}": np.frombuffer(h, np.uint8) for of, h in self.identity.items()}
        SharedStore(self.store, self.comm).write(name, arrays)
        for old in self._names() - {name}:
            self.store.remove(old)

    def newest(self, minimiser: Minimiser, like: Any) -> Progress | None:
        """The newest state of ``minimiser``; none before all ranks have the first one. ``like``: a
        control vector of this rank. Raises RunError, the same on all ranks, for states that are
        damaged, or of another run or other data."""
        each = self.comm.allgather(self._names())
        common, known = set.intersection(*each), set.union(*each)
        if not known:
            return None
        if not common and known != {FIRST}:
            raise RunError(
                f"found checkpoints of {sum(map(bool, each))} of {self.comm.size} ranks, expected "
                f"one that all have; {SAME_RANKS}; restore what is missing, or begin in another "
                f"folder"
            )
        name = max(common or known)
        is_here = name in each[self.comm.rank]
        arrays = self._together(lambda: self._read(name) if is_here else {})
        if not common:
            return None
        self._require_same_data(arrays)
        return self._together(lambda: minimiser.restored(arrays, like))

    def _read(self, name: str) -> Mapping[str, Any]:
        arrays, size = self.store.read(name), self.comm.size
        ranks = int(arrays[RANKS])
        if ranks != size:
            raise RunError(f"found a checkpoint of {ranks} ranks, expected {size}; {SAME_RANKS}")
        return arrays

    def _require_same_data(self, arrays: Mapping[str, Any]) -> None:
        then = {n.removeprefix(IDENTITY): a for n, a in arrays.items() if n.startswith(IDENTITY)}
        before = {name: np.asarray(array).tobytes() for name, array in then.items()}
        known, now = {*before, *self.identity}, self.identity
        changed = [name for name in known if before.get(name) != now.get(name)]
        names = sorted(set().union(*self.comm.allgather(changed)))
        if names:
            raise RunError(
                f"found other values of {', '.join(names)} than this recovery began with; go on "
                f"with the run and the files that they came from, or begin in another folder"
            )

    def _together(self, action: Callable[[], T]) -> T:
        """What ``action`` gives on this rank; what is wrong on any is a RunError on all."""
        found: list[T] = []
        problem = None
        try:
            found.append(action())
        except RunError as error:
            problem = str(error)
        except (KeyError, ValueError) as error:
            problem = f"found checkpoints of other fields ({error}); {SAME_RANKS}"
        except OSError as error:
            problem = (
                f"found a checkpoint that cannot be read ({error}); restore it, or begin in "
                f"another folder"
            )
        problems = [text for text in self.comm.allgather(problem) if text]
        if problems:
            raise RunError(problems[0])
        return found[0]

    def clear(self) -> None:
        SharedStore(self.store, self.comm).clear()

    def _names(self) -> set[str]:
        return {name for name in self.store.names() if name.startswith(PREFIX)}


@dataclass(frozen=True)
class IterationLog:
    """``iterations.csv``, a line for each iteration, all digits. Rank 0 writes."""

    path: Path
    comm: AbstractCommunicator

    def rows(self) -> list[dict[str, str]]:
        if not self.path.exists():
            return []
        with self.path.open(newline="") as file:
            return list(csv.DictReader(file))

    def keep(self, iterations: int | None) -> None:
        """Drop the lines after this iteration; all of them for ``None``."""

        def write() -> None:
            last = -1 if iterations is None else iterations
            kept = [row for row in self.rows() if int(row["iteration"]) <= last]
            self._write(kept)

        self._on_root(write)

    def add(self, row: Mapping[str, Any]) -> None:
        def write() -> None:
            self._write([*self.rows(), {name: repr(value) for name, value in row.items()}])

        self._on_root(write)

    def _write(self, rows: list[dict[str, str]]) -> None:
        text = io.StringIO()
        if rows:
            table = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
            table.writeheader()
            table.writerows(rows)
        write_text(self.path, text.getvalue())

    def _on_root(self, action: Callable[[], None]) -> None:
        def in_plain_words() -> None:
            with plain_errors(self.path):
                action()

        try:
            on_root(self.comm, in_plain_words)
        except RankError as error:
            raise RunError(f"{error}; {MAKE_ROOM}") from error
