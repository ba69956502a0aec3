"""What a run shows on a terminal."""

import io
import re

from rich.console import Console

from dassim.cli.progress import BarReporter, reporter
from dassim.simulation.progress import PlainReporter, Progress


def test_a_terminal_shows_a_bar_and_the_lines_of_a_log():
    screen = io.StringIO()
    shown = BarReporter(Console(file=screen, force_terminal=True, width=200))
    try:
        shown.message("going on from [there]")
        shown.tick(3, 10)
        shown.progress(Progress("2000-01-02 00:00:00", 5, 10, ("T 10 degC",)))
        shown.tick(5, 10)
    finally:
        shown.close()
    text = screen.getvalue()
    assert "going on from [there]" in text
    assert "2000-01-02 00:00:00  step 5/10  T 10 degC" in text
    bar = [line for line in text.splitlines() if "━" in line][-1]
    assert "2000-01-02 00:00:00" in bar
    assert "step  5/10" in re.sub(r"\x1b\[[0-9;]*m", "", bar)


def test_elsewhere_lines_are_plain(capsys):
    plain = reporter()
    assert isinstance(plain, PlainReporter)
    plain.tick(1, 2)
    plain.message("stopped")
    assert capsys.readouterr().out == "stopped\n"
