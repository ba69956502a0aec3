"""The benchmark of the atmosphere: what it makes of the seconds that steps took."""

import io
import math
import sys
from dataclasses import replace

import pytest

from tools.benchmarks.atmosphere import CASES, COLUMNS, Comparison, Speed, lines, measured
from tools.benchmarks.record import median
from tools.benchmarks.turns import in_turns, serve

COMPARED = Comparison(
    CASES[1], "float64", "eulerian", Speed(300.0, 0.1, 0.02), Speed(600.0, 0.15, 0.05)
)


def test_dinosaur_has_its_grid_of_quadratic_truncation():
    for truncation, columns in COLUMNS.items():
        nx = math.isqrt(2 * columns)
        assert 2 * columns == nx**2
        assert nx > 3 * int(truncation[1:])  # products of two waves are free of aliasing


def test_dassim_has_no_fewer_columns():
    for case in CASES:
        assert case.nx == 2 * case.ny
        assert case.columns >= COLUMNS[case.truncation]


def test_each_line_has_the_columns_of_its_model():
    alike = replace(COMPARED, case=CASES[2])
    assert [line.split()[1] for line in lines([alike])] == ["16200", "8192"]


def test_the_ratio_is_that_of_simulated_days_per_hour():
    assert COMPARED.mine.days_per_hour == pytest.approx(125.0)
    assert COMPARED.theirs.days_per_hour == pytest.approx(500.0 / 3.0)
    assert COMPARED.ratio == pytest.approx(0.75)


def test_what_is_written_has_the_reference_of_the_same_run():
    written = measured(COMPARED, "dinosaur 1.5.1")
    assert (written.part, written.case) == ("atmosphere", "128 x 64 x 20 float64, eulerian")
    assert (written.value, written.unit) == (pytest.approx(125.0), "simulated days/h")
    assert (written.spread, written.reference) == (0.02, "dinosaur 1.5.1 T42 eulerian")
    assert written.ratio == pytest.approx(0.75)


def test_the_table_has_a_line_for_each_model():
    mine, theirs = (line.split() for line in lines([COMPARED]))
    assert mine[:8] == ["T42", "8192", "20", "float64", "dassim", "300", "100.0", "1.64"]
    assert theirs[4:] == ["eulerian", "600", "150.0", "1.09", "167", "5%", "0.75"]
    assert list(lines([])) == []


class Counting:
    """A worker whose steps take a second each, in turn 1 and 3 two."""

    def __init__(self):
        self.asked: list[int] = []

    def seconds(self, steps: int) -> float:
        self.asked.append(steps)
        return steps * (2.0 if len(self.asked) in (3, 5) else 1.0)


def test_turns_are_as_long_as_asked_for():
    worker = Counting()
    took = in_turns({"one": worker}, turns=3, seconds=5.0)  # type: ignore[dict-item]
    assert worker.asked == [3, 10, 5, 5, 5]
    assert took == {"one": median([2.0, 1.0, 2.0])}


def test_a_worker_goes_on_from_where_it_was(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO("2\n3\n"))
    states = []
    serve(lambda state, steps: states.append(state + steps) or state + steps, 10)
    assert states == [12, 15]
    assert [float(line) >= 0.0 for line in capsys.readouterr().out.splitlines()] == [True, True]
