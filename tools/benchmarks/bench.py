"""Run the benchmarks one after the other, and tabulate what they measure.

What each part measures takes the place of its older record in the file of this machine under
tools/benchmarks/results, or in the one that is named. A part that fails does not end the others.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path

from tools.benchmarks import record
from tools.benchmarks.record import Measurement, Record, Records
from tools.benchmarks.workers import PROJECT, command

RESULTS = PROJECT / "tools" / "benchmarks" / "results"
LAST_LINES = 15

LEAST_SPREAD = 0.02
"""Smaller changes are taken for noise, also where no spread is known."""


@dataclass(frozen=True)
class Part:
    """Commands that each take --json FILE, and the options that make them short."""

    name: str
    about: str
    commands: tuple[tuple[str, ...], ...]
    quick: tuple[str, ...] = ()


PARTS = (
    Part(
        "startup",
        "imports, and a command of one step with an empty and a warm cache",
        (command("startup"),),
        ("--turns", "1"),
    ),
    Part(
        "compiling",
        "to trace, lower and compile a step and its gradient, and what they move",
        (command("compiling"),),
        ("--turns", "1", "--namelists", "namelists/ocean/double_gyre.yaml"),
    ),
    Part(
        "ocean",
        "the ocean's step on one core, against Veros and a copy",
        (command("ocean"),),
        ("--turns", "3", "--seconds", "1", "--physics", "matched"),
    ),
    Part(
        "atmosphere",
        "the atmosphere's step on one core, against dinosaur",
        (command("atmosphere", "--dinosaur", PROJECT / ".venv-dinosaur" / "bin" / "python"),),
        ("--turns", "3", "--seconds", "1", "--precision", "float64"),
    ),
    Part(
        "adjoint",
        "the gradient of runs against the runs, on 1 and 2 ranks",
        (command("adjoint"),),
        ("--turns", "1", "--ranks", "1", "--steps", "25"),
    ),
    Part(
        "halo",
        "halo exchanges against bare mpi4py, on 1 and 2 ranks",
        (command("halo", ranks=1), command("halo", ranks=2)),
        ("--repetitions", "3", "--sizes", "8192", "1048576"),
    ),
    Part(
        "scaling",
        "the ocean's step on 2 ranks against 1, and in float32",
        (command("scaling"),),
        ("--turns", "3", "--seconds", "1"),
    ),
    Part(
        "restarts",
        "restarts against bare h5py, on 2 ranks",
        (command("restarts", ranks=2),),
        ("--repetitions", "2", "--gigabytes", "0.1"),
    ),
    Part(
        "predictions",
        "what a world ocean would take on 100 to 4000 ranks",
        (command("predictions"),),
        ("--spacings", "4", "--ranks", "4000"),
    ),
)


@dataclass(frozen=True)
class Failure:
    """A command that did not end well, and the last that it said."""

    part: str
    code: int
    lines: tuple[str, ...]

    def __str__(self) -> str:
        return "\n  ".join((f"{self.part} failed with exit code {self.code}:", *self.lines))


@dataclass(frozen=True)
class Outcome:
    """What a part has measured, if anything, and how it failed, if it did."""

    records: Records
    failures: tuple[Failure, ...]


def run(part: Part, quick: bool) -> Outcome:
    """Every command of the part, each with a file of its own."""
    outcomes = [run_one(part, words, quick) for words in part.commands]
    records = reduce(joined, (outcome.records for outcome in outcomes), {})
    return Outcome(records, tuple(fail for outcome in outcomes for fail in outcome.failures))


def run_one(part: Part, words: tuple[str, ...], quick: bool) -> Outcome:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "measured.json"
        options = (*(part.quick if quick else ()), "--json", str(file))
        done = subprocess.run(
            (*words, *options),
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        records, complaint = read(file)
    well = done.returncode in (0, record.MISSED)
    if well and records:
        return Outcome(records, ())
    lines = (*done.stdout.splitlines()[-LAST_LINES:], *([complaint] if complaint else []))
    return Outcome(records, (Failure(part.name, done.returncode, lines),))


def read(file: Path) -> tuple[Records, str]:
    """What a benchmark has left, and what is wrong with it."""
    try:
        records = record.read(file) if file.exists() else {}
    except ValueError as error:
        return {}, str(error)
    return records, "" if records else "no measurements"


def joined(first: Records, second: Records) -> Records:
    """Both; of a part that both have, all cases."""

    def both(part: str) -> Record:
        one, other = first.get(part), second[part]
        earlier = one.measurements if one else ()
        return replace(other, measurements=(*earlier, *other.measurements))

    return {**first, **{part: both(part) for part in second}}


def measurements(records: Records) -> list[Measurement]:
    return [one for part in records.values() for one in part.measurements]


@dataclass(frozen=True)
class Change:
    """A case in two files; None where a file does not have it."""

    before: Measurement | None
    after: Measurement | None

    @property
    def ratio(self) -> float | None:
        """The value after over that before."""
        if self.before is None or self.after is None or self.before.value == 0:
            return None
        return self.after.value / self.before.value

    @property
    def mark(self) -> str:
        """What is to be seen: a change beyond both spreads, or a case without its like."""
        if self.before is None:
            return "only second"
        if self.after is None:
            return "only first"
        if self.before.unit != self.after.unit:
            return "another unit"
        spread = max(self.before.spread, self.after.spread, LEAST_SPREAD)
        difference = abs(self.after.value - self.before.value)
        scale = min(abs(self.after.value), abs(self.before.value))
        return "changed" if difference > spread * scale else ""

    @property
    def cells(self) -> tuple[str, ...]:
        one = self.after or self.before
        assert one is not None
        values = (f"{m.value:.4g}" if m else "-" for m in (self.before, self.after))
        ratio = "" if self.ratio is None else f"{self.ratio:.3g}"
        return (one.part, one.case, *values, one.unit, ratio, self.mark)


def changes(first: Records, second: Records) -> list[Change]:
    """Every case of either, in the order of the first."""
    before, after = (
        {(one.part, one.case): one for one in measurements(records)} for records in (first, second)
    )
    return [Change(before.get(key), after.get(key)) for key in before | after]


def compared(first: Path, second: Path) -> str:
    """The table of changes, below the machines and commits of both files."""
    files = {"first": record.read(first), "second": record.read(second)}
    conditions = [
        f"{name}: {conditions}"
        for name, records in files.items()
        for conditions in dict.fromkeys(
            f"{one.header.machine}; commit {one.header.commit}" for one in records.values()
        )
    ]
    head = ("part", "case", "first", "second", "unit", "second/first", "")
    rows = [change.cells for change in changes(files["first"], files["second"])]
    return "\n".join([*conditions, "", record.lines_of(head, rows)])


def chosen(names: Sequence[str], parts: Iterable[Part]) -> list[Part]:
    """The parts of these names, or all; ends the program at a name that there is not."""
    known = {part.name: part for part in parts}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SystemExit(f"found {', '.join(unknown)}; expected parts out of {', '.join(known)}")
    return [known[name] for name in names or known]


def main(arguments: Sequence[str] | None = None, parts: Sequence[Part] = PARTS) -> int:
    parser = argparse.ArgumentParser(prog="tools/bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help="all when none is named")
    parser.add_argument("--json", type=Path, help="write to this file, not to that of the machine")
    parser.add_argument("--quick", action="store_true", help="in minutes; kept with --json alone")
    parser.add_argument("--list", action="store_true", help="say what the parts measure")
    parser.add_argument(
        "--compare",
        nargs=2,
        type=Path,
        metavar=("FIRST", "SECOND"),
        help="mark what differs by more than the spreads of both files",
    )
    options = parser.parse_args(arguments)
    if options.compare:
        print(compared(*options.compare))
        return 0
    selected = chosen(options.parts, parts)
    if options.list:
        print("\n".join(f"{part.name:12}{part.about}" for part in selected))
        return 0
    here = record.header()
    file = options.json or (None if options.quick else RESULTS / f"{here.name}.json")
    print(here, flush=True)
    outcomes = [told(part, options.quick, file) for part in selected]
    records = reduce(joined, (outcome.records for outcome in outcomes), {})
    print(f"\n{record.table(measurements(records))}")
    if file:
        print(f"\nwritten to {file}")
    failures = [failure for outcome in outcomes for failure in outcome.failures]
    for failure in failures:
        print(f"\n{failure}")
    return int(bool(failures))


def told(part: Part, quick: bool, file: Path | None) -> Outcome:
    """Run the part, say so, and put what it has measured into the file."""
    print(f"{part.name:12}", end="", flush=True)
    begin = time.perf_counter()
    outcome = run(part, quick)
    print(f"{time.perf_counter() - begin:5.0f} s{'  failed' * bool(outcome.failures)}", flush=True)
    if file and outcome.records:
        record.write(file, (record.read(file) if file.exists() else {}) | dict(outcome.records))
    return outcome


if __name__ == "__main__":
    sys.exit(main())
