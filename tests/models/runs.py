"""Runs of the toy plate, and a writer that loses what is not flushed when a run dies."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import equinox as eqx
import numpy as np

from dassim.io.restarts import StateArchive
from dassim.simulation.clock import Clock
from dassim.simulation.events import Every
from dassim.simulation.folder import RunFolder, claimed
from dassim.simulation.plan import Case, Outcome, Outlet, Plan
from dassim.simulation.progress import Progress
from dassim.simulation.run import simulate
from dassim.simulation.signals import StopRequest
from dassim.simulation.trees import named_leaves
from tests.models.plate import Plate

STEPS = 30


@dataclass
class MemoryWriter:
    """Records ``(start, end, arrays)``; those before ``durable`` are on disk."""

    records: list[tuple[float, float, dict[str, np.ndarray]]] = field(default_factory=list)
    durable: int = 0
    closed: bool = False
    seconds_lost: float = 0.0
    bytes_written: int = 0

    def put(self, start: float, end: float, arrays: Any) -> None:
        copies = {name: np.array(array) for name, array in arrays.items()}
        self.records.append((start, end, copies))
        self.bytes_written += sum(array.nbytes for array in copies.values())

    def flush(self) -> None:
        self.durable = len(self.records)

    def truncate_after(self, seconds: float, begun: float | None = None) -> None:
        kept = [record for record in self.records[: self.durable] if record[1] <= seconds]
        self.records[:] = kept
        self.durable = len(kept)

    def close(self) -> None:
        self.closed = True


@dataclass
class Listener:
    """Keeps what is reported; asks the run to stop once a step is reached."""

    stop_at: int | None = None
    request: StopRequest = field(default_factory=StopRequest)
    lines: list[str] = field(default_factory=list)

    def message(self, text: str) -> None:
        self.lines.append(text)

    def tick(self, step: int, steps: int) -> None:
        if self.stop_at is not None and step >= self.stop_at:
            self.request.received.append("SIGTERM")

    def progress(self, progress: Progress) -> None:
        self.lines.append(str(progress))


def case(model: Plate | None = None, steps: int = STEPS, **changes: Any) -> Case:
    """With the model's own parameters, and the plate's own state, unless ``changes`` say."""
    model = model or Plate.create()
    changes.setdefault("parameters", model.parameters())
    state = changes.pop("state", None) or model.state()
    return Case(
        model, state=state, steps=steps, clock=Clock("2000-01-01", "noleap", 60.0), **changes
    )


def outlets(mean: MemoryWriter, snapshots: MemoryWriter) -> list[Outlet]:
    return [
        Outlet("means", "mean", ("T", "dye"), Every(6), mean),
        Outlet("fast", "snapshot", ("dye",), Every(4), snapshots),
    ]


PLAN = Plan(log=Every(10), restarts=Every(5), patience=0.0)
"""With no patience ranks look up after each step."""


def run(
    folder: Path,
    case: Case,
    plan: Plan = PLAN,
    outlets: Iterable[Outlet] = (),
    *,
    resume: bool = False,
    stop_at: int | None = None,
    listener: Listener | None = None,
    namelist: str = "name: plate\n",
) -> Outcome:
    comm = case.model.domain.comm
    listener = listener or Listener(stop_at)
    with claimed(RunFolder(folder), namelist, comm, resume=resume):
        return simulate(
            case,
            plan,
            RunFolder(folder),
            tuple(outlets),
            resume=resume,
            reporter=listener,
            request=listener.request,
            notes={"name": "plate"},
        )


def end_state(folder: Path, case: Case) -> dict[str, np.ndarray]:
    """This rank's leaves of the newest restart."""
    archive = StateArchive(folder / "restarts", case.model.domain)
    entry = archive.newest().entry
    assert entry is not None
    assert entry.step == case.steps
    return archive.read(entry, named_leaves(case.state))


def stepped(case: Case, steps: int | None = None) -> dict[str, np.ndarray]:
    """The leaves after ``steps`` of the model, without any driver."""
    state = case.state
    for _ in range(case.steps if steps is None else steps):
        state = _step(case.model, case.parameters, state)
    return {name: np.asarray(leaf) for name, leaf in named_leaves(state).items()}


@eqx.filter_jit
def _step(model: Any, parameters: Any, state: Any) -> Any:
    return model.step(parameters, state)


@contextmanager
def broken(monkeypatch: Any, target: str, error: Exception):
    """``target`` raises while the body runs."""

    def fail(*_: Any, **__: Any) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(target, fail)
        yield
