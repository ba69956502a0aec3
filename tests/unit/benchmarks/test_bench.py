"""All benchmarks by one command: parts that fail, files. No benchmark runs here."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from tools.benchmarks import bench, record
from tools.benchmarks.bench import Part
from tools.benchmarks.record import Header, Measurement, Record

HEADER = Header("A Processor", 2, 8.0, {"jax": "0.10.2"}, "abc", "float64", "2026-01-01")

MEASURES = """
import sys
from pathlib import Path
from tools.benchmarks import record
from tools.benchmarks.record import Header, Measurement
print("measuring")
header = Header("A Processor", 2, 8.0, {}, "abc", "float64", "2026-01-01")
value = 3.0 if "--short" in sys.argv else 1.0
found = (Measurement("good", CASE, value, "s", wanted="<= 2 s"),)
record.write(Path(sys.argv[sys.argv.index("--json") + 1]), {"good": record.Record(header, found)})
sys.exit(3 if value > 2 else 0)
"""
CRASHES = MEASURES.replace("CASE", "'one'") + "raise SystemExit('crashed at the next case')"
BREAKS = "import sys; print(*range(40), sep='\\n'); sys.exit('out of luck')"


def python(source: str) -> tuple[str, ...]:
    return (sys.executable, "-c", source)


GOOD = Part(
    "good",
    "measures",
    (python(MEASURES.replace("CASE", "'one'")), python(MEASURES.replace("CASE", "'two'"))),
    ("--short",),
)
BAD = Part("bad", "breaks", (python(BREAKS),))
STRANGE = "import sys; from pathlib import Path; Path(sys.argv[-1]).write_text('strange')"
ODD = Part("odd", "writes something else", (python(STRANGE),))
HALF = Part("half", "measures one case", (python(CRASHES.replace("sys.exit", "str")),))
SILENT = Part("silent", "measures nothing", (python("pass"),))


def test_a_part_that_fails_is_shown_and_does_not_end_the_others(tmp_path, capsys):
    file = tmp_path / "results.json"
    assert bench.main(["--json", str(file)], [BAD, SILENT, ODD, GOOD]) == 1
    shown = capsys.readouterr().out
    assert "bad failed with exit code 1:" in shown
    assert "out of luck" in shown
    assert "\n  39\n" in shown
    assert "\n  10\n" not in shown  # the last lines alone
    assert "expected records of benchmarks" in shown
    assert "silent failed with exit code 0:\n  no measurements" in shown
    assert [one.case for one in record.read(file)["good"].measurements] == ["one", "two"]
    assert list(record.read(file)) == ["good"]


def test_a_value_beyond_its_limit_is_no_failure(capsys):
    assert bench.main(["--quick"], [GOOD]) == 0
    assert capsys.readouterr().out.count("missed") == 2


def test_a_part_takes_the_place_of_its_older_record_alone(tmp_path):
    file = tmp_path / "results.json"
    old = Measurement("halo", "2 ranks", 1.0, "us")
    stale = Measurement("good", "one", 9.0, "s")
    record.write(file, {"halo": Record(HEADER, (old,)), "good": Record(HEADER, (stale,))})
    assert bench.main(["good", "--json", str(file)], [GOOD, BAD]) == 0
    found = record.read(file)
    assert found["halo"].measurements == (old,)
    assert [one.value for one in found["good"].measurements] == [1.0, 1.0]


def test_where_a_part_fails_its_older_record_stays(tmp_path):
    file = tmp_path / "results.json"
    bench.main(["--json", str(file)], [GOOD])
    assert bench.main(["--json", str(file)], [HALF]) == 1
    assert [one.case for one in record.read(file)["good"].measurements] == ["one", "two"]


def test_results_are_named_after_the_machine(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bench, "RESULTS", tmp_path)
    bench.main(["--quick"], [GOOD])
    assert list(tmp_path.iterdir()) == []
    bench.main([], [GOOD])
    assert [file.name for file in tmp_path.iterdir()] == [f"{record.header().name}.json"]
    assert "written to" in capsys.readouterr().out


def test_a_part_that_breaks_after_a_missed_limit_has_failed(capsys):
    assert bench.main(["--quick"], [HALF]) == 1
    assert "half failed with exit code 1:" in capsys.readouterr().out


def test_the_list_says_what_the_parts_measure(capsys):
    assert bench.main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    names = "startup compiling ocean atmosphere adjoint halo scaling network restarts output"
    names += " verify predictions demo"
    assert [line.split()[0] for line in lines] == names.split()
    assert all(len(line.split()) > 1 for line in lines)


def test_an_unknown_part_is_refused():
    with pytest.raises(SystemExit, match="found tides; expected parts out of startup"):
        bench.main(["tides"])


def test_a_part_that_cannot_run_here_is_skipped_and_says_why(tmp_path, capsys):
    skips = "from tools.benchmarks import record; record.skip('found no cable')"
    file = tmp_path / "results.json"
    parts = [Part("cable", "needs one", (python(skips),)), GOOD]
    assert bench.main(["--json", str(file)], parts) == 0
    (line,) = (one for one in capsys.readouterr().out.splitlines() if one.startswith("cable"))
    assert line.endswith("s  skipped: found no cable")
    assert list(record.read(file)) == ["good"]


def test_what_is_never_quick_runs_without_quick_alone(capsys):
    slow = replace(GOOD, quick=None)
    assert bench.main(["--quick"], [slow]) == 0
    assert "skipped: it is never quick" in capsys.readouterr().out
    assert [len(one.measurements) for one in bench.run(slow, False).records.values()] == [2]


def test_nothing_is_measured_into_a_file_of_something_else(tmp_path):
    strange = tmp_path / "strange.json"
    strange.write_text("strange")
    with pytest.raises(SystemExit, match="expected records of benchmarks"):
        bench.main(["--json", str(strange)], [BAD])
