"""A program that runs the plate for a while, to be killed at any moment and resumed.

tools/mpirun 2 python -m tests.models.endurance [--steps 400] [--seconds 2] FOLDER

Prints ``running`` when the time loop begins. Beside restarts it keeps a file of output that loses
what is not flushed, as a background writer does.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from dassim.parallel import abort_on_error, world
from dassim.simulation.events import Every
from dassim.simulation.folder import RunFolder, claimed
from dassim.simulation.plan import Outlet, Plan
from dassim.simulation.run import simulate
from dassim.simulation.signals import stop_requests
from tests.models.runs import case

CONTINUE_ME = 75


@dataclass
class TextWriter:
    """One line of a rank's file for each record: its end, and the sum of its numbers."""

    path: Path
    waiting: list[str] = field(default_factory=list)
    seconds_lost: float = 0.0
    bytes_written: int = 0

    def put(self, start: float, end: float, arrays: Any) -> None:
        total = sum(float(np.sum(np.asarray(array))) for array in arrays.values())
        self.waiting.append(f"{start!r} {end!r} {total!r}\n")

    def flush(self) -> None:
        with self.path.open("a") as file:
            file.writelines(self.waiting)
            file.flush()
            os.fsync(file.fileno())
        self.waiting.clear()

    def truncate_after(self, seconds: float, begun: float | None = None) -> None:
        lines = self.path.read_text().splitlines(keepends=True) if self.path.exists() else []
        kept = [line for line in lines if line.endswith("\n") and float(line.split()[1]) <= seconds]
        self.path.write_text("".join(kept))

    def close(self) -> None:
        self.flush()


@dataclass
class Slow:
    """Reports to nobody; makes the loop last ``seconds`` for all steps together."""

    seconds: float
    announced: bool = False

    def message(self, text: str) -> None:
        print(text, flush=True)

    def progress(self, progress: Any) -> None:
        pass

    def tick(self, step: int, steps: int) -> None:
        if not self.announced:
            print("running", flush=True)
        self.announced = True
        time.sleep(self.seconds / steps)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    comm = world()
    own = RunFolder(options.folder)
    plan = Plan(log=Every(10), restarts=Every(7), keep_last=2, patience=0.0)
    with (
        abort_on_error(comm),
        stop_requests() as request,
        claimed(own, "name: endurance\n", comm, resume=True),
    ):
        writer = TextWriter(own.path / f"means_{comm.rank}.txt")
        outcome = simulate(
            replace(case(), steps=options.steps),
            plan,
            own,
            [Outlet("means", "mean", ("T",), Every(5), writer)],
            resume=True,
            reporter=Slow(options.seconds),
            request=request,
        )
    return 0 if outcome.finished else CONTINUE_ME


if __name__ == "__main__":
    raise SystemExit(main())
