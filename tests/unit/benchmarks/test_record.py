"""Measurements of benchmarks: as JSON, as a table, and when they are added to a file."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tools.benchmarks import record
from tools.benchmarks.record import Header, Measurement, Record

HEADER = Header("A Processor", 2, 8.0, {"jax": "0.10.2"}, "abc", "float64", "2026-01-01")
STEP = Measurement("ocean", "step", 9.6, "Mcells/s", 0.1, "Veros", 1.92, ">= 4")
START = Measurement("startup", "empty cache", 21.0, "s", wanted="< 20 s")


def test_what_is_written_is_read(tmp_path):
    records = {"ocean": Record(HEADER, (STEP,)), "startup": Record(HEADER, (START,))}
    record.write(tmp_path / "new" / "machine.json", records)
    assert record.read(tmp_path / "new" / "machine.json") == records


def test_the_file_has_ratios_for_other_readers(tmp_path):
    record.write(tmp_path / "a.json", {"ocean": Record(HEADER, (STEP,))})
    assert '"ratio": 5.0' in (tmp_path / "a.json").read_text()


def test_a_file_stays_whole_where_the_new_one_cannot_be_written(tmp_path, monkeypatch):
    file = tmp_path / "a.json"
    record.write(file, {"ocean": Record(HEADER, (STEP,))})

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        record.write(file, {"startup": Record(HEADER, (START,))})
    assert record.read(file) == {"ocean": Record(HEADER, (STEP,))}


@pytest.mark.parametrize("text", ["nothing", "3", '{"ocean": 1}', '[{"name": "step"}]'])
def test_a_file_of_something_else_is_refused(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ValueError, match="expected records of benchmarks"):
        record.read(tmp_path / "a.json")


def test_limits_are_on_the_ratio_or_where_there_is_none_on_the_value():
    assert STEP.ratio == pytest.approx(5.0)
    assert (STEP.verdict, replace(STEP, wanted=">= 6").verdict) == ("met", "missed")
    assert START.ratio is None
    assert (START.verdict, replace(START, value=19.0).verdict) == ("missed", "met")
    assert replace(START, wanted="").verdict == ""


def test_the_table_has_a_line_for_each_under_aligned_columns():
    lines = record.table([STEP, START]).splitlines()
    head, rule, step, start = (" ".join(line.split()) for line in lines)
    assert head == "part case value unit spread ratio reference wanted"
    assert set(rule) == {"-", " "}
    assert step == "ocean step 9.6 Mcells/s 10% 5 Veros 1.92 >= 4 met"
    assert start == "startup empty cache 21 s < 20 s missed"
    assert lines[0].index("unit") == lines[2].index("Mcells/s") == lines[3].index("s ", 28)


def test_what_is_saved_stays_beside_other_cases_of_like_conditions(tmp_path):
    file = tmp_path / "halo.json"
    for ranks in (1, 2):
        record.save(file, [Measurement("halo", f"{ranks} ranks", float(ranks), "us")])
    record.save(file, [Measurement("halo", "2 ranks", 3.0, "us"), START])
    found = record.read(file)
    assert [one.value for one in found["halo"].measurements] == [1.0, 3.0]
    assert found["startup"].measurements == (START,)


def test_what_was_measured_with_other_versions_gives_way():
    old, new = Record(HEADER, (STEP,)), Record(replace(HEADER, commit="def"), (START,))
    assert record.added(old, new) == new
    assert record.added(old, replace(new, header=HEADER)).measurements == (STEP, START)


def test_nothing_is_saved_where_no_file_is_named():
    record.save(None, [STEP])


def test_the_header_says_where_when_and_with_what():
    here = record.header("float32")
    assert here.processor
    assert here.cores >= 1
    assert here.memory > 0
    assert {*record.LIBRARIES, "MPI"} == set(here.versions)
    assert here.commit
    assert "float32" in str(here)
    assert here.versions["jax"] in str(here)
