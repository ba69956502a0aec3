"""The table of a minimisation on a terminal: it grows in place, with the newest lines in view."""

from __future__ import annotations

from collections import deque
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from dassim.assimilation.records import table_cell
from dassim.assimilation.recovery import PlainReporter, Reporter
from dassim.cli.progress import print_now

SHOWN = 20
"""Lines of the live table; all of them are in the file."""


class LiveReporter:
    """Shows the table until :meth:`close`."""

    def __init__(self, console: Console):
        self.rows: deque[Any] = deque(maxlen=SHOWN)
        self.live = Live(console=console, refresh_per_second=4)
        self.live.start()

    def message(self, text: str) -> None:
        self.live.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def iteration(self, row: Any) -> None:
        self.rows.append(row)
        self.live.update(self.table())

    def table(self) -> Table:
        table = Table(*self.rows[-1], box=None, header_style="bold")
        for column in table.columns:
            column.justify = "right"
        for row in self.rows:
            table.add_row(*(table_cell(name, value) for name, value in row.items()))
        return table

    def close(self) -> None:
        self.live.stop()


def reporter() -> Reporter:
    """Live on a terminal, plain lines elsewhere."""
    console = Console()
    return LiveReporter(console) if console.is_terminal else PlainReporter(print_now)
