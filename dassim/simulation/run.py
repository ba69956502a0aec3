"""The time loop: a model from its start, or from a restart, to the end of a run.

Between events (a line in the log, records of output, snapshots, restarts) the steps run in one
compiled program. Every second or so the ranks look up together, whether they are to stop.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import jax

from dassim.io.netcdf import OutputError
from dassim.io.restarts import Entry, Moment, RestartError, StateArchive
from dassim.parallel.agreement import RankError
from dassim.simulation.advance import Carry, Program, means, snapshot
from dassim.simulation.errors import RunError, UnstableError
from dassim.simulation.events import next_event
from dassim.simulation.folder import RunFolder
from dassim.simulation.monitor import Health, Monitor
from dassim.simulation.plan import Case, Outcome, Outlet, Plan
from dassim.simulation.position import Position, position_leaves, read_position
from dassim.simulation.progress import PlainReporter, Reporter
from dassim.simulation.record import COMPILE, STEPS
from dassim.simulation.reports import Reports
from dassim.simulation.signals import StopRequest
from dassim.simulation.timing import Pace, Stopwatch
from dassim.simulation.trees import named_leaves

OF_ALL_RANKS = (RunError, RestartError, OutputError, RankError)
"""Errors that are raised on all ranks or on none."""

SLOW_DISK = 100e6
"""Bytes per second that a rank writes at least, until the first restart tells."""


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
    request: StopRequest | None = None,
) -> Outcome:
    """Run ``case`` in ``folder``, which is :func:`~dassim.simulation.folder.claimed`. All ranks
    call this together.

    ``resume``: go on from the newest whole restart, if there is one. ``notes``: where the run
    comes from, kept beside every state. ``stopwatch``: started with the job. ``request``: what may
    ask this rank to stop.

    Raises UnstableError, RunError, RestartError or OutputError, the same on all ranks.
    """
    loop = _Loop(
        case,
        plan,
        folder,
        tuple(outlets),
        reporter or PlainReporter(),
        notes or {},
        stopwatch or Stopwatch(),
        request or StopRequest(),
    )
    return loop.run(resume)


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
        self.stopwatch, self.request = stopwatch, request
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
        self.parameters = case.parameters
        self.refreshes = case.refresh.schedules if case.refresh else ()
        self.schedules = [
            *self.refreshes,
            plan.log,
            plan.restarts,
            plan.snapshots,
            *(o.schedule for o in outlets),
        ]
        self.reports = Reports(
            case, folder, self.monitor.kinds, outlets, reporter, notes, stopwatch
        )
        self.pace = Pace(plan.patience)
        self.reason: str | None = None
        self.restarted_at: int | None = None
        self.at = self.good = Position(
            0,
            self.program.start(case.parameters, case.state),
            {stream: 0 for stream, _ in self.program.streams},
        )
        size = sum(leaf.nbytes for leaf in jax.tree.leaves(self.at.carry.state))
        self.restart_seconds = size / SLOW_DISK

    # -- the loop ---------------------------------------------------------------------------------

    def run(self, resume: bool) -> Outcome:
        try:
            outcome = self._run(resume)
        except OF_ALL_RANKS as error:
            status = "unstable" if isinstance(error, UnstableError) else "failed"
            with suppress(RunError):
                self.reports.record(self.at.step, status, str(error))
            for outlet in self.outlets:
                with suppress(OutputError):
                    outlet.writer.close()
            raise
        for outlet in self.outlets:
            outlet.writer.close()
        return outcome

    def _run(self, resume: bool) -> Outcome:
        with self.stopwatch.part("start"):
            if resume:
                self._resume()
            self.reports.start(self.at.step)
        self._refresh()
        with self.stopwatch.part(COMPILE):
            health = self._checked()
            if self.at.step < self.case.steps:
                self.program.compile(self.parameters, self.at.carry)
                self.reports.tally.halo = self.program.message_seconds(
                    self.parameters, self.at.carry.state
                )
        self.reports.record(self.at.step, "running")
        if self.at.step == 0:
            self.reports.progress(0, health)
        self.reports.restart_clock(self.at.step)
        while self.at.step < self.case.steps and self.reason is None:
            self._advance(next_event(self.schedules, self.at.step, self.case.steps))
            self._arrive()
        status = "finished" if self.reason is None else "stopped"
        self.reports.record(self.at.step, status, self.reason)
        return Outcome(self.at.step, self.reason)

    def _advance(self, target: int) -> None:
        """Step on to the step ``target``, or until the ranks are to stop."""
        while self.at.step < target:
            steps = self.pace.steps(target - self.at.step)
            begin = time.monotonic()
            carry = self.program(self.parameters, self.at.carry, steps)
            jax.block_until_ready(carry)
            took = time.monotonic() - begin
            self.stopwatch.add(STEPS, took)
            self.reports.tally.steps += steps
            self.at = Position(self.at.step + steps, carry, self.at.since)
            self.reports.tick(self.at.step)
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
        with self.stopwatch.part("monitor"):
            health = self._checked()
        for outlet in self.outlets:
            if outlet.schedule.due(step):
                self._put(outlet)
        if plan.snapshots.due(step):
            self._save("snapshots", named_leaves(self.at.carry.state))
        if plan.log.due(step) or ends:
            with self.stopwatch.part("monitor"):
                self.reports.progress(step, health)
        if plan.restarts.due(step) or ends:
            self._save_restart()
        if not ends and any(schedule.due(step) for schedule in self.refreshes):
            self._refresh()

    def _refresh(self) -> None:
        """Parameters as they are to be from this step on."""
        if self.case.refresh is not None:
            with self.stopwatch.part("forcing"):
                self.parameters = self.case.refresh(self.parameters, self.at.step)

    # -- start ------------------------------------------------------------------------------------

    def _resume(self) -> None:
        entry = self._newest_restart()
        if entry is not None:
            self.at = read_position(self.archives["restarts"], entry, self.at.carry)
            self.good, self.restarted_at = self.at, self.at.step
            self.reports.say(f"going on from {entry.folder}")
        for outlet in self.outlets:
            steps = (self.at.step, self.at.since.get(outlet.name, self.at.step))
            outlet.writer.truncate_after(*map(self.case.clock.seconds, steps))

    def _newest_restart(self) -> Entry | None:
        entry, damaged = self.archives["restarts"].newest()
        for problems in damaged.values():
            self.reports.say(f"left out a damaged restart: {'; '.join(problems)}")
        if entry is None and damaged:
            raise RunError(
                f"{self.folder.restarts}: found {len(damaged)} restarts, none of them whole; "
                f"remove them to begin at the start"
            )
        if entry is None:
            self.reports.say("found no restart; begin at the start")
        elif entry.step > self.case.steps:
            raise RunError(
                f"{entry.folder}: found a restart at step {entry.step}, after the end of this run "
                f"at step {self.case.steps}; lengthen time.duration"
            )
        return entry

    # -- events -----------------------------------------------------------------------------------

    def _put(self, outlet: Outlet) -> None:
        """Hand a record to the stream's writer."""
        at, clock = self.at, self.case.clock
        end = clock.seconds(at.step)
        with self.stopwatch.part("output"):
            if outlet.kind == "snapshot":
                arrays = snapshot(
                    self.case.model, self.parameters, at.carry.state, outlet.variables
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
        self.restart_seconds = self._save("restarts", position_leaves(at))
        self.restarted_at = at.step
        self.archives["restarts"].prune(
            self.plan.keep_last, self.plan.milestones.due, until=at.step
        )
        self.reports.record(at.step, "running")

    def _save(self, kind: str, arrays: Mapping[str, Any]) -> float:
        """Write a state; how many seconds that took."""
        begin = time.monotonic()
        written = self.archives[kind].write(self._moment(self.at.step), arrays)
        took = time.monotonic() - begin
        self.stopwatch.add(kind, took)
        self.reports.tally.wrote(kind, written.bytes, took)
        return took

    # -- stability --------------------------------------------------------------------------------

    def _checked(self) -> Health:
        """The model's numbers, provided that nothing is wrong with the state."""
        health = self.monitor(self.parameters, self.at.carry.state)
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
        before, after, health = self._first_wrong(before, health)
        self.at = after
        try:
            for at in (before, after):
                leaves = named_leaves(at.carry.state)
                self.archives["diagnosis"].write(self._moment(at.step), leaves)
            left = f"the states of this step and the one before are in {self.folder.diagnosis}"
        except OF_ALL_RANKS as error:
            left = f"its states could not be written ({error})"
        return UnstableError(
            f"the run became unstable at step {after.step}, {self.case.clock.text(after.step)}: "
            f"{'; '.join(health.problems)}; {left}; shorten the time step or correct the physics, "
            f"or the limits in run.limits"
        )

    def _first_wrong(self, before: Position, health: Health) -> tuple[Position, Position, Health]:
        """The first wrong state after the good one ``before``, the one before it, and what is
        wrong: the same steps again, one by one."""
        while before.step < self.at.step:
            carry = self.program(self.parameters, before.carry, 1)
            after = Position(before.step + 1, carry, before.since)
            now = self.monitor(self.parameters, carry.state)
            if now.problems:
                return before, after, now
            before = after
        return self.good, self.at, health

    def _moment(self, step: int) -> Moment:
        clock = self.case.clock
        return Moment(step, clock.seconds(step), clock.text(step), clock.label(step))
