"""A minimisation from its first guess, or from where it was interrupted, to its analysis.

Every evaluation leaves a checkpoint, so that a recovery that is killed anywhere goes on with the
same numbers; ``iterations.csv`` and ``run.json`` in its folder tell how far it is.
"""

from __future__ import annotations

import math
import resource
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from dassim.assimilation.cost import FourDVar, physical
from dassim.assimilation.data import StateData
from dassim.assimilation.journal import Checkpoints, IterationLog
from dassim.assimilation.lbfgs import Stop
from dassim.assimilation.minimise import Minimiser, Progress, QuasiNewton, Result
from dassim.assimilation.points import PointData
from dassim.assimilation.records import INTEGERS, table_header, table_line
from dassim.assimilation.scores import Truth, trajectory
from dassim.assimilation.window import Window
from dassim.io.checkpoints import FolderStore
from dassim.io.durable import plain_errors
from dassim.io.restarts import Moment, StateArchive
from dassim.parallel import AbstractCommunicator
from dassim.parallel.agreement import RankError, on_root
from dassim.simulation.clock import Clock
from dassim.simulation.errors import MAKE_ROOM, RunError
from dassim.simulation.folder import RunFolder
from dassim.simulation.segments import RunInputs
from dassim.simulation.signals import StopRequest
from dassim.simulation.trees import named_leaves

Row = Mapping[str, Any]
"""A line of the table of iterations, by its columns."""


@dataclass(frozen=True)
class Recovery:
    """What is minimised and how. ``clock`` counts steps from the start of the experiment, of which
    ``window`` is a part; ``sources``: of gridded data; ``counts``: data by term of the cost, over
    all ranks; ``truth``: what the table of iterations compares with; ``points``: observations."""

    objective: FourDVar
    window: Window
    clock: Clock
    sources: tuple[StateData, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    minimiser: Minimiser = field(default_factory=QuasiNewton)
    truth: Truth | None = None
    points: PointData | None = None

    @property
    def comm(self) -> AbstractCommunicator:
        return self.objective.run.domain.comm

    @property
    def first_guess(self) -> RunInputs:
        return self.objective.transform.background

    def moment(self, step: int | None = None) -> Moment:
        """Of a time step; by default that of the window's start."""
        step, clock = self.window.first if step is None else step, self.clock
        return Moment(step, clock.seconds(step), clock.text(step), clock.label(step))


@dataclass(frozen=True)
class Recovered:
    """How a recovery ended, with the run's inputs at the best point."""

    result: Result
    analysis: RunInputs

    @property
    def fit(self) -> float | None:
        """``2 J``; about the number of data where all errors are what they are said to be."""
        state = self.result.state
        return 2.0 * state.reached.value if state.history else None


class Reporter(Protocol):
    """Tells people how a recovery goes. Rank 0 alone calls it."""

    def message(self, text: str) -> None: ...

    def iteration(self, row: Row) -> None:
        """A new line of the table; all lines have the same columns."""
        ...


@dataclass
class PlainReporter:
    """One line of text for each iteration, under one heading."""

    write: Callable[[str], object] = print
    begun: bool = False

    def message(self, text: str) -> None:
        self.write(text)

    def iteration(self, row: Row) -> None:
        if not self.begun:
            self.write(table_header(row))
            self.begun = True
        self.write(table_line(row))


ITERATIONS, CHECKPOINTS, SWEEP, ANALYSIS = "iterations.csv", "checkpoints", "adjoint", "analysis"
"""In the folder of a recovery: the table; states of the minimiser; those of a sweep back that go to
disk; the folder of a run whose restart is the analysis."""


def recover(
    recovery: Recovery,
    folder: RunFolder,
    *,
    resume: bool = False,
    seconds: float | None = None,
    reporter: Reporter | None = None,
    request: StopRequest | None = None,
    notes: Mapping[str, Any] | None = None,
) -> Recovered:
    """Minimise in ``folder``, which is :func:`~dassim.simulation.folder.claimed`. All ranks call
    this together.

    ``resume``: go on from the newest checkpoint, if there is one. ``seconds``: of wall-clock time
    for this call. Raises RunError, the same on all ranks.
    """
    session = _Session(
        recovery,
        folder,
        reporter or PlainReporter(),
        request or StopRequest(),
        notes or {},
    )
    return session.run(resume, seconds)


class _Session:
    def __init__(
        self,
        recovery: Recovery,
        folder: RunFolder,
        reporter: Reporter,
        request: StopRequest,
        notes: Mapping[str, Any],
    ):
        self.recovery, self.folder, self.notes = recovery, folder, notes
        self.comm, self.reporter, self.request = recovery.comm, reporter, request
        store = FolderStore(folder.path / CHECKPOINTS, self.comm.rank, durable=True)
        self.checkpoints = Checkpoints(store, self.comm, recovery.objective.run.identity)
        self.log = IterationLog(folder.path / ITERATIONS, self.comm)
        self.lines = 0

    def run(self, resume: bool, seconds: float | None) -> Recovered:
        recovery, objective = self.recovery, self.recovery.objective
        if recovery.points is not None and recovery.points.parts:
            self._say(str(recovery.points.rejections))
        start = self._start(resume)
        result = recovery.minimiser.minimise(
            objective,
            start,
            seconds=seconds,
            on_state=self._evaluated,
            interrupted=lambda: self.request.reason is not None,
        )
        self._record(result.state, result.stop.name.lower(), result.stop.value)
        return Recovered(result, physical(objective.transform, result.point))

    def _start(self, resume: bool) -> Any:
        zero = self.recovery.objective.transform.zero()
        state = self.checkpoints.newest(self.recovery.minimiser, zero) if resume else None
        self.log.keep(None if state is None or not state.history else state.iterations)
        if state is None:
            self.checkpoints.clear()
            if resume:
                self._say("found no checkpoint; begin at the first guess")
            return zero
        self.lines = len(state.history)
        self._say(f"going on after evaluation {state.evaluations}")
        for row in self.log.rows() if self.comm.is_root else ():
            self.reporter.iteration({name: _number(name, text) for name, text in row.items()})
        return state

    def _evaluated(self, state: Progress) -> None:
        """The line of a new iteration is on disk before the state that follows it."""
        if len(state.history) > self.lines:
            self.lines = len(state.history)
            row = self._row(state)
            self.log.add(row)
            if self.comm.is_root:
                self.reporter.iteration(row)
        self.checkpoints.save(state)
        self._record(state, "running")

    def _row(self, state: Progress) -> dict[str, Any]:
        record = state.history[-1]
        row: dict[str, Any] = dict(record.row())
        truth, memory = self.recovery.truth, max(self.comm.allgather(peak_memory()))
        if truth is not None:
            errors = dict.fromkeys(sorted(truth.weights), math.nan)
            if record.of_cost:
                found = physical(self.recovery.objective.transform, state.point)
                errors = truth.errors(found.state, self.recovery.window.first)
            row |= {f"rmse {name}": error for name, error in errors.items()}
        return row | {"memory (MB)": memory / 1e6}

    def _record(self, state: Progress, status: str, reason: str | None = None) -> None:
        last = state.reached.row() if state.history else {}
        record = {
            "status": status,
            **({"reason": reason} if reason else {}),
            "ranks": self.comm.size,
            **last,
            "evaluations": state.evaluations,
            "seconds": state.seconds,
            "data": dict(self.recovery.counts),
            **self._observations(),
            "notes": dict(self.notes),
        }

        def write() -> None:
            with plain_errors(self.folder.path):
                self.folder.write_record(record)

        try:
            on_root(self.comm, write)
        except RankError as error:
            raise RunError(f"{error}; {MAKE_ROOM}") from error

    def _observations(self) -> dict[str, Any]:
        """What became of point observations, where there are any."""
        points = self.recovery.points
        if points is None or not points.parts:
            return {}
        return {"observations": points.rejections.record()}

    def _say(self, text: str) -> None:
        if self.comm.is_root:
            self.reporter.message(text)


def parts_not_finite(objective: FourDVar) -> list[str]:
    """The parts of the cost at the first guess that are not finite. All ranks call this
    together."""
    shares = objective.shares(objective.transform.zero())
    totals = objective.space.sum(np.array([float(share) for share in shares.values()]))
    return [name for name, total in zip(shares, totals, strict=True) if not math.isfinite(total)]


def write_analysis(
    recovery: Recovery, recovered: Recovered, folder: RunFolder, notes: Mapping[str, Any]
) -> Path:
    """The restart from which a run in ``folder`` goes on: at the window's start. Where there are
    corrections of segments, which a run does not know, another one at the window's end, which has
    them in it."""
    run, analysis = recovery.objective.run, recovered.analysis
    model, state = run.segment.model, analysis.state
    archive = StateArchive(folder.restarts, model.domain, model.variables, notes)
    written = archive.write(recovery.moment(), named_leaves(state))
    if analysis.segments:
        *_, (last, state) = trajectory(run, recovery.window, analysis)
        written = archive.write(recovery.moment(last), named_leaves(state))
    return written.folder


def peak_memory() -> float:
    """The most memory (bytes) that this process has had."""
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(largest if sys.platform == "darwin" else 1024 * largest)


def outcome(stop: Stop) -> str:
    """In words, whether the result can be used."""
    if stop.converged:
        return f"converged: {stop.value}"
    return f"ended: {stop.value}"


def _number(name: str, text: str) -> Any:
    return int(text) if name in INTEGERS else float(text)
