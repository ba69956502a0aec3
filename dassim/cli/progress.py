"""A run's progress on a terminal: a bar that moves, and the same lines as in a log above it."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from dassim.simulation.progress import PlainReporter, Reporter
from dassim.simulation.progress import Progress as Report


class BarReporter:
    """Shows the bar until :meth:`close`."""

    def __init__(self, console: Console):
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("step"),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
        )
        self.task = self.bar.add_task("running", total=None)
        self.bar.start()

    def message(self, text: str) -> None:
        self.bar.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def tick(self, step: int, steps: int) -> None:
        self.bar.update(self.task, completed=step, total=steps)

    def progress(self, progress: Report) -> None:
        self.bar.update(self.task, description=progress.date)
        self.message(str(progress))

    def close(self) -> None:
        self.bar.stop()


def reporter() -> Reporter:
    """With a bar on a terminal, plain lines elsewhere."""
    console = Console()
    return BarReporter(console) if console.is_terminal else PlainReporter(print_now)


def print_now(text: str) -> None:
    """Lines of a log are there while the run goes on."""
    print(text, flush=True, file=sys.stdout)
