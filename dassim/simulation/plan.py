"""What runs, and what happens on the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

import jax

from dassim.simulation.clock import Clock
from dassim.simulation.events import NEVER, Schedule
from dassim.simulation.model import Model


class Writer(Protocol):
    """Takes the records of one output stream. All ranks call it together."""

    seconds_lost: float
    bytes_written: int

    def put(self, start: float, end: float, arrays: Mapping[str, jax.Array]) -> None:
        """A record of this rank's arrays from ``start`` to ``end`` (s); of an instant if equal."""
        ...

    def flush(self) -> None:
        """Return once all records are on disk."""
        ...

    def truncate_after(self, seconds: float, begun: float | None = None) -> None:
        """Remove records that end later than ``seconds``. ``begun``: when the mean began that is
        under way then."""
        ...

    def close(self) -> None: ...


class Outlet(NamedTuple):
    """An output stream: which variables are written when and by what, as means or as they are."""

    name: str
    kind: Literal["mean", "snapshot"]
    variables: tuple[str, ...]
    schedule: Schedule
    writer: Writer


class Refresh(Protocol):
    """Parameters that change on the way, such as forcing that is read some records at a time."""

    @property
    def schedules(self) -> Sequence[Schedule]:
        """When they change."""
        ...

    def __call__(self, parameters: Any, step: int) -> Any:
        """``parameters`` as they are to be from ``step`` on, of the same shapes. All ranks call
        this together."""
        ...


@dataclass(frozen=True)
class Case:
    """What runs: ``steps`` steps of ``model`` from ``state``, the first of them at the clock's
    start. ``refresh``: what changes the ``parameters`` on the way, if anything does."""

    model: Model
    parameters: Any
    state: Any
    steps: int
    clock: Clock
    refresh: Refresh | None = None


@dataclass(frozen=True)
class Plan:
    """What happens on the way. Restarts: the newest ``keep_last`` are kept, and ``milestones``.
    ``wall_clock`` (s): the run stops in time to write a restart. ``patience`` (s): about how long
    ranks run without looking up."""

    log: Schedule = NEVER
    restarts: Schedule = NEVER
    keep_last: int = 2
    milestones: Schedule = NEVER
    snapshots: Schedule = NEVER
    wall_clock: float | None = None
    limits: Mapping[str, float | None] = field(default_factory=dict)
    patience: float = 1.0


@dataclass(frozen=True)
class Outcome:
    """How a run ended: at its last step, or earlier because of ``reason``."""

    step: int
    reason: str | None = None

    @property
    def finished(self) -> bool:
        return self.reason is None
