"""What a sensitivity leaves on disk on its way: its gradient, and what differences say of it."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from dassim.assimilation.control import Control
from dassim.assimilation.cost import FourDVar, physical
from dassim.assimilation.differences import Comparison
from dassim.io.durable import plain_errors, write_text
from dassim.parallel import AbstractCommunicator
from dassim.parallel.agreement import RankError, on_root
from dassim.simulation.adjoint import fingerprint
from dassim.simulation.checkpoints import SharedStore, Store
from dassim.simulation.errors import MAKE_ROOM, RunError
from dassim.simulation.trees import named_leaves, tree_from_named

T = TypeVar("T")

ENTRY = "gradient"
COLUMNS = ("name", "index", "adjoint", "differences", "error")


@dataclass(frozen=True)
class Derivatives:
    """A number at the first guess, summed over ranks, and this rank's part of its gradient."""

    number: float
    gradient: Control


def differentiated(objective: FourDVar) -> Derivatives:
    """By one sweep. All ranks call this together."""
    evaluation = objective(objective.transform.zero())
    share = sum(float(share) for share in evaluation.shares.values())
    return Derivatives(float(objective.space.sum(np.array(share))), evaluation.gradient)


@dataclass(frozen=True)
class KeptDerivatives:
    """The derivatives of ``objective`` in ``store``, of which each rank has its own.

    ``about``: a text that tells apart what the inputs of the run do not, as its namelist. All ranks
    call the methods together.
    """

    objective: FourDVar
    store: Store
    about: str

    def read(self) -> Derivatives | None:
        """What was written of the same inputs and text; None where any rank has none."""
        mine = self._mine(self._identity())
        everywhere = all(self._comm.allgather(mine is not None))
        return mine if everywhere else None

    def write(self, derivatives: Derivatives) -> None:
        """Raises RunError on all ranks where one cannot write."""
        arrays = {
            "identity": self._identity(),
            "number": derivatives.number,
            **named_leaves(derivatives.gradient, "by"),
        }
        SharedStore(self.store, self._comm).write(ENTRY, arrays)

    @property
    def _comm(self) -> AbstractCommunicator:
        return self.objective.run.domain.comm

    def _mine(self, identity: np.ndarray) -> Derivatives | None:
        try:
            arrays = self.store.read(ENTRY)
            if not np.array_equal(arrays["identity"], identity):
                return None
            gradient = tree_from_named(arrays, self.objective.transform.zero(), "by")
        except (OSError, KeyError, ValueError):  # not there, or damaged
            return None
        return Derivatives(float(arrays["number"]), gradient)

    def _identity(self) -> np.ndarray:
        """A hash of this rank's part of all that the derivatives depend on."""
        run, transform = self.objective.run, self.objective.transform
        inputs = physical(transform, transform.zero())
        digest = hashlib.sha256(self.about.encode())
        digest.update(fingerprint(run.lengths, inputs, run.identity).tobytes())
        return np.frombuffer(digest.digest(), np.uint8)


@dataclass(frozen=True)
class ComparisonTable:
    """A CSV file of comparisons with finite differences, all digits. Rank 0 reads and writes; all
    ranks call the methods together."""

    path: Path
    comm: AbstractCommunicator

    def read(self) -> tuple[Comparison, ...]:
        """The same on all ranks; none where there is no such table."""
        return self._on_root(self._read)

    def write(self, comparisons: Sequence[Comparison]) -> None:
        """Replace the table. Raises RunError on all ranks where it cannot be written."""
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(COLUMNS)
        for each in comparisons:
            numbers = (each.adjoint, each.differences, each.error)
            table.writerow([each.name, " ".join(map(str, each.index)), *map(repr, numbers)])
        self._on_root(lambda: write_text(self.path, text.getvalue()))

    def clear(self) -> None:
        self._on_root(lambda: self.path.unlink(missing_ok=True))

    def _read(self) -> tuple[Comparison, ...]:
        if not self.path.exists():
            return ()
        with self.path.open(newline="") as file:
            try:
                return tuple(map(_comparison, csv.DictReader(file)))
            except (csv.Error, KeyError, TypeError, ValueError):  # changed by someone
                return ()

    def _on_root(self, action: Callable[[], T]) -> T:
        def in_plain_words() -> T:
            with plain_errors(self.path):
                return action()

        try:
            return on_root(self.comm, in_plain_words)
        except RankError as error:
            raise RunError(f"{error}; {MAKE_ROOM}") from error


def _comparison(row: Mapping[str, str]) -> Comparison:
    index = tuple(map(int, row["index"].split()))
    adjoint, differences, error = (float(row[name]) for name in COLUMNS[2:])
    return Comparison(row["name"], index, adjoint, differences, error)
