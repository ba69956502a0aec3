"""Models in processes of their own, on one core, that take steps in turns.

Such a process waits, compiled, and answers every number of steps that it reads by the seconds that
they took.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tools.benchmarks.record import median
from tools.benchmarks.workers import ONE_CORE, PROJECT, pin


def keep_to_one_core() -> None:
    """This process, before it imports JAX."""
    os.environ.update(ONE_CORE)
    pin()


class Worker:
    """A model in a process of its own, pinned to one core.

    ``clock``: "wall", or "processor" for the seconds that the core has worked for this process
    alone, which other work on the machine lengthens less.
    """

    def __init__(self, *command: str, clock: str = "wall"):
        self.clock = clock
        core = str(min(os.sched_getaffinity(0)))
        self.process = subprocess.Popen(
            ["taskset", "-c", core, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=PROJECT,
            env={**os.environ, **ONE_CORE},
        )

    def seconds(self, steps: int) -> float:
        """Seconds that ``steps`` steps took."""
        assert self.process.stdin is not None and self.process.stdout is not None
        before = processor_seconds(self.process.pid) if self.clock == "processor" else 0.0
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"found no answer from {self.process.args}; its messages are above")
        if self.clock == "processor":
            return processor_seconds(self.process.pid) - before
        return float(answer)

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=60)


def processor_seconds(process: int) -> float:
    """Seconds that all threads of the process of this number have worked, to a hundredth.

    >>> processor_seconds(os.getpid()) > 0.0
    True
    """
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    user, system = int(fields[11]), int(fields[12])
    return (user + system) / os.sysconf("SC_CLK_TCK")


def serve(run: Callable[[Any, int], Any], state: Any) -> None:
    """Be such a process: ``run(state, steps)`` gives the state after so many steps, ready."""
    for line in sys.stdin:
        start = time.perf_counter()
        state = run(state, int(line))
        print(time.perf_counter() - start, flush=True)


def in_turns(
    workers: Mapping[str, Worker], turns: int, seconds: float
) -> dict[str, tuple[float, float]]:
    """Seconds per step of each, and their spread, from turns of about so many seconds."""
    steps = {}
    for name, worker in workers.items():
        worker.seconds(3)  # compiles
        steps[name] = max(2, int(10 * seconds / max(worker.seconds(10), 1e-6)))
    times: dict[str, list[float]] = {name: [] for name in workers}
    for _ in range(turns):
        for name, worker in workers.items():
            times[name].append(worker.seconds(steps[name]) / steps[name])
    return {name: median(each) for name, each in times.items()}
