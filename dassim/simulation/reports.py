"""What a run says of itself while it goes: lines for people, ``log.csv``, ``run.json``."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from dassim.grid.measures import Measure
from dassim.io.durable import plain_errors
from dassim.parallel.agreement import RankError, on_root
from dassim.simulation.clock import SECONDS_PER_DAY
from dassim.simulation.errors import RunError
from dassim.simulation.folder import Log, RunFolder
from dassim.simulation.monitor import Health
from dassim.simulation.plan import Case, Outlet
from dassim.simulation.progress import Progress, Reporter, in_words
from dassim.simulation.record import Tally, Written, as_record, figures
from dassim.simulation.timing import Stopwatch

COLUMNS = (
    "step",
    "time (s)",
    "date",
    "wall clock (s)",
    "simulated years per day",
    "cells per second",
)
"""Of the log, before those of the model's measures."""


class Reports:
    """Of one session of a run. All ranks call its methods together; rank 0 writes."""

    def __init__(
        self,
        case: Case,
        folder: RunFolder,
        measures: Mapping[str, Measure],
        outlets: Sequence[Outlet],
        reporter: Reporter,
        notes: Mapping[str, Any],
        stopwatch: Stopwatch,
    ):
        self.case, self.folder, self.measures, self.outlets = case, folder, measures, outlets
        self.reporter, self.notes, self.stopwatch = reporter, notes, stopwatch
        self.comm = case.model.domain.comm
        self.tally = Tally(cells=cells(case), ranks=self.comm.size)
        units = (f"{name} ({measure.units})" for name, measure in measures.items())
        self.log = Log(folder.log, [*COLUMNS, *units])
        self.earlier = folder.read_record() if self.comm.is_root else {}
        self.last = (0, 0.0)

    def start(self, step: int) -> None:
        """Drop lines of the log that are later than ``step``."""
        self._write(lambda: self.log.start(step))

    def restart_clock(self, step: int) -> None:
        """Speeds count from here."""
        self.last = (step, time.monotonic())

    def say(self, text: str) -> None:
        if self.comm.is_root:
            self.reporter.message(text)

    def tick(self, step: int) -> None:
        if self.comm.is_root:
            self.reporter.tick(step, self.case.steps)

    def progress(self, step: int, health: Health) -> None:
        """A line for people and one for the log."""
        clock, now = self.case.clock, time.monotonic()
        before, then = self.last
        rate = (step - before) / (now - then) if then and now > then else 0.0
        progress = Progress(
            clock.text(step),
            step,
            self.case.steps,
            in_words(health.values, self.measures),
            clock.years(rate * SECONDS_PER_DAY),
            rate * self.tally.cells,
            (self.case.steps - step) / rate if rate else 0.0,
        )
        if self.comm.is_root:
            self.reporter.progress(progress)
        values = [
            step,
            clock.seconds(step),
            clock.text(step),
            f"{self.stopwatch.elapsed:.3f}",
            f"{progress.years_per_day:.6g}",
            f"{progress.cells_per_second:.6g}",
            *(repr(value) for value in health.values.values()),
        ]
        self._write(lambda: self.log.add(values))
        self.last = (step, now)

    def record(self, step: int, status: str, reason: str | None = None) -> None:
        """Replace ``run.json``."""
        case, domain = self.case, self.case.model.domain
        files = {f"fields/{outlet.name}": self._of(outlet) for outlet in self.outlets}
        session = {
            "status": status,
            **({"reason": reason} if reason else {}),
            "step": step,
            "steps": case.steps,
            "date": case.clock.text(step),
            "calendar": case.clock.calendar,
            "time_step": case.clock.time_step,
            "ranks": self.comm.size,
            "layout": list(domain.decomposition.layout),
            "grid": list(domain.global_shape),
            "cells": self.tally.cells,
            **figures(self.tally, files, self.stopwatch, case.clock),
        }
        record = as_record(self.earlier, session, self.notes)
        self._write(lambda: self.folder.write_record(record))

    def _of(self, outlet: Outlet) -> Written:
        """What all ranks have written of a stream, and the longest that one has waited."""
        writer = outlet.writer
        ranks = self.comm.allgather((writer.bytes_written, writer.seconds_lost))
        return Written(bytes=sum(size for size, _ in ranks), seconds=max(lost for _, lost in ranks))

    def _write(self, action: Callable[[], None]) -> None:
        def write() -> None:
            with plain_errors(self.folder.path):
                action()

        try:
            on_root(self.comm, write)
        except RankError as error:
            raise RunError(
                f"{error}; restarts in {self.folder.restarts} are as they were; make room or "
                f"choose a folder that can be written, and resume"
            ) from error


def cells(case: Case) -> int:
    """Points of the largest field."""
    ny, nx = case.model.domain.global_shape
    sizes = [
        int(np.prod(np.shape(leaf)[:-2])) * ny * nx
        for leaf in jax.tree.leaves(case.state)
        if np.ndim(leaf) >= 2
    ]
    return max(sizes, default=0)
