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

SENT_ALONE = (
    "estimate: the messages of a step, sent by themselves before the run, times the steps; waiting "
    "for slower ranks counts as compute"
)
UNKNOWN = "none: ranks outnumber cores, or the messages by themselves took longer than the steps"


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
    of a step take by themselves, if that is known."""

    steps: int = 0
    halo: float | None = 0.0
    cells: int = 0
    ranks: int = 1
    files: dict[str, Written] = field(default_factory=dict)

    def wrote(self, kind: str, size: int, seconds: float) -> None:
        self.files.setdefault(kind, Written()).add(size, seconds)


def figures(
    tally: Tally, fields: Mapping[str, Written], stopwatch: Stopwatch, clock: Clock
) -> dict[str, Any]:
    """Figures of merit, the time split (s), and the files of this session, with ``fields``.

    Speeds are of the whole time loop, with its output, without start and compilation.
    """
    seconds = stopwatch.seconds
    in_loop = sum(time for part, time in seconds.items() if part not in (COMPILE, "start"))
    per_second = tally.steps / in_loop if in_loop else 0.0
    rate = per_second * tally.cells
    total, files = stopwatch.elapsed, {**tally.files, **fields}
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
        "of_steps": _of_steps(seconds.get(STEPS, 0.0), tally),
        "files": {kind: written.to_json() for kind, written in files.items()},
    }


def _of_steps(seconds: float, tally: Tally) -> dict[str, Any]:
    """How the ``seconds`` of steps divide into messages and arithmetic, and how that is known.

    Not at all where ranks share cores, or where the messages alone took longer than all.
    """
    halo = None if tally.halo is None else tally.halo * tally.steps
    if halo is None or halo > seconds:
        return {"halo": None, "compute": None, "method": UNKNOWN}
    return {"halo": halo, "compute": seconds - halo, "method": SENT_ALONE}


def as_record(
    earlier: Mapping[str, Any], session: Mapping[str, Any], notes: Mapping[str, Any]
) -> dict[str, Any]:
    """The record of a run: this session's figures first, then the ``earlier`` record's sessions."""
    past = [*earlier.get("sessions", [])]
    if "status" in earlier:
        past.append({k: v for k, v in earlier.items() if k not in ("sessions", "notes")})
    return {**session, "notes": dict(notes), "sessions": past}
