"""The time loop: a model from its start, or from a restart, to the end of a run.

Between events (a line in the log, records of output, snapshots, restarts) the steps run in one
compiled program. Every second or so the ranks look up together, whether they are to stop.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from dassim.io.restarts import Entry, Moment, StateArchive
from dassim.parallel.agreement import on_root
from dassim.simulation.advance import Carry, Program, means, snapshot
from dassim.simulation.clock import SECONDS_PER_DAY
from dassim.simulation.errors import RunError, UnstableError
from dassim.simulation.events import next_event
from dassim.simulation.folder import Log, RunFolder
from dassim.simulation.monitor import Health, Monitor
from dassim.simulation.plan import Case, Outcome, Outlet, Plan
from dassim.simulation.progress import PlainReporter, Progress, Reporter, in_words
from dassim.simulation.record import COMPILE, STEPS, Tally, Written, as_record, figures
from dassim.simulation.signals import StopRequest, stop_requests
from dassim.simulation.timing import Pace, Stopwatch
from dassim.simulation.trees import named_leaves, tree_from_named

MEANS = "means."
"""Begins the names, among the leaves of a restart, of the sums that means need."""


def simulate(
    case: Case,
    plan: Plan,
    folder: RunFolder,
    outlets: Sequence[Outlet] = (),
    *,
    resume: bool = False,
    reporter: Reporter | None = None,
    notes: Mapping[str, Any] | None = None,
    stopwatch: Stopwatch | None = None,
) -> Outcome:
    """Run ``case`` in ``folder``. All ranks call this together.

    ``resume``: go on from the newest whole restart, if there is one. ``notes``: where the run
    comes from, kept beside every state. ``stopwatch``: started with the job.

    Raises UnstableError, RunError, or RestartError, the same on all ranks.
    """
    with stop_requests() as request:
        loop = _Loop(
            case,
            plan,
            folder,
            tuple(outlets),
            reporter or PlainReporter(),
            notes or {},
            stopwatch or Stopwatch(),
            request,
        )
        return loop.run(resume)


@dataclass(frozen=True)
class Position:
    """Where the loop is: its step, what it carries, and from which step on it sums up means."""

    step: int
    carry: Carry
    since: Mapping[str, int]


class _Loop:
    """One session of a run."""

    def __init__(
        self,
        case: Case,
        plan: Plan,
        folder: RunFolder,
        outlets: tuple[Outlet, ...],
        reporter: Reporter,
        notes: Mapping[str, Any],
        stopwatch: Stopwatch,
        request: StopRequest,
    ):
        self.case, self.plan, self.folder, self.outlets = case, plan, folder, outlets
        self.reporter, self.notes, self.stopwatch, self.request = (
            reporter,
            notes,
            stopwatch,
            request,
        )
        model = case.model
        self.comm = model.domain.comm
        self.program = Program(
            model, tuple((o.name, o.variables) for o in outlets if o.kind == "mean")
        )
        self.monitor = Monitor.of(model, case.parameters, case.state, plan.limits)
        self.archives = {
            kind: StateArchive(path, model.domain, model.variables, notes)
            for kind, path in (
                ("restarts", folder.restarts),
                ("snapshots", folder.snapshots),
                ("diagnosis", folder.diagnosis),
            )
        }
        self.schedules = [plan.log, plan.restarts, plan.snapshots, *(o.schedule for o in outlets)]
        self.log = Log(folder.log, [*LOG_COLUMNS, *map(self._column, self.monitor.kinds)])
        self.pace = Pace(plan.patience)
        self.tally = Tally(cells=_cells(case), ranks=self.comm.size)
        self.earlier: dict[str, Any] = {}
        self.reason: str | None = None
        self.restart_seconds = 0.0
        self.restarted_at: int | None = None
        self.logged = (0, 0.0)

    # -- the loop ---------------------------------------------------------------------------------

    def run(self, resume: bool) -> Outcome:
        if self.comm.is_root:
            self.earlier = self.folder.read_record()
        try:
            outcome = self._run(resume)
        except BaseException as error:
            for outlet in self.outlets:
                with suppress(Exception):
                    outlet.writer.close()
            if isinstance(error, UnstableError):
                self._record("unstable", str(error))
            raise
        for outlet in self.outlets:
            outlet.writer.close()
        return outcome

    def _run(self, resume: bool) -> Outcome:
        with self.stopwatch.part("start"):
            self.at = self._start(resume)
            self.good = self.at
            self.log_start()
        health = self._checked()
        self._record("running")
        if self.at.step == 0:
            self._report(health)
        if self.at.step < self.case.steps:
            with self.stopwatch.part(COMPILE):
                self.program.compile(self.case.parameters, self.at.carry)
        self.logged = (self.at.step, time.monotonic())
        while self.at.step < self.case.steps and self.reason is None:
            self._advance(next_event(self.schedules, self.at.step, self.case.steps))
            self._arrive()
        self._record("finished" if self.reason is None else "stopped", self.reason)
        return Outcome(self.at.step, self.reason)

    def _advance(self, target: int) -> None:
        """Step on to the step ``target``, or until the ranks are to stop."""
        while self.at.step < target:
            steps = self.pace.steps(target - self.at.step)
            begin = time.monotonic()
            carry = self.program(self.case.parameters, self.at.carry, steps)
            jax.block_until_ready(carry)
            took = time.monotonic() - begin
            self.stopwatch.add(STEPS, took)
            self.tally.steps += steps
            self.at = Position(self.at.step + steps, carry, self.at.since)
            if self.comm.is_root:
                self.reporter.tick(self.at.step, self.case.steps)
            if self._stops(steps, took) and self.at.step < self.case.steps:
                return
            self.reason = None

    def _stops(self, steps: int, took: float) -> bool:
        """Whether any rank is asked to stop, or time runs out: the same answer on all ranks."""
        looks = self.comm.allgather((self.request.reason, took, self.stopwatch.elapsed))
        reasons = [reason for reason, _, _ in looks if reason]
        slowest, elapsed = max(took for _, took, _ in looks), max(e for _, _, e in looks)
        self.pace = self.pace.after(steps, slowest)
        self.reason = reasons[0] if reasons else None
        limit = self.plan.wall_clock
        reserve = 2 * (self.restart_seconds + slowest)
        if self.reason is None and limit is not None and elapsed + reserve >= limit:
            self.reason = f"the wall-clock limit of {limit:g} s"
        return self.reason is not None

    def _arrive(self) -> None:
        """All that is due at this step."""
        step, plan = self.at.step, self.plan
        ends = step == self.case.steps or self.reason is not None
        health = self._checked()
        for outlet in self.outlets:
            if outlet.schedule.due(step):
                self._put(outlet)
        if plan.snapshots.due(step):
            self._save("snapshots", named_leaves(self.at.carry.state))
        if plan.restarts.due(step) or ends:
            self._save_restart()
        if plan.log.due(step) or ends:
            self._report(health)

    # -- start ------------------------------------------------------------------------------------

    def _start(self, resume: bool) -> Position:
        fresh = self.program.start(self.case.parameters, self.case.state)
        streams = [stream for stream, _ in self.program.streams]
        entry = self._newest_restart() if resume else None
        if entry is None:
            at = Position(0, fresh, dict.fromkeys(streams, 0))
        else:
            at = self._read(entry, fresh)
            self._say(f"going on from {entry.folder}")
            self.restarted_at = at.step
        if resume:
            for outlet in self.outlets:
                outlet.writer.truncate_after(self.case.clock.seconds(at.step))
        return at

    def _newest_restart(self) -> Entry | None:
        entry, damaged = self.archives["restarts"].newest()
        for problems in damaged.values():
            self._say(f"left out a damaged restart: {'; '.join(problems)}")
        if entry is None and damaged:
            raise RunError(
                f"{self.folder.restarts}: found {len(damaged)} restarts, none of them whole; "
                f"remove them to begin at the start"
            )
        if entry is None:
            self._say("found no restart; begin at the start")
        elif entry.step > self.case.steps:
            raise RunError(
                f"{entry.folder}: found a restart at step {entry.step}, after the end of this run "
                f"at step {self.case.steps}; lengthen time.duration"
            )
        return entry

    def _read(self, entry: Entry, fresh: Carry) -> Position:
        """The state in ``entry``, and the sums of the streams that it has."""
        archive, found = self.archives["restarts"], entry.manifest.leaves
        leaves = named_leaves(fresh.state)
        unknown = [n for n in found if n not in leaves and not n.startswith(MEANS)]
        if unknown:
            raise RunError(
                f"{entry.folder}: found {unknown[0]}, which this model does not have; continue "
                f"with the namelist that wrote it"
            )
        state = tree_from_named(archive.read(entry, leaves), fresh.state)
        since, sums = {}, {}
        for stream, of_stream in fresh.sums.items():
            names = {name: f"{MEANS}{stream}.{name}" for name in of_stream}
            begin = f"{MEANS}{stream}.since"
            since[stream], sums[stream] = entry.step, of_stream
            if all(name in found for name in (begin, *names.values())):
                like = {names[name]: total for name, total in of_stream.items()}
                read = archive.read(entry, {**like, begin: np.int64(0)})
                since[stream] = int(read[begin])
                sums[stream] = {name: jax.numpy.asarray(read[names[name]]) for name in of_stream}
        return Position(entry.step, Carry(state, sums), since)

    def log_start(self) -> None:
        on_root(self.comm, lambda: self.log.start(self.at.step))

    # -- events -----------------------------------------------------------------------------------

    def _put(self, outlet: Outlet) -> None:
        """Hand a record to the stream's writer."""
        at, clock = self.at, self.case.clock
        end = clock.seconds(at.step)
        with self.stopwatch.part("output"):
            if outlet.kind == "snapshot":
                arrays = snapshot(
                    self.case.model, self.case.parameters, at.carry.state, outlet.variables
                )
                outlet.writer.put(end, end, arrays)
                return
            sums, since = at.carry.sums[outlet.name], at.since[outlet.name]
            if since < at.step:
                outlet.writer.put(clock.seconds(since), end, means(sums, at.step - since))
        empty = jax.tree.map(jax.numpy.zeros_like, sums)
        carry = Carry(at.carry.state, {**at.carry.sums, outlet.name: empty})
        self.at = Position(at.step, carry, {**at.since, outlet.name: at.step})

    def _save_restart(self) -> None:
        at = self.at
        if self.restarted_at == at.step:
            return
        with self.stopwatch.part("output"):
            for outlet in self.outlets:
                outlet.writer.flush()
        sums = {
            f"{MEANS}{stream}.{name}": total
            for stream, of_stream in at.carry.sums.items()
            for name, total in of_stream.items()
        }
        since = {f"{MEANS}{stream}.since": np.int64(step) for stream, step in at.since.items()}
        self.restart_seconds = self._save(
            "restarts", {**named_leaves(at.carry.state), **sums, **since}
        )
        self.restarted_at = at.step
        self.archives["restarts"].prune(self.plan.keep_last, self.plan.keep_every)
        self._record("running")

    def _save(self, kind: str, arrays: Mapping[str, Any]) -> float:
        """Write a state; how many seconds that took."""
        begin = time.monotonic()
        written = self.archives[kind].write(self._moment(self.at.step), arrays)
        took = time.monotonic() - begin
        self.stopwatch.add(kind, took)
        self.tally.wrote(kind, written.bytes, took)
        return took

    # -- stability --------------------------------------------------------------------------------

    def _checked(self) -> Health:
        """The model's numbers, provided that nothing is wrong with the state."""
        with self.stopwatch.part("monitor"):
            health = self.monitor(self.case.parameters, self.at.carry.state)
        if health.problems:
            raise self._unstable(health)
        self.good = self.at
        return health

    def _unstable(self, health: Health) -> UnstableError:
        """What is wrong with the first state that is, found again from the last good one; that
        state and the one before are left behind."""
        before = self.good
        if before.step == self.at.step:
            problems = "; ".join(health.problems)
            return UnstableError(f"the state at step {before.step} cannot be run: {problems}")
        while before.step < self.at.step:
            carry = self.program(self.case.parameters, before.carry, 1)
            now = self.monitor(self.case.parameters, carry.state)
            after = Position(before.step + 1, carry, before.since)
            if now.problems:
                health = now
                break
            before = after
        else:
            after = self.at
        for at in (before, after):
            leaves = named_leaves(at.carry.state)
            self.archives["diagnosis"].write(self._moment(at.step), leaves)
        self.at = after
        return UnstableError(
            f"the run became unstable at step {after.step}, {self.case.clock.text(after.step)}: "
            f"{'; '.join(health.problems)}; the states of this step and the one before are in "
            f"{self.folder.diagnosis}; shorten the time step or correct the physics, or the limits "
            f"in run.limits"
        )

    # -- reports ----------------------------------------------------------------------------------

    def _report(self, health: Health) -> None:
        """A line for people and one for the log."""
        at, clock, now = self.at, self.case.clock, time.monotonic()
        step, then = self.logged
        rate = (at.step - step) / (now - then) if then and now > then else 0.0
        left = (self.case.steps - at.step) / rate if rate else 0.0
        progress = Progress(
            clock.text(at.step),
            at.step,
            self.case.steps,
            in_words(health.values, self.monitor.kinds),
            clock.years(rate * SECONDS_PER_DAY),
            rate * self.tally.cells,
            left,
        )
        if self.comm.is_root:
            self.reporter.progress(progress)
        values = [
            at.step,
            clock.seconds(at.step),
            clock.text(at.step),
            f"{self.stopwatch.elapsed:.3f}",
            f"{progress.years_per_day:.6g}",
            f"{progress.cells_per_second:.6g}",
            *(repr(value) for value in health.values.values()),
        ]
        with self.stopwatch.part("monitor"):
            on_root(self.comm, lambda: self.log.add(values))
        self.logged = (at.step, now)

    def _record(self, status: str, reason: str | None = None) -> None:
        case, domain, at = self.case, self.case.model.domain, self.at
        for outlet in self.outlets:
            writer = outlet.writer
            self.tally.files[f"fields/{outlet.name}"] = Written(
                bytes=writer.bytes_written, seconds=writer.seconds_lost
            )
        session = {
            "status": status,
            **({"reason": reason} if reason else {}),
            "step": at.step,
            "steps": case.steps,
            "date": case.clock.text(at.step),
            "calendar": case.clock.calendar,
            "time_step": case.clock.time_step,
            "ranks": self.comm.size,
            "layout": list(domain.decomposition.layout),
            "grid": list(domain.global_shape),
            "cells": self.tally.cells,
            **figures(self.tally, self.stopwatch, case.clock),
        }
        record = as_record(self.earlier, session, self.notes)
        on_root(self.comm, lambda: self.folder.write_record(record))

    def _column(self, name: str) -> str:
        return f"{name} ({self.monitor.kinds[name].units})"

    def _moment(self, step: int) -> Moment:
        clock = self.case.clock
        return Moment(step, clock.seconds(step), clock.text(step), clock.label(step))

    def _say(self, text: str) -> None:
        if self.comm.is_root:
            self.reporter.message(text)


LOG_COLUMNS = (
    "step",
    "time (s)",
    "date",
    "wall clock (s)",
    "simulated years per day",
    "cells per second",
)


def _cells(case: Case) -> int:
    """Points of the largest field."""
    domain = case.model.domain
    ny, nx = domain.global_shape
    sizes = [
        int(np.prod(np.shape(leaf)[:-2])) * ny * nx
        for leaf in jax.tree.leaves(case.state)
        if np.ndim(leaf) >= 2
    ]
    return max(sizes, default=0)
