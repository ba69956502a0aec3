"""What a run has done and how fast, in numbers that programs read: ``run.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dassim.simulation.clock import SECONDS_PER_DAY, Clock
from dassim.simulation.timing import Stopwatch

STEPS = "steps"
"""The part of the wall-clock time in which the model is stepped, messages included."""

COMPILE = "compile"


@dataclass
class Written:
    """What has been written of one kind, and how long the time loop waited for it."""

    count: int | None = None
    bytes: int = 0
    seconds: float = 0.0

    def add(self, size: int, seconds: float) -> None:
        self.count = (self.count or 0) + 1
        self.bytes += size
        self.seconds += seconds

    def to_json(self) -> dict[str, Any]:
        rate = self.bytes / self.seconds if self.seconds else None
        return {
            **({} if self.count is None else {"count": self.count}),
            "bytes": self.bytes,
            "seconds": self.seconds,
            "bytes_per_second": rate,
        }


@dataclass
class Tally:
    """The work of this session: steps taken, and what was written. ``halo`` (s): what the messages
    of a step take by themselves."""

    steps: int = 0
    halo: float = 0.0
    cells: int = 0
    ranks: int = 1
    files: dict[str, Written] = field(default_factory=dict)

    def wrote(self, kind: str, size: int, seconds: float) -> None:
        self.files.setdefault(kind, Written()).add(size, seconds)


def figures(
    tally: Tally, fields: Mapping[str, Written], stopwatch: Stopwatch, clock: Clock
) -> dict[str, Any]:
    """Figures of merit, the time split (s), and the files of this session, with ``fields``.

    Speeds are of the whole time loop, with its output, without start and compilation. Of the time
    of steps, ``halo`` is what their messages take when nothing else is done; waiting for slower
    ranks counts as ``compute``.
    """
    seconds = stopwatch.seconds
    in_loop = sum(time for part, time in seconds.items() if part not in (COMPILE, "start"))
    per_second = tally.steps / in_loop if in_loop else 0.0
    rate = per_second * tally.cells
    total, files = stopwatch.elapsed, {**tally.files, **fields}
    stepping = seconds.get(STEPS, 0.0)
    halo = min(stepping, tally.halo * tally.steps)
    return {
        "figure_of_merit": {
            "simulated_years_per_day": clock.years(per_second * SECONDS_PER_DAY),
            "cell_steps_per_second": rate,
            "cell_steps_per_second_per_rank": rate / tally.ranks,
            "steps_per_second": per_second,
        },
        "wall_seconds": {
            "total": total,
            **seconds,
            "other": max(0.0, total - sum(seconds.values())),
        },
        "of_steps": {"halo": halo, "compute": stepping - halo},
        "files": {kind: written.to_json() for kind, written in files.items()},
    }


def as_record(
    earlier: Mapping[str, Any], session: Mapping[str, Any], notes: Mapping[str, Any]
) -> dict[str, Any]:
    """The record of a run: this session's figures first, then the ``earlier`` record's sessions."""
    past = [*earlier.get("sessions", [])]
    if "status" in earlier:
        past.append({k: v for k, v in earlier.items() if k not in ("sessions", "notes")})
    return {**session, "notes": dict(notes), "sessions": past}
