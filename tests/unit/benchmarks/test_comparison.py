"""What is better or worse in a second file of measurements, and how the command says so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tools.benchmarks import bench, record
from tools.benchmarks.comparison import WORSE, Change
from tools.benchmarks.record import Header, Measurement, Record

HEADER = Header("A Processor", 2, 8.0, {"jax": "0.10.2"}, "abc", "float64", "2026-01-01")
MEMORY = Measurement("adjoint", "memory", 1.0, "GB")
STEP = Measurement("ocean", "step", 10.0, "Mcells/s", 0.05, "Veros 1.7.0", 2.0)
SEEN = Measurement("verify", "step", 10.0, "ms/step", 0.05, "measured", 10.0, "within 25 %")


def kept(file: Path, *measurements: Measurement, commit: str = "abc") -> str:
    header = replace(HEADER, commit=commit)
    record.write(file, {one.part: Record(header, (one,)) for one in measurements})
    return str(file)


def compared(tmp_path: Path, before: Measurement, after: Measurement) -> int:
    files = kept(tmp_path / "a.json", before), kept(tmp_path / "b.json", after)
    return bench.main(["--compare", *files])


def test_ratios_are_compared_where_both_have_a_reference(tmp_path, capsys):
    slower_machine = replace(STEP, value=5.0, reference_value=1.0)
    assert compared(tmp_path, STEP, slower_machine) == 0
    rows = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "ocean step 10 5 Mcells/s 5 5 1" in rows
    assert "0 worse, 0 better, of 1 cases that both files hold" in rows
    assert compared(tmp_path, STEP, replace(STEP, reference_value=3.0)) == WORSE
    rows = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "ocean step 10 10 Mcells/s 5 3.33 0.667 worse" in rows


def test_beside_a_reference_of_its_own_a_change_is_one_that_both_show():
    before = replace(STEP, value=8.0, unit="s", reference="the run", reference_value=1.0)
    faster_run = replace(before, reference_value=0.8)
    slower = replace(before, value=4.0, reference_value=0.4)
    worse = replace(before, value=12.0)
    assert [Change(before, one).mark for one in (faster_run, slower, worse)] == ["", "", "worse"]


def test_what_was_timed_once_is_known_to_less():
    once = replace(MEMORY, unit="s")
    assert Change(once, replace(once, value=1.1)).mark == ""
    assert Change(once, replace(once, value=1.2)).mark == "worse"


def test_a_reference_that_varies_hides_a_change():
    steady, varying = replace(STEP, value=8.0), replace(STEP, value=8.0, reference_spread=0.3)
    assert [Change(STEP, one).mark for one in (steady, varying)] == ["worse", ""]


def test_values_are_compared_where_one_has_no_reference():
    alone = replace(STEP, reference="", reference_value=None)
    assert Change(STEP, replace(alone, value=5.0)).mark == "worse"
    assert Change(alone, replace(STEP, reference_value=9.0)).mark == ""


@pytest.mark.parametrize("unit", ["s", "ms", "us", "s/step", "ms/step", "MB", "GB", "B a cell"])
def test_less_of_what_is_spent_is_better(unit):
    before = replace(MEMORY, unit=unit)
    assert Change(before, replace(before, value=1.5)).mark == "worse"
    assert Change(before, replace(before, value=0.5)).mark == "better"


@pytest.mark.parametrize("unit", ["Mcells/s", "GB/s", "MB/s", "simulated days/h", "years/day"])
def test_more_of_a_rate_is_better(unit):
    before = replace(MEMORY, unit=unit)
    assert Change(before, replace(before, value=1.5)).mark == "better"
    assert Change(before, replace(before, value=0.5)).mark == "worse"


def test_a_limit_tells_more_than_a_unit():
    before = replace(MEMORY, wanted=">= 0.5")
    assert Change(before, replace(before, value=1.5)).mark == "better"
    assert Change(replace(MEMORY, unit="m"), replace(MEMORY, unit="m", value=2.0)).mark == "changed"


def test_a_prediction_is_better_the_nearer_it_is():
    low, high = replace(SEEN, value=5.0), replace(SEEN, value=15.0)
    assert Change(SEEN, low).mark == Change(SEEN, high).mark == Change(high, low).mark == "worse"
    assert Change(low, high).mark == "better"
    assert [one.verdict for one in (low, SEEN, high)] == ["missed", "met", "missed"]


def test_what_is_within_the_spreads_is_noise():
    noisy = replace(MEMORY, spread=0.3)
    assert Change(MEMORY, replace(MEMORY, value=1.01)).mark == ""
    assert Change(MEMORY, replace(noisy, value=1.2)).mark == ""
    assert Change(noisy, replace(MEMORY, value=1.2)).mark == ""
    assert Change(noisy, replace(noisy, value=1.4)).mark == "worse"


def test_nothing_becomes_worse_than_nothing():
    none = replace(MEMORY, value=0.0)
    assert Change(none, none).mark == ""
    assert (Change(none, MEMORY).mark, Change(MEMORY, none).mark) == ("worse", "better")


def test_what_is_unlike_is_not_judged(tmp_path, capsys):
    assert Change(MEMORY, replace(MEMORY, value=9.0, unit="MB")).mark == "another unit"
    other = replace(STEP, reference="Veros 1.8.0", value=1.0)
    assert Change(STEP, other).mark == "another reference"
    files = kept(tmp_path / "a.json", STEP), kept(tmp_path / "b.json", MEMORY, commit="def")
    assert bench.main(["--compare", *files]) == 0
    shown = capsys.readouterr().out
    rows = [" ".join(line.split()) for line in shown.splitlines()]
    assert "ocean step 10 - Mcells/s 5 only first" in rows
    assert "adjoint memory - 1 GB only second" in rows
    assert "first: A Processor, 2 cores, 8 GB; float64; commit abc" in shown
    assert "second: A Processor, 2 cores, 8 GB; float64; commit def" in shown


NO_NUMBER = (
    '{"a": {"header": {"processor": "", "cores": 1, "memory": 1, "versions": {}, "commit": "", '
    '"precision": "", "date": ""}, "measurements": [{"part": "a", "case": "b", "value": "c", '
    '"unit": "s"}]}}'
)


@pytest.mark.parametrize("text", [None, "nothing", "{}", '{"a": {}}', NO_NUMBER])
def test_a_file_without_records_ends_it_with_one_line(tmp_path, text):
    strange = tmp_path / "strange.json"
    if text is not None:
        strange.write_text(text)
    with pytest.raises(SystemExit) as ended:
        bench.main(["--compare", kept(tmp_path / "a.json", STEP), str(strange)])
    line = str(ended.value)
    assert line.startswith(f"{strange}: found ")
    assert "expected records of benchmarks; name another file, or measure anew" in line
    assert "\n" not in line


def test_the_help_says_the_exit_code(capsys):
    with pytest.raises(SystemExit):
        bench.main(["--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert f"exit code {WORSE} where something is worse" in shown
