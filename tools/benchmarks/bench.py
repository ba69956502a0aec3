"""Run the benchmarks one after the other, and tabulate what they measure.

What each part measures takes the place of its older record in the file of this machine under
tools/benchmarks/results, or in the one that is named; where the part fails, the older one stays.
The others go on then; a part that cannot run on this machine is skipped.
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
from tools.benchmarks.comparison import WORSE, compare, opened
from tools.benchmarks.record import Record, Records
from tools.benchmarks.scaling import ATMOSPHERE
from tools.benchmarks.workers import PROJECT, command

RESULTS = PROJECT / "tools" / "benchmarks" / "results"
LAST_LINES = 15


@dataclass(frozen=True)
class Part:
    """Commands that each take --json FILE, and the options that make them short; None where nothing
    does."""

    name: str
    about: str
    commands: tuple[tuple[str, ...], ...]
    quick: tuple[str, ...] | None = ()


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
        (
            command("adjoint"),
            command("adjoint", "--steps", 100, "--ranks", 1, "--set", "precision=float32"),
            command("adjoint", ATMOSPHERE, "--steps", 25, 100),
        ),
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
        "steps of ocean and atmosphere on 2 ranks against 1, and in float32",
        (command("scaling"),),
        ("--turns", "3", "--seconds", "1"),
    ),
    Part(
        "network",
        "the ocean's step on 2 ranks behind a slow cable, against its prediction; as root",
        (command("network", "--rates", "1gbit", "200mbit"),),
        ("--turns", "1", "--seconds", "0.5", "--rates", "1gbit"),
    ),
    Part(
        "restarts",
        "restarts against bare h5py, on 2 ranks",
        (command("restarts", ranks=2),),
        ("--repetitions", "2", "--gigabytes", "0.1"),
    ),
    Part(
        "output",
        "daily means of 3-D fields against bare h5py, on 2 ranks",
        (command("output", ranks=2),),
        ("--repetitions", "1", "--days", "2", "--columns", "40", "80"),
    ),
    Part(
        "verify",
        "what is predicted for a step and a gradient, against both; on 1, 2, 4 ranks",
        (command("verify"),),
        ("--turns", "1", "--seconds", "0.5", "--steps", "10", "--ranks", "1"),
    ),
    Part(
        "predictions",
        "what a world ocean would take on 100 to 4000 ranks",
        (command("predictions"),),
        ("--spacings", "4", "--ranks", "4000"),
    ),
    Part("demo", "tools/demo from the start, with nothing compiled", (command("demo"),), None),
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
    """What a part has measured, if anything, how it failed, if it did, and why it was skipped."""

    records: Records
    failures: tuple[Failure, ...] = ()
    skipped: str = ""

    @property
    def words(self) -> str:
        """How it ended, where that was not well."""
        return "failed" if self.failures else self.skipped


def run(part: Part, quick: bool) -> Outcome:
    """Every command of the part, each with a file of its own."""
    if quick and part.quick is None:
        return Outcome({}, skipped="skipped: it is never quick")
    options = part.quick or () if quick else ()
    outcomes = [run_one(part.name, (*words, *options)) for words in part.commands]
    return Outcome(
        reduce(joined, (outcome.records for outcome in outcomes), {}),
        tuple(fail for outcome in outcomes for fail in outcome.failures),
        "; ".join(outcome.skipped for outcome in outcomes if outcome.skipped),
    )


def run_one(part: str, words: tuple[str, ...]) -> Outcome:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "measured.json"
        done = subprocess.run(
            (*words, "--json", str(file)),
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        records, complaint = read(file)
    said = done.stdout.splitlines()[-LAST_LINES:]
    if done.returncode == record.SKIPPED:
        return Outcome(records, skipped=said[-1] if said else "skipped")
    if done.returncode in (0, record.MISSED) and records:
        return Outcome(records)
    lines = (*said, *([complaint] if complaint else []))
    return Outcome(records, (Failure(part, done.returncode, lines),))


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
        help="mark what is better or worse by more than the spreads of both files, by the ratios "
        f"to references where there are some; exit code {WORSE} where something is worse, 0 where "
        "nothing is, 1 where a file cannot be read",
    )
    options = parser.parse_args(arguments)
    if options.compare:
        return compare(*options.compare)
    selected = chosen(options.parts, parts)
    if options.list:
        print("\n".join(f"{part.name:12}{part.about}" for part in selected))
        return 0
    here = record.header()
    file = options.json or (None if options.quick else RESULTS / f"{here.name}.json")
    if file and file.exists():
        opened(file)
    print(here, flush=True)
    outcomes = [told(part, options.quick, file) for part in selected]
    records = reduce(joined, (outcome.records for outcome in outcomes), {})
    print(f"\n{record.table(record.measurements(records))}")
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
    print(f"{time.perf_counter() - begin:5.0f} s  {outcome.words}".rstrip(), flush=True)
    if file and outcome.records:
        older = record.read(file) if file.exists() else {}
        new = dict(outcome.records)
        record.write(file, new | older if outcome.failures else older | new)
    return outcome


if __name__ == "__main__":
    sys.exit(main())
