"""Whole states of a model on disk: restarts, snapshots for the recovery, diagnoses of a failure.

A state is a folder named after its date: one file per rank, an index that shows the global arrays
to ``h5py``, and a manifest. It is written under another name, flushed to disk, and renamed when it
is whole. Any number of ranks in any layout reads what any other has written.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dassim.grid.variables import Variable
from dassim.io.durable import REMOVED, free_bytes, plain_errors, publish_folder, remove_folder
from dassim.io.manifest import DamageError, Manifest, damage
from dassim.io.pieces import Leaf, describe, read_pieces, write_index, write_piece
from dassim.parallel import Domain
from dassim.parallel.agreement import RankError, on_every_rank, on_root

INDEX = "index.h5"
PARTIAL = ".partial-"
"""Begins the names of folders that are not yet whole."""


class RestartError(RuntimeError):
    """A state that cannot be written, or read. The same on all ranks."""


class Moment(NamedTuple):
    """When a state is: its time step, seconds since the start, its date, the folder's name."""

    step: int
    seconds: float
    date: str
    label: str


class Entry(NamedTuple):
    """A state on disk."""

    folder: Path
    manifest: Manifest

    @property
    def step(self) -> int:
        return self.manifest.step


class Found(NamedTuple):
    """The newest whole state, if any, and what is wrong with newer ones, by their names."""

    entry: Entry | None
    damaged: dict[str, list[str]]


class Written(NamedTuple):
    folder: Path
    bytes: int


@dataclass(frozen=True)
class StateArchive:
    """The states under ``folder``, seen from one rank. All ranks call its methods together.

    ``variables``: metadata by name. ``notes``: where the states come from.
    """

    folder: Path
    domain: Domain
    variables: Mapping[str, Variable] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)

    # -- writing ----------------------------------------------------------------------------------

    def write(self, moment: Moment, arrays: Mapping[str, Any]) -> Written:
        """Keep this rank's ``arrays``, by name, as the state of ``moment``.

        Replaces a state of the same date. Raises RestartError on all ranks when one cannot write;
        what was there before is left as it was.
        """
        comm, partial_folder = self.domain.comm, self.folder / f"{PARTIAL}{moment.label}"
        leaves = describe(arrays, self.domain, self.variables)
        attributes = {"step": moment.step, "seconds": moment.seconds, "date": moment.date}
        path = partial_folder / f"rank_{comm.rank:05d}.h5"
        try:
            on_root(comm, partial(self._prepare, partial_folder, leaves))
            pieces = on_every_rank(
                comm,
                partial(write_piece, path, arrays, leaves, self.domain.block, attributes),
            )
            manifest = Manifest(
                moment.step,
                moment.seconds,
                moment.date,
                self.domain.global_shape,
                self.domain.decomposition.layout,
                leaves,
                tuple(pieces),
                self.notes,
            )

            def complete() -> None:
                with plain_errors(partial_folder):
                    write_index(partial_folder / INDEX, pieces, leaves, arrays, attributes)
                    manifest.write(partial_folder)
                    publish_folder(partial_folder, self.folder / moment.label)

            on_root(comm, complete)
        except RankError as error:
            if comm.is_root:
                shutil.rmtree(partial_folder, ignore_errors=True)
            raise RestartError(
                f"cannot write the state of {moment.date} ({error}); older ones in {self.folder} "
                f"are as they were; make room or choose a folder that can be written, and resume"
            ) from error
        return Written(self.folder / moment.label, sum(piece.seal.bytes for piece in pieces))

    def prune(
        self,
        keep_last: int,
        is_kept: Callable[[int], bool] = lambda step: False,
        *,
        until: int | None = None,
    ) -> None:
        """Remove all states but the newest ``keep_last`` and those of steps that are kept for good.

        What cannot be read stays. ``until``: the step that the run has come to; later states, which
        it has left out as damaged, stay and do not count as the newest.
        """

        def remove() -> None:
            for leftover in self.folder.glob(f"{REMOVED}*"):
                shutil.rmtree(leftover, ignore_errors=True)
            readable = []
            for name in self._names():
                with suppress(DamageError):
                    step = Manifest.read(self.folder / name).step
                    if until is None or step <= until:
                        readable.append((step, name))
            for step, name in readable[:-keep_last]:
                if not is_kept(step):
                    remove_folder(self.folder / name)

        try:
            on_root(self.domain.comm, remove)
        except RankError as error:
            raise RestartError(f"cannot remove an old state ({error})") from error

    def _prepare(self, partial_folder: Path, leaves: Mapping[str, Leaf]) -> None:
        """An empty folder for the pieces, on a disk that has room for them."""
        with plain_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            for leftover in self.folder.glob(f"{PARTIAL}*"):
                shutil.rmtree(leftover)
            partial_folder.mkdir()
        sizes = [np.prod(leaf.shape) * np.dtype(leaf.dtype).itemsize for leaf in leaves.values()]
        needed, free = int(sum(sizes)), free_bytes(self.folder)
        if needed > free:
            raise OSError(f"{self.folder}: {needed} bytes needed, {free} free")

    # -- finding ----------------------------------------------------------------------------------

    def entries(self) -> list[Entry]:
        """All states with a readable manifest, oldest first; their pieces are not looked at."""

        def read() -> list[Entry]:
            found = []
            for name in self._names():
                with suppress(DamageError):
                    found.append(Entry(self.folder / name, Manifest.read(self.folder / name)))
            return sorted(found, key=lambda entry: entry.step)

        return on_root(self.domain.comm, read)

    def newest(self) -> Found:
        """The newest state of which every byte is as it was written."""
        damaged: dict[str, list[str]] = {}
        for name in reversed(on_root(self.domain.comm, self._names)):
            entry, problems = self.examine(name)
            if not problems:
                return Found(entry, damaged)
            damaged[name] = problems
        return Found(None, damaged)

    def examine(self, name: str) -> tuple[Entry | None, list[str]]:
        """The state in the folder ``name``, and what is wrong with it. Ranks share the reading."""
        comm, folder = self.domain.comm, self.folder / name

        def read() -> Manifest | DamageError:
            try:
                return Manifest.read(folder)
            except DamageError as error:
                return error

        manifest = on_root(comm, read)
        if isinstance(manifest, DamageError):
            return None, [str(manifest)]
        own = manifest.pieces[comm.rank :: comm.size]
        found = comm.allgather([damage(folder, piece) for piece in own])
        return Entry(folder, manifest), [what for each in found for what in each if what]

    def _names(self) -> list[str]:
        """Dated folders, oldest first; years of more digits are later."""
        if not self.folder.is_dir():
            return []
        names = (path.name for path in self.folder.iterdir() if path.is_dir())
        return sorted(
            (name for name in names if not name.startswith(".")),
            key=lambda name: (len(name.partition("-")[0]), name),
        )

    # -- reading ----------------------------------------------------------------------------------

    def read(self, entry: Entry, like: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """This rank's part of the leaves named in ``like``, bitwise as they were written.

        ``like``: arrays of this rank with the shapes and types that are expected. Only the
        rectangles needed are read, whatever layout of ranks wrote them.
        """
        self._require_same_grid(entry)
        leaves = entry.manifest.leaves
        expected = describe(like, self.domain, {})
        for name, leaf in expected.items():
            if name not in leaves:
                raise RestartError(
                    f"{entry.folder}: found no {name}, which this model needs; there are "
                    f"{', '.join(leaves)}; continue with the namelist that wrote it"
                )
            if (leaves[name].shape, leaves[name].dtype) != (leaf.shape, leaf.dtype):
                raise RestartError(
                    f"{entry.folder}: found {name} of {leaves[name]}, expected {leaf}; continue "
                    f"with the levels and the precision that wrote it"
                )
        return self.read_block(entry, {name: leaves[name] for name in expected})

    def read_block(self, entry: Entry, leaves: Mapping[str, Leaf]) -> dict[str, np.ndarray]:
        """This rank's part of ``leaves``, some of ``entry.manifest.leaves``."""
        self._require_same_grid(entry)
        pieces, block = list(entry.manifest.pieces), self.domain.block
        results: list[dict[str, np.ndarray]] = []

        def read() -> None:
            results.append(read_pieces(entry.folder, pieces, leaves, block))

        try:
            on_every_rank(self.domain.comm, read)
        except RankError as error:
            raise RestartError(f"cannot read {entry.folder} ({error})") from error
        return results[0]

    def _require_same_grid(self, entry: Entry) -> None:
        if entry.manifest.grid != self.domain.global_shape:
            raise RestartError(
                f"{entry.folder}: found a grid of {entry.manifest.grid} (ny, nx) points, expected "
                f"{self.domain.global_shape}; continue with the grid that wrote it"
            )
