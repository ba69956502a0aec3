"""The gradient of a cost over a long run, segment by segment.

A Python loop follows a :class:`Schedule` of states kept in memory and on disk; each segment is one
call of a compiled program. With a store on disk the sweep can be interrupted anywhere: called
again with the same inputs, it goes on after the last segment that was reversed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import checkpoint_schedules as cs
import jax
import jax.numpy as jnp
import numpy as np

from dassim.parallel import Domain
from dassim.simulation.checkpoints import (
    IN_MEMORY,
    MemoryStore,
    Schedule,
    SharedStore,
    Store,
)
from dassim.simulation.segments import RunInputs, Segment, SegmentData
from dassim.simulation.trees import (
    differentiable,
    hashed,
    named_leaves,
    tree_from_named,
    zeros_like,
)


def no_data(k: int) -> SegmentData:
    return SegmentData()


@dataclass(frozen=True)
class Run:
    """A run of ``lengths`` (steps of each segment) and what it is compared with.

    ``data(k)``: this rank's data of segment ``k``, read when it is needed. The data of all segments
    that have the same structure and shapes share one compilation. ``identity``: hashes of this
    rank's data, by name: what tells them from others.
    """

    segment: Segment
    lengths: tuple[int, ...]
    data: Callable[[int], SegmentData] = no_data
    identity: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def domain(self) -> Domain:
        return self.segment.model.domain


@dataclass(frozen=True)
class Tally:
    """What a sweep took: states kept at a time at most, and segments run forward and back."""

    memory: int = 0
    disk: int = 0
    inside: int = 0
    advanced: int = 0
    reversed: int = 0

    @property
    def states(self) -> int:
        """States in memory at a time: kept, the current one, and those inside a segment."""
        return self.memory + 1 + self.inside

    def __str__(self) -> str:
        return (
            f"{self.states} states in memory at most ({self.memory} kept, {self.inside} inside a "
            f"segment), {self.disk} on disk; {self.advanced} segments forward, {self.reversed} back"
        )


@dataclass(frozen=True)
class Gradient:
    """This rank's shares of the cost's ``parts``, and their derivatives by the run's ``inputs``.

    Derivatives by replicated parameters are this rank's share, to be summed over ranks once.
    Leaves that are no floating-point arrays have ``None``. A run that is not finite has one part,
    not a number, and such derivatives.
    """

    parts: dict[str, float]
    inputs: RunInputs
    tally: Tally = Tally()


def cost(run: Run, inputs: RunInputs) -> dict[str, float]:
    """This rank's shares of the cost's parts, without derivatives."""
    state, parts = inputs.state, {}
    for k, steps in enumerate(run.lengths):
        state, new = run.segment.cost(
            steps, inputs.parameters, inputs.of_segment(k), state, run.data(k)
        )
        parts = _added(parts, new)
    return _numbers(parts)


def cost_and_gradient(
    run: Run, inputs: RunInputs, schedule: Schedule = IN_MEMORY, disk: Store | None = None
) -> Gradient:
    """The cost and its gradient with respect to the floating-point arrays of ``inputs``.

    ``disk``: where a schedule that uses the disk keeps states, and where the sweep leaves what it
    needs to be resumed. Emptied at the end. Raises RunError, the same on all ranks, where it cannot
    be written or read.
    """
    if schedule.uses_disk and disk is None:
        raise ValueError(
            f"{schedule} keeps states on disk; found no store, give one, or memory=None"
        )
    if len(inputs.segments) not in (0, len(run.lengths)):
        raise ValueError(
            f"found inputs of {len(inputs.segments)} segments, expected none, or one for each of "
            f"the run's {len(run.lengths)}"
        )
    return _Sweep(run, inputs, schedule, disk).result()


@dataclass(frozen=True)
class _Reversed:
    """What the reverse sweep has gathered: segments ``first`` and later are done."""

    first: int
    cotangent: Any
    parameters: Any
    segments: dict[int, Any] = field(default_factory=dict)
    parts: dict[str, Any] = field(default_factory=dict)


class _Sweep:
    """One forward and reverse sweep: the interpreter of a schedule's actions."""

    def __init__(self, run: Run, inputs: RunInputs, schedule: Schedule, disk: Store | None):
        self.run, self.inputs, self.schedule = run, inputs, schedule
        self.stores: dict[Any, Store] = {cs.StorageType.RAM: MemoryStore()}
        self.progress = None
        if disk is not None:
            shared = SharedStore(disk, run.domain.comm)
            self.stores[cs.StorageType.DISK] = shared
            self.progress = _Progress(run, inputs, shared)
        self.at, self.state = 0, inputs.state
        inside = max(map(run.segment.rematerialisation.states, run.lengths))
        self.tally = Tally(inside=inside)

    def result(self) -> Gradient:
        done = _Reversed(
            len(self.run.lengths),
            zeros_like(differentiable(self.inputs.state)),
            zeros_like(differentiable(self.inputs.parameters)),
        )
        if self.progress is not None:
            done = self.progress.resumed(done)
        for action in self.schedule.actions(done.first) if done.first else ():
            if isinstance(action, cs.Forward):
                self._forward(action)
            elif isinstance(action, (cs.Copy, cs.Move)):
                self._fetch(action)
            elif isinstance(action, cs.EndForward):
                if not self._finite():
                    return self._not_finite()
            elif isinstance(action, cs.Reverse):
                done = self._reverse(action, done)
            elif isinstance(action, cs.EndReverse):
                break
        if self.progress is not None:
            self.progress.clear()
        segments = tuple(done.segments[k] for k in range(len(self.inputs.segments)))
        inputs = RunInputs(done.parameters, done.cotangent, segments)
        return Gradient(_numbers(done.parts), inputs, self.tally)

    # -- actions ----------------------------------------------------------------------------------

    def _forward(self, action: Any) -> None:
        """Advance; the last segment before a reversal is left to that reversal."""
        self._require(action.n0)
        if action.write_ics:
            self.stores[action.storage].write(_name(self.at), named_leaves(self.state))
            self._count()
        for k in range(action.n0, action.n1 - action.write_adj_deps):
            self.state = self._advanced(k)
            self.at = k + 1

    def _fetch(self, action: Any) -> None:
        store = self.stores[action.from_storage]
        self.at = action.n
        self.state = tree_from_named(store.read(_name(action.n)), self.inputs.state)
        if isinstance(action, cs.Move):
            store.remove(_name(action.n))
            if self.progress is not None and action.from_storage is cs.StorageType.DISK:
                self.progress.left_over.discard(_name(action.n))

    def _reverse(self, action: Any, done: _Reversed) -> _Reversed:
        k = action.n0
        self._require(k)
        inputs = self.inputs
        cotangent, parameters, of_inputs, parts = self.run.segment.reverse(
            self.run.lengths[k],
            inputs.parameters,
            inputs.of_segment(k),
            self.state,
            self.run.data(k),
            done.cotangent,
            done.parameters,
        )
        done = _Reversed(
            k, cotangent, parameters, {**done.segments, k: of_inputs}, _added(parts, done.parts)
        )
        self.tally = replace(self.tally, reversed=self.tally.reversed + 1)
        if self.progress is not None:
            self.progress.save(done)
        return done

    # -- parts ------------------------------------------------------------------------------------

    def _advanced(self, k: int) -> Any:
        if self.progress is not None and _name(k + 1) in self.progress.left_over:
            return tree_from_named(self.progress.store.read(_name(k + 1)), self.inputs.state)
        self.tally = replace(self.tally, advanced=self.tally.advanced + 1)
        inputs = self.inputs
        return self.run.segment.advance(
            self.run.lengths[k], inputs.parameters, inputs.of_segment(k), self.state
        )

    def _require(self, k: int) -> None:
        if self.at != k:
            raise RuntimeError(f"the schedule goes on from segment {k}, found the run at {self.at}")

    def _count(self) -> None:
        kept = {
            kind: sum(name.startswith(_STATE) for name in store.names())
            for kind, store in self.stores.items()
        }
        self.tally = replace(
            self.tally,
            memory=max(self.tally.memory, kept[cs.StorageType.RAM]),
            disk=max(self.tally.disk, kept.get(cs.StorageType.DISK, 0)),
        )

    def _finite(self) -> bool:
        leaves = jax.tree.leaves(differentiable(self.state))
        here = all(bool(jnp.isfinite(leaf).all()) for leaf in leaves)
        return all(self.run.domain.comm.allgather(here))

    def _not_finite(self) -> Gradient:
        if self.progress is not None:
            self.progress.clear()
        nan = jax.tree.map(lambda leaf: jnp.full_like(leaf, jnp.nan), differentiable(self.inputs))
        return Gradient({"not finite": np.nan}, nan, self.tally)


_STATE, _DONE = "state.", "reversed."


def _name(k: int) -> str:
    return f"{_STATE}{k:06d}"


class _Progress:
    """What an interrupted sweep leaves on disk, tagged with a fingerprint of the run and its
    inputs."""

    def __init__(self, run: Run, inputs: RunInputs, store: SharedStore):
        self.comm, self.store, self.inputs = run.domain.comm, store, inputs
        self.fingerprint = fingerprint(run.lengths, inputs, run.identity)
        self.left_over: set[str] = set()

    def resumed(self, fresh: _Reversed) -> _Reversed:
        """Where the sweep with the same inputs and data was interrupted, or ``fresh``."""
        reached = self._common(_DONE, self._is_ours)
        if not reached:
            self.clear()
            self.save(fresh)
            return fresh
        self.left_over = self._common(_STATE, bool)
        return self._read(min(reached), fresh)

    def save(self, done: _Reversed) -> None:
        """Every rank has the new entry before any removes the one before."""
        arrays = {
            "fingerprint": self.fingerprint,
            **named_leaves(done.cotangent, "cotangent"),
            **named_leaves(done.parameters, "parameters"),
            **named_leaves(done.parts, "parts"),
        }
        for k, tree in done.segments.items():
            arrays |= named_leaves(tree, f"segments.{k}")
        name = f"{_DONE}{done.first:06d}"
        self.store.write(name, arrays)
        for old in self.store.names():
            if old.startswith(_DONE) and old != name:
                self.store.remove(old)

    def clear(self) -> None:
        self.store.clear()

    def _common(self, kind: str, usable: Callable[[Mapping[str, Any]], bool]) -> set[str]:
        """The entries of a kind that are usable on every rank."""
        names = {name for name in self.store.names() if name.startswith(kind)}
        mine = {name for name in names if usable(self._whole(name))}
        return set.intersection(*self.comm.allgather(mine))

    def _whole(self, name: str) -> Mapping[str, Any]:
        """This rank's entry; nothing where it is damaged, as when the power failed."""
        try:
            return self.store.store.read(name)
        except (OSError, KeyError, ValueError):
            return {}

    def _is_ours(self, entry: Mapping[str, Any]) -> bool:
        return np.array_equal(entry.get("fingerprint", ()), self.fingerprint)

    def _read(self, name: str, fresh: _Reversed) -> _Reversed:
        arrays = self.store.read(name)
        first = int(name.removeprefix(_DONE))
        segments = {
            k: tree_from_named(arrays, differentiable(self.inputs.of_segment(k)), f"segments.{k}")
            for k in range(first, fresh.first)
        }
        parts = {n.removeprefix("parts."): v for n, v in arrays.items() if n.startswith("parts.")}
        return _Reversed(
            first,
            tree_from_named(arrays, fresh.cotangent, "cotangent"),
            tree_from_named(arrays, fresh.parameters, "parameters"),
            segments,
            parts,
        )


def fingerprint(
    lengths: tuple[int, ...], inputs: RunInputs, data: Mapping[str, bytes] | None = None
) -> np.ndarray:
    """A hash of this rank's part of all that a sweep depends on; ``data``: of those of the run."""
    known = repr((lengths, sorted((data or {}).items())))
    return np.frombuffer(hashed(named_leaves(inputs), known.encode()), np.uint8)


def _numbers(parts: dict[str, Any]) -> dict[str, float]:
    return {name: float(parts[name]) for name in sorted(parts)}


def _added(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    return {name: one.get(name, 0.0) + other.get(name, 0.0) for name in {**one, **other}}
